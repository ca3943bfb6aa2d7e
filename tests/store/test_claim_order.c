/* Which run is next: found owner by owner, the same as among all that wait. */

#include "database.h"
#include "store_fixture.h"
#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/store/queue_row.h"
#include "ptqd/store/token_row.h"

#include <stdio.h>
#include <string.h>

enum { OWNERS = 5, ROUNDS = 600, FEW = 20, MANY = 2000 };

static const char *const owners[OWNERS] = {"ada", "bob", "cy", "dee", "eve"};

static struct store_fixture fixture;
static struct error err;
static struct rng rng;

static void setup(void)
{
    fixture.limits = (struct store_limits){.running_runs = 3};
    store_fixture_init(&fixture);
    rng_init(&rng, 7, 0);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

/* Everything that waits, in the order of the rules: priority, the owner with the fewest runs, age;
 * owners at their limit are left out. Says "" for none. */
static void expected_job(char out_id[static JOB_ID_BYTES])
{
    static const char sql[] =
        "SELECT 'j' || number FROM job AS candidate"
        " WHERE queued > 0 AND NOT paused AND NOT (SELECT paused FROM queue)"
        "   AND (SELECT coalesce(nullif((SELECT running_runs FROM token WHERE name = owner), 0), 3)"
        "          AS most WHERE most < 0 OR most > (SELECT coalesce(sum(running), 0) FROM job"
        "                                            WHERE owner = candidate.owner)) IS NOT NULL"
        " ORDER BY priority DESC, (SELECT coalesce(sum(running), 0) FROM job"
        "                           WHERE owner = candidate.owner), number LIMIT 1";
    struct database *database = store_fixture_reader(&fixture);
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL), SQLITE_OK);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    (void)snprintf(out_id, JOB_ID_BYTES, "%s",
                   found ? (const char *)sqlite3_column_text(statement, 0) : "");
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
}

static bool insert_token(struct database *database, void *context, struct error *error)
{
    return token_row_insert(database, context, error);
}

static bool pause_queue(struct database *database, void *context, struct error *error)
{
    return queue_row_pause(database, *(const bool *)context, error);
}

static bool pause_some_job(struct database *database, void *context, struct error *error)
{
    int64_t runs;
    (void)error;
    /* One that has ended is not paused; that is fine. */
    (void)job_row_pause(database, context, rng_below(&rng, 2) == 0, &runs, &err);
    return true;
}

static void add_token(const char *name, int64_t running_runs)
{
    struct token_row row = {
        .name = name, .role = "submit", .digest = name, .quota = {.running_runs = running_runs}};
    ck_assert_ok(store_write_now(fixture.store, insert_token, &row, &err), &err);
}

static void submit(const char *owner, int64_t priority, size_t seeds)
{
    char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, owner, 1, seeds);
    insert.row.priority = priority;
    store_fixture_submit(&fixture, &insert, id);
}

/* What users and workers do to a queue, one at random. */
static void change_something(int jobs, struct run_row *running, size_t *running_count)
{
    char job[JOB_ID_BYTES];
    (void)snprintf(job, sizeof(job), "j%d", 1 + (int)rng_below(&rng, (uint64_t)jobs));
    switch (rng_below(&rng, 4)) {
    case 0:
        submit(owners[rng_below(&rng, OWNERS)], (int64_t)rng_below(&rng, 3) - 1,
               1 + rng_below(&rng, 3));
        break;
    case 1:
        ck_assert_ok(store_write_now(fixture.store, pause_some_job, job, &err), &err);
        break;
    case 2: {
        bool paused = rng_below(&rng, 4) == 0;
        ck_assert_ok(store_write_now(fixture.store, pause_queue, &paused, &err), &err);
        break;
    }
    case 3:
        if (*running_count == 0)
            break;
        size_t which = rng_below(&rng, *running_count);
        ck_assert_ok(rng_below(&rng, 2) == 0
                         ? store_fixture_fail(&fixture, running[which].id, &err)
                         : store_fixture_requeue(&fixture, running[which].id, &err),
                     &err);
        running[which] = running[--*running_count];
        break;
    }
}

/* Law: whatever is done to the queue, the run that is claimed is of the job that the rules name. */
START_TEST(the_first_of_each_owner_is_enough)
{
    static struct run_row running[ROUNDS];
    size_t running_count = 0, claimed = 0;
    char job[JOB_ID_BYTES];
    add_token("bob", 1);
    add_token("cy", QUOTA_NONE);
    for (int i = 0; i < 40; i++)
        submit(owners[i % OWNERS], i % 3 - 1, 2);
    for (int round = 0; round < ROUNDS; round++) {
        change_something(40, running, &running_count);
        if (rng_below(&rng, 2) == 0)
            continue;
        expected_job(job);
        bool found = store_fixture_claim(&fixture, &running[running_count]);
        ck_assert_str_eq(found ? running[running_count].job : "", job);
        running_count += found;
        claimed += found;
    }
    ck_assert_uint_gt(claimed, ROUNDS / 10); /* the rest met a pause or limits */
}
END_TEST

/* In a write: steps of SQLite's virtual machine for looking for a run where none may be claimed. */
static bool measure_look(struct database *database, void *context, struct error *error)
{
    int64_t *out_steps = context;
    struct run_row run;
    struct job_row job;
    bool found;
    for (int round = 0; round < 2; round++) { /* the first one prepares statements */
        for (size_t i = 0; i < database->statement_count; i++)
            (void)sqlite3_stmt_status(database->statements[i].handle, SQLITE_STMTSTATUS_VM_STEP,
                                      true);
        if (!run_row_claim(database, "w", fixture.arena, &run, &job, &found, error))
            return false;
        ck_assert(!found);
    }
    *out_steps = 0;
    for (size_t i = 0; i < database->statement_count; i++)
        *out_steps +=
            sqlite3_stmt_status(database->statements[i].handle, SQLITE_STMTSTATUS_VM_STEP, false);
    return true;
}

static int64_t look_steps(void)
{
    int64_t steps = 0;
    ck_assert_ok(store_write_now(fixture.store, measure_look, &steps, &err), &err);
    ck_assert_int_gt(steps, 0);
    return steps;
}

static bool submit_all(struct database *database, void *context, struct error *error)
{
    int count = *(const int *)context;
    for (int i = 0; i < count; i++) {
        struct job_inserted inserted;
        struct job_insert insert = store_fixture_job(&fixture, owners[i % OWNERS], 1, 1);
        insert.row.priority = i % 3 - 1;
        if (!job_row_insert(database, &insert, &inserted, error))
            return false;
    }
    return true;
}

static void submit_many(int count)
{
    ck_assert_ok(store_write_now(fixture.store, submit_all, &count, &err), &err);
}

/* Law: what an idle worker's look costs grows with the owners, not with what they have waiting. */
START_TEST(a_look_costs_the_same_with_many_jobs_waiting)
{
    struct run_row run;
    submit_many(FEW);
    for (int i = 0; i < 3 * OWNERS; i++)
        ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert(!store_fixture_claim(&fixture, &run)); /* all are at their limit */
    int64_t few = look_steps();
    submit_many(MANY);
    ck_assert_int_le(look_steps(), few + few / 2);
    bool paused = true;
    ck_assert_ok(store_write_now(fixture.store, pause_queue, &paused, &err), &err);
    ck_assert_int_lt(look_steps(), few);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("claim order");
    TCase *cases = tcase_create("claim order");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, the_first_of_each_owner_is_enough);
    tcase_add_test(cases, a_look_costs_the_same_with_many_jobs_waiting);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
