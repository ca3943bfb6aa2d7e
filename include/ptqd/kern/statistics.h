#pragma once

/* One pass over float32 values, sums in float64. Sums run in a fixed order: in so many lanes, then
 * over the lanes; channels in the order of their positions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Σ reference² and Σ (reference − values)² */
struct signal_noise {
    double signal, noise;
};
struct signal_noise signal_noise_f32(const float *reference, const float *values, int64_t count);

/* Σ x². Products, and sums of some thousand of them, are float32. */
double squares_f32(const float *values, int64_t count);

/* The first `count` channels of values [positions][stride]. */
struct channel_rows {
    int64_t positions, stride, count;
};

/* Adds Σ x, and Σ x², of each channel: [count]. */
void channel_sums_f32(const float *values, const struct channel_rows *rows, double *sums);
void channel_moments_f32(const float *values, const struct channel_rows *rows, double *sums,
                         double *squares);

/* The smallest and the largest of count ≥ 1 values; false when one is not finite. */
bool extremes_f32(const float *values, size_t count, float *out_min, float *out_max);

/* counts[bin] += 1 for each value, bin = (value − min) · per_unit rounded down and kept within the
 * `bins`. Values are finite. */
struct binning {
    double min, per_unit;
    int32_t bins;
};
void count_bins_f32(const float *values, size_t count, const struct binning *binning,
                    double *counts);

/* Σ weight · error², where the error of x is what rounding it to a multiple of `scale` within low …
 * high changes. With addends, it is what that changes of max(x + addend, 0). `weights` (NULL: 1)
 * and `addends` (NULL: none) are [count]. */
struct rounding_grid {
    double scale, low, high; /* > 0; multiples of the scale */
};
double rounding_error_f32(const float *values, const double *weights, const float *addends,
                          size_t count, const struct rounding_grid *grid);
