/* Div: y = a / b with broadcasting; dy/da = 1 / b, dy/db = -a / b².
 *
 * Opset 1 and 6 have `broadcast` and `axis`, 7 to 14 numpy's rule; they differ in types
 * otherwise. */

#include "ptqd/nn/broadcast.h"

static void row(int64_t count, const float *a, int64_t a_step, const float *b, int64_t b_step,
                float *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i * a_step] / b[i * b_step];
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    broadcast_forward(call, row);
    return true;
}

static void term_a(int64_t count, const float *a, int64_t a_step, const float *b, int64_t b_step,
                   const float *grad_y, float *terms)
{
    (void)a, (void)a_step; /* not in the slope */
    for (int64_t i = 0; i < count; i++)
        terms[i] = grad_y[i] / b[i * b_step];
}

static void term_b(int64_t count, const float *a, int64_t a_step, const float *b, int64_t b_step,
                   const float *grad_y, float *terms)
{
    for (int64_t i = 0; i < count; i++) {
        float divisor = b[i * b_step];
        terms[i] = -a[i * a_step] / divisor * (grad_y[i] / divisor);
    }
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    broadcast_backward(call, 0, term_a);
    broadcast_backward(call, 1, term_b);
    return true;
}

const struct op op_div = {
    .name = "Div",
    .layout = LAYOUT_MATCH,
    .infer = broadcast_infer,
    .forward = forward,
    .backward = backward,
    .writes_fresh = true,
    .in_place = true,
    .limits = "before opset 7, broadcasting of the last axes only",
};
