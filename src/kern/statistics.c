/* Statistics of float32 values. */

#include "ptqd/kern/statistics.h"

#include "simd.h"
#include "sizes.h"

enum { LANES = 8, FLOAT_LANES = 16 };

static double sum_of(const double *lanes)
{
    double sum = 0.0;
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

KERN_CLONES static struct signal_noise sum_signal_noise(const float *reference, const float *values,
                                                        int64_t count)
{
    double signal[LANES] = {0.0}, noise[LANES] = {0.0};
    struct signal_noise rest = {0.0, 0.0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            double x = (double)reference[i + lane], d = x - (double)values[i + lane];
            signal[lane] += x * x;
            noise[lane] += d * d;
        }
    for (; i < count; i++) {
        double x = (double)reference[i], d = x - (double)values[i];
        rest.signal += x * x;
        rest.noise += d * d;
    }
    return (struct signal_noise){sum_of(signal) + rest.signal, sum_of(noise) + rest.noise};
}

struct signal_noise signal_noise_f32(const float *reference, const float *values, int64_t count)
{
    return sum_signal_noise(reference, values, count);
}

enum { SQUARES_LANES = 64, SQUARES_RUN = 4096 };

/* Of one run: float32 is as near as its values are to what they stand for. */
KERN_CLONES static float sum_run_of_squares(const float *values, int64_t count)
{
    float lanes[SQUARES_LANES] = {0.0f}, sum = 0.0f;
    int64_t i = 0;
    for (; i + SQUARES_LANES <= count; i += SQUARES_LANES)
        for (int lane = 0; lane < SQUARES_LANES; lane++)
            lanes[lane] += values[i + lane] * values[i + lane];
    for (; i < count; i++)
        sum += values[i] * values[i];
    for (int lane = 0; lane < SQUARES_LANES; lane++)
        sum += lanes[lane];
    return sum;
}

double squares_f32(const float *values, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i += SQUARES_RUN)
        sum += (double)sum_run_of_squares(values + i, least(SQUARES_RUN, count - i));
    return sum;
}

/* So many channels at a time that their sums stay in registers. */
enum { CHANNELS = 16, CHANNELS_FEW = 8 };

/* Of `count` channels, a constant wherever this is called; without squares where they are NULL. */
static inline __attribute__((always_inline)) void add_columns(const float *values,
                                                              const struct channel_rows *rows,
                                                              int64_t count, double *sums,
                                                              double *squares)
{
    double sum[CHANNELS] = {0.0}, square[CHANNELS] = {0.0};
    for (int64_t i = 0; i < rows->positions; i++)
        for (int64_t k = 0; k < count; k++) {
            double value = (double)values[i * rows->stride + k];
            sum[k] += value;
            square[k] += squares ? value * value : 0.0;
        }
    for (int64_t k = 0; k < count; k++) {
        sums[k] += sum[k];
        if (squares)
            squares[k] += square[k];
    }
}

static inline __attribute__((always_inline)) void
add_channels(const float *values, const struct channel_rows *rows, double *sums, double *squares)
{
    int64_t k = 0;
    for (; k + CHANNELS <= rows->count; k += CHANNELS)
        add_columns(values + k, rows, CHANNELS, sums + k, squares ? squares + k : NULL);
    for (; k + CHANNELS_FEW <= rows->count; k += CHANNELS_FEW)
        add_columns(values + k, rows, CHANNELS_FEW, sums + k, squares ? squares + k : NULL);
    for (; k < rows->count; k++)
        add_columns(values + k, rows, 1, sums + k, squares ? squares + k : NULL);
}

KERN_CLONES static void add_sums(const float *values, const struct channel_rows *rows, double *sums)
{
    add_channels(values, rows, sums, NULL);
}

KERN_CLONES static void add_moments(const float *values, const struct channel_rows *rows,
                                    double *sums, double *squares)
{
    add_channels(values, rows, sums, squares);
}

void channel_sums_f32(const float *values, const struct channel_rows *rows, double *sums)
{
    add_sums(values, rows, sums);
}

void channel_moments_f32(const float *values, const struct channel_rows *rows, double *sums,
                         double *squares)
{
    add_moments(values, rows, sums, squares);
}

/* x − x is 0 for what is finite and NaN for what is not, which stays in the sum. */
KERN_CLONES static bool find_extremes(const float *values, size_t count, float *out_min,
                                      float *out_max)
{
    float min[FLOAT_LANES], max[FLOAT_LANES], odd[FLOAT_LANES] = {0.0f};
    for (int lane = 0; lane < FLOAT_LANES; lane++)
        min[lane] = max[lane] = values[0];
    size_t i = 0;
    for (; i + FLOAT_LANES <= count; i += FLOAT_LANES)
        for (int lane = 0; lane < FLOAT_LANES; lane++) {
            float x = values[i + (size_t)lane];
            min[lane] = x < min[lane] ? x : min[lane];
            max[lane] = x > max[lane] ? x : max[lane];
            odd[lane] += x - x;
        }
    for (; i < count; i++) {
        min[0] = values[i] < min[0] ? values[i] : min[0];
        max[0] = values[i] > max[0] ? values[i] : max[0];
        odd[0] += values[i] - values[i];
    }
    float sum = values[0] - values[0];
    *out_min = min[0];
    *out_max = max[0];
    for (int lane = 0; lane < FLOAT_LANES; lane++) {
        *out_min = min[lane] < *out_min ? min[lane] : *out_min;
        *out_max = max[lane] > *out_max ? max[lane] : *out_max;
        sum += odd[lane];
    }
    return sum == 0.0f;
}

bool extremes_f32(const float *values, size_t count, float *out_min, float *out_max)
{
    return find_extremes(values, count, out_min, out_max);
}

enum { RUN = 512 }; /* values whose bins are found before they are counted */

KERN_CLONES static void find_bins(const float *values, int count, const struct binning *binning,
                                  int32_t *restrict bins)
{
    double min = binning->min, per_unit = binning->per_unit, last = (double)(binning->bins - 1);
    for (int i = 0; i < count; i++) {
        double place = ((double)values[i] - min) * per_unit;
        place = place > 0.0 ? place : 0.0;
        bins[i] = (int32_t)(place < last ? place : last);
    }
}

void count_bins_f32(const float *values, size_t count, const struct binning *binning,
                    double *counts)
{
    int32_t bins[RUN];
    for (size_t first = 0; first < count; first += RUN) {
        int run = count - first < RUN ? (int)(count - first) : RUN;
        find_bins(values + first, run, binning, bins);
        for (int i = 0; i < run; i++)
            counts[bins[i]] += 1.0;
    }
}

/* What rounding changes of x. */
static inline __attribute__((always_inline)) double change_of(double x, double inverse,
                                                              const struct rounding_grid *grid)
{
    double clipped = x < grid->low ? grid->low : x;
    clipped = clipped > grid->high ? grid->high : clipped;
    return __builtin_rint(clipped * inverse) * grid->scale - x;
}

static inline __attribute__((always_inline)) double rectified(double x)
{
    return x > 0.0 ? x : 0.0;
}

static inline __attribute__((always_inline)) double
square_at(const float *values, const double *weights, const float *addends, size_t i,
          double inverse, const struct rounding_grid *grid)
{
    double x = (double)values[i], error = change_of(x, inverse, grid);
    if (addends) {
        double before = x + (double)addends[i];
        error = rectified(before + error) - rectified(before);
    }
    return weights ? weights[i] * error * error : error * error;
}

static inline __attribute__((always_inline)) double sum_squares(const float *values,
                                                                const double *weights,
                                                                const float *addends, size_t count,
                                                                const struct rounding_grid *at)
{
    const struct rounding_grid grid = *at;
    double lanes[LANES] = {0.0}, rest = 0.0, inverse = 1.0 / grid.scale;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += square_at(values, weights, addends, i + lane, inverse, &grid);
    for (; i < count; i++)
        rest += square_at(values, weights, addends, i, inverse, &grid);
    return sum_of(lanes) + rest;
}

KERN_CLONES static double sum_weighted(const float *values, const double *weights, size_t count,
                                       const struct rounding_grid *grid)
{
    return sum_squares(values, weights, NULL, count, grid);
}

KERN_CLONES static double sum_added(const float *values, const float *addends, size_t count,
                                    const struct rounding_grid *grid)
{
    return sum_squares(values, NULL, addends, count, grid);
}

KERN_CLONES static double sum_plain(const float *values, size_t count,
                                    const struct rounding_grid *grid)
{
    return sum_squares(values, NULL, NULL, count, grid);
}

double rounding_error_f32(const float *values, const double *weights, const float *addends,
                          size_t count, const struct rounding_grid *grid)
{
    if (addends && weights)
        return sum_squares(values, weights, addends, count, grid);
    return addends   ? sum_added(values, addends, count, grid)
           : weights ? sum_weighted(values, weights, count, grid)
                     : sum_plain(values, count, grid);
}
