/* What is deleted by itself, and what never is. */

#include "ptqd/store/retention.h"

#include "database.h"

#include "store_fixture.h"
#include "support.h"

#include "ptqd/base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static struct store_fixture fixture;
static struct error err;
static struct retention_result result;
static const int64_t day_ms = INT64_C(24) * 3600 * 1000;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

/* A job that succeeded with an artifact of eleven bytes. */
static const char *finished_job(void)
{
    char job[JOB_ID_BYTES], artifact[DIGEST_ID_BYTES], text[64];
    struct run_row run;
    static int number;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    (void)snprintf(text, sizeof(text), "artifact %02d", number++);
    store_fixture_blob(&fixture, text, artifact);
    const struct artifact_row row = {
        .name = "m", .media_type = "x/y", .blob = artifact, .bytes = (int64_t)strlen(text)};
    const struct run_outcome outcome = {.accuracy = 1,
                                        .loss = (double)NAN,
                                        .agreement = 1,
                                        .result = "{}",
                                        .artifacts = &row,
                                        .artifact_count = 1};
    ck_assert_ok(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err);
    blob_unpin(store_blobs(fixture.store), artifact);
    return arena_strdup(fixture.arena, job, &err);
}

static bool has_job(const char *id)
{
    struct job_row row;
    struct error reason;
    return job_row_find(store_fixture_reader(&fixture), id, fixture.arena, &row, &reason);
}

static int64_t number_of(const char *sql)
{
    int64_t number;
    ck_assert_ok(database_number(store_fixture_reader(&fixture), sql, &number, &err), &err);
    return number;
}

static int64_t now_ms(void)
{
    return clock_unix_ms();
}

static void apply(struct retention_limits limits, int64_t at_ms)
{
    ck_assert_ok(retention_apply(fixture.store, &limits, at_ms, NULL, &result, &err), &err);
}

START_TEST(without_limits_everything_stays)
{
    const char *job = finished_job();
    apply((struct retention_limits){.jobs_ms = 0}, now_ms() + 1000 * day_ms);
    ck_assert_int_eq(result.jobs + result.models + result.datasets, 0);
    ck_assert(has_job(job));
}
END_TEST

/* Laws: finished jobs go when their time is over, not before; with their artifacts; what waits or
 * runs stays however old. */
START_TEST(old_jobs_go_and_active_ones_stay)
{
    char waiting[JOB_ID_BYTES];
    const char *job = finished_job();
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, waiting);
    const struct retention_limits limits = {.jobs_ms = 7 * day_ms};
    apply(limits, now_ms() + 6 * day_ms);
    ck_assert_int_eq(result.jobs, 0);
    apply(limits, now_ms() + 8 * day_ms);
    ck_assert_int_eq(result.jobs, 1);
    ck_assert(!has_job(job));
    ck_assert(has_job(waiting));
    ck_assert_int_eq(number_of("SELECT count(*) FROM artifact"), 0);
    ck_assert_int_eq(number_of("SELECT count(*) FROM model"), 1);
}
END_TEST

/* Law: any number goes, in writes of a few. */
START_TEST(many_old_jobs_go)
{
    enum { JOBS = 120 };
    for (int i = 0; i < JOBS; i++)
        (void)finished_job();
    apply((struct retention_limits){.jobs_ms = day_ms}, now_ms() + 2 * day_ms);
    ck_assert_int_eq(result.jobs, JOBS);
    ck_assert_int_eq(number_of("SELECT count(*) FROM job"), 0);
}
END_TEST

/* Laws: a file that any job names stays; the others go when their time is over. */
START_TEST(unused_files_go)
{
    const char *job = finished_job();
    const struct retention_limits limits = {.unused_ms = 7 * day_ms};
    apply(limits, now_ms() + 8 * day_ms);
    ck_assert_int_eq(result.models + result.datasets, 0);
    ck_assert_ok(store_fixture_delete(&fixture, job, &err), &err);
    apply(limits, now_ms() + 6 * day_ms);
    ck_assert_int_eq(result.models + result.datasets, 0);
    apply(limits, now_ms() + 8 * day_ms);
    ck_assert_int_eq(result.models, 1);
    ck_assert_int_eq(result.datasets, 2);
    ck_assert_int_eq(number_of("SELECT count(*) FROM model"), 0);
}
END_TEST

START_TEST(labels_and_evaluation_sets_are_used_as_well)
{
    char job[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    insert.row.calibration_labels = fixture.evaluation;
    insert.row.evaluation = NULL;
    store_fixture_submit(&fixture, &insert, job);
    apply((struct retention_limits){.unused_ms = day_ms}, now_ms() + 2 * day_ms);
    ck_assert_int_eq(result.models + result.datasets, 0);
}
END_TEST

/* Laws: for want of room the oldest jobs go first, only as many as it takes, and nothing of the
 * last hour. */
START_TEST(the_oldest_go_for_want_of_room)
{
    const char *jobs[4];
    for (size_t i = 0; i < 4; i++)
        jobs[i] = finished_job();
    /* 7 + 5 + 5 bytes of the fixture's rows, and four artifacts of 11. */
    const struct retention_limits limits = {.bytes = 17 + 4 * 11 - 15};
    apply(limits, now_ms() + RETENTION_GRACE_MS / 2);
    ck_assert_int_eq(result.jobs, 0);
    apply(limits, now_ms() + 2 * RETENTION_GRACE_MS);
    ck_assert_int_eq(result.jobs, 2);
    ck_assert(!has_job(jobs[0]) && !has_job(jobs[1]) && has_job(jobs[2]) && has_job(jobs[3]));
    ck_assert_int_eq(result.models + result.datasets, 0);
    apply(limits, now_ms() + 2 * RETENTION_GRACE_MS);
    ck_assert_int_eq(result.jobs, 0);
}
END_TEST

START_TEST(files_go_for_want_of_room_when_no_job_is_left)
{
    (void)finished_job();
    apply((struct retention_limits){.bytes = 1}, now_ms() + 2 * RETENTION_GRACE_MS);
    ck_assert_int_eq(result.jobs, 1);
    ck_assert_int_eq(result.models, 1);
    ck_assert_int_eq(result.datasets, 2);
}
END_TEST

static bool make_old(struct database *database, void *context, struct error *error)
{
    (void)context;
    return database_script(database,
                           "UPDATE model SET created_ms = created_ms - 864000000;" /* ten days */
                           "UPDATE dataset SET created_ms = created_ms - 864000000;",
                           error);
}

/* As somebody's upload, of what is there already. */
static bool send_again(struct database *database, void *context, struct error *error)
{
    const char *owner = context;
    bool known;
    const struct model_row row = {.id = fixture.model,
                                  .owner = owner,
                                  .name = "again",
                                  .format = "onnx",
                                  .detail = "{}",
                                  .bytes = 7};
    return model_row_insert(database, &row, &known, error);
}

/* Law: who sends a file has the time to use it, whoever has it already. */
START_TEST(what_was_sent_again_is_not_old)
{
    const struct retention_limits limits = {.unused_ms = 7 * day_ms};
    char ada[] = "ada";
    ck_assert_ok(store_write_now(fixture.store, make_old, NULL, &err), &err);
    ck_assert_ok(store_write_now(fixture.store, send_again, ada, &err), &err);
    apply(limits, now_ms());
    ck_assert_int_eq(result.models, 0);
    ck_assert_int_eq(result.datasets, 2);
}
END_TEST

static void delete_unused(void *context)
{
    apply(*(const struct retention_limits *)context, now_ms());
}

/* Law: also when it was sent while what is old was looked for. */
START_TEST(what_is_sent_meanwhile_stays)
{
    struct retention_limits limits = {.unused_ms = 7 * day_ms};
    struct store_holder holder;
    struct store_stats stats = {.waiting = 0};
    uv_thread_t thread;
    char bob[] = "bob";
    struct store_write sending = {.apply = send_again, .context = bob};
    ck_assert_ok(store_write_now(fixture.store, make_old, NULL, &err), &err);
    store_holder_begin(&fixture, &holder);
    store_submit(fixture.store, &sending);
    ck_assert_int_eq(uv_thread_create(&thread, delete_unused, &limits), 0);
    while (stats.waiting < 2) { /* the deletion, too; the test has a deadline */
        usleep(1000);
        store_read_stats(fixture.store, &stats);
    }
    store_holder_end(&fixture, &holder);
    ck_assert_ok(store_wait(fixture.store, &sending, &err), &err);
    ck_assert_int_eq(uv_thread_join(&thread), 0);
    ck_assert_int_eq(result.models, 0);
    ck_assert_int_eq(number_of("SELECT count(*) FROM model_holder"), 2);
}
END_TEST

/* Who is told, in order. */
struct witness {
    bool ends;
    char jobs[64];
};

static bool ends(void *context)
{
    const struct witness *witness = context;
    return witness->ends;
}

static void note_job(void *context, const char *job)
{
    struct witness *witness = context;
    ck_assert(!has_job(job));
    (void)strncat(strncat(witness->jobs, job, 16), " ", 2);
}

START_TEST(it_stops_when_asked)
{
    const char *job = finished_job();
    const struct retention_limits limits = {.jobs_ms = 1};
    struct witness witness = {.ends = true};
    const struct retention_caller caller = {ends, note_job, &witness};
    ck_assert_ok(retention_apply(fixture.store, &limits, now_ms() + day_ms, &caller, &result, &err),
                 &err);
    ck_assert_int_eq(result.jobs, 0);
    ck_assert(has_job(job));
    ck_assert_str_eq(witness.jobs, "");
}
END_TEST

/* Law: each job that went, and no other, is told of when it is gone. */
START_TEST(deleted_jobs_are_told_of)
{
    char job[JOB_ID_BYTES];
    struct witness witness = {.ends = false};
    const struct retention_caller caller = {ends, note_job, &witness};
    const struct retention_limits limits = {.jobs_ms = 1, .unused_ms = 1};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    (void)finished_job();
    (void)finished_job();
    store_fixture_submit(&fixture, &insert, job); /* waits, and stays */
    ck_assert_ok(retention_apply(fixture.store, &limits, now_ms() + day_ms, &caller, &result, &err),
                 &err);
    ck_assert_str_eq(witness.jobs, "j1 j2 ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention");
    TCase *cases = tcase_create("retention");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, without_limits_everything_stays);
    tcase_add_test(cases, old_jobs_go_and_active_ones_stay);
    tcase_add_test(cases, many_old_jobs_go);
    tcase_add_test(cases, unused_files_go);
    tcase_add_test(cases, labels_and_evaluation_sets_are_used_as_well);
    tcase_add_test(cases, the_oldest_go_for_want_of_room);
    tcase_add_test(cases, files_go_for_want_of_room_when_no_job_is_left);
    tcase_add_test(cases, what_was_sent_again_is_not_old);
    tcase_add_test(cases, what_is_sent_meanwhile_stays);
    tcase_add_test(cases, it_stops_when_asked);
    tcase_add_test(cases, deleted_jobs_are_told_of);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
