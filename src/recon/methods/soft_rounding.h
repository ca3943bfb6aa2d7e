#pragma once

/* The variables of AdaRound (Nagel et al., arXiv 2004.10568) and their loss.
 *
 * A code is clamp(⌊w / s⌋ + z + h(α), n, p) with the rectified sigmoid h
 * (kern/rectified_rounding.h), and the loss, eq. 21 and 24,
 *
 *     L(α) = Σ_k E_k(ŵ(α)) / e  +  λ Σ (1 − |2 h(α) − 1|^β)
 *
 * in which e = mean of s_k² H_dd, the cost of moving one weight by one code, makes λ free of the
 * scale of the data; the paper's λ = 0.01 belongs to outputs of size one. */

#include "gram_gradient.h"

/* Memory for each weight: its floor, α and gradient, and two moments of Adam. */
enum { SOFT_ROUNDING_WEIGHT_BYTES = GRAM_GRADIENT_WEIGHT_BYTES + 5 * sizeof(float) };

struct soft_rounding {
    struct gram_gradient gradient; /* its values are ŵ(α) */
    const struct quant_layer *layer;
    float *floors; /* [K][D] ⌊w / s⌋ */
    float *alpha;  /* [K][D] at the start h(α) = frac(w / s) */
    float *slope;  /* [K][D] ∂L/∂α of the last measurement */
    double unit;   /* e; 0 where the inputs never change */
};

bool soft_rounding_init(struct arena *arena, const struct linear_problem *problem,
                        const struct quant_layer *layer, struct soft_rounding *out_rounding,
                        struct error *err);

/* ŵ and E of the present α. */
void soft_rounding_measure(const struct soft_rounding *rounding);

/* L of what was measured last. */
double soft_rounding_loss(const struct soft_rounding *rounding, double lambda, double beta);

/* ∂L/∂α [K][D] of what was measured last. */
const float *soft_rounding_gradient(const struct soft_rounding *rounding, double lambda,
                                    double beta);
