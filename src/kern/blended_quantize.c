/* Quantized weights on the way to their codes (blended_quantize.h has the formulas). */

#include "ptqd/kern/blended_quantize.h"

#include "simd.h"

#include <math.h>

/* The format in the type the loops compute in. */
struct grid {
    float unit, scale, ratio, zero, low, high, blend;
};

static struct grid grid_of(const struct blended_format *format)
{
    return (struct grid){
        .unit = format->unit,
        .scale = format->scale,
        .ratio = format->scale / format->unit,
        .zero = (float)format->zero_point,
        .low = (float)format->low,
        .high = (float)format->high,
        .blend = format->blend,
    };
}

KERN_CLONES static void quantize(const float *restrict v, size_t count, struct grid grid,
                                 int8_t *restrict codes, float *restrict values)
{
    for (size_t i = 0; i < count; i++) {
        float code = rintf(v[i] / grid.ratio) + grid.zero;
        code = code > grid.low ? code : grid.low; /* NaN too */
        code = code < grid.high ? code : grid.high;
        codes[i] = (int8_t)(int32_t)code;
        values[i] = grid.scale * (code - grid.zero);
    }
}

KERN_CLONES static void mix(const float *restrict v, size_t count, struct grid grid,
                            float *restrict values)
{
    for (size_t i = 0; i < count; i++) {
        float weight = grid.unit * v[i];
        values[i] = weight + grid.blend * (values[i] - weight);
    }
}

void blended_quantize_f32(const float *v, size_t count, const struct blended_format *format,
                          int8_t *codes, float *values)
{
    struct grid grid = grid_of(format);
    quantize(v, count, grid, codes, values);
    if (grid.blend < 1.0f)
        mix(v, count, grid, values);
}

enum { LANES = 16 };

/* One element of each lane; not for more than LANES. */
static inline void grad_lanes(const float *restrict v, const float *restrict values, size_t lanes,
                              struct grid grid, bool stays, const float *restrict grad_values,
                              float *restrict grad_v, float *restrict sums)
{
    for (size_t i = 0; i < lanes; i++) {
        float weight = v[i] * grid.unit, gradient = grad_values[i];
        float place = weight / grid.scale + grid.zero;
        bool between = place >= grid.low && place <= grid.high;
        bool follows = place >= grid.low - 0.5f && place <= grid.high + 0.5f;
        grad_v[i] = (follows ? 1.0f : 1.0f - grid.blend) * grid.scale * gradient;
        sums[i] += gradient * (values[i] - (stays && between ? weight : 0.0f));
    }
}

KERN_CLONES static void grad_run(const float *restrict v, const float *restrict values,
                                 size_t count, struct grid grid, bool stays,
                                 const float *restrict grad_values, float *restrict grad_v,
                                 float *restrict sums)
{
    size_t first = 0;
    for (; first + LANES <= count; first += LANES)
        grad_lanes(v + first, values + first, LANES, grid, stays, grad_values + first,
                   grad_v + first, sums);
    grad_lanes(v + first, values + first, count - first, grid, stays, grad_values + first,
               grad_v + first, sums);
}

float blended_quantize_f32_grad(const float *v, const float *values, size_t count,
                                const struct blended_format *format, const float *grad_values,
                                float *grad_v)
{
    float sums[LANES] = {0}, sum = 0.0f;
    grad_run(v, values, count, grid_of(format), !format->moves, grad_values, grad_v, sums);
    for (size_t i = 0; i < LANES; i++)
        sum += sums[i];
    return sum;
}
