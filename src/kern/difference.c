/* The scaled difference of two vectors. */

#include "ptqd/kern/difference.h"

#include "simd.h"

KERN_CLONES static void scaled(const float *a, const float *b, int64_t count, float factor,
                               float *restrict y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = factor * (a[i] - b[i]);
}

void difference_f32(const float *a, const float *b, int64_t count, float factor, float *y)
{
    scaled(a, b, count, factor, y);
}
