/* Sums of two tensors of one shape. */

#include "ptqd/kern/add.h"

#include "simd.h"

KERN_CLONES static void add_plain(const float *a, const float *b, int64_t count, float *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

KERN_CLONES static void add_rectified(const float *a, const float *b, int64_t count, float *y)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = a[i] + b[i];
        y[i] = sum <= 0.0f ? 0.0f : sum;
    }
}

void add_f32(const float *a, const float *b, int64_t count, bool relu, float *y)
{
    (relu ? add_rectified : add_plain)(a, b, count, y);
}
