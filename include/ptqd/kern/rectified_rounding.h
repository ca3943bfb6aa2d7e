#pragma once

/* Weights between two codes, on the way to one of them (AdaRound, arXiv 2004.10568, eq. 22 to 24).
 * With the trained variable α of each weight, and its floor ⌊w / scale⌋,
 *
 *   h = clip(σ(α) (ζ − γ) + γ, 0, 1)      ζ = 1.1, γ = −0.1 (Louizos et al., arXiv 1712.01312)
 *   ŵ = scale · clamp(floor + h, low, high)
 *
 * and a pull to the ends of h, whose share of the loss is λ Σ (1 − |2h − 1|^β).
 *
 * Exponentials and powers are the program's own, so that every instruction set gives the same bits:
 * h is within 4e-7, a power of |2h − 1| within β · 4e-7 of its value. */

#include <stddef.h>

struct rounding_grid {
    float scale;     /* finite, > 0 */
    float low, high; /* the first and last code less the zero point */
};

struct rounding_pull {
    float lambda; /* ≥ 0; 0: none */
    float beta;   /* ≥ 1 */
};

/* α and floors [count] to ŵ. */
void rectified_rounding_f32(const float *alpha, const float *floors, size_t count,
                            const struct rounding_grid *grid, float *values);

/* The gradient of α from that of ŵ, with the pull's added; zero where h is clipped. */
void rectified_rounding_f32_grad(const float *alpha, const float *floors, size_t count,
                                 const struct rounding_grid *grid, const struct rounding_pull *pull,
                                 const float *grad_values, float *grad_alpha);

/* h(α) in double, and the α of a fraction in [0, 1]: h reaches both ends at finite places. */
double rectified_sigmoid(double alpha);
double rectified_sigmoid_inverse(double fraction);
