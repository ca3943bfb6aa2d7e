/* Relu and its gradient: selections, so that what comes in doesn't have to be guessed. */

#include "ptqd/kern/relu.h"

#include "simd.h"

KERN_CLONES static void forward(const float *x, int64_t count, float *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] <= 0.0f ? 0.0f : x[i];
}

KERN_CLONES static void gradient(const float *restrict x, int64_t count,
                                 const float *restrict grad_y, float *restrict grad_x)
{
    for (int64_t i = 0; i < count; i++) {
        float slope = grad_y[i];
        grad_x[i] = x[i] > 0.0f ? slope : 0.0f;
    }
}

KERN_CLONES static void gradient_added(const float *restrict x, int64_t count,
                                       const float *restrict grad_y, float *restrict grad_x)
{
    for (int64_t i = 0; i < count; i++) {
        float slope = grad_y[i];
        grad_x[i] += x[i] > 0.0f ? slope : 0.0f;
    }
}

void relu_f32(const float *x, int64_t count, float *y)
{
    forward(x, count, y);
}

void relu_f32_grad_x(const float *x, int64_t count, const float *grad_y, bool fresh, float *grad_x)
{
    (fresh ? gradient : gradient_added)(x, count, grad_y, grad_x);
}
