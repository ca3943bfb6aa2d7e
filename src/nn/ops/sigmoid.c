/* Sigmoid: y = 1 / (1 + exp(-x)), dy/dx = y (1 - y). The divisor is at least 1 for every x.
 *
 * Opset 1 to 13 differ in types only. */

#include "ptqd/nn/elementwise.h"

#include <math.h>

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        y[i] = 1 / (1 + expf(-x[i]));
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const float *y = call->out[0];
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += grad_y[i] * y[i] * (1 - y[i]);
    return true;
}

const struct op op_sigmoid = {
    .name = "Sigmoid",
    .layout = LAYOUT_FOLLOW,
    .infer = elementwise_infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
};
