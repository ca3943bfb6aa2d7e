#pragma once

/* Sums of columns of floats, and running ones of codes. */

#include <stdint.h>

/* out[c] += Σ x[i][c] for i < count and c < C, with rows `step` apart: a few of them in float32,
 * all in float64. */
void gram_sums_add(const float *x, int64_t count, int64_t step, int64_t C, double *out);

/* sum[i] += sum[i − step] for step ≤ i < count, one after the other. */
void gram_sums_accumulate(uint32_t *sum, int64_t count, int64_t step);
