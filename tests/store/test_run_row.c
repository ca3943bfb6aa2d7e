/* Runs: claiming in order, ending, recovery after a crash. */

#include "store_fixture.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
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

static void submit(const char *owner, int64_t priority, size_t seeds, char id[JOB_ID_BYTES])
{
    struct job_insert insert = store_fixture_job(&fixture, owner, 1, seeds);
    insert.row.priority = priority;
    store_fixture_submit(&fixture, &insert, id);
}

static void expect_claims(const char *const *runs)
{
    for (; *runs != NULL; runs++) {
        struct run_row run;
        ck_assert(store_fixture_claim(&fixture, &run));
        ck_assert_str_eq(run.id, *runs);
    }
}

START_TEST(nothing_is_claimed_from_an_empty_queue)
{
    struct run_row run;
    ck_assert(!store_fixture_claim(&fixture, &run));
}
END_TEST

START_TEST(a_claimed_run_runs)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    submit("ada", 0, 1, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_str_eq(run.job, job);
    ck_assert_int_eq(run.state, RUN_RUNNING);
    ck_assert_int_eq(run.attempts, 1);
    ck_assert_str_eq(run.worker, "tester");
    ck_assert_str_eq(run.choices, "{\"bits\":2}");
    ck_assert_int_gt(run.started_ms, 0);
    ck_assert_ptr_null(run.summary);
    struct job_row row = store_fixture_find_job(&fixture, job);
    ck_assert_int_eq(row.state, JOB_RUNNING);
    ck_assert_int_eq(row.started_ms, run.started_ms);
}
END_TEST

START_TEST(all_variants_run_with_the_first_seed_before_the_second)
{
    char job[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    store_fixture_submit(&fixture, &insert, job);
    expect_claims(
        (const char *const[]){"j1-v000-s0", "j1-v001-s0", "j1-v000-s1", "j1-v001-s1", NULL});
}
END_TEST

START_TEST(a_higher_priority_goes_first)
{
    char job[JOB_ID_BYTES];
    submit("ada", -1, 1, job);
    submit("ada", 0, 1, job);
    submit("ada", 5, 2, job);
    expect_claims(
        (const char *const[]){"j3-v000-s0", "j3-v000-s1", "j2-v000-s0", "j1-v000-s0", NULL});
}
END_TEST

/* Law: among equal priorities the owner with the fewest running runs is next, then the oldest. */
START_TEST(owners_take_turns)
{
    char job[JOB_ID_BYTES];
    submit("ada", 0, 3, job);
    submit("ada", 0, 1, job);
    submit("bob", 0, 2, job);
    expect_claims((const char *const[]){"j1-v000-s0", "j3-v000-s0", "j1-v000-s1", "j3-v000-s1",
                                        "j1-v000-s2", "j2-v000-s0", NULL});
}
END_TEST

START_TEST(an_owner_may_have_so_many_runs_running)
{
    fixture.limits.running_runs = 1;
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    char job[JOB_ID_BYTES];
    struct run_row run;
    submit("ada", 0, 2, job);
    submit("bob", 0, 1, job);
    expect_claims((const char *const[]){"j1-v000-s0", "j2-v000-s0", NULL});
    ck_assert(!store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_fail(&fixture, "j1-v000-s0", &err), &err);
    expect_claims((const char *const[]){"j1-v000-s1", NULL});
}
END_TEST

START_TEST(a_success_keeps_its_result_and_artifacts)
{
    char job[JOB_ID_BYTES], blobs[2][DIGEST_ID_BYTES];
    struct run_row run;
    store_fixture_blob(&fixture, "graph", blobs[0]);
    store_fixture_blob(&fixture, "manifest", blobs[1]);
    const struct artifact_row artifacts[] = {
        {"model.onnx", "application/octet-stream", blobs[0], 5},
        {"manifest.json", "application/json", blobs[1], 8},
    };
    const struct run_outcome outcome = {
        .accuracy = 0.875,
        .loss = (double)NAN,
        .agreement = 1,
        .seconds = 3.5,
        .peak_rss_bytes = 1 << 20,
        .result = "{\"cost\":{},\"layers\":[]}",
        .artifacts = artifacts,
        .artifact_count = 2,
    };
    submit("ada", 0, 1, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err);

    run = store_fixture_find_run(&fixture, run.id);
    ck_assert_int_eq(run.state, RUN_SUCCEEDED);
    ck_assert(run.accuracy == 0.875);
    ck_assert(isnan(run.loss));
    ck_assert(run.agreement == 1);
    ck_assert(run.seconds == 3.5);
    ck_assert_int_eq(run.peak_rss_bytes, 1 << 20);
    ck_assert_str_eq(run.summary, "{\"cost\":{}}");
    ck_assert_int_ge(run.finished_ms, run.started_ms);

    struct database *database = store_fixture_reader(&fixture);
    struct artifact_row *rows, row;
    size_t count;
    ck_assert_ok(artifact_row_list(database, run.id, fixture.arena, &rows, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(rows[0].name, "manifest.json");
    ck_assert_ok(artifact_row_find(database, run.id, "model.onnx", fixture.arena, &row, &err),
                 &err);
    ck_assert_str_eq(row.blob, blobs[0]);
    ck_assert_int_eq(row.bytes, 5);
    ck_assert_fails(artifact_row_find(database, run.id, "x", fixture.arena, &row, &err), &err,
                    E_NOT_FOUND, "run 'j1-v000-s0' has no artifact 'x'");
}
END_TEST

/* Law: a success whose artifacts can't be taken changes nothing: the run still runs. */
START_TEST(a_success_without_its_artifacts_is_refused)
{
    static const char unknown[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char job[JOB_ID_BYTES], blob[DIGEST_ID_BYTES];
    struct run_row run;
    store_fixture_blob(&fixture, "graph", blob);
    const struct artifact_row missing[] = {{"a", "text/plain", blob, 5},
                                           {"b", "text/plain", unknown, 5}};
    const struct artifact_row twice[] = {{"a", "text/plain", blob, 5},
                                         {"a", "text/plain", blob, 5}};
    struct run_outcome outcome = {.result = "{}", .artifacts = missing, .artifact_count = 2};
    submit("ada", 0, 1, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_fails(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err, E_NOT_FOUND,
                    "artifact 'b'");
    outcome.artifacts = twice;
    ck_assert_fails(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err, E_CONFLICT,
                    "UNIQUE");
    ck_assert_int_eq(store_fixture_find_run(&fixture, run.id).state, RUN_RUNNING);
    struct artifact_row *rows;
    size_t count;
    ck_assert_ok(artifact_row_list(store_fixture_reader(&fixture), run.id, fixture.arena, &rows,
                                   &count, &err),
                 &err);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(a_failure_keeps_its_problem)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    submit("ada", 0, 1, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_fail(&fixture, run.id, &err), &err);
    run = store_fixture_find_run(&fixture, run.id);
    ck_assert_int_eq(run.state, RUN_FAILED);
    ck_assert_str_eq(run.problem.code, "unsupported");
    ck_assert_str_eq(run.problem.message, "no such thing");
    ck_assert_str_eq(run.problem.pointer, "/model");
}
END_TEST

START_TEST(only_a_running_run_can_end)
{
    char job[JOB_ID_BYTES];
    submit("ada", 0, 1, job);
    ck_assert_fails(store_fixture_fail(&fixture, "j1-v000-s0", &err), &err, E_CONFLICT,
                    "run 'j1-v000-s0' is not running");
    ck_assert_fails(store_fixture_requeue(&fixture, "j1-v000-s0", &err), &err, E_CONFLICT,
                    "is not running");
    ck_assert_fails(store_fixture_fail(&fixture, "j1-v000-s9", &err), &err, E_NOT_FOUND,
                    "there is no run 'j1-v000-s9'");
}
END_TEST

START_TEST(a_run_that_is_given_back_is_queued_without_a_crash)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    submit("ada", 0, 1, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_requeue(&fixture, run.id, &err), &err);
    run = store_fixture_find_run(&fixture, run.id);
    ck_assert_int_eq(run.state, RUN_QUEUED);
    ck_assert_int_eq(run.crashes, 0);
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).state, JOB_QUEUED);
}
END_TEST

static bool apply_recover(struct database *database, void *context, struct error *reason)
{
    return run_row_recover(database, context, reason);
}

static struct run_recovery recover(void)
{
    struct run_recovery recovery;
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    ck_assert_ok(store_write_now(fixture.store, apply_recover, &recovery, &err), &err);
    return recovery;
}

START_TEST(after_three_crashes_a_run_is_failed)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    fixture.limits.run_crashes = 3; /* of the store that the first crash opens */
    submit("ada", 0, 2, job);
    for (int crash = 1; crash <= 3; crash++) {
        ck_assert(store_fixture_claim(&fixture, &run));
        ck_assert_str_eq(run.id, "j1-v000-s0");
        struct run_recovery recovery = recover();
        bool last = crash == 3;
        ck_assert_int_eq(recovery.queued, !last);
        ck_assert_int_eq(recovery.failed, last);
        ck_assert_int_eq(store_fixture_find_run(&fixture, run.id).crashes, crash);
    }
    run = store_fixture_find_run(&fixture, run.id);
    ck_assert_int_eq(run.state, RUN_FAILED);
    ck_assert_str_eq(run.problem.code, "internal");
    ck_assert_str_eq(run.problem.message, "the daemon died 3 times while this run was running, "
                                          "without a checkpoint in between");
    ck_assert_int_gt(run.finished_ms, 0);
    /* The other run of the job is as it was. */
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_str_eq(run.id, "j1-v000-s1");
    ck_assert_int_eq(run.crashes, 0);
    /* A retry has all its tries again. */
    int64_t runs;
    ck_assert_ok(store_fixture_retry(&fixture, job, &runs, &err), &err);
    ck_assert_int_eq(runs, 1);
    ck_assert_int_eq(store_fixture_find_run(&fixture, "j1-v000-s0").crashes, 0);
}
END_TEST

START_TEST(without_a_limit_crashes_fail_no_run)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    submit("ada", 0, 1, job);
    for (int crash = 1; crash <= 9; crash++) {
        ck_assert(store_fixture_claim(&fixture, &run));
        ck_assert_int_eq(recover().queued, 1);
        ck_assert_int_eq(store_fixture_find_run(&fixture, run.id).crashes, crash);
    }
}
END_TEST

START_TEST(a_run_that_was_being_cancelled_in_a_crash_is_cancelled)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    int64_t runs;
    submit("ada", 0, 1, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_cancel(&fixture, job, &runs, &err), &err);
    ck_assert_int_eq(recover().cancelled, 1);
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).state, JOB_CANCELLED);
}
END_TEST

START_TEST(runs_are_listed_by_variant_and_seed_and_state)
{
    char job[JOB_ID_BYTES], cursor[STORE_CURSOR_BYTES] = "";
    struct run_row run, *rows;
    size_t count;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 3, 3);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    static const char *const ids[] = {"j1-v000-s0", "j1-v000-s1", "j1-v000-s2",
                                      "j1-v001-s0", "j1-v001-s1", "j1-v001-s2",
                                      "j1-v002-s0", "j1-v002-s1", "j1-v002-s2"};
    size_t seen = 0;
    do {
        struct store_page page = {.limit = 2, .cursor = cursor};
        ck_assert_ok(run_row_list(store_fixture_reader(&fixture), job, NULL, &page, fixture.arena,
                                  &rows, &count, cursor, &err),
                     &err);
        for (size_t i = 0; i < count; i++)
            ck_assert_str_eq(rows[i].id, ids[seen++]);
    } while (cursor[0] != '\0');
    ck_assert_uint_eq(seen, 9);

    static const enum run_state running = RUN_RUNNING;
    ck_assert_ok(run_row_list(store_fixture_reader(&fixture), job, &running, NULL, fixture.arena,
                              &rows, &count, cursor, &err),
                 &err);
    ck_assert_uint_eq(count, 1);
    int64_t counts[RUN_STATE_COUNT];
    ck_assert_ok(run_row_count(store_fixture_reader(&fixture), counts, &err), &err);
    ck_assert_int_eq(counts[RUN_QUEUED], 8);
    ck_assert_int_eq(counts[RUN_RUNNING], 1);

    struct store_page strange = {.cursor = "1.-1"};
    ck_assert_fails(run_row_list(store_fixture_reader(&fixture), job, NULL, &strange, fixture.arena,
                                 &rows, &count, cursor, &err),
                    &err, E_INVALID, "\"1.-1\" is no cursor");
    ck_assert_fails(run_row_list(store_fixture_reader(&fixture), "j9", NULL, NULL, fixture.arena,
                                 &rows, &count, cursor, &err),
                    &err, E_NOT_FOUND, "there is no job 'j9'");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run rows");
    TCase *cases = tcase_create("runs");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, nothing_is_claimed_from_an_empty_queue);
    tcase_add_test(cases, a_claimed_run_runs);
    tcase_add_test(cases, all_variants_run_with_the_first_seed_before_the_second);
    tcase_add_test(cases, a_higher_priority_goes_first);
    tcase_add_test(cases, owners_take_turns);
    tcase_add_test(cases, an_owner_may_have_so_many_runs_running);
    tcase_add_test(cases, a_success_keeps_its_result_and_artifacts);
    tcase_add_test(cases, a_success_without_its_artifacts_is_refused);
    tcase_add_test(cases, a_failure_keeps_its_problem);
    tcase_add_test(cases, only_a_running_run_can_end);
    tcase_add_test(cases, a_run_that_is_given_back_is_queued_without_a_crash);
    tcase_add_test(cases, after_three_crashes_a_run_is_failed);
    tcase_add_test(cases, without_a_limit_crashes_fail_no_run);
    tcase_add_test(cases, a_run_that_was_being_cancelled_in_a_crash_is_cancelled);
    tcase_add_test(cases, runs_are_listed_by_variant_and_seed_and_state);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
