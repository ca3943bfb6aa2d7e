/* Simulated quantization and its straight-through gradient (fake_quantize.h has the formula).
 *
 * Codes are whole numbers in float32: below 2^24 they are exact. Comparisons are written so that
 * NaN falls through both clamps, and so that they are one instruction each. */

#include "ptqd/kern/fake_quantize.h"

#include "simd.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

enum { CODE_LIMIT = 1 << 22 };

/* A format in the type the loops compute in. */
struct grid {
    float scale, zero, low, high;
};

static struct grid grid_of(float scale, int32_t zero_point, int32_t low, int32_t high)
{
    assert(scale > 0 && isfinite(scale));
    assert(-CODE_LIMIT <= low && low <= zero_point && zero_point <= high && high <= CODE_LIMIT);
    return (struct grid){scale, (float)zero_point, (float)low, (float)high};
}

/* clamp(round(place) + zero, low, high); rint rounds half to even in the default mode. */
static inline float code_at(float place, struct grid grid)
{
    float code = rintf(place) + grid.zero;
    code = grid.low > code ? grid.low : code;
    return grid.high < code ? grid.high : code;
}

static inline float code_of(float x, struct grid grid)
{
    return code_at(x / grid.scale, grid);
}

/* 1 where the straight-through gradient passes. */
static inline float gate_of(float x, struct grid grid)
{
    float code = x / grid.scale + grid.zero;
    return code >= grid.low && code <= grid.high ? 1.0f : 0.0f;
}

KERN_CLONES static void quantize_run(const float *x, size_t count, struct grid grid, float *y)
{
    for (size_t i = 0; i < count; i++)
        y[i] = grid.scale * (code_of(x[i], grid) - grid.zero);
}

KERN_CLONES static void quantize_run_grad_x_fresh(const float *restrict x, size_t count,
                                                  struct grid grid, const float *restrict grad_y,
                                                  float *restrict grad_x)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = grad_y[i];
        grad_x[i] = gate_of(x[i], grid) > 0 ? gradient : 0.0f;
    }
}

KERN_CLONES static void quantize_run_grad_x(const float *restrict x, size_t count, struct grid grid,
                                            const float *restrict grad_y, float *restrict grad_x)
{
    for (size_t i = 0; i < count; i++)
        grad_x[i] += gate_of(x[i], grid) > 0 ? grad_y[i] : 0.0f;
}

/* Sums of one block in LANES partial sums each: the order that a vector unit adds in, whatever its
 * width. */
enum { LANES = 16, GRAD_BLOCK = 4096 };

/* What becomes of the gradient of x. */
enum grad_x_use {
    GRAD_X_UNWANTED,
    GRAD_X_WRITTEN,
    GRAD_X_ADDED,
    GRAD_X_RECTIFIED, /* written, with the slope of the Relu that x comes from */
    GRAD_X_COMPARED   /* so too, with a loss of x */
};

/* One element of each lane; not for more than LANES. */
static inline __attribute__((always_inline)) void
grad_lanes(const float *restrict x, size_t lanes, struct grid grid, const float *restrict grad_y,
           enum grad_x_use use, const float *restrict wanted, float factor, float *restrict grad_x,
           float *restrict scale_sums, float *restrict zero_sums)
{
    for (size_t i = 0; i < lanes; i++) {
        float place = x[i] / grid.scale, gradient = grad_y[i];
        float at = place + grid.zero;
        float steps = code_at(place, grid) - grid.zero;
        bool inside = at >= grid.low && at <= grid.high, number = at == at;
        float passed = inside ? gradient : 0.0f;
        scale_sums[i] += gradient * (inside ? steps - place : number ? steps : 0.0f);
        zero_sums[i] -= inside || !number ? 0.0f : gradient * grid.scale;
        if (use == GRAD_X_COMPARED)
            passed += factor * (x[i] - wanted[i]);
        if (use == GRAD_X_ADDED)
            grad_x[i] += passed;
        else if (use == GRAD_X_WRITTEN)
            grad_x[i] = passed;
        else if (use != GRAD_X_UNWANTED)
            grad_x[i] = x[i] > 0.0f ? passed : 0.0f;
    }
}

static inline __attribute__((always_inline)) void
grad_run(const float *restrict x, size_t count, struct grid grid, const float *restrict grad_y,
         enum grad_x_use use, const float *restrict wanted, float factor, float *restrict grad_x,
         float *restrict scale_sums, float *restrict zero_sums)
{
    size_t first = 0, step = use == GRAD_X_UNWANTED ? 0 : LANES; /* nowhere: stays there */
    size_t onwards = use == GRAD_X_COMPARED ? LANES : 0;
    for (; first + LANES <= count; first += LANES, grad_x += step, wanted += onwards)
        grad_lanes(x + first, LANES, grid, grad_y + first, use, wanted, factor, grad_x, scale_sums,
                   zero_sums);
    grad_lanes(x + first, count - first, grid, grad_y + first, use, wanted, factor, grad_x,
               scale_sums, zero_sums);
}

/* One loop for each use: the compiler does not see through a branch inside. */
KERN_CLONES static void grad_block(const float *restrict x, size_t count, struct grid grid,
                                   const float *restrict grad_y, enum grad_x_use use,
                                   const float *restrict wanted, float factor,
                                   float *restrict grad_x, float *restrict scale_sums,
                                   float *restrict zero_sums)
{
#define GRAD_RUN(how)                                                                              \
    grad_run(x, count, grid, grad_y, how, wanted, factor, grad_x, scale_sums, zero_sums)
    switch (use) {
    case GRAD_X_UNWANTED:
        GRAD_RUN(GRAD_X_UNWANTED);
        break;
    case GRAD_X_WRITTEN:
        GRAD_RUN(GRAD_X_WRITTEN);
        break;
    case GRAD_X_ADDED:
        GRAD_RUN(GRAD_X_ADDED);
        break;
    case GRAD_X_RECTIFIED:
        GRAD_RUN(GRAD_X_RECTIFIED);
        break;
    case GRAD_X_COMPARED:
        GRAD_RUN(GRAD_X_COMPARED);
        break;
    }
#undef GRAD_RUN
}

static enum grad_x_use use_of(const float *grad_x, bool fresh, const struct gradient_rest *rest)
{
    if (grad_x == NULL)
        return GRAD_X_UNWANTED;
    if (rest != NULL)
        return rest->wanted != NULL ? GRAD_X_COMPARED : GRAD_X_RECTIFIED;
    return fresh ? GRAD_X_WRITTEN : GRAD_X_ADDED;
}

/* One position of a last-axis format: a scale per element. */
KERN_CLONES static void quantize_row(const struct fake_quantize_channels *format, const float *x,
                                     float *y)
{
    float low = (float)format->low, high = (float)format->high;
    for (size_t c = 0; c < format->channels; c++) {
        float zero = format->zero_point != NULL ? (float)format->zero_point[c] : 0.0f;
        struct grid grid = {format->scale[c], zero, low, high};
        y[c] = grid.scale * (code_of(x[c], grid) - zero);
    }
}

KERN_CLONES static void quantize_row_grad_x(const struct fake_quantize_channels *format,
                                            const float *x, const float *grad_y, float *grad_x)
{
    float low = (float)format->low, high = (float)format->high;
    for (size_t c = 0; c < format->channels; c++) {
        float zero = format->zero_point != NULL ? (float)format->zero_point[c] : 0.0f;
        struct grid grid = {format->scale[c], zero, low, high};
        grad_x[c] += gate_of(x[c], grid) > 0 ? grad_y[c] : 0.0f;
    }
}

void fake_quantize_f32(const float *x, size_t count, float scale, int32_t zero_point, int32_t low,
                       int32_t high, float *y)
{
    quantize_run(x, count, grid_of(scale, zero_point, low, high), y);
}

void fake_quantize_f32_grad_x(const float *x, size_t count, float scale, int32_t zero_point,
                              int32_t low, int32_t high, const float *grad_y, bool fresh,
                              float *grad_x)
{
    struct grid grid = grid_of(scale, zero_point, low, high);
    (fresh ? quantize_run_grad_x_fresh : quantize_run_grad_x)(x, count, grid, grad_y, grad_x);
}

void fake_quantize_f32_grad(const float *x, size_t count, float scale, int32_t zero_point,
                            int32_t low, int32_t high, const float *grad_y,
                            const struct gradient_rest *rest, bool fresh, float *grad_x,
                            struct fake_quantize_grad *grad)
{
    assert(fresh || rest == NULL);
    struct grid grid = grid_of(scale, zero_point, low, high);
    enum grad_x_use use = use_of(grad_x, fresh, rest);
    const float *wanted = use == GRAD_X_COMPARED ? rest->wanted : NULL;
    float factor = rest != NULL ? rest->factor : 0.0f;
    for (size_t first = 0; first < count; first += GRAD_BLOCK) {
        float scale_sums[LANES] = {0}, zero_sums[LANES] = {0};
        size_t left = count - first;
        grad_block(x + first, left < GRAD_BLOCK ? left : GRAD_BLOCK, grid, grad_y + first, use,
                   wanted != NULL ? wanted + first : NULL, factor,
                   grad_x != NULL ? grad_x + first : NULL, scale_sums, zero_sums);
        for (size_t i = 0; i < LANES; i++) {
            grad->scale += (double)scale_sums[i];
            grad->zero_point += (double)zero_sums[i];
        }
    }
}

static struct grid channel_grid(const struct fake_quantize_channels *format, size_t c)
{
    int32_t zero_point = format->zero_point != NULL ? format->zero_point[c] : 0;
    return grid_of(format->scale[c], zero_point, format->low, format->high);
}

/* Every channel's format is one that grid_of takes. */
static void check_channels(const struct fake_quantize_channels *format)
{
    for (size_t c = 0; c < format->channels; c++)
        (void)channel_grid(format, c); /* for its assertions */
}

void fake_quantize_channels_f32(const struct fake_quantize_channels *format, const float *x,
                                float *y)
{
    check_channels(format);
    size_t channels = format->channels, inner = format->inner;
    for (size_t o = 0; o < format->outer; o++) {
        if (inner == 1)
            quantize_row(format, x + o * channels, y + o * channels);
        for (size_t c = 0; inner != 1 && c < channels; c++) {
            size_t first = (o * channels + c) * inner;
            quantize_run(x + first, inner, channel_grid(format, c), y + first);
        }
    }
}

void fake_quantize_channels_f32_grad_x(const struct fake_quantize_channels *format, const float *x,
                                       const float *grad_y, float *grad_x)
{
    check_channels(format);
    size_t channels = format->channels, inner = format->inner;
    for (size_t o = 0; o < format->outer; o++) {
        size_t row = o * channels;
        if (inner == 1)
            quantize_row_grad_x(format, x + row, grad_y + row, grad_x + row);
        for (size_t c = 0; inner != 1 && c < channels; c++) {
            size_t first = (row + c) * inner;
            quantize_run_grad_x(x + first, inner, channel_grid(format, c), grad_y + first,
                                grad_x + first);
        }
    }
}

void quantize_codes_f32(const float *x, size_t count, float scale, int32_t zero_point, int32_t low,
                        int32_t high, int32_t *codes)
{
    struct grid grid = grid_of(scale, zero_point, low, high);
    for (size_t i = 0; i < count; i++) {
        float code = code_of(x[i], grid);
        codes[i] = isnan(code) ? zero_point : (int32_t)code;
    }
}
