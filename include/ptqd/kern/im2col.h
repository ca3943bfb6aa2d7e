#pragma once

/* The input of a convolution as a matrix: one row per output position, in the order of y, and in
 * the columns what one filter sees there, in the order of the weights. Then, for one group,
 * y [positions][K] = columns [positions][R·S·C/G] · wᵀ. Cells on the padding are zero. */

#include "ptqd/kern/conv.h"

/* Positions first … first + count − 1 of the shape's N·OH·OW; columns [count][R][S][C]. */
void im2col_f32(const struct conv_shape *shape, const float *x, int64_t first, int64_t count,
                float *columns);

/* The channels of group g alone; columns [count][R][S][C/G]. */
void im2col_group_f32(const struct conv_shape *shape, const float *x, int64_t g, int64_t first,
                      int64_t count, float *columns);
