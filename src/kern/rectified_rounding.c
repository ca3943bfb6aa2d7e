/* Weights between two codes (rectified_rounding.h has the formulas). */

#include "ptqd/kern/rectified_rounding.h"

#include "simd.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const double ZETA = 1.1, GAMMA = -0.1;

/* Bits of a float: the exponent of one, and where the exponent begins. */
enum { EXPONENT_OF_ONE = 127, EXPONENT_AT = 23 };

static inline float float_of(int32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline int32_t bits_of(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* 2^x, x within ±126: the polynomial is Taylor's of e^(x log 2), within 2e-8 on ±0.5. */
static inline float power_of_two(float x)
{
    x = x > -126.0f ? x : -126.0f;
    x = x < 126.0f ? x : 126.0f;
    float whole = rintf(x), part = (x - whole) * 0.693147181f;
    float sum = 1.0f / 720.0f;
    sum = sum * part + 1.0f / 120.0f;
    sum = sum * part + 1.0f / 24.0f;
    sum = sum * part + 1.0f / 6.0f;
    sum = sum * part + 0.5f;
    sum = sum * part + 1.0f;
    sum = sum * part + 1.0f;
    return sum * float_of(((int32_t)whole + EXPONENT_OF_ONE) << EXPONENT_AT);
}

/* log₂ x, x ≥ 0; about −127 of 0. With m in [√½, √2) and t = (m − 1) / (m + 1), log m is
 * 2 (t + t³ / 3 + t⁵ / 5 + …), |t| ≤ 0.172. */
static inline float logarithm_to_two(float x)
{
    const int32_t root_half = 0x3f3504f3; /* √½ */
    int32_t offset = bits_of(x) - root_half;
    float exponent = (float)(offset >> EXPONENT_AT);
    float m = float_of((offset & ((1 << EXPONENT_AT) - 1)) + root_half);
    float t = (m - 1.0f) / (m + 1.0f), square = t * t;
    float sum = 1.0f / 9.0f;
    sum = sum * square + 1.0f / 7.0f;
    sum = sum * square + 1.0f / 5.0f;
    sum = sum * square + 1.0f / 3.0f;
    sum = sum * square + 1.0f;
    return exponent + 2.0f * 1.44269504f * t * sum;
}

static inline float sigmoid_of(float alpha)
{
    return 1.0f / (1.0f + power_of_two(alpha * -1.44269504f));
}

static inline float stretched(float sigma)
{
    return sigma * (float)(ZETA - GAMMA) + (float)GAMMA;
}

static inline float clipped(float x, float low, float high)
{
    x = x > low ? x : low; /* NaN too */
    return x < high ? x : high;
}

KERN_CLONES static void between(const float *restrict alpha, const float *restrict floors,
                                size_t count, struct rounding_grid grid, float *restrict values)
{
    for (size_t i = 0; i < count; i++) {
        float h = clipped(stretched(sigmoid_of(alpha[i])), 0.0f, 1.0f);
        values[i] = grid.scale * clipped(floors[i] + h, grid.low, grid.high);
    }
}

void rectified_rounding_f32(const float *alpha, const float *floors, size_t count,
                            const struct rounding_grid *grid, float *values)
{
    between(alpha, floors, count, *grid, values);
}

/* ∂h/∂α of what sigmoid_of gave. */
static inline float slope_of(float sigma, float h)
{
    float slope = sigma * (1.0f - sigma) * (float)(ZETA - GAMMA);
    return h > 0.0f && h < 1.0f ? slope : 0.0f;
}

/* `pulls` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void
grad(const float *restrict alpha, const float *restrict floors, size_t count,
     struct rounding_grid grid, struct rounding_pull pull, bool pulls,
     const float *restrict grad_values, float *restrict grad_alpha)
{
    float height = 2.0f * pull.lambda * pull.beta;
    for (size_t i = 0; i < count; i++) {
        float sigma = sigmoid_of(alpha[i]), h = stretched(sigma), code = floors[i] + h;
        float by_h = code >= grid.low && code <= grid.high ? grid.scale * grad_values[i] : 0.0f;
        float slope = slope_of(sigma, h), sum = slope * by_h;
        if (pulls) { /* ∂/∂α of λ (1 − |2h − 1|^β) */
            float u = 2.0f * h - 1.0f;
            float size = height * power_of_two((pull.beta - 1.0f) * logarithm_to_two(fabsf(u)));
            sum -= slope * copysignf(size, u);
        }
        grad_alpha[i] = sum;
    }
}

KERN_CLONES static void grad_free(const float *alpha, const float *floors, size_t count,
                                  struct rounding_grid grid, const float *grad_values,
                                  float *grad_alpha)
{
    grad(alpha, floors, count, grid, (struct rounding_pull){0}, false, grad_values, grad_alpha);
}

KERN_CLONES static void grad_pulled(const float *alpha, const float *floors, size_t count,
                                    struct rounding_grid grid, struct rounding_pull pull,
                                    const float *grad_values, float *grad_alpha)
{
    grad(alpha, floors, count, grid, pull, true, grad_values, grad_alpha);
}

void rectified_rounding_f32_grad(const float *alpha, const float *floors, size_t count,
                                 const struct rounding_grid *grid, const struct rounding_pull *pull,
                                 const float *grad_values, float *grad_alpha)
{
    if (pull->lambda > 0.0f)
        grad_pulled(alpha, floors, count, *grid, *pull, grad_values, grad_alpha);
    else
        grad_free(alpha, floors, count, *grid, grad_values, grad_alpha);
}

double rectified_sigmoid(double alpha)
{
    return fmin(fmax((ZETA - GAMMA) / (1.0 + exp(-alpha)) + GAMMA, 0.0), 1.0);
}

double rectified_sigmoid_inverse(double fraction)
{
    return -log((ZETA - GAMMA) / (fraction - GAMMA) - 1.0);
}
