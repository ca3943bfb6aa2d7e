#include "ptqd/quant/observer.h"

#include "support.h"

#include "ptqd/base/rng.h"

#include <math.h>

enum { COUNT = 2000 };

static struct arena *arena;
static struct error err;
static const struct observer_options options = {.percentile = 99.9};

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Values with tails, shifted; `shape` 0: normal, 1: rectified, 2: one outlier, 3: all negative. */
static struct observation make_values(int shape, uint64_t seed, float *values)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    struct observation seen = {.values = values, .count = COUNT, .min = INFINITY, .max = -INFINITY};
    for (int i = 0; i < COUNT; i++) {
        float x = (float)rng_normal(&rng);
        if (shape == 1)
            x = fmaxf(x, 0.0f);
        if (shape == 2 && i == 0)
            x = 40.0f;
        if (shape == 3)
            x = -fabsf(x) - 1.0f;
        values[i] = x;
        seen.min = fmin(seen.min, (double)x);
        seen.max = fmax(seen.max, (double)x);
    }
    return seen;
}

static double squared_error(const struct observation *seen, const struct quantizer *quantizer)
{
    double sum = 0.0;
    for (size_t i = 0; i < seen->count; i++) {
        float y;
        quantizer_apply(quantizer, 0, &seen->values[i], 1, &y);
        sum += pow((double)y - (double)seen->values[i], 2.0);
    }
    return sum;
}

static double error_of(const char *name, const struct observation *seen,
                       const struct quantizer_format *format)
{
    struct quantizer quantizer;
    ck_assert_ok(quantizer_create(arena, format, 1, &quantizer, &err), &err);
    ck_assert_ok(observer_fit(observer_find(name), seen, &options, &quantizer, 0, &err), &err);
    return squared_error(seen, &quantizer);
}

/* Law: every observer gives a range that holds zero and lies within what was seen. */
START_TEST(every_range_holds_zero_and_is_not_wider_than_the_values)
{
    static float values[COUNT];
    for (const struct observer *const *row = observer_table(); *row; row++)
        for (int shape = 0; shape < 4; shape++)
            for (int symmetric = 0; symmetric < 2; symmetric++) {
                struct observation seen = make_values(shape, 3, values);
                struct quantizer_format format = {.bits = 4, .symmetric = symmetric};
                double min, max, reach = fmax(-seen.min, seen.max) * (1.0 + 1e-9);
                (*row)->range(&seen, &format, &options, &min, &max);
                ck_assert_msg(min <= 0.0 && max >= 0.0 && min >= -reach && max <= reach,
                              "%s, shape %d: %g to %g", (*row)->name, shape, min, max);
            }
}
END_TEST

/* Law: where the codes start makes no difference to any observer. */
START_TEST(signed_codes_have_the_ranges_of_the_others)
{
    static float values[COUNT];
    for (const struct observer *const *row = observer_table(); *row; row++)
        for (int shape = 0; shape < 4; shape++) {
            struct observation seen = make_values(shape, 3, values);
            struct quantizer_format plain = {.bits = 3};
            struct quantizer_format with_sign = {.bits = 3, .signed_codes = true};
            ck_assert_double_eq(error_of((*row)->name, &seen, &plain),
                                error_of((*row)->name, &seen, &with_sign));
        }
}
END_TEST

/* Law: at every width the mse range is at least as good as the whole range (0.1 % for the rounding
 * of scales to float32). */
START_TEST(the_mse_range_is_never_worse_than_the_whole_range)
{
    static float values[COUNT];
    for (int bits = 2; bits <= 8; bits++)
        for (int shape = 0; shape < 4; shape++)
            for (int symmetric = 0; symmetric < 2; symmetric++) {
                struct observation seen = make_values(shape, 5, values);
                struct quantizer_format format = {.bits = bits, .symmetric = symmetric};
                double mse = error_of("mse", &seen, &format);
                double whole = error_of("minmax", &seen, &format);
                ck_assert_msg(mse <= whole * 1.001, "%d bits, shape %d: %g > %g", bits, shape, mse,
                              whole);
            }
}
END_TEST

/* Law: no range of a fine, exhaustive grid beats the search by more than 2 %. */
START_TEST(the_mse_search_finds_the_best_range)
{
    enum { STEPS = 200 };
    static float values[COUNT];
    for (int bits = 2; bits <= 4; bits++)
        for (int shape = 0; shape < 3; shape++) {
            struct observation seen = make_values(shape, 7, values);
            struct quantizer_format format = {.bits = bits, .symmetric = true};
            struct quantizer quantizer;
            ck_assert_ok(quantizer_create(arena, &format, 1, &quantizer, &err), &err);
            double reach = fmax(-seen.min, seen.max), best = INFINITY;
            for (int i = 1; i <= STEPS; i++) {
                double limit = reach * i / STEPS;
                ck_assert_ok(quantizer_set_range(&quantizer, 0, -limit, limit, &err), &err);
                best = fmin(best, squared_error(&seen, &quantizer));
            }
            double found = error_of("mse", &seen, &format);
            ck_assert_msg(found <= best * 1.02, "%d bits, shape %d: %g > %g", bits, shape, found,
                          best);
        }
}
END_TEST

START_TEST(the_mse_range_cuts_an_outlier_off)
{
    static float values[COUNT];
    struct observation seen = make_values(2, 9, values);
    struct quantizer_format format = {.bits = 3};
    double min, max;
    observer_find("mse")->range(&seen, &format, &options, &min, &max);
    ck_assert_double_lt(max, 20.0);
}
END_TEST

START_TEST(one_value_and_all_zeros_have_a_range)
{
    float values[] = {0.0f, 0.0f, 0.0f};
    for (const struct observer *const *row = observer_table(); *row; row++)
        for (int i = 0; i < 3; i++) {
            float value = i == 0 ? 0.0f : i == 1 ? 2.5f : -2.5f;
            values[0] = values[1] = values[2] = value;
            struct observation seen = {
                .values = values, .count = 3, .min = (double)value, .max = (double)value};
            struct quantizer_format format = {.bits = 4};
            struct quantizer quantizer;
            ck_assert_ok(quantizer_create(arena, &format, 1, &quantizer, &err), &err);
            ck_assert_ok(observer_fit(*row, &seen, &options, &quantizer, 0, &err), &err);
            float y;
            quantizer_apply(&quantizer, 0, &value, 1, &y);
            ck_assert_double_le(fabs((double)(y - value)), 1e-6);
        }
}
END_TEST

/* The exact histogram of a bell curve, of its upper half, or of two exponential tails. */
static struct observation make_curve(int shape, float *values, double *weights)
{
    double reach = shape == 2 ? 10.0 : 5.0, low = shape == 1 ? 0.0 : -reach;
    for (int i = 0; i < COUNT; i++) {
        double x = low + (reach - low) * (i + 0.5) / COUNT;
        values[i] = (float)x;
        weights[i] = 1e6 * (shape == 2 ? exp(-fabs(x)) : exp(-0.5 * x * x));
    }
    return (struct observation){
        .values = values, .weights = weights, .count = COUNT, .min = low, .max = reach};
}

/* Law: a wider format never takes a narrower range (5 %: the search is a grid). */
START_TEST(ranges_do_not_shrink_with_more_bits)
{
    static float values[COUNT];
    static double weights[COUNT];
    for (const struct observer *const *row = observer_table(); *row; row++)
        for (int shape = 0; shape < 3; shape++)
            for (int symmetric = 0; symmetric < 2; symmetric++) {
                struct observation seen = make_curve(shape, values, weights);
                double narrower = 0.0;
                for (int bits = 2; bits <= 8; bits++) {
                    struct quantizer_format format = {.bits = bits, .symmetric = symmetric};
                    double min, max;
                    (*row)->range(&seen, &format, &options, &min, &max);
                    ck_assert_msg(max - min >= 0.95 * narrower, "%s, shape %d, %d bits: %g < %g",
                                  (*row)->name, shape, bits, max - min, narrower);
                    narrower = max - min;
                }
            }
}
END_TEST

/* Law: of as few values as a depthwise filter has, none that matters is clipped: the error is at
 * most what rounding with the step of the whole range can do. */
START_TEST(few_values_are_not_cut_off)
{
    enum { FEW = 9, FILTERS = 50 };
    static float values[COUNT];
    struct quantizer_format format = {.bits = 4, .symmetric = true};
    for (const struct observer *const *row = observer_table(); *row; row++)
        for (uint64_t seed = 0; seed < FILTERS; seed++) {
            struct observation seen = make_values(0, seed, values);
            double reach = 0.0;
            for (int i = 0; i < FEW; i++)
                reach = fmax(reach, fabs((double)values[i]));
            seen.count = FEW, seen.min = -reach, seen.max = reach;
            double error = error_of((*row)->name, &seen, &format), half_step = 0.5 * reach / 7.0;
            ck_assert_msg(error <= FEW * half_step * half_step, "%s, filter %d: %g", (*row)->name,
                          (int)seed, error);
        }
}
END_TEST

/* Law: 100 % is the whole range, also of a histogram, whose outermost centres lie within it. */
START_TEST(the_hundredth_percentile_is_the_whole_range)
{
    static float values[COUNT];
    static struct histogram histogram;
    struct observation seen = make_values(0, 15, values);
    histogram_init(&histogram, seen.min, seen.max);
    histogram_add(&histogram, values, COUNT);
    struct observation binned = histogram_observation(&histogram);
    const struct observation *both[] = {&seen, &binned};
    struct quantizer_format format = {.bits = 4};
    for (int i = 0; i < 2; i++) {
        double min, max;
        observer_find("percentile")
            ->range(both[i], &format, &(struct observer_options){.percentile = 100.0}, &min, &max);
        ck_assert_double_eq(min, seen.min);
        ck_assert_double_eq(max, seen.max);
    }
}
END_TEST

/* Law: the share that was asked for is inside, at each end, to one value. */
START_TEST(a_percentile_clips_its_share_at_both_ends)
{
    static float values[COUNT];
    struct observation seen = make_values(0, 17, values);
    struct quantizer_format format = {.bits = 4};
    for (double percentile = 90.0; percentile < 100.0; percentile += 2.5) {
        double min, max, share = 1.0 - percentile / 100.0;
        observer_find("percentile")
            ->range(&seen, &format, &(struct observer_options){.percentile = percentile}, &min,
                    &max);
        int below = 0, above = 0;
        for (int i = 0; i < COUNT; i++) {
            below += (double)values[i] < min;
            above += (double)values[i] > max;
        }
        ck_assert_double_le(fabs(below - share * COUNT), 1.0);
        ck_assert_double_le(fabs(above - share * COUNT), 1.0);
    }
}
END_TEST

/* Law: KL keeps the bulk of many values and drops one outlier at each end. */
START_TEST(the_kl_range_cuts_an_outlier_off)
{
    static float values[COUNT];
    static double weights[COUNT];
    struct observation seen = make_values(2, 19, values);
    values[1] = -40.0f;
    for (int i = 0; i < COUNT; i++)
        weights[i] = i < 2 ? 1.0 : 100.0;
    seen.weights = weights;
    seen.min = -40.0;
    for (int bits = 3; bits <= 8; bits++) {
        struct quantizer_format format = {.bits = bits};
        double min, max;
        observer_find("kl")->range(&seen, &format, &options, &min, &max);
        ck_assert_msg(max < 20.0 && max > 1.0 && min > -20.0 && min < -1.0, "%d bits: %g to %g",
                      bits, min, max);
    }
}
END_TEST

START_TEST(values_that_are_not_finite_are_refused)
{
    float value = INFINITY;
    struct observation seen = {.values = &value, .count = 1, .min = 0.0, .max = HUGE_VAL};
    struct quantizer quantizer;
    struct quantizer_format format = {.bits = 4};
    ck_assert_ok(quantizer_create(arena, &format, 1, &quantizer, &err), &err);
    ck_assert_fails(observer_fit(observer_find("mse"), &seen, &options, &quantizer, 0, &err), &err,
                    E_INVALID, "0 to inf");
}
END_TEST

/* Law: the histogram counts every value once and keeps it within half a bin. */
START_TEST(a_histogram_stands_for_its_values)
{
    static float values[COUNT];
    static struct histogram histogram;
    struct observation seen = make_values(0, 11, values);
    histogram_init(&histogram, seen.min, seen.max);
    histogram_add(&histogram, values, COUNT);
    struct observation binned = histogram_observation(&histogram);
    double total = 0.0, mean = 0.0, exact = 0.0;
    for (size_t i = 0; i < binned.count; i++) {
        total += binned.weights[i];
        mean += binned.weights[i] * (double)binned.values[i] / COUNT;
    }
    for (int i = 0; i < COUNT; i++)
        exact += (double)values[i] / COUNT;
    ck_assert_double_eq(total, COUNT);
    ck_assert_double_le(fabs(mean - exact), 0.5 * (seen.max - seen.min) / HISTOGRAM_BINS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observer");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_range_holds_zero_and_is_not_wider_than_the_values);
    tcase_add_test(tcase, signed_codes_have_the_ranges_of_the_others);
    tcase_add_test(tcase, the_mse_range_is_never_worse_than_the_whole_range);
    tcase_add_test(tcase, the_mse_search_finds_the_best_range);
    tcase_add_test(tcase, the_mse_range_cuts_an_outlier_off);
    tcase_add_test(tcase, a_percentile_clips_its_share_at_both_ends);
    tcase_add_test(tcase, the_hundredth_percentile_is_the_whole_range);
    tcase_add_test(tcase, the_kl_range_cuts_an_outlier_off);
    tcase_add_test(tcase, ranges_do_not_shrink_with_more_bits);
    tcase_add_test(tcase, few_values_are_not_cut_off);
    tcase_add_test(tcase, one_value_and_all_zeros_have_a_range);
    tcase_add_test(tcase, values_that_are_not_finite_are_refused);
    tcase_add_test(tcase, a_histogram_stands_for_its_values);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
