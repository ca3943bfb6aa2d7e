#pragma once

/* Inner products in float64. Sums run in a fixed order: in eight lanes, then over the lanes. */

#include <stdint.h>

double dot_f64(const double *x, const double *y, int64_t count);
double dot_f64_f32(const double *x, const float *y, int64_t count);
