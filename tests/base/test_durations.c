/* Durations by size. */

#include "ptqd/base/durations.h"

#include "support.h"

#include <pthread.h>

START_TEST(a_duration_is_counted_at_every_bound_that_it_does_not_exceed)
{
    struct durations durations = {.sum_us = 0};
    durations_add(&durations, 500);      /* is the first bound */
    durations_add(&durations, 501);      /* above it */
    durations_add(&durations, 20000000); /* above all */
    durations_add(&durations, -3);       /* a clock that went back */
    struct durations_reading reading = durations_read(&durations);
    ck_assert_uint_eq(reading.up_to[0], 2);
    ck_assert_uint_eq(reading.up_to[1], 3);
    ck_assert_uint_eq(reading.up_to[DURATIONS_BOUNDS - 1], 3);
    ck_assert_uint_eq(reading.up_to[DURATIONS_BOUNDS], 4);
    ck_assert_double_eq_tol(reading.sum_seconds, 20.001001, 1e-9);
}
END_TEST

START_TEST(bounds_ascend)
{
    for (size_t i = 1; i < DURATIONS_BOUNDS; i++)
        ck_assert_double_lt(durations_bounds[i - 1], durations_bounds[i]);
}
END_TEST

enum { THREADS = 4, ADDED = 10000 };

static void *add_many(void *context)
{
    for (int i = 0; i < ADDED; i++)
        durations_add(context, i);
    return NULL;
}

/* Law: nothing that any thread adds is lost. */
START_TEST(threads_add_to_one_count)
{
    struct durations durations = {.sum_us = 0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, &durations), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct durations_reading reading = durations_read(&durations);
    ck_assert_uint_eq(reading.up_to[DURATIONS_BOUNDS], THREADS * ADDED);
    ck_assert_double_eq_tol(reading.sum_seconds, 1e-6 * THREADS * ADDED * (ADDED - 1) / 2, 1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("durations");
    TCase *cases = tcase_create("durations");
    tcase_add_test(cases, a_duration_is_counted_at_every_bound_that_it_does_not_exceed);
    tcase_add_test(cases, bounds_ascend);
    tcase_add_test(cases, threads_add_to_one_count);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
