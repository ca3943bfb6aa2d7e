/* LeakyRelu: y = x for x >= 0, alpha x below; alpha defaults to 0.01. The gradient at 0 is 1.
 *
 * Opset 1 to 16 differ in types only. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

struct leaky_relu {
    float alpha;
};

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    struct leaky_relu detail;
    return attribute_real(node, "alpha", 0.01F, &detail.alpha, err) &&
           elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           elementwise_infer(graph, node, err);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct leaky_relu *detail = call->node->detail;
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] < 0 ? detail->alpha * x[i] : x[i];
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct leaky_relu *detail = call->node->detail;
    const float *x = call->in[0];
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += x[i] < 0 ? detail->alpha * grad_y[i] : grad_y[i];
    return true;
}

const struct op op_leaky_relu = {
    .name = "LeakyRelu",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
    .homogeneous = true,
};
