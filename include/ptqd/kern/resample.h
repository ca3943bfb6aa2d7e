#pragma once

/* Another extent for one axis: every element of the output lies between two of the input, or on
 * one. x [outer][in][inner], y [outer][out][inner]. Gradients are added to. */

#include <stdint.h>

struct resample_shape {
    int64_t outer, in, out, inner;
};

/* Where element i of the output lies: y[i] = (1 − share) · x[low] + share · x[high]. With a share
 * of 0 it is x[low], whatever x[high] is. */
struct resample_tap {
    int64_t low, high; /* 0 … in − 1 */
    float share;       /* 0 to 1 */
};

/* `taps` [out]. */
void resample_f32(const struct resample_shape *shape, const struct resample_tap *taps,
                  const float *x, float *y);
void resample_f32_grad_x(const struct resample_shape *shape, const struct resample_tap *taps,
                         const float *grad_y, float *grad_x);
