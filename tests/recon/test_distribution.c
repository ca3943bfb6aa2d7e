/* Distributions of values. */

#include "ptqd/recon/distribution.h"

#include "support.h"

#include <math.h>

static struct arena *arena;
static struct error err;
static struct distribution distribution;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static double sum_of(const struct distribution *of)
{
    double sum = 0.0;
    for (int i = 0; i < DISTRIBUTION_BINS; i++)
        sum += of->counts[i];
    return sum;
}

/* Law: the bins divide the range evenly and every value is in one of them, the largest in the
 * last. */
START_TEST(values_are_counted_where_they_are)
{
    float values[2 * DISTRIBUTION_BINS + 1];
    for (int i = 0; i <= 2 * DISTRIBUTION_BINS; i++)
        values[i] = (float)i / 2.0f;
    distribution_of(values, 2 * DISTRIBUTION_BINS + 1, &distribution);
    ck_assert_double_eq(distribution.low, 0.0);
    ck_assert_double_eq(distribution.high, DISTRIBUTION_BINS);
    for (int i = 0; i < DISTRIBUTION_BINS; i++)
        ck_assert_double_eq(distribution.counts[i], i < DISTRIBUTION_BINS - 1 ? 2.0 : 3.0);
}
END_TEST

/* Law: one value alone, no value, and what is no number make a distribution as well. */
START_TEST(odd_values_do_no_harm)
{
    float same[] = {2.5f, 2.5f}, odd[] = {0.0f, NAN};
    distribution_of(same, 2, &distribution);
    ck_assert_double_eq(distribution.low, 2.5);
    ck_assert_double_eq(distribution.counts[0], 2.0);
    distribution_of(same, 0, &distribution);
    ck_assert(isnan(distribution.low) && sum_of(&distribution) == 0.0);
    distribution_of(odd, 2, &distribution);
    ck_assert(isnan(distribution.high) && sum_of(&distribution) == 0.0);
}
END_TEST

/* Law: of a large tensor a bounded sample is looked at, of which no channel has much more than its
 * share: here every channel is a value of its own. */
START_TEST(a_sample_is_of_all_channels)
{
    enum { SAMPLES = 64, ELEMENTS = 16 * 64, CHANNELS = 64 };
    float *values = ARENA_ARRAY(arena, float, SAMPLES *ELEMENTS, &err);
    for (int i = 0; i < SAMPLES * ELEMENTS; i++)
        values[i] = (float)(i % CHANNELS);
    struct captured captured = captured_values(values, SAMPLES, ELEMENTS);
    ck_assert_ok(distribution_of_captured(&captured, arena, &distribution, &err), &err);
    ck_assert_double_eq(sum_of(&distribution), DISTRIBUTION_SAMPLE);
    for (int i = 0; i < DISTRIBUTION_BINS; i++) {
        ck_assert_double_gt(distribution.counts[i], 0.9 * DISTRIBUTION_SAMPLE / CHANNELS);
        ck_assert_double_lt(distribution.counts[i], 1.1 * DISTRIBUTION_SAMPLE / CHANNELS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("distribution");
    TCase *tcase = tcase_create("distribution");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, values_are_counted_where_they_are);
    tcase_add_test(tcase, odd_values_do_no_harm);
    tcase_add_test(tcase, a_sample_is_of_all_channels);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
