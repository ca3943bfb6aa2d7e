/* What is kept of the attempts of a run. */

#include "ptqd/store/run_log_row.h"

#include "store_fixture.h"
#include "support.h"

#include <string.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

static const struct run_log_row *list(const char *run, size_t count)
{
    struct run_log_row *rows;
    size_t found;
    ck_assert_ok(run_log_row_list(store_fixture_reader(&fixture), run, fixture.arena, &rows, &found,
                                  &err),
                 &err);
    ck_assert_uint_eq(found, count);
    return rows;
}

static bool apply_insert(struct database *database, void *context, struct error *failure)
{
    return run_log_row_insert(database, "j1-v000-s0", context, failure);
}

static void insert(int64_t attempt, const char *lines)
{
    struct run_log_row row = {attempt, lines};
    ck_assert_ok(store_write_now(fixture.store, apply_insert, &row, &err), &err);
}

static bool apply_recover(struct database *database, void *context, struct error *failure)
{
    return run_row_recover(database, context, failure);
}

static void claim_a_run(void)
{
    char id[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert job = store_fixture_job(&fixture, "ada", 1, 2);
    store_fixture_submit(&fixture, &job, id);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_str_eq(run.id, "j1-v000-s0");
}

/* Law: attempts are listed in their order; what is written again takes the place of what was. */
START_TEST(attempts_are_listed_in_their_order)
{
    claim_a_run();
    list("j1-v000-s0", 0);
    insert(2, "[2]");
    insert(1, "[1]");
    insert(2, "[3]");
    const struct run_log_row *rows = list("j1-v000-s0", 2);
    ck_assert_int_eq(rows[0].attempt, 1);
    ck_assert_str_eq(rows[0].lines, "[1]");
    ck_assert_str_eq(rows[1].lines, "[3]");
    list("j1-v000-s1", 0);
}
END_TEST

/* Law: an attempt in which the daemon died is in the log, with its worker, when and how it ended;
 * runs that only waited have nothing to tell. */
START_TEST(an_attempt_that_a_crash_ended_is_there)
{
    struct run_recovery recovery;
    claim_a_run();
    ck_assert_ok(store_write_now(fixture.store, apply_recover, &recovery, &err), &err);
    const struct run_log_row *rows = list("j1-v000-s0", 1);
    ck_assert_int_eq(rows[0].attempt, 1);
    ck_assert_msg(support_contains(rows[0].lines, "\"text\":\"started by tester, attempt 1\"") &&
                      support_contains(rows[0].lines, "the daemon died") &&
                      support_contains(rows[0].lines, "[{\"time\":\"20"),
                  "%s", rows[0].lines);
    list("j1-v000-s1", 0);
}
END_TEST

/* Law: the log goes with its run. */
START_TEST(a_deleted_job_leaves_no_log)
{
    claim_a_run();
    insert(1, "[1]");
    ck_assert_ok(store_fixture_cancelled(&fixture, "j1-v000-s0", &err), &err);
    int64_t runs;
    ck_assert_ok(store_fixture_cancel(&fixture, "j1", &runs, &err), &err);
    ck_assert_ok(store_fixture_delete(&fixture, "j1", &err), &err);
    list("j1-v000-s0", 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_log_row");
    TCase *tcase = tcase_create("run_log_row");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, attempts_are_listed_in_their_order);
    tcase_add_test(tcase, an_attempt_that_a_crash_ended_is_there);
    tcase_add_test(tcase, a_deleted_job_leaves_no_log);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
