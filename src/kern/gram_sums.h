#pragma once

/* Sums of columns of floats. */

#include <stdint.h>

/* out[c] += Σ x[i][c] for i < count and c < C, with rows `step` apart: a few of them in float32,
 * all in float64. */
void gram_sums_add(const float *x, int64_t count, int64_t step, int64_t C, double *out);
