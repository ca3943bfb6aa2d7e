#pragma once

/* Relu: y = max(x, 0); NaN stays NaN. `y` may be `x`. The gradient at 0 and of NaN is 0. */

#include <stdbool.h>
#include <stdint.h>

void relu_f32(const float *x, int64_t count, float *y);

/* Added to `grad_x`, or written there when it is `fresh`: without a value yet. */
void relu_f32_grad_x(const float *x, int64_t count, const float *grad_y, bool fresh, float *grad_x);
