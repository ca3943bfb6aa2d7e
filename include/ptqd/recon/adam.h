#pragma once

/* Adam on a vector of float32 (kern/adam_update.h). */

#include "ptqd/base/arena.h"
#include "ptqd/kern/adam_update.h"

struct adam {
    struct adam_moments moments;
    int64_t step; /* steps done */
};

bool adam_init(struct arena *arena, size_t count, struct adam *out_adam, struct error *err);

/* One step on `values`, with `gradient` of the loss. */
void adam_step(struct adam *adam, double learning_rate, const float *gradient, float *values);

/* Half a period of the cosine from `learning_rate` down to 0 at step `steps`. */
double adam_cosine(double learning_rate, int64_t step, int64_t steps);
