/* Tanh: y = tanh(x), dy/dx = 1 - y². Opset 1 to 13 differ in types only. */

#include "ptqd/nn/elementwise.h"

#include <math.h>

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        y[i] = tanhf(x[i]);
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
        grad_x[i] += grad_y[i] * (1 - y[i] * y[i]);
    return true;
}

const struct op op_tanh = {
    .name = "Tanh",
    .layout = LAYOUT_FOLLOW,
    .infer = elementwise_infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
};
