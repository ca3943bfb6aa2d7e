/* Relu: y = max(x, 0); NaN stays NaN. The gradient at 0 is 0.
 *
 * Opset 1 to 14 differ in types and in `consumed_inputs`, a memory hint that is ignored. */

#include "ptqd/nn/elementwise.h"

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] <= 0 ? 0 : x[i];
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const float *x = call->in[0];
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += x[i] > 0 ? grad_y[i] : 0;
    return true;
}

const struct op op_relu = {
    .name = "Relu",
    .layout = LAYOUT_FOLLOW,
    .infer = elementwise_infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
    .keeps_grid = true,
    .homogeneous = true,
};
