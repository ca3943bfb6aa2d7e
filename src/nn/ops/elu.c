/* Elu: y = x for x >= 0, alpha (exp(x) - 1) below; alpha defaults to 1.
 *
 * dy/dx = 1 for x >= 0, y + alpha below. Opset 1 and 6 differ in `consumed_inputs` only, a memory
 * hint that is ignored. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <math.h>

struct elu {
    float alpha;
};

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    struct elu detail;
    return attribute_real(node, "alpha", 1.0F, &detail.alpha, err) &&
           elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           elementwise_infer(graph, node, err);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct elu *detail = call->node->detail;
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] < 0 ? detail->alpha * expm1f(x[i]) : x[i];
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct elu *detail = call->node->detail;
    const float *x = call->in[0];
    const float *y = call->out[0];
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += x[i] < 0 ? grad_y[i] * (y[i] + detail->alpha) : grad_y[i];
    return true;
}

const struct op op_elu = {
    .name = "Elu",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
};
