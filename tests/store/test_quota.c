/* Limits of owners: the store's, or those of their tokens; and the fair order of what they queue.
 */

#include "store_fixture.h"

#include "support.h"

#include "ptqd/store/token_row.h"

#include <string.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    fixture.limits =
        (struct store_limits){.queued_runs = 5000, .running_runs = 4, .stored_bytes = 1000};
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

static bool insert_token(struct database *database, void *context, struct error *error)
{
    return token_row_insert(database, context, error);
}

static bool change_token(struct database *database, void *context, struct error *error)
{
    return token_row_change(database, context, error);
}

static struct quota limits_of(const char *owner)
{
    struct quota limits = {0};
    ck_assert_ok(quota_limits(store_fixture_reader(&fixture), owner, &limits, &err), &err);
    return limits;
}

static void submit(const char *owner, size_t variants, size_t seeds)
{
    char id[JOB_ID_BYTES];
    const struct job_insert insert = store_fixture_job(&fixture, owner, variants, seeds);
    store_fixture_submit(&fixture, &insert, id);
}

START_TEST(a_token_goes_before_the_store)
{
    struct token_row row = {.name = "bob",
                            .role = "submit",
                            .digest = "00",
                            .quota = {.queued_runs = 3, .running_runs = QUOTA_NONE}};
    ck_assert_ok(store_write_now(fixture.store, insert_token, &row, &err), &err);
    struct quota bob = limits_of("bob"), ada = limits_of("ada");
    ck_assert_int_eq(bob.queued_runs, 3);
    ck_assert_int_eq(bob.running_runs, 0);
    ck_assert_int_eq(bob.stored_bytes, 1000);
    ck_assert_int_eq(ada.queued_runs, 5000);
    ck_assert_int_eq(ada.running_runs, 4);

    row.quota = (struct quota){.stored_bytes = 20};
    row.role = "read";
    ck_assert_ok(store_write_now(fixture.store, change_token, &row, &err), &err);
    bob = limits_of("bob");
    ck_assert_int_eq(bob.queued_runs, 5000);
    ck_assert_int_eq(bob.running_runs, 4);
    ck_assert_int_eq(bob.stored_bytes, 20);
    ck_assert_fails(quota_fits_bytes(store_fixture_reader(&fixture), "bob", INT64_MAX, &err), &err,
                    E_LIMIT, "more than the 0 that 'bob' has stored are above the limit of 20");
    ck_assert_ok(quota_fits_bytes(store_fixture_reader(&fixture), "bob", 20, &err), &err);
    row.name = "nobody";
    ck_assert_fails(store_write_now(fixture.store, change_token, &row, &err), &err, E_NOT_FOUND,
                    "there is no token 'nobody'");
}
END_TEST

START_TEST(what_is_used_is_what_there_is)
{
    struct quota used;
    struct run_row run;
    submit("ada", 3, 2);
    submit("bob", 1, 1);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(quota_used(store_fixture_reader(&fixture), "ada", &used, &err), &err);
    ck_assert_int_eq(used.queued_runs, 5);
    ck_assert_int_eq(used.running_runs, 1);
    ck_assert_int_eq(used.stored_bytes, 7 + 5 + 5);
    ck_assert_ok(quota_used(store_fixture_reader(&fixture), "bob", &used, &err), &err);
    ck_assert_int_eq(used.queued_runs, 1);
    ck_assert_int_eq(used.stored_bytes, 0);
}
END_TEST

/* Law: runs are claimed up to the limit of their owner's token, where it is above and where it is
 * below the store's. */
/* Law: what has failed and is queued again counts like what is new. */
START_TEST(a_retry_keeps_to_the_limit_of_queued_runs)
{
    enum { LIMIT = 3 };
    struct token_row row = {
        .name = "bob", .role = "submit", .digest = "00", .quota = {.queued_runs = LIMIT}};
    struct run_row run;
    int64_t runs;
    ck_assert_ok(store_write_now(fixture.store, insert_token, &row, &err), &err);
    submit("bob", 1, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert(store_fixture_claim(&fixture, &run));
        ck_assert_ok(store_fixture_fail(&fixture, run.id, &err), &err);
    }
    submit("bob", 1, 2);
    ck_assert_fails(store_fixture_retry(&fixture, "j1", &runs, &err), &err, E_LIMIT,
                    "2 runs more than the 2 that 'bob' has queued are above the limit of 3");
    ck_assert_int_eq(store_fixture_find_job(&fixture, "j1").state, JOB_FAILED);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_retry(&fixture, "j1", &runs, &err), &err);
    ck_assert_int_eq(runs, 2);
}
END_TEST

START_TEST(claims_keep_to_the_limits_of_tokens)
{
    struct token_row one = {
        .name = "one", .role = "submit", .digest = "01", .quota = {.running_runs = 1}};
    struct token_row all = {
        .name = "all", .role = "submit", .digest = "02", .quota = {.running_runs = QUOTA_NONE}};
    ck_assert_ok(store_write_now(fixture.store, insert_token, &one, &err), &err);
    ck_assert_ok(store_write_now(fixture.store, insert_token, &all, &err), &err);
    submit("one", 1, 8);
    submit("all", 1, 8);
    submit("ada", 1, 8);
    struct run_row run;
    while (store_fixture_claim(&fixture, &run))
        ;
    ck_assert_int_eq(store_fixture_find_job(&fixture, "j1").counts.running, 1);
    ck_assert_int_eq(store_fixture_find_job(&fixture, "j2").counts.running, 8);
    ck_assert_int_eq(store_fixture_find_job(&fixture, "j3").counts.running, 4);
}
END_TEST

/* ---- fairness ---- */

enum { WORKERS = 4, OWNERS = 3 };

static const char *const names[OWNERS] = {"ada", "bob", "eve"};
static const int counts[OWNERS] = {1000, 10, 1};

struct course {
    int claimed[OWNERS], last_at[OWNERS]; /* last_at: which claim it was, of all */
};

/* Four workers whose oldest run always ends first, until nothing is queued; in one write. */
static bool play(struct database *database, void *context, struct error *error)
{
    struct course *course = context;
    char running[WORKERS][RUN_ID_BYTES];
    const struct error problem = {.code = E_UNSUPPORTED, .message = "no"};
    for (int i = 0;; i++) {
        struct arena_mark mark = arena_mark(fixture.arena);
        struct run_row run;
        struct job_row job;
        bool found;
        if ((i >= WORKERS && !run_row_fail(database, running[i % WORKERS], &problem, error)) ||
            !run_row_claim(database, "w", fixture.arena, &run, &job, &found, error))
            return false;
        if (!found)
            return true;
        memcpy(running[i % WORKERS], run.id, sizeof(run.id));
        for (int owner = 0; owner < OWNERS; owner++) {
            if (strcmp(job.owner, names[owner]) != 0)
                continue;
            course->claimed[owner]++;
            course->last_at[owner] = i;
        }
        arena_reset(fixture.arena, mark);
    }
}

/* Law: with 1000, 10 and 1 runs queued in that order, who has few is served as if those with many
 * had as few: turn by turn. */
START_TEST(who_has_few_runs_does_not_wait_for_who_has_many)
{
    struct course course = {0};
    for (int i = 0; i < counts[0] / 8; i++)
        submit("ada", 1, 8);
    submit("bob", 2, 5);
    submit("eve", 1, 1);
    ck_assert_ok(store_write_now(fixture.store, play, &course, &err), &err);
    for (int owner = 0; owner < OWNERS; owner++)
        ck_assert_int_eq(course.claimed[owner], counts[owner]);
    ck_assert_int_lt(course.last_at[2], OWNERS);
    ck_assert_int_lt(course.last_at[1], 2 * counts[1] + OWNERS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quota");
    TCase *cases = tcase_create("quota");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_token_goes_before_the_store);
    tcase_add_test(cases, what_is_used_is_what_there_is);
    tcase_add_test(cases, a_retry_keeps_to_the_limit_of_queued_runs);
    tcase_add_test(cases, claims_keep_to_the_limits_of_tokens);
    tcase_add_test(cases, who_has_few_runs_does_not_wait_for_who_has_many);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
