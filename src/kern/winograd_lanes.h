#pragma once

/* Vectors of 16 channels, and the Winograd transforms F(4 × 4, 3 × 3) along one axis of a tile
 * (A. Lavin, S. Gray, arXiv 1509.09308, section 4.3). Some are cut into parts that have sums in
 * common, so that a caller who needs few lines at a time computes nothing twice.
 *
 *        4  0 -5  0  1  0              1/4    0    0
 *        0 -4 -4  1  1  0             -1/6 -1/6 -1/6              1  1  1  1  1  0
 *   Bᵀ = 0  4 -4 -1  1  0         G = -1/6  1/6 -1/6         Aᵀ = 0  1 -1  2 -2  0
 *        0 -2 -1  2  1  0             1/24 1/12  1/6              0  1  1  4  4  0
 *        0  2 -1 -2  1  0             1/24-1/12  1/6              0  1 -1  8 -8  1
 *        0  4  0 -5  0  1                0    0    1
 */

#include "lanes.h"

enum {
    WINOGRAD_TILE = 4,   /* places of the output along one axis */
    WINOGRAD_TAPS = 3,   /* of the filter */
    WINOGRAD_SIDE = 6,   /* places of the input that a tile sees: tile + taps − 1 */
    WINOGRAD_CELLS = 36, /* products of a tile */
};

/* ---- Bᵀ x ---- */

/* Line 0 of x[0], [2], [4], or line 5 of x[1], [3], [5]. */
CPU_AVX512 LANES_INLINE lanes winograd_input_end(lanes first, lanes second, lanes third)
{
    return lanes_add_times(lanes_add_times(third, -5, second), 4, first);
}

/* Lines 1 and 2 of x[1 … 4]. */
CPU_AVX512 LANES_INLINE void winograd_input_near(const lanes x[4], lanes *out_1, lanes *out_2)
{
    lanes even = lanes_add_times(x[3], -4, x[1]);
    lanes odd = lanes_add_times(x[2], -4, x[0]);
    *out_1 = even + odd;
    *out_2 = even - odd;
}

/* Lines 3 and 4 of x[1 … 4]. */
CPU_AVX512 LANES_INLINE void winograd_input_far(const lanes x[4], lanes *out_3, lanes *out_4)
{
    lanes even = x[3] - x[1], odd = x[2] - x[0];
    *out_3 = lanes_add_times(even, 2, odd);
    *out_4 = lanes_add_times(even, -2, odd);
}

CPU_AVX512 LANES_INLINE void winograd_input(const lanes x[WINOGRAD_SIDE], lanes out[WINOGRAD_SIDE])
{
    out[0] = winograd_input_end(x[0], x[2], x[4]);
    winograd_input_near(x + 1, &out[1], &out[2]);
    winograd_input_far(x + 1, &out[3], &out[4]);
    out[5] = winograd_input_end(x[1], x[3], x[5]);
}

/* ---- Aᵀ m ---- */

/* Lines 0 and 2 of m[0 … 4]. */
CPU_AVX512 LANES_INLINE void winograd_output_even(const lanes m[5], lanes *out_0, lanes *out_2)
{
    lanes near = m[1] + m[2], far = m[3] + m[4];
    *out_0 = m[0] + near + far;
    *out_2 = lanes_add_times(near, 4, far);
}

/* Lines 1 and 3 of m[1 … 5]. */
CPU_AVX512 LANES_INLINE void winograd_output_odd(const lanes m[5], lanes *out_1, lanes *out_3)
{
    lanes near = m[0] - m[1], far = m[2] - m[3];
    *out_1 = lanes_add_times(near, 2, far);
    *out_3 = lanes_add_times(near, 8, far) + m[4];
}

CPU_AVX512 LANES_INLINE void winograd_output(const lanes m[WINOGRAD_SIDE], lanes out[WINOGRAD_TILE])
{
    winograd_output_even(m, &out[0], &out[2]);
    winograd_output_odd(m + 1, &out[1], &out[3]);
}

/* A y: the adjoint. */
CPU_AVX512 LANES_INLINE void winograd_output_adjoint(const lanes y[WINOGRAD_TILE],
                                                     lanes out[WINOGRAD_SIDE])
{
    lanes even = y[0] + y[2], odd = y[1] + y[3];
    lanes far_even = lanes_add_times(y[0], 4, y[2]);
    lanes far_odd = lanes_add_times(2 * y[1], 8, y[3]);
    out[0] = y[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = far_even + far_odd;
    out[4] = far_even - far_odd;
    out[5] = y[3];
}

/* ---- G w ---- */

CPU_AVX512 LANES_INLINE void winograd_filter(const lanes w[WINOGRAD_TAPS], lanes out[WINOGRAD_SIDE])
{
    lanes even = (w[0] + w[2]) * (1.0f / 6), odd = w[1] * (1.0f / 6);
    lanes far_even = lanes_add_times(w[0] * (1.0f / 24), 1.0f / 6, w[2]);
    lanes far_odd = w[1] * (1.0f / 12);
    out[0] = w[0] * 0.25f;
    out[1] = -even - odd;
    out[2] = odd - even;
    out[3] = far_even + far_odd;
    out[4] = far_even - far_odd;
    out[5] = w[2];
}

/* Gᵀ u: the adjoint. */
CPU_AVX512 LANES_INLINE void winograd_filter_adjoint(const lanes u[WINOGRAD_SIDE],
                                                     lanes out[WINOGRAD_TAPS])
{
    lanes near = (u[1] + u[2]) * (1.0f / 6), far = u[3] + u[4];
    out[0] = lanes_add_times(far * (1.0f / 24), 0.25f, u[0]) - near;
    out[1] = lanes_add_times((u[2] - u[1]) * (1.0f / 6), 1.0f / 12, u[3] - u[4]);
    out[2] = lanes_add_times(u[5], 1.0f / 6, far) - near;
}
