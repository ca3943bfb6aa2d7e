/* Jobs: insertion, states, what users do to them. */

#include "store_fixture.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static struct store_fixture fixture;
static struct error err;
static char id[JOB_ID_BYTES];
static int64_t runs;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

static enum job_state state_of(const char *job)
{
    return store_fixture_find_job(&fixture, job).state;
}

static const struct run_outcome outcome = {
    .accuracy = 0.5,
    .loss = 0.25,
    .agreement = 0.75,
    .seconds = 2,
    .result = "{}",
};

enum end { SUCCEED, FAIL_IT, CANCEL_IT };

/* Claims the next run and ends it so. */
static void run_one(enum end end)
{
    struct run_row run;
    ck_assert(store_fixture_claim(&fixture, &run));
    switch (end) {
    case SUCCEED:
        ck_assert_ok(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err);
        break;
    case FAIL_IT:
        ck_assert_ok(store_fixture_fail(&fixture, run.id, &err), &err);
        break;
    case CANCEL_IT:
        ck_assert_ok(store_fixture_cancelled(&fixture, run.id, &err), &err);
        break;
    }
}

START_TEST(a_job_is_found_as_it_was_inserted)
{
    struct job_insert insert = store_fixture_job(&fixture, "ada", 3, 2);
    insert.row.name = "first try";
    insert.row.priority = -4;
    insert.row.spec = "{\"name\":\"first try\"}";
    insert.row.calibration_labels = fixture.evaluation;
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_str_eq(id, "j1");

    struct job_row row = store_fixture_find_job(&fixture, id);
    ck_assert_str_eq(row.id, id);
    ck_assert_str_eq(row.name, "first try");
    ck_assert_str_eq(row.owner, "ada");
    ck_assert_int_eq(row.priority, -4);
    ck_assert_str_eq(row.spec, "{\"name\":\"first try\"}");
    ck_assert_str_eq(row.model, fixture.model);
    ck_assert_str_eq(row.calibration, fixture.calibration);
    ck_assert_str_eq(row.calibration_labels, fixture.evaluation);
    ck_assert_str_eq(row.evaluation, fixture.evaluation);
    ck_assert_ptr_null(row.evaluation_labels);
    ck_assert_int_eq(row.state, JOB_QUEUED);
    ck_assert_int_eq(row.counts.queued, 6);
    ck_assert(!row.cancel_requested);
    ck_assert_int_gt(row.created_ms, 0);
    ck_assert_int_eq(row.started_ms, 0);
    ck_assert_int_eq(row.finished_ms, 0);
}
END_TEST

START_TEST(a_job_has_a_run_for_each_variant_and_seed)
{
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    store_fixture_submit(&fixture, &insert, id);
    static const char *const ids[] = {"j1-v000-s0", "j1-v000-s1", "j1-v001-s0", "j1-v001-s1"};
    struct run_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    ck_assert_ok(run_row_list(store_fixture_reader(&fixture), id, NULL, NULL, fixture.arena, &rows,
                              &count, next, &err),
                 &err);
    ck_assert_uint_eq(count, 4);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(rows[i].id, ids[i]);
        ck_assert_str_eq(rows[i].job, "j1");
        ck_assert_int_eq(rows[i].state, RUN_QUEUED);
        ck_assert_str_eq(rows[i].choices, i < 2 ? "{\"bits\":2}" : "{\"bits\":3}");
    }
}
END_TEST

START_TEST(inputs_that_do_not_exist_are_named_by_their_field)
{
    static const char unknown[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct job_insert good = store_fixture_job(&fixture, "ada", 1, 1), bad[5];
    static const char *const pointers[] = {"/model", "/calibration", "/calibration/labels",
                                           "/evaluation", "/evaluation/labels"};
    for (size_t i = 0; i < 5; i++)
        bad[i] = good;
    bad[0].row.model = unknown;
    bad[1].row.calibration = unknown;
    bad[2].row.calibration_labels = unknown;
    bad[3].row.evaluation = unknown;
    bad[4].row.evaluation_labels = unknown;
    for (size_t i = 0; i < 5; i++) {
        struct error reason = {.message = ""};
        bool replayed;
        ck_assert_fails(store_fixture_try_submit(&fixture, &bad[i], id, &replayed, &reason),
                        &reason, E_NOT_FOUND, unknown);
        ck_assert_str_eq(reason.pointer, pointers[i]);
    }
}
END_TEST

START_TEST(a_job_without_runs_is_refused)
{
    bool replayed;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 0, 1);
    ck_assert_fails(store_fixture_try_submit(&fixture, &insert, id, &replayed, &err), &err,
                    E_INVALID, "0 variants with 1 seeds each has no runs");
}
END_TEST

START_TEST(an_owner_may_queue_so_many_runs)
{
    fixture.limits.queued_runs = 5;
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    bool replayed;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 3);
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_fails(store_fixture_try_submit(&fixture, &insert, id, &replayed, &err), &err, E_LIMIT,
                    "3 runs more than the 3 that 'ada' has queued are above the limit of 5");
    run_one(SUCCEED);
    store_fixture_submit(&fixture, &insert, id);
}
END_TEST

START_TEST(ids_that_are_no_ids_are_not_found)
{
    static const char *const names[] = {"",           "1",       "j",    "j01",
                                        "j1 ",        "j-1",     "J1",   "j1x",
                                        "j1-v0-s0",   "j1-v000", "j999", "j9999999999999999999999",
                                        "j1-v000-s00"};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, id);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct job_row job;
        struct run_row run;
        struct database *database = store_fixture_reader(&fixture);
        ck_assert_fails(job_row_find(database, names[i], fixture.arena, &job, &err), &err,
                        E_NOT_FOUND, "there is no job");
        ck_assert_fails(run_row_find(database, names[i], fixture.arena, &run, &err), &err,
                        E_NOT_FOUND, "there is no run");
    }
}
END_TEST

/* Law: the state of a job follows from the states of its runs as the head of job_row.h says. */
START_TEST(the_state_of_a_job_follows_from_its_runs)
{
    static const struct {
        enum end ends[3];
        enum job_state last;
    } cases[] = {
        {{SUCCEED, SUCCEED, SUCCEED}, JOB_SUCCEEDED},
        {{SUCCEED, FAIL_IT, SUCCEED}, JOB_PARTIAL},
        {{FAIL_IT, SUCCEED, CANCEL_IT}, JOB_PARTIAL},
        {{FAIL_IT, FAIL_IT, FAIL_IT}, JOB_FAILED},
        {{FAIL_IT, CANCEL_IT, FAIL_IT}, JOB_CANCELLED},
        {{CANCEL_IT, CANCEL_IT, CANCEL_IT}, JOB_CANCELLED},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 3);
        store_fixture_submit(&fixture, &insert, id);
        ck_assert_int_eq(state_of(id), JOB_QUEUED);
        for (size_t i = 0; i < 3; i++) {
            run_one(cases[c].ends[i]);
            ck_assert_int_eq(state_of(id), i < 2 ? JOB_RUNNING : cases[c].last);
            ck_assert_int_eq(store_fixture_find_job(&fixture, id).finished_ms > 0, i == 2);
        }
    }
}
END_TEST

START_TEST(states_have_names)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        enum job_state state;
        ck_assert_ok(job_state_parse(job_state_name((enum job_state)i), &state, &err), &err);
        ck_assert_int_eq((int)state, i);
    }
    enum job_state state;
    ck_assert_fails(job_state_parse("done", &state, &err), &err, E_INVALID,
                    "'done' is no state of a job; there are queued, running");
}
END_TEST

START_TEST(cancelling_ends_what_is_queued_and_asks_what_runs)
{
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 3);
    store_fixture_submit(&fixture, &insert, id);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_cancel(&fixture, id, &runs, &err), &err);
    ck_assert_int_eq(runs, 3);

    struct job_row row = store_fixture_find_job(&fixture, id);
    ck_assert_int_eq(row.state, JOB_RUNNING);
    ck_assert_int_eq(row.counts.running, 1);
    ck_assert_int_eq(row.counts.cancelled, 2);
    ck_assert(row.cancel_requested);
    struct run_row other;
    ck_assert(!store_fixture_claim(&fixture, &other));

    ck_assert_ok(store_fixture_cancelled(&fixture, run.id, &err), &err);
    ck_assert_int_eq(state_of(id), JOB_CANCELLED);
    ck_assert_fails(store_fixture_cancel(&fixture, id, &runs, &err), &err, E_CONFLICT,
                    "job 'j1' has ended");
}
END_TEST

/* Law: a run that is given back after its job was cancelled is cancelled, not queued. */
START_TEST(a_cancelled_run_does_not_return_to_the_queue)
{
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, id);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_cancel(&fixture, id, &runs, &err), &err);
    ck_assert_ok(store_fixture_requeue(&fixture, run.id, &err), &err);
    ck_assert_int_eq(state_of(id), JOB_CANCELLED);
}
END_TEST

START_TEST(a_retry_queues_what_failed_and_nothing_else)
{
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 3);
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_fails(store_fixture_retry(&fixture, id, &runs, &err), &err, E_CONFLICT,
                    "no run of job 'j1' has failed");
    run_one(SUCCEED);
    run_one(FAIL_IT);
    run_one(FAIL_IT);
    ck_assert_ok(store_fixture_retry(&fixture, id, &runs, &err), &err);
    ck_assert_int_eq(runs, 2);
    struct job_row row = store_fixture_find_job(&fixture, id);
    ck_assert_int_eq(row.counts.queued, 2);
    ck_assert_int_eq(row.counts.succeeded, 1);
    ck_assert_int_eq(row.state, JOB_RUNNING);
    ck_assert_int_eq(row.finished_ms, 0);
    struct run_row run = store_fixture_find_run(&fixture, "j1-v000-s1");
    ck_assert_ptr_null(run.problem.code);
    run_one(SUCCEED);
    run_one(SUCCEED);
    ck_assert_int_eq(state_of(id), JOB_SUCCEEDED);
    ck_assert_int_eq(store_fixture_find_run(&fixture, "j1-v000-s1").attempts, 2);
}
END_TEST

struct object {
    bool is_model;
    char *id;
};

static bool delete_object(struct database *database, void *context, struct error *reason)
{
    const struct object *object = context;
    return object->is_model ? model_row_delete(database, object->id, NULL, reason)
                            : dataset_row_delete(database, object->id, NULL, reason);
}

static bool insert_model(struct database *database, void *context, struct error *reason)
{
    const struct model_row row = {
        .id = context, .name = "", .owner = "ada", .format = "onnx", .detail = "{}"};
    bool known;
    return model_row_insert(database, &row, &known, reason);
}

/* Law: what a queued job names is there: a retry that would queue runs without is refused, and the
 * job goes on to say why they failed. */
START_TEST(a_retry_needs_what_the_job_names)
{
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    struct object model = {true, fixture.model}, labels = {false, fixture.evaluation};
    insert.row.calibration_labels = insert.row.evaluation;
    insert.row.evaluation = NULL;
    store_fixture_submit(&fixture, &insert, id);
    run_one(FAIL_IT);
    ck_assert_ok(store_write_now(fixture.store, delete_object, &model, &err), &err);
    ck_assert_fails(store_fixture_retry(&fixture, id, &runs, &err), &err, E_CONFLICT,
                    "that job 'j1' names was deleted; upload it again");
    ck_assert_msg(support_contains(err.message, fixture.model), "%s", err.message);
    ck_assert_int_eq(state_of(id), JOB_FAILED);
    ck_assert_ptr_nonnull(store_fixture_find_run(&fixture, "j1-v000-s0").problem.code);

    store_fixture_blob(&fixture, "a model", fixture.model);
    ck_assert_ok(store_write_now(fixture.store, insert_model, fixture.model, &err), &err);
    blob_unpin(store_blobs(fixture.store), fixture.model);
    ck_assert_ok(store_write_now(fixture.store, delete_object, &labels, &err), &err);
    ck_assert_fails(store_fixture_retry(&fixture, id, &runs, &err), &err, E_CONFLICT, "data set");
    ck_assert_msg(support_contains(err.message, fixture.evaluation), "%s", err.message);
}
END_TEST

START_TEST(a_job_is_deleted_with_all_it_has_once_it_has_ended)
{
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    insert.key = "k";
    insert.request_digest = "00";
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_fails(store_fixture_delete(&fixture, id, &err), &err, E_CONFLICT,
                    "job 'j1' has 1 queued and 0 running runs; cancel it first");

    char blob[DIGEST_ID_BYTES];
    store_fixture_blob(&fixture, "artifact", blob);
    struct artifact_row artifact = {"model.onnx", "application/octet-stream", blob, 8};
    struct run_outcome with_artifact = outcome;
    with_artifact.artifacts = &artifact;
    with_artifact.artifact_count = 1;
    struct run_row run;
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_succeed(&fixture, run.id, &with_artifact, &err), &err);
    blob_unpin(store_blobs(fixture.store), blob);
    ck_assert_ok(store_fixture_delete(&fixture, id, &err), &err);

    struct job_row job;
    ck_assert_fails(job_row_find(store_fixture_reader(&fixture), id, fixture.arena, &job, &err),
                    &err, E_NOT_FOUND, "there is no job 'j1'");
    ck_assert_fails(run_row_find(store_fixture_reader(&fixture), run.id, fixture.arena, &run, &err),
                    &err, E_NOT_FOUND, "there is no run");
    /* The key is free again, the number is not. */
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_str_eq(id, "j2");
    const char *path;
    ck_assert_fails(blob_path(store_blobs(fixture.store), blob, fixture.arena, &path, &err), &err,
                    E_NOT_FOUND, blob);
}
END_TEST

START_TEST(a_list_is_filtered_by_owner_state_and_label)
{
    static const struct job_label labels[] = {{"team", "a"}, {"net", "kws"}};
    struct job_insert ada = store_fixture_job(&fixture, "ada", 1, 1);
    struct job_insert bob = store_fixture_job(&fixture, "bob", 1, 1);
    bob.labels = labels;
    bob.label_count = 2;
    store_fixture_submit(&fixture, &ada, id);
    run_one(FAIL_IT);
    store_fixture_submit(&fixture, &bob, id);

    static const enum job_state queued = JOB_QUEUED, failed = JOB_FAILED, partial = JOB_PARTIAL;
    const struct {
        struct job_filter filter;
        const char *found; /* NULL: none */
        size_t count;
    } cases[] = {
        {{.owner = NULL}, "j2", 2},
        {{.owner = "ada"}, "j1", 1},
        {{.owner = "eve"}, NULL, 0},
        {{.state = &queued}, "j2", 1},
        {{.state = &failed}, "j1", 1},
        {{.state = &partial}, NULL, 0},
        {{.label = "team"}, "j2", 1},
        {{.label = "team=a"}, "j2", 1},
        {{.label = "team=b"}, NULL, 0},
        {{.label = "tea"}, NULL, 0},
        {{.owner = "bob", .state = &queued, .label = "net=kws"}, "j2", 1},
        {{.owner = "ada", .label = "team"}, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job_row *rows;
        size_t count;
        char next[STORE_CURSOR_BYTES];
        ck_assert_ok(job_row_list(store_fixture_reader(&fixture), &cases[i].filter, NULL,
                                  fixture.arena, &rows, &count, next, &err),
                     &err);
        ck_assert_uint_eq(count, cases[i].count);
        if (count > 0)
            ck_assert_str_eq(rows[0].id, cases[i].found);
    }
    int64_t counts[JOB_STATE_COUNT];
    ck_assert_ok(job_row_count(store_fixture_reader(&fixture), counts, &err), &err);
    ck_assert_int_eq(counts[JOB_QUEUED], 1);
    ck_assert_int_eq(counts[JOB_FAILED], 1);
    ck_assert_int_eq(counts[JOB_RUNNING], 0);
}
END_TEST

/* ---- idempotency keys ---- */

START_TEST(the_same_request_with_one_key_is_one_job)
{
    bool replayed;
    char first[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    insert.key = "key";
    insert.request_digest = "00aa";
    ck_assert_ok(store_fixture_try_submit(&fixture, &insert, first, &replayed, &err), &err);
    ck_assert(!replayed);
    ck_assert_ok(store_fixture_try_submit(&fixture, &insert, id, &replayed, &err), &err);
    ck_assert(replayed);
    ck_assert_str_eq(id, first);

    bool found;
    ck_assert_ok(
        job_key_find(store_fixture_reader(&fixture), "ada", "key", "00aa", id, &found, &err), &err);
    ck_assert(found);
    ck_assert_ok(
        job_key_find(store_fixture_reader(&fixture), "bob", "key", "00aa", id, &found, &err), &err);
    ck_assert(!found);
}
END_TEST

START_TEST(another_request_with_the_same_key_is_refused)
{
    bool replayed;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    insert.key = "key";
    insert.request_digest = "00aa";
    store_fixture_submit(&fixture, &insert, id);
    insert.request_digest = "00bb";
    ck_assert_fails(store_fixture_try_submit(&fixture, &insert, id, &replayed, &err), &err,
                    E_KEY_REUSED,
                    "the idempotency key 'key' was used for another request, which "
                    "made job 'j1'");
    insert.row.owner = "bob"; /* keys belong to owners */
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_str_eq(id, "j2");
}
END_TEST

struct racer {
    uv_thread_t thread;
    struct job_insert insert;
    uv_barrier_t *barrier;
    char id[JOB_ID_BYTES];
    bool ok, replayed;
};

static void race(void *context)
{
    struct racer *racer = context;
    struct error reason = {.message = ""};
    (void)uv_barrier_wait(racer->barrier); /* which one is last does not matter */
    racer->ok =
        store_fixture_try_submit(&fixture, &racer->insert, racer->id, &racer->replayed, &reason);
}

START_TEST(requests_that_race_with_one_key_make_one_job)
{
    enum { RACERS = 8 };
    struct racer racers[RACERS];
    uv_barrier_t barrier;
    ck_assert_int_eq(uv_barrier_init(&barrier, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.barrier = &barrier};
        racers[i].insert = store_fixture_job(&fixture, "ada", 1, 1);
        racers[i].insert.key = "key";
        racers[i].insert.request_digest = "00aa";
        ck_assert_int_eq(uv_thread_create(&racers[i].thread, race, &racers[i]), 0);
    }
    int made = 0;
    for (int i = 0; i < RACERS; i++) {
        ck_assert_int_eq(uv_thread_join(&racers[i].thread), 0);
        ck_assert(racers[i].ok);
        ck_assert_str_eq(racers[i].id, "j1");
        made += !racers[i].replayed;
    }
    ck_assert_int_eq(made, 1);
    uv_barrier_destroy(&barrier);
    int64_t counts[JOB_STATE_COUNT];
    ck_assert_ok(job_row_count(store_fixture_reader(&fixture), counts, &err), &err);
    ck_assert_int_eq(counts[JOB_QUEUED], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job rows");
    TCase *cases = tcase_create("jobs");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_job_is_found_as_it_was_inserted);
    tcase_add_test(cases, a_job_has_a_run_for_each_variant_and_seed);
    tcase_add_test(cases, inputs_that_do_not_exist_are_named_by_their_field);
    tcase_add_test(cases, a_job_without_runs_is_refused);
    tcase_add_test(cases, an_owner_may_queue_so_many_runs);
    tcase_add_test(cases, ids_that_are_no_ids_are_not_found);
    tcase_add_test(cases, the_state_of_a_job_follows_from_its_runs);
    tcase_add_test(cases, states_have_names);
    tcase_add_test(cases, cancelling_ends_what_is_queued_and_asks_what_runs);
    tcase_add_test(cases, a_cancelled_run_does_not_return_to_the_queue);
    tcase_add_test(cases, a_retry_queues_what_failed_and_nothing_else);
    tcase_add_test(cases, a_retry_needs_what_the_job_names);
    tcase_add_test(cases, a_job_is_deleted_with_all_it_has_once_it_has_ended);
    tcase_add_test(cases, a_list_is_filtered_by_owner_state_and_label);
    tcase_add_test(cases, the_same_request_with_one_key_is_one_job);
    tcase_add_test(cases, another_request_with_the_same_key_is_refused);
    tcase_add_test(cases, requests_that_race_with_one_key_make_one_job);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
