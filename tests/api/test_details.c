/* What a run leaves beside its result, as clients see it. */

#include "service.h"

#include "support.h"

#include <sqlite3.h>
#include <string.h>

static struct service service;
static const char *run;

static void setup(void)
{
    service_start(&service, false);
}

static void teardown(void)
{
    service_stop(&service);
}

/* Submits a job of one run, which ends as the service says. */
static void compute(enum service_mode mode, const char *state)
{
    atomic_store(&service.mode, mode);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    ck_assert_str_eq(service_finish(&service, job), state);
    run = arena_printf(service.arena, NULL, "%s-v000-s0", job);
}

static const struct json *get(const char *name, int status)
{
    return service_get(&service, arena_printf(service.arena, NULL, "/v1/runs/%s/%s", run, name),
                       status);
}

static const char *const names[] = {"memory", "losses", "histograms"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* Law: an answer is what the run printed, with the id of the run in front. */
START_TEST(a_detail_is_that_of_the_run)
{
    compute(SERVICE_SUCCEED, "succeeded");
    ck_assert_str_eq(service_text(get(names[_i], 200), "run"), run);
}
END_TEST

START_TEST(memory_has_steps_and_tensors)
{
    compute(SERVICE_SUCCEED, "succeeded");
    const struct json *memory = get("memory", 200);
    ck_assert_double_eq(service_number(memory, "peak_bytes"), 900);
    ck_assert_double_eq(service_number(memory, "weight_bytes"), 500);
    ck_assert_str_eq(service_text(memory, "peak_node"), "stem");
    ck_assert_str_eq(json_print_string(service_member(memory, "steps"), service.arena, NULL, NULL),
                     "[{\"node\":\"stem\",\"op\":\"Conv\",\"bytes\":400,\"float_bytes\":1600,"
                     "\"tensors\":[{\"name\":\"x\",\"bytes\":200},{\"name\":\"y\",\"bytes\":200}]}"
                     "]");
}
END_TEST

START_TEST(losses_have_units_and_points)
{
    compute(SERVICE_SUCCEED, "succeeded");
    ck_assert_str_eq(
        json_print_string(service_member(get("losses", 200), "units"), service.arena, NULL, NULL),
        "[{\"name\":\"stem\",\"variable\":\"round\",\"solver\":\"layer-wise\",\"points\":"
        "[{\"iteration\":0,\"loss\":0.25},{\"iteration\":500,\"loss\":0.1}]}]");
}
END_TEST

START_TEST(histograms_have_counts_and_quantizers)
{
    compute(SERVICE_SUCCEED, "succeeded");
    const struct json *layer = json_first(service_member(get("histograms", 200), "layers"));
    const struct json *weights = service_member(layer, "weights");
    ck_assert_str_eq(service_text(layer, "name"), "stem");
    ck_assert_uint_eq(json_count(service_member(weights, "counts")), 64);
    ck_assert_double_eq(service_number(weights, "low"), -4);
    ck_assert_double_eq(service_number(weights, "high"), 3.5);
    ck_assert_double_eq(service_number(weights, "scale"), 0.5);
    ck_assert_double_eq(service_number(weights, "scales_high"), 0.5);
    ck_assert_double_eq(service_number(weights, "zero_point"), 3);
    ck_assert_double_eq(service_number(weights, "code_low"), -8);
    ck_assert_double_eq(service_number(weights, "code_high"), 7);
    const struct json *activations = service_member(layer, "activations"); /* in float */
    ck_assert_int_eq(json_type(service_member(activations, "scale")), JSON_NULL);
    ck_assert_int_eq(json_type(service_member(activations, "code_high")), JSON_NULL);
}
END_TEST

/* Law: where there is no detail, a problem says why: the run has not succeeded, or it was made
 * before there were details. */
START_TEST(a_run_without_the_detail_says_why)
{
    compute(SERVICE_FAIL, "failed");
    const struct json *problem = get(names[_i], 409);
    ck_assert(support_contains(service_text(problem, "detail"), "is failed"));
    compute(SERVICE_BARE, "succeeded");
    problem = get(names[_i], 409);
    ck_assert(support_contains(service_text(problem, "detail"), "an earlier version"));
    ck_assert(support_contains(service_text(problem, "detail"), names[_i]));
}
END_TEST

static const char *line_at(const struct json *log, size_t index)
{
    const struct json *line = json_first(service_member(log, "lines"));
    for (size_t i = 0; i < index && line != NULL; i++)
        line = json_next(line);
    ck_assert_msg(line != NULL, "there is no line %zu", index);
    ck_assert_uint_eq(strlen(service_text(line, "time")), strlen("2026-01-02T03:04:05.678Z"));
    return service_text(line, "text");
}

/* Law: while a run runs, its log has what is known so far; when it has ended, its steps and how it
 * ended. */
START_TEST(a_log_grows_and_ends)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    run = arena_printf(service.arena, NULL, "%s-v000-s0", job);
    const struct json *log = get("log", 200);
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         json_count(service_member(log, "lines")) == 0 && client_now_ms() < end;)
        log = get("log", 200);
    ck_assert(support_contains(line_at(log, 0), "started by worker-"));
    ck_assert(support_contains(line_at(log, 0), ", attempt 1"));
    ck_assert_uint_eq(json_count(service_member(log, "lines")), 1);

    atomic_store(&service.mode, SERVICE_SUCCEED);
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
    log = get("log", 200);
    ck_assert(support_contains(line_at(log, 0), "started by worker-"));
    ck_assert(support_contains(line_at(log, 1), "optimize took "));
    ck_assert_str_eq(line_at(log, 2), "succeeded after 1.500 s");
    ck_assert_uint_eq(json_count(service_member(log, "lines")), 3);
}
END_TEST

/* Laws: every attempt has its lines, and the last failure its reason, which is that of the
 * problem: nothing of the inside of the server. */
START_TEST(a_log_has_all_attempts_and_the_reason)
{
    compute(SERVICE_FAIL, "failed");
    const char *job = arena_strndup(service.arena, run, strcspn(run, "-"), NULL);
    const struct json *log = get("log", 200);
    ck_assert(support_contains(line_at(log, 1), "optimize took "));
    ck_assert_str_eq(line_at(log, 2), "failed");
    ck_assert_str_eq(line_at(log, 3), "node 'x' (Foo) is not supported");
    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_call(&service, "POST", arena_printf(service.arena, NULL, "/v1/jobs/%s/retry", job),
                 NULL, "", 0, 200);
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
    log = get("log", 200);
    ck_assert_str_eq(line_at(log, 2), "failed");
    ck_assert(support_contains(line_at(log, 3), ", attempt 2"));
    ck_assert_str_eq(line_at(log, 5), "succeeded after 1.500 s");
    ck_assert_uint_eq(json_count(service_member(log, "lines")), 6);

    atomic_store(&service.mode, SERVICE_FAIL);
    job = service_submit(&service, service_spec(&service, ",\"seeds\":[1]"));
    ck_assert_str_eq(service_finish(&service, job), "failed");
    run = arena_printf(service.arena, NULL, "%s-v000-s1", job);
    log = get("log", 200);
    ck_assert_str_eq(line_at(log, 2), "failed");
    ck_assert(support_contains(line_at(log, 3), "its log has the reason"));
}
END_TEST

/* Law: of a run that an earlier version made there is what its row knows. */
START_TEST(a_run_without_a_log_has_a_short_one)
{
    compute(SERVICE_FAIL, "failed");
    sqlite3 *database;
    const char *path = arena_printf(service.arena, NULL, "%s/ptqd.db", service.directory);
    ck_assert_int_eq(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, "DELETE FROM run_log", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);
    const struct json *log = get("log", 200);
    ck_assert(support_contains(line_at(log, 0), "started by worker-"));
    ck_assert_str_eq(line_at(log, 1), "failed");
    ck_assert_str_eq(line_at(log, 2), "node 'x' (Foo) is not supported");
    ck_assert_uint_eq(json_count(service_member(log, "lines")), 3);
}
END_TEST

/* Law: a run that waits has no line yet. */
START_TEST(a_log_of_a_queued_run_is_empty)
{
    service_call(&service, "POST", "/v1/queue/pause", NULL, "", 0, 200);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    run = arena_printf(service.arena, NULL, "%s-v000-s0", job);
    ck_assert_uint_eq(json_count(service_member(get("log", 200), "lines")), 0);
}
END_TEST

/* Law: details go with their job. */
START_TEST(a_deleted_job_leaves_no_detail)
{
    compute(SERVICE_SUCCEED, "succeeded");
    const char *job = arena_strndup(service.arena, run, strcspn(run, "-"), NULL);
    service_call(&service, "DELETE", arena_printf(service.arena, NULL, "/v1/jobs/%s", job), NULL,
                 NULL, 0, 204);
    get("memory", 404);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("details");
    TCase *tcase = tcase_create("details");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_detail_is_that_of_the_run, 0, NAMES);
    tcase_add_test(tcase, memory_has_steps_and_tensors);
    tcase_add_test(tcase, losses_have_units_and_points);
    tcase_add_test(tcase, histograms_have_counts_and_quantizers);
    tcase_add_loop_test(tcase, a_run_without_the_detail_says_why, 0, NAMES);
    tcase_add_test(tcase, a_log_grows_and_ends);
    tcase_add_test(tcase, a_log_has_all_attempts_and_the_reason);
    tcase_add_test(tcase, a_run_without_a_log_has_a_short_one);
    tcase_add_test(tcase, a_log_of_a_queued_run_is_empty);
    tcase_add_test(tcase, a_deleted_job_leaves_no_detail);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
