/* HardSigmoid: y = max(0, min(1, alpha x + beta)); alpha defaults to 0.2, beta to 0.5.
 *
 * dy/dx = alpha where 0 < y < 1, else 0. Opset 1 and 6 differ in `consumed_inputs` only, a memory
 * hint that is ignored. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

struct hard_sigmoid {
    float alpha, beta;
};

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    struct hard_sigmoid detail;
    return attribute_real(node, "alpha", 0.2F, &detail.alpha, err) &&
           attribute_real(node, "beta", 0.5F, &detail.beta, err) &&
           elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           elementwise_infer(graph, node, err);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct hard_sigmoid *detail = call->node->detail;
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++) {
        float line = detail->alpha * x[i] + detail->beta;
        y[i] = line < 0 ? 0 : (line > 1 ? 1 : line);
    }
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct hard_sigmoid *detail = call->node->detail;
    const float *y = call->out[0];
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += y[i] > 0 && y[i] < 1 ? detail->alpha * grad_y[i] : 0;
    return true;
}

const struct op op_hard_sigmoid = {
    .name = "HardSigmoid",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
};
