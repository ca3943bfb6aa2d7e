/* How long what goes on will take. */

#include "ptqd/jobs/pace.h"

#include "support.h"

/* Law: as much as was gained since the moment takes as long again. */
START_TEST(what_was_done_before_does_not_count)
{
    const struct pace pace = {.since = 100, .base = 3};
    ck_assert_double_eq_tol(pace_seconds_left(&pace, 5, 4, 110), 20, 1e-9);
    ck_assert_double_eq_tol(pace_seconds_left(&pace, 5, 0, 110), 0, 1e-9);
}
END_TEST

START_TEST(nothing_gained_says_nothing)
{
    const struct pace pace = {.since = 100, .base = 3};
    ck_assert_double_nan(pace_seconds_left(&pace, 3, 4, 110));
    ck_assert_double_nan(pace_seconds_left(&pace, 2, 4, 110));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pace");
    TCase *tcase = tcase_create("pace");
    tcase_add_test(tcase, what_was_done_before_does_not_count);
    tcase_add_test(tcase, nothing_gained_says_nothing);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
