/* Steps that fail and disks that are full. */

#include "store_fixture.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static struct store_fixture fixture;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

static bool arm(struct database *database, void *context, struct error *err)
{
    (void)database;
    (void)err;
    store_fixture_arm(&fixture, *(const int *)context);
    return true;
}

/* Repeats `body` with its first, second, third … SQL step failing, until it goes through. After
 * each time the database is sound; `body` checks that it was either done or not done at all. */
static void fail_each_step(bool (*body)(struct error *err))
{
    int failures = 0;
    for (int step = 1;; step++) {
        struct error err = {.message = ""};
        ck_assert_ok(store_write_now(fixture.store, arm, &step, &err), &err);
        bool ok = body(&err);
        /* What strikes after the answer strikes the removal of blobs. */
        bool struck = atomic_load(&fixture.fault.struck);
        atomic_store(&fixture.fault.countdown, 0);
        store_fixture_check(&fixture);
        if (ok)
            break;
        ck_assert(struck);
        ck_assert_int_eq(err.code, E_IO);
        failures++;
    }
    ck_assert_int_gt(failures, 2); /* BEGIN, COMMIT, and a step between them */
}

static int64_t queued_runs(void)
{
    struct error err = {.message = ""};
    int64_t counts[RUN_STATE_COUNT];
    ck_assert_ok(run_row_count(store_fixture_reader(&fixture), counts, &err), &err);
    return counts[RUN_QUEUED];
}

static bool submit(struct error *err)
{
    static const struct job_label label = {"team", "a"};
    char id[JOB_ID_BYTES];
    bool replayed;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    insert.labels = &label;
    insert.label_count = 1;
    insert.key = "key";
    insert.request_digest = "00";
    int64_t before = queued_runs();
    bool ok = store_fixture_try_submit(&fixture, &insert, id, &replayed, err);
    ck_assert_int_eq(queued_runs(), ok ? before + 4 : before);
    ck_assert(!ok || !replayed);
    return ok;
}

START_TEST(a_submission_is_whole_or_not_there)
{
    fixture.limits.queued_runs = 100;
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    fail_each_step(submit);
}
END_TEST

static bool apply_claim(struct database *database, void *context, struct error *err)
{
    struct run_row run;
    struct job_row job;
    return run_row_claim(database, "tester", fixture.arena, &run, &job, context, err);
}

static bool claim(struct error *err)
{
    bool found = false;
    int64_t before = queued_runs();
    bool ok = store_write_now(fixture.store, apply_claim, &found, err);
    ck_assert_int_eq(queued_runs(), ok ? before - 1 : before);
    ck_assert(!ok || found);
    return ok;
}

START_TEST(a_claim_is_whole_or_not_there)
{
    char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, id);
    fail_each_step(claim);
}
END_TEST

static char blob[DIGEST_ID_BYTES];
static struct run_row running;

static bool finish(struct error *err)
{
    struct artifact_row artifact = {"model.onnx", "application/octet-stream", blob, 5}, *rows;
    struct run_outcome outcome = {.result = "{}", .artifacts = &artifact, .artifact_count = 1};
    struct error reason = {.message = ""};
    size_t count;
    bool ok = store_fixture_succeed(&fixture, running.id, &outcome, err);
    ck_assert_ok(artifact_row_list(store_fixture_reader(&fixture), running.id, fixture.arena, &rows,
                                   &count, &reason),
                 &reason);
    ck_assert_uint_eq(count, ok ? 1 : 0);
    ck_assert_int_eq(store_fixture_find_run(&fixture, running.id).state,
                     ok ? RUN_SUCCEEDED : RUN_RUNNING);
    return ok;
}

START_TEST(an_end_is_whole_or_not_there)
{
    char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, id);
    store_fixture_blob(&fixture, "graph", blob);
    ck_assert(store_fixture_claim(&fixture, &running));
    fail_each_step(finish);
}
END_TEST

static char job[JOB_ID_BYTES];

static bool cancel(struct error *err)
{
    int64_t runs, before = queued_runs();
    bool ok = store_fixture_cancel(&fixture, job, &runs, err);
    ck_assert_int_eq(queued_runs(), ok ? 0 : before);
    return ok;
}

START_TEST(a_cancellation_is_whole_or_not_there)
{
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    store_fixture_submit(&fixture, &insert, job);
    fail_each_step(cancel);
}
END_TEST

static bool delete_job(struct error *err)
{
    return store_fixture_delete(&fixture, job, err);
}

START_TEST(a_deletion_is_whole_or_not_there)
{
    struct error err = {.message = ""};
    int64_t runs;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert_ok(store_fixture_cancel(&fixture, job, &runs, &err), &err);
    fail_each_step(delete_job);
}
END_TEST

/* Law: on a full disk a write fails as such, what was acknowledged stays, and when there is room
 * again the same store goes on. A limit of the file size stands for the full disk. */
START_TEST(a_full_disk_fails_writes_until_there_is_room)
{
    enum { SPEC_BYTES = 20000, JOBS_MAX = 200 };
    static char spec[SPEC_BYTES + 1];
    memset(spec, ' ', SPEC_BYTES);
    struct error err = {.message = ""};
    struct rlimit whole, limit;
    char id[JOB_ID_BYTES];
    bool replayed;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    insert.row.spec = spec;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &whole), 0);
    limit = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = whole.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN); /* a valid signal */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int written = 0, failed = 0;
    while (written < JOBS_MAX && failed < 3) {
        if (store_fixture_try_submit(&fixture, &insert, id, &replayed, &err))
            written++;
        else
            failed++;
    }
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &whole), 0);
    ck_assert_int_eq(failed, 3);
    ck_assert_msg(err.code == E_NO_SPACE || err.code == E_IO, "%s", err.message);
    ck_assert_int_gt(written, 0);
    ck_assert_int_eq(queued_runs(), written);

    store_fixture_submit(&fixture, &insert, id);
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    ck_assert_int_eq(queued_runs(), written + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store fault");
    TCase *cases = tcase_create("faults");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, a_submission_is_whole_or_not_there);
    tcase_add_test(cases, a_claim_is_whole_or_not_there);
    tcase_add_test(cases, an_end_is_whole_or_not_there);
    tcase_add_test(cases, a_cancellation_is_whole_or_not_there);
    tcase_add_test(cases, a_deletion_is_whole_or_not_there);
    tcase_add_test(cases, a_full_disk_fails_writes_until_there_is_room);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
