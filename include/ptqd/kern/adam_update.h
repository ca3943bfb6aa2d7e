#pragma once

/* The update of Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1) on vectors of float32, with the
 * usual β₁ = 0.9, β₂ = 0.999, ε = 1e-8. */

#include <stdint.h>

struct adam_moments {
    int64_t count;
    float *first, *second; /* [count] of the gradient */
};

/* Step `step` ≥ 1 on `values` with `gradient`, both [count]. */
void adam_update_f32(const struct adam_moments *moments, int64_t step, double learning_rate,
                     const float *gradient, float *values);
