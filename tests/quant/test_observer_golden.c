/* Ranges against independent implementations (tests/golden). */

#include "ptqd/quant/observer.h"

#include "support.h"

#include "golden/kl_ranges.h"
#include "golden/mse_ranges.h"
#include "golden/percentiles.h"

#include <math.h>

static struct observation observe(const float *values, const double *weights, size_t count)
{
    struct observation seen = {
        .values = values, .weights = weights, .count = count, .min = INFINITY, .max = -INFINITY};
    for (size_t i = 0; i < count; i++) {
        if (weights && !(weights[i] > 0.0))
            continue;
        seen.min = fmin(seen.min, (double)values[i]);
        seen.max = fmax(seen.max, (double)values[i]);
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

/* Law: the error of the mse range is within 3 % of the smallest over all ranges (two rounds of
 * refinement round the best of a coarse grid may miss the lowest of several valleys); above 1 %
 * counts as a warning, and at most a tenth of the cases may warn. */
START_TEST(mse_ranges_are_the_best_ones)
{
    const double tolerance = 0.03, warn = 0.01;
    struct error err = {.message = ""};
    struct arena *arena = arena_create(0);
    int warnings = 0;
    for (int i = 0; i < GOLDEN_RANGES; i++) {
        const struct golden_range *golden = &golden_ranges[i];
        struct observation seen = observe(golden_sets[golden->set], NULL, (size_t)golden->count);
        struct quantizer_format format = {.bits = golden->bits, .symmetric = golden->symmetric};
        struct quantizer quantizer;
        ck_assert_ok(quantizer_create(arena, &format, 1, &quantizer, &err), &err);
        ck_assert_ok(observer_fit(observer_find("mse"), &seen, NULL, &quantizer, 0, &err), &err);
        double error = squared_error(&seen, &quantizer);
        ck_assert_msg(error <= golden->squared_error * (1.0 + tolerance),
                      "%s, %d bits, symmetric %d: %g, best %g", golden_names[golden->set],
                      golden->bits, golden->symmetric, error, golden->squared_error);
        warnings += error > golden->squared_error * (1.0 + warn);
    }
    ck_assert_int_le(warnings, GOLDEN_RANGES / 10);
    arena_destroy(arena);
}
END_TEST

/* Law: percentiles are numpy's, of values that count once or several times. */
START_TEST(percentiles_are_those_of_numpy)
{
    for (int i = 0; i < GOLDEN_PERCENTILES; i++) {
        const struct golden_percentile *golden = &golden_percentiles[i];
        struct observation seen =
            observe(golden_percentile_sets[golden->set], golden->weighted ? golden_weights : NULL,
                    (size_t)golden->count);
        struct quantizer_format format = {.bits = 4, .symmetric = golden->symmetric};
        struct observer_options options = {.percentile = golden->percentile};
        double min, max;
        observer_find("percentile")->range(&seen, &format, &options, &min, &max);
        ck_assert_msg(fabs(min - golden->min) <= 1e-6 && fabs(max - golden->max) <= 1e-6,
                      "set %d, %g %%: %g to %g, not %g to %g", golden->set, golden->percentile, min,
                      max, golden->min, golden->max);
    }
}
END_TEST

/* Law: the same candidate wins as with the distributions written out, and cells up to where the
 * published loop cuts are within a fifth of it (its cells are half a step off, and the few values
 * of the tail decide). */
START_TEST(kl_ranges_are_those_of_the_definition)
{
    for (int i = 0; i < GOLDEN_KL_RANGES; i++) {
        const struct golden_kl *golden = &golden_kl_ranges[i];
        struct observation seen = {
            .values = golden_kl_values[golden->set],
            .weights = golden_kl_weights[golden->set],
            .count = GOLDEN_KL_COUNT,
            .min = golden_kl_ends[golden->set][0],
            .max = golden_kl_ends[golden->set][1],
        };
        struct quantizer_format format = {.bits = golden->bits, .symmetric = golden->symmetric};
        double min, max;
        observer_find("kl")->range(&seen, &format, NULL, &min, &max);
        ck_assert_msg(fabs(min - golden->min) <= 1e-9 && fabs(max - golden->max) <= 1e-9,
                      "set %d, %d bits, symmetric %d: %g to %g, not %g to %g", golden->set,
                      golden->bits, golden->symmetric, min, max, golden->min, golden->max);
        double cut = max * (1.0 + 0.5 / ((1 << golden->bits) - 1));
        if (golden->published > 0.0)
            ck_assert_msg(fabs(cut / golden->published - 1.0) <= 0.2, "set %d, %d bits: %g, not %g",
                          golden->set, golden->bits, cut, golden->published);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observer_golden");
    TCase *tcase = tcase_create("golden");
    tcase_add_test(tcase, mse_ranges_are_the_best_ones);
    tcase_add_test(tcase, percentiles_are_those_of_numpy);
    tcase_add_test(tcase, kl_ranges_are_those_of_the_definition);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
