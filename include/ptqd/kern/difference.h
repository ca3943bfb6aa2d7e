#pragma once

/* y = factor · (a − b), the same added to y, the same where a > 0 and 0 elsewhere, and Σ (a − b)²:
 * of differences in float32, summed in float64 in a fixed order, in eight lanes, then over the
 * lanes. */

#include <stdint.h>

void difference_f32(const float *a, const float *b, int64_t count, float factor, float *y);
void difference_f32_added(const float *a, const float *b, int64_t count, float factor, float *y);
void difference_f32_rectified(const float *a, const float *b, int64_t count, float factor,
                              float *y);
double difference_squares_f32(const float *a, const float *b, int64_t count);
