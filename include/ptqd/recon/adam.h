#pragma once

/* Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1) on a vector of float32, with the usual
 * β₁ = 0.9, β₂ = 0.999, ε = 1e-8. */

#include "ptqd/base/arena.h"

struct adam {
    size_t count;
    float *first, *second; /* moments of the gradient */
    int64_t step;
};

bool adam_init(struct arena *arena, size_t count, struct adam *out_adam, struct error *err);

/* One step on `values`, with `gradient` of the loss. */
void adam_step(struct adam *adam, double learning_rate, const float *gradient, float *values);

/* Half a period of the cosine from `learning_rate` down to 0 at step `steps`. */
double adam_cosine(double learning_rate, int64_t step, int64_t steps);
