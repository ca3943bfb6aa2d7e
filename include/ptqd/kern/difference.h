#pragma once

/* y = factor · (a − b). */

#include <stdint.h>

void difference_f32(const float *a, const float *b, int64_t count, float factor, float *y);
