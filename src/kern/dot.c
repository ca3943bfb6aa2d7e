/* Inner products. */

#include "ptqd/kern/dot.h"

#include "simd.h"

enum { LANES = 8 };

static double sum_of(const double *lanes)
{
    double sum = 0.0;
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

KERN_CLONES static double dot_wide(const double *x, const double *y, int64_t count)
{
    double lanes[LANES] = {0.0}, rest = 0.0;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += x[i + lane] * y[i + lane];
    for (; i < count; i++)
        rest += x[i] * y[i];
    return sum_of(lanes) + rest;
}

KERN_CLONES static double dot_mixed(const double *x, const float *y, int64_t count)
{
    double lanes[LANES] = {0.0}, rest = 0.0;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += x[i + lane] * (double)y[i + lane];
    for (; i < count; i++)
        rest += x[i] * (double)y[i];
    return sum_of(lanes) + rest;
}

double dot_f64(const double *x, const double *y, int64_t count)
{
    return dot_wide(x, y, count);
}

double dot_f64_f32(const double *x, const float *y, int64_t count)
{
    return dot_mixed(x, y, count);
}
