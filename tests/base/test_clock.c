/* The time, in all its units. */

#include "ptqd/base/clock.h"

#include "support.h"

/* Law: what is read between two readings of another unit lies between them. */
START_TEST(the_units_are_of_one_clock_that_does_not_go_back)
{
    for (int i = 0; i < 100; i++) {
        int64_t us = clock_us(), ms = clock_ms();
        double seconds = clock_seconds();
        int64_t us_after = clock_us();
        ck_assert_int_le(us, us_after);
        ck_assert(us / 1000 <= ms && ms <= us_after / 1000);
        ck_assert((double)us <= seconds * 1e6 + 1.0 && seconds * 1e6 <= (double)us_after + 1.0);
    }
}
END_TEST

START_TEST(a_moment_later_is_on_the_same_clock)
{
    static const int64_t spans[] = {0, 1, 999, 1000, 61 * 1000 + 1};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        int64_t before = clock_us();
        struct timespec moment = clock_after_ms(spans[i]);
        int64_t us = (int64_t)moment.tv_sec * 1000000 + moment.tv_nsec / 1000 - 1000 * spans[i];
        ck_assert(before <= us && us <= clock_us());
        ck_assert(moment.tv_nsec >= 0 && moment.tv_nsec < 1000000000);
    }
}
END_TEST

START_TEST(milliseconds_count_from_1970)
{
    time_t before = time(NULL);
    int64_t ms = clock_unix_ms();
    ck_assert(ms / 1000 >= before - 1 && ms / 1000 <= time(NULL) + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *cases = tcase_create("clock");
    tcase_add_test(cases, the_units_are_of_one_clock_that_does_not_go_back);
    tcase_add_test(cases, a_moment_later_is_on_the_same_clock);
    tcase_add_test(cases, milliseconds_count_from_1970);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
