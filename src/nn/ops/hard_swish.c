/* HardSwish (since opset 14): y = x · h, h = max(0, min(1, x / 6 + 1/2)).
 *
 * dy/dx = h + x / 6 inside -3 < x < 3, h (0 or 1) outside. */

#include "ptqd/nn/elementwise.h"

static float gate(float x)
{
    float h = x / 6 + 0.5F;
    return h < 0 ? 0 : (h > 1 ? 1 : h);
}

static float slope(float x)
{
    if (x <= -3)
        return 0;
    return x >= 3 ? 1 : x / 3 + 0.5F;
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] * gate(x[i]);
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
        grad_x[i] += grad_y[i] * slope(x[i]);
    return true;
}

const struct op op_hard_swish = {
    .name = "HardSwish",
    .layout = LAYOUT_FOLLOW,
    .infer = elementwise_infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
};
