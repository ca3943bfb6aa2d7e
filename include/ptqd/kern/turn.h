#pragma once

/* A matrix turned: out[column][row] = in[row][column]. `in` and `out` must not overlap. */

#include <stdint.h>

void turn_f32(const float *in, int64_t rows, int64_t columns, float *out);
