#pragma once

/* Pooling of float32 activations, channels-last (1-D is H = R = 1): x [N][H][W][C], y
 * [N][OH][OW][C]. Padding never wins a maximum. Gradients are added to. */

#include <stdbool.h>
#include <stdint.h>

struct pool_shape {
    int64_t N, H, W, C;
    int64_t R, S; /* window */
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t dilation_h, dilation_w;
    int64_t OH, OW;         /* as pool_extent gives them */
    bool count_include_pad; /* averages divide by the window's cells on the padding too */
};

/* Output extent of one axis. With `ceil_mode` the last window may hang over the padded input, but
 * must start on the input or the padding before it. */
int64_t pool_extent(int64_t input, int64_t window, int64_t stride, int64_t dilation,
                    int64_t pad_before, int64_t pad_after, bool ceil_mode);

/* A window with a NaN gives NaN; one without any cell on the map gives −infinity. */
void max_pool_f32(const struct pool_shape *shape, const float *x, float *y);
/* The gradient goes to the first cell, in row order, that has the maximum. */
void max_pool_f32_grad_x(const struct pool_shape *shape, const float *x, const float *y,
                         const float *grad_y, float *grad_x);

/* Sums are made in float64. Cells beyond the padded input never count; a window without any cell
 * gives 0. */
void average_pool_f32(const struct pool_shape *shape, const float *x, float *y);
void average_pool_f32_grad_x(const struct pool_shape *shape, const float *grad_y, float *grad_x);

/* One window over all P positions of a map: x [N][P][C], y [N][C]. */
struct pool_shape pool_global_shape(int64_t N, int64_t P, int64_t C);
