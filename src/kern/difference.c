/* The difference of two vectors, scaled or squared. */

#include "ptqd/kern/difference.h"

#include "simd.h"

KERN_CLONES static void scaled(const float *a, const float *b, int64_t count, float factor,
                               float *restrict y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = factor * (a[i] - b[i]);
}

KERN_CLONES static void scaled_added(const float *a, const float *b, int64_t count, float factor,
                                     float *restrict y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] += factor * (a[i] - b[i]);
}

KERN_CLONES static void scaled_rectified(const float *a, const float *b, int64_t count,
                                         float factor, float *restrict y)
{
    for (int64_t i = 0; i < count; i++) {
        float difference = factor * (a[i] - b[i]);
        y[i] = a[i] > 0.0f ? difference : 0.0f;
    }
}

enum { LANES = 8 };

KERN_CLONES static double squares(const float *a, const float *b, int64_t count)
{
    double lanes[LANES] = {0.0}, sum = 0.0;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            double difference = (double)(a[i + lane] - b[i + lane]);
            lanes[lane] += difference * difference;
        }
    for (; i < count; i++) {
        double difference = (double)(a[i] - b[i]);
        sum += difference * difference;
    }
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

double difference_squares_f32(const float *a, const float *b, int64_t count)
{
    return squares(a, b, count);
}

void difference_f32(const float *a, const float *b, int64_t count, float factor, float *y)
{
    scaled(a, b, count, factor, y);
}

void difference_f32_added(const float *a, const float *b, int64_t count, float factor, float *y)
{
    scaled_added(a, b, count, factor, y);
}

void difference_f32_rectified(const float *a, const float *b, int64_t count, float factor, float *y)
{
    scaled_rectified(a, b, count, factor, y);
}
