#pragma once

/* The rectified sigmoid of soft rounding: h(α) = clip(σ(α)(ζ − γ) + γ, 0, 1) with ζ = 1.1 and
 * γ = −0.1 (Louizos et al., arXiv 1712.01312; AdaRound, arXiv 2004.10568, eq. 23). */

#include <math.h>

static const double RECTIFIED_ZETA = 1.1, RECTIFIED_GAMMA = -0.1;

/* h(α), and its slope, which is zero where it is clipped. */
static inline float rectified_sigmoid(float alpha, float *out_slope)
{
    float sigma = 1.0f / (1.0f + expf(-alpha));
    float stretch = (float)(RECTIFIED_ZETA - RECTIFIED_GAMMA);
    float h = sigma * stretch + (float)RECTIFIED_GAMMA;
    *out_slope = h > 0.0f && h < 1.0f ? sigma * (1.0f - sigma) * stretch : 0.0f;
    return fminf(fmaxf(h, 0.0f), 1.0f);
}

/* The α of a fraction in [0, 1]: h reaches both ends at finite places. */
static inline float rectified_sigmoid_inverse(double fraction)
{
    return (float)-log((RECTIFIED_ZETA - RECTIFIED_GAMMA) / (fraction - RECTIFIED_GAMMA) - 1.0);
}
