#pragma once

/* The objective of a layer and its gradient with respect to real weights ŵ, for methods that go
 * down along it. With δ = ŵ − w from the float weights
 *
 *     E_k(ŵ) = E_k(w) + δ·(δ H + 2 m)        ½ ∂E_k/∂ŵ = δ H + m        m = w H − c_k
 *
 * whose terms are small where the error is small: float32 is enough for the products. */

#include "ptqd/recon/linear_problem.h"

/* Memory for each element of H, and for each weight. */
enum {
    GRAM_GRADIENT_MOMENT_BYTES = sizeof(float),
    GRAM_GRADIENT_WEIGHT_BYTES = 4 * sizeof(float),
};

struct gram_gradient {
    const struct linear_problem *problem; /* borrowed */
    float *H;                             /* [G][D][D] */
    float *slope;                         /* [K][D] m */
    double *base;                         /* [K] E_k(w) */
    float *values;                        /* [K][D] ŵ, set by the caller */
    float *delta;                         /* [K][D] δ of the last measurement, and */
    float *half;                          /* [K][D] ½ ∂E/∂ŵ; the caller may overwrite it */
    double *error;                        /* [K] E_k */
};

bool gram_gradient_init(struct arena *arena, const struct linear_problem *problem,
                        struct gram_gradient *out_gradient, struct error *err);

/* Errors and gradient of the present values. */
void gram_gradient_measure(const struct gram_gradient *gradient);

/* Mean over the channels of the errors measured last. */
double gram_gradient_mean_error(const struct gram_gradient *gradient);
