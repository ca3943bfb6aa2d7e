#include "ptqd/base/rng.h"

#include "support.h"

#include <math.h>

/* The first ten outputs of the authors' xoshiro256starstar.c from the state {1, 2, 3, 4}; the same
 * list is in the tests of the rand_xoshiro crate. */
static const uint64_t reference[] = {11520u,
                                     0u,
                                     1509978240u,
                                     1215971899390074240u,
                                     1216172134540287360u,
                                     607988272756665600u,
                                     16172922978634559625u,
                                     8476171486693032832u,
                                     10595114339597558777u,
                                     2904607092377533576u};

/* The first four outputs of the authors' splitmix64.c from the seed 1234567. */
static const uint64_t seeding[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                   4593380528125082431u};

START_TEST(the_generator_is_the_published_one)
{
    struct rng rng = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof(reference) / sizeof(reference[0]); i++)
        ck_assert_uint_eq(rng_u64(&rng), reference[i]);
}
END_TEST

START_TEST(the_first_stream_is_seeded_as_published)
{
    struct rng rng;
    rng_init(&rng, 1234567, 0);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(rng.state[i], seeding[i]);
}
END_TEST

/* Law: seed and stream decide the numbers, and neighbours have nothing in common. */
START_TEST(seeds_and_streams_are_apart)
{
    enum { SIDE = 30 };
    uint64_t first[SIDE * SIDE];
    for (uint64_t seed = 0; seed < SIDE; seed++) {
        for (uint64_t stream = 0; stream < SIDE; stream++) {
            struct rng rng;
            struct rng again;
            rng_init(&rng, seed, stream);
            rng_init(&again, seed, stream);
            size_t n = seed * SIDE + stream;
            first[n] = rng_u64(&rng);
            ck_assert_uint_eq(first[n], rng_u64(&again));
            bool fresh = true;
            for (size_t i = 0; i < n; i++)
                fresh = fresh && first[i] != first[n];
            ck_assert(fresh);
        }
    }
}
END_TEST

/* Law: below `bound`, and every value as often: the chi-squared statistic of 10 cells (9 degrees of
 * freedom) stays under 27.9, its 99.9 % quantile. The numbers are fixed, so this never flickers. */
START_TEST(bounded_numbers_are_uniform)
{
    enum { CELLS = 10, DRAWS = 100000 };
    struct rng rng;
    rng_init(&rng, 1, 1);
    int64_t counts[CELLS] = {0};
    for (int i = 0; i < DRAWS; i++)
        counts[rng_below(&rng, CELLS)]++;
    double chi_squared = 0.0;
    double expected = (double)DRAWS / CELLS;
    for (int i = 0; i < CELLS; i++)
        chi_squared += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    ck_assert_double_lt(chi_squared, 27.9);
}
END_TEST

/* Law: the same of a bound that does not divide 2^64 evenly, and leaves a quarter of it: what a
 * remainder alone makes of that quarter would come twice as often as the rest. 2 degrees of
 * freedom: 13.8. */
START_TEST(the_excess_over_a_bound_favours_no_number)
{
    enum { CELLS = 3, DRAWS = 3000 };
    const uint64_t cell = UINT64_C(1) << 62;
    struct rng rng;
    rng_init(&rng, 3, 0);
    int64_t counts[CELLS] = {0};
    for (int i = 0; i < DRAWS; i++)
        counts[rng_below(&rng, CELLS * cell) / cell]++;
    double chi_squared = 0.0;
    for (int i = 0; i < CELLS; i++)
        chi_squared += pow((double)counts[i] - DRAWS / CELLS, 2.0) / (DRAWS / CELLS);
    ck_assert_double_lt(chi_squared, 13.8);
}
END_TEST

START_TEST(bounds_at_the_ends_work)
{
    struct rng rng;
    rng_init(&rng, 2, 0);
    uint64_t huge = (UINT64_C(1) << 63) + 1; /* nearly half of all numbers are thrown away */
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(rng_below(&rng, 1), 0);
        ck_assert_uint_lt(rng_below(&rng, huge), huge);
        ck_assert_uint_lt(rng_below(&rng, UINT64_MAX), UINT64_MAX);
    }
}
END_TEST

/* Law: in [0, 1) with mean 1/2 and variance 1/12, within 5 standard errors. */
START_TEST(uniform_numbers_have_their_moments)
{
    enum { DRAWS = 100000 };
    struct rng rng;
    rng_init(&rng, 3, 0);
    bool inside = true;
    double sum = 0.0;
    double squares = 0.0;
    for (int i = 0; i < DRAWS; i++) {
        double u = rng_uniform(&rng);
        inside = inside && u >= 0.0 && u < 1.0;
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
    }
    ck_assert(inside);
    ck_assert_double_eq_tol(sum / DRAWS, 0.5, 5 * sqrt(1.0 / 12 / DRAWS));
    ck_assert_double_eq_tol(squares / DRAWS, 1.0 / 12, 5 * sqrt(1.0 / 180 / DRAWS));
}
END_TEST

/* Law: the share below t is Φ(t), within 5 standard errors, and the fourth moment is 3. */
START_TEST(normal_numbers_follow_the_normal_distribution)
{
    enum { DRAWS = 200000 };
    static const double thresholds[] = {-2.5, -1.0, -0.3, 0.0, 0.7, 1.5, 3.0};
    enum { THRESHOLDS = sizeof(thresholds) / sizeof(thresholds[0]) };
    struct rng rng;
    rng_init(&rng, 4, 0);
    double below[THRESHOLDS] = {0};
    double fourth = 0.0;
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_normal(&rng);
        fourth += x * x * x * x;
        for (int t = 0; t < THRESHOLDS; t++)
            below[t] += x < thresholds[t];
    }
    for (int t = 0; t < THRESHOLDS; t++) {
        double share = 0.5 * erfc(-thresholds[t] / M_SQRT2);
        ck_assert_double_eq_tol(below[t] / DRAWS, share, 5 * sqrt(share * (1 - share) / DRAWS));
    }
    ck_assert_double_eq_tol(fourth / DRAWS, 3.0, 5 * sqrt(96.0 / DRAWS));
}
END_TEST

/* Law: a shuffle is a permutation, and each index is equally likely to come first. */
START_TEST(a_shuffle_is_a_fair_permutation)
{
    enum { COUNT = 8, ROUNDS = 8000 };
    struct rng rng;
    rng_init(&rng, 5, 0);
    int64_t first[COUNT] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        int64_t indices[COUNT];
        bool seen[COUNT] = {false};
        for (int i = 0; i < COUNT; i++)
            indices[i] = i;
        rng_shuffle(&rng, indices, COUNT);
        for (int i = 0; i < COUNT; i++) {
            ck_assert(!seen[indices[i]]);
            seen[indices[i]] = true;
        }
        first[indices[0]]++;
    }
    for (int i = 0; i < COUNT; i++)
        ck_assert_double_eq_tol((double)first[i], ROUNDS / 8.0, 5 * sqrt(ROUNDS / 8.0 * 7 / 8));
    rng_shuffle(&rng, NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rng");
    TCase *cases = tcase_create("rng");
    tcase_add_test(cases, the_generator_is_the_published_one);
    tcase_add_test(cases, the_first_stream_is_seeded_as_published);
    tcase_add_test(cases, seeds_and_streams_are_apart);
    tcase_add_test(cases, bounded_numbers_are_uniform);
    tcase_add_test(cases, the_excess_over_a_bound_favours_no_number);
    tcase_add_test(cases, bounds_at_the_ends_work);
    tcase_add_test(cases, uniform_numbers_have_their_moments);
    tcase_add_test(cases, normal_numbers_follow_the_normal_distribution);
    tcase_add_test(cases, a_shuffle_is_a_fair_permutation);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
