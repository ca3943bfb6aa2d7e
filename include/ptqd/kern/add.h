#pragma once

/* y = a + b, element by element; with `relu` what is negative becomes 0 (NaN stays NaN). `y` may be
 * `a` or `b`. */

#include <stdbool.h>
#include <stdint.h>

void add_f32(const float *a, const float *b, int64_t count, bool relu, float *y);
