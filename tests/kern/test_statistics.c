/* Statistics against plain loops. */

#include "kern_support.h"
#include "ptqd/kern/statistics.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 70 };

static struct rng rng;

static void setup(void)
{
    rng_init(&rng, 11, 0);
}

/* Law of all tests: every length gives the plain result but for rounding, and reads nothing behind
 * the end. */
static const double TOLERANCE = 1e-12;

START_TEST(signal_and_noise_are_the_plain_sums)
{
    for (int64_t count = 0; count < LONGEST; count++) {
        float *x = random_floats(&rng, count), *y = random_floats(&rng, count);
        double signal = 0.0, noise = 0.0;
        for (int64_t i = 0; i < count; i++) {
            signal += (double)x[i] * (double)x[i];
            noise += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        }
        struct signal_noise sums = signal_noise_f32(x, y, count);
        ck_assert_double_eq_tol(sums.signal, signal, TOLERANCE);
        ck_assert_double_eq_tol(sums.noise, noise, TOLERANCE);
        free(x);
        free(y);
    }
}
END_TEST

START_TEST(squares_are_summed_to_the_last)
{
    enum { COUNT = 10000 };
    float *x = random_floats(&rng, COUNT);
    double wanted = 0.0;
    for (int64_t count = 0; count < COUNT; count++) {
        if (count < LONGEST || count % 999 == 0 || count % 1024 < 2)
            ck_assert_double_eq_tol(squares_f32(x, count), wanted, 1e-6 * (1.0 + wanted));
        wanted += (double)x[count] * (double)x[count];
    }
    free(x);
}
END_TEST

START_TEST(channels_are_summed_apart)
{
    enum { POSITIONS = 5, FURTHER = 3 };
    for (int64_t K = 1; K < LONGEST; K++) {
        struct channel_rows rows = {POSITIONS, K + FURTHER, K};
        float *x = random_floats(&rng, POSITIONS * rows.stride - FURTHER);
        double sums[LONGEST], squares[LONGEST], wanted[LONGEST], wanted_squares[LONGEST];
        for (int64_t k = 0; k < K; k++) {
            sums[k] = squares[k] = wanted[k] = wanted_squares[k] = (double)k; /* added to */
            for (int64_t p = 0; p < POSITIONS; p++) {
                double value = (double)x[p * rows.stride + k];
                wanted[k] += value;
                wanted_squares[k] += value * value;
            }
        }
        channel_moments_f32(x, &rows, sums, squares);
        for (int64_t k = 0; k < K; k++) {
            ck_assert_double_eq_tol(sums[k], wanted[k], TOLERANCE);
            ck_assert_double_eq_tol(squares[k], wanted_squares[k], TOLERANCE);
            sums[k] = (double)k;
        }
        channel_sums_f32(x, &rows, sums);
        for (int64_t k = 0; k < K; k++)
            ck_assert_double_eq_tol(sums[k], wanted[k], TOLERANCE);
        free(x);
    }
}
END_TEST

START_TEST(extremes_are_found_and_what_is_not_finite_is_seen)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    for (int64_t count = 1; count < LONGEST; count++) {
        float *x = random_floats(&rng, count), min, max;
        float wanted_min = x[0], wanted_max = x[0];
        for (int64_t i = 0; i < count; i++) {
            wanted_min = fminf(wanted_min, x[i]);
            wanted_max = fmaxf(wanted_max, x[i]);
        }
        ck_assert(extremes_f32(x, (size_t)count, &min, &max));
        ck_assert(min == wanted_min && max == wanted_max);
        for (size_t kind = 0; kind < sizeof(odd) / sizeof(odd[0]); kind++)
            for (int64_t at = 0; at < count; at++) {
                float kept = x[at];
                x[at] = odd[kind];
                ck_assert(!extremes_f32(x, (size_t)count, &min, &max));
                x[at] = kept;
            }
        free(x);
    }
}
END_TEST

START_TEST(every_value_is_counted_in_its_bin)
{
    enum { COUNT = 1300, BINS = 37 };
    float *x = random_floats(&rng, COUNT);
    double counts[BINS] = {0.0}, wanted[BINS] = {0.0};
    const struct binning binning = {.min = -1.0, .per_unit = BINS / 2.0, .bins = BINS};
    for (int i = 0; i < COUNT; i++) {
        double place = ((double)x[i] + 1.0) * (BINS / 2.0);
        wanted[place <= 0.0 ? 0 : place >= BINS - 1 ? BINS - 1 : (int)place] += 1.0;
    }
    count_bins_f32(x, COUNT, &binning, counts);
    ck_assert_mem_eq(counts, wanted, sizeof(counts));
    free(x);
}
END_TEST

static double plain_error(const float *x, const double *weights, const float *addends,
                          int64_t count, const struct rounding_grid *grid)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double value = (double)x[i], clipped = fmin(fmax(value, grid->low), grid->high);
        double error = rint(clipped / grid->scale) * grid->scale - value;
        if (addends) {
            double before = value + (double)addends[i];
            error = fmax(before + error, 0.0) - fmax(before, 0.0);
        }
        sum += (weights ? weights[i] : 1.0) * error * error;
    }
    return sum;
}

START_TEST(rounding_errors_are_those_of_the_grid)
{
    const struct rounding_grid grid = {.scale = 0.25, .low = -0.75, .high = 1.0};
    for (int64_t count = 0; count < LONGEST; count++) {
        float *x = random_floats(&rng, count), *addends = random_floats(&rng, count);
        double *weights = exact_doubles(count);
        for (int64_t i = 0; i < count; i++)
            weights[i] = rng_uniform(&rng);
        for (int form = 0; form < 4; form++) {
            const double *w = form & 1 ? weights : NULL;
            const float *a = form & 2 ? addends : NULL;
            ck_assert_double_eq_tol(rounding_error_f32(x, w, a, (size_t)count, &grid),
                                    plain_error(x, w, a, count, &grid), TOLERANCE);
        }
        free(x);
        free(addends);
        free(weights);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statistics");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, signal_and_noise_are_the_plain_sums);
    tcase_add_test(tcase, squares_are_summed_to_the_last);
    tcase_add_test(tcase, channels_are_summed_apart);
    tcase_add_test(tcase, extremes_are_found_and_what_is_not_finite_is_seen);
    tcase_add_test(tcase, every_value_is_counted_in_its_bin);
    tcase_add_test(tcase, rounding_errors_are_those_of_the_grid);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
