/* The REST interface over HTTP, with runs that do as the test says. */

#include "service.h"

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct service service;

static void setup(void)
{
    service_start(&service, false);
}

static void setup_tokens(void)
{
    service_start(&service, true);
}

static void teardown(void)
{
    service_stop(&service);
}

/* ---- uploads ---- */

START_TEST(a_model_is_described_and_known_the_second_time)
{
    const struct json *model =
        service_call(&service, "POST", "/v1/models?name=small", NULL, service.files.model.bytes,
                     service.files.model.size, 201);
    ck_assert_str_eq(service_text(model, "name"), "small");
    ck_assert_str_eq(service_text(model, "format"), "onnx");
    ck_assert_double_eq(service_number(model, "bytes"), (double)service.files.model.size);
    const struct json *stem = json_first(service_member(model, "layers"));
    ck_assert_str_eq(service_text(stem, "op"), "Conv");
    ck_assert_str_eq(json_print_string(service_member(stem, "input_shape"), service.arena, NULL,
                                       NULL),
                     "[1,3,8,8]");
    ck_assert_str_eq(json_print_string(service_member(stem, "kernel"), service.arena, NULL, NULL),
                     "[3,3]");
    double macs = 0;
    for (const struct json *v = stem; v != NULL; v = json_next(v)) {
        ck_assert_str_ne(service_text(v, "op"), "Transpose");
        macs += service_number(v, "macs");
    }
    ck_assert_double_eq(macs, service_number(model, "macs"));

    const struct json *again =
        service_call(&service, "POST", "/v1/models?name=other", NULL, service.files.model.bytes,
                     service.files.model.size, 200);
    ck_assert_str_eq(service_text(again, "name"), "small");
    const char *target =
        arena_printf(service.arena, NULL, "/v1/models/%s/file", service_text(model, "id"));
    struct reply file = client_get(service.port, target);
    ck_assert_uint_eq(file.size, service.files.model.size);
    ck_assert_int_eq(memcmp(file.body, service.files.model.bytes, file.size), 0);
    reply_free(&file);
}
END_TEST

START_TEST(a_file_that_is_no_model_leaves_nothing_behind)
{
    const struct json *problem =
        service_call(&service, "POST", "/v1/models", NULL, service.files.labels.bytes,
                     service.files.labels.size, 400);
    ck_assert_str_eq(service_text(problem, "code"), "syntax");
    problem = service_call(&service, "POST", "/v1/models", NULL, "", 0, 400);
    ck_assert_str_eq(service_text(problem, "detail"), "the file is empty");
    ck_assert_uint_eq(json_count(service_member(service_get(&service, "/v1/models", 200), "items")),
                      0);
}
END_TEST

/* The last bytes of an .npy are its values. */
static double smallest_sample(void)
{
    enum { COUNT = SERVICE_SAMPLES * 3 * 8 * 8 };
    static float values[COUNT];
    const struct sample_file *file = &service.files.calibration;
    memcpy(values, file->bytes + file->size - sizeof(values), sizeof(values));
    double smallest = (double)values[0];
    for (int i = 1; i < COUNT; i++)
        smallest = fmin(smallest, (double)values[i]);
    return smallest;
}

START_TEST(data_sets_and_labels_are_described)
{
    const struct json *samples =
        service_call(&service, "POST", "/v1/datasets?name=c&scale=0.5&zero_point=-2", NULL,
                     service.files.calibration.bytes, service.files.calibration.size, 201);
    ck_assert_double_eq(service_number(samples, "samples"), SERVICE_SAMPLES);
    ck_assert_double_eq(service_number(samples, "scale"), 0.5);
    ck_assert_double_eq_tol(service_number(samples, "min"), (smallest_sample() + 2) * 0.5, 1e-6);
    const struct json *labels =
        service_call(&service, "POST", "/v1/datasets", NULL, service.files.labels.bytes,
                     service.files.labels.size, 201);
    ck_assert_double_eq(service_number(labels, "classes"), service_number(labels, "max") + 1);

    const struct json *problem =
        service_call(&service, "POST", "/v1/datasets?scale=2", NULL,
                     service.files.calibration.bytes, service.files.calibration.size, 409);
    ck_assert_msg(support_contains(service_text(problem, "detail"),
                                   "is here already with scale 0.5 and zero point -2, not 2 and 0"),
                  "%s", service_text(problem, "detail"));
    problem = service_call(&service, "POST", "/v1/datasets?scale=0", NULL,
                           service.files.calibration.bytes, service.files.calibration.size, 422);
    problem = service_call(&service, "POST", "/v1/datasets?skale=1", NULL,
                           service.files.calibration.bytes, service.files.calibration.size, 422);
    ck_assert_str_eq(
        service_text(problem, "detail"),
        "\"skale\" is not a parameter of this call; it has name, id, scale, zero_point");
}
END_TEST

static void check_parameter(const struct json *problem, const char *name)
{
    ck_assert_str_eq(service_text(problem, "parameter"), name);
    ck_assert(json_find(problem, "pointer") == NULL);
}

START_TEST(lists_come_in_pages)
{
    service_spec(&service, "");
    const struct json *page = service_get(&service, "/v1/datasets?limit=2", 200);
    ck_assert_uint_eq(json_count(service_member(page, "items")), 2);
    const char *target = arena_printf(service.arena, NULL, "/v1/datasets?limit=2&cursor=%s",
                                      service_text(page, "next"));
    page = service_get(&service, target, 200);
    ck_assert_uint_eq(json_count(service_member(page, "items")), 1);
    ck_assert_int_eq(json_type(service_member(page, "next")), JSON_NULL);
    check_parameter(service_get(&service, "/v1/datasets?limit=0", 422), "limit");
    check_parameter(service_get(&service, "/v1/datasets?limit=2&limit=3", 422), "limit");
    check_parameter(service_get(&service, "/v1/datasets?cursor=nonsense", 422), "cursor");
    check_parameter(service_call(&service, "POST", "/v1/datasets?id=sha256:1", NULL, "", 0, 422),
                    "id");
}
END_TEST

/* ---- results ---- */

START_TEST(a_job_runs_and_reports)
{
    const char *spec = service_spec(&service, ",\"seeds\":3,\"name\":\"first\","
                                              "\"pipeline\":{\"weights\":{\"bits\":[4,8]}}");
    const char *id = service_submit(&service, spec);
    ck_assert_str_eq(service_finish(&service, id), "succeeded");
    const struct json *report =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s/report", id), 200);
    const struct json *variant = json_first(service_member(report, "variants"));
    ck_assert_double_eq_tol(service_number(service_member(variant, "accuracy"), "mean"), 0.89,
                            1e-12);
    ck_assert_double_eq_tol(service_number(service_member(variant, "accuracy"), "std"), 0.01,
                            1e-12);
    ck_assert_double_eq(service_number(service_member(variant, "choices"), "weights.bits"), 4);
    const struct json *runs =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s/runs", id), 200);
    ck_assert_uint_eq(json_count(service_member(runs, "items")), 6);
    const char *run = service_text(json_first(service_member(runs, "items")), "id");
    const struct json *layers =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/runs/%s/layers", run), 200);
    ck_assert_str_eq(service_text(json_first(service_member(layers, "layers")), "name"), "stem");
}
END_TEST

START_TEST(layers_come_as_a_table_too)
{
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    service_finish(&service, id);
    const char *target = arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s0/layers", id);
    struct reply table =
        client_call(service.port, "GET", target, "Accept: text/markdown\r\n", NULL, 0);
    ck_assert_int_eq(table.status, 200);
    ck_assert_msg(support_contains(table.body, "| stem  | Conv |"), "%s", table.body);
    reply_free(&table);
    service_call(&service, "GET", target, "Accept: image/png\r\n", NULL, 0, 406);
}
END_TEST

START_TEST(the_report_comes_as_csv_and_markdown)
{
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    service_finish(&service, id);
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s/report", id);
    struct reply csv = client_call(service.port, "GET", target, "Accept: text/csv\r\n", NULL, 0);
    ck_assert_int_eq(csv.status, 200);
    ck_assert_msg(support_contains(csv.body, "v000,0.895,"), "%s", csv.body);
    reply_free(&csv);
    struct reply table =
        client_call(service.port, "GET", target, "Accept: text/markdown\r\n", NULL, 0);
    ck_assert_msg(support_contains(table.body, "| 89.50 ± 0.71 |"), "%s", table.body);
    reply_free(&table);
    service_call(&service, "GET", target, "Accept: image/png\r\n", NULL, 0, 406);
}
END_TEST

START_TEST(an_artifact_has_range_digest_and_etag)
{
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    service_finish(&service, id);
    const char *target =
        arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s0/artifacts/model.onnx", id);
    struct reply reply = client_call(service.port, "GET", target, "Range: bytes=2-4\r\n", NULL, 0);
    char value[128];
    ck_assert_int_eq(reply.status, 206);
    ck_assert_str_eq(reply.body, "234");
    /* printf 0123456789 | openssl dgst -sha256 -binary | base64 */
    ck_assert_str_eq(reply_header(&reply, "Digest", value, sizeof(value)),
                     "sha-256=hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=");
    reply_free(&reply);
    service_get(&service, arena_printf(service.arena, NULL, "%s.bak", target), 404);
}
END_TEST

/* ---- life of a job ---- */

START_TEST(waiting_ends_when_the_job_does)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    int fd = client_connect(service.port);
    client_send_text(fd, arena_printf(service.arena, NULL,
                                      "GET /v1/jobs/%s?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                      id));
    service_get(&service, "/healthz", 200);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    struct reply reply = client_receive(fd, false);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_msg(support_contains(reply.body, "\"state\":\"succeeded\""), "%s", reply.body);
    reply_free(&reply);
    close(fd);
}
END_TEST

START_TEST(waiting_ends_after_its_time)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    long start = client_now_ms();
    const struct json *job =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=1", id), 200);
    ck_assert_int_ge(client_now_ms() - start, 950);
    ck_assert_str_eq(service_text(job, "state"), "running");
    service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=61", id), 422);
}
END_TEST

START_TEST(waiting_with_a_known_version_ends_when_it_changes)
{
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    service_finish(&service, id);
    struct reply reply =
        client_get(service.port, arena_printf(service.arena, NULL, "/v1/jobs/%s", id));
    char tag[64];
    ck_assert_ptr_nonnull(reply_header(&reply, "ETag", tag, sizeof(tag)));
    reply_free(&reply);
    const char *header = arena_printf(service.arena, NULL, "If-None-Match: %s\r\n", tag);
    service_call(&service, "GET", arena_printf(service.arena, NULL, "/v1/jobs/%s", id), header,
                 NULL, 0, 304);
}
END_TEST

START_TEST(a_running_job_shows_progress_and_is_cancelled_within_a_second)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":4"));
    const char *run = arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s0", id);
    const struct json *progress = NULL;
    for (int i = 0; i < 1000; i++) {
        progress = service_member(service_get(&service, run, 200), "progress");
        if (json_type(json_find(progress, "step")) == JSON_STRING)
            break;
        usleep(2000);
    }
    ck_assert_str_eq(service_text(progress, "step"), "optimize");
    ck_assert_double_eq(service_number(progress, "fraction"), 0.5);
    long start = client_now_ms();
    service_call(&service, "POST", arena_printf(service.arena, NULL, "/v1/jobs/%s/cancel", id),
                 NULL, "", 0, 200);
    ck_assert_str_eq(service_finish(&service, id), "cancelled");
    ck_assert_int_lt(client_now_ms() - start, 1000);
    service_call(&service, "POST", arena_printf(service.arena, NULL, "/v1/jobs/%s/cancel", id),
                 NULL, "", 0, 409);
}
END_TEST

START_TEST(failed_runs_carry_their_problem_and_can_be_retried)
{
    atomic_store(&service.mode, SERVICE_FAIL);
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    ck_assert_str_eq(service_finish(&service, id), "failed");
    const struct json *job =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s", id), 200);
    ck_assert_str_eq(service_text(service_member(job, "problem"), "code"), "unsupported");
    const struct json *odd =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s1", id), 200);
    ck_assert_str_eq(service_text(service_member(odd, "problem"), "code"), "io");
    ck_assert(!support_contains(service_text(service_member(odd, "problem"), "detail"), "secret"));
    service_get(&service, arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s1/layers", id), 409);

    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_call(&service, "POST", arena_printf(service.arena, NULL, "/v1/jobs/%s/retry", id), NULL,
                 "", 0, 200);
    ck_assert_str_eq(service_finish(&service, id), "succeeded");
}
END_TEST

START_TEST(a_finished_job_can_be_deleted_and_its_data_after_it)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *spec = service_spec(&service, ",\"seeds\":1");
    const char *id = service_submit(&service, spec);
    const char *job = arena_printf(service.arena, NULL, "/v1/jobs/%s", id);
    const char *model = arena_printf(service.arena, NULL, "/v1/models/%s",
                                     service_upload(&service, "/v1/models", &service.files.model));
    service_call(&service, "DELETE", job, NULL, NULL, 0, 409);
    service_call(&service, "DELETE", model, NULL, NULL, 0, 409);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_finish(&service, id);
    service_call(&service, "DELETE", job, NULL, NULL, 0, 204);
    service_get(&service, job, 404);
    service_call(&service, "DELETE", model, NULL, NULL, 0, 204);
    service_get(&service, model, 404);
}
END_TEST

START_TEST(jobs_are_filtered)
{
    const char *a =
        service_submit(&service,
                       service_spec(&service, ",\"seeds\":1,\"labels\":{\"team\":\"red\"}"));
    service_finish(&service, a);
    atomic_store(&service.mode, SERVICE_WAIT);
    service_submit(&service, service_spec(&service, ",\"seeds\":1,\"labels\":{\"team\":\"blue\"}"));
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {{"", 2},
                 {"?state=succeeded", 1},
                 {"?state=failed", 0},
                 {"?label=team", 2},
                 {"?label=team%3Dred", 1},
                 {"?owner=local", 2},
                 {"?owner=nobody", 0},
                 {"?text=TEAM%3Dr", 1},
                 {"?text=local", 2},
                 {"?text=blue&state=succeeded", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *target = arena_printf(service.arena, NULL, "/v1/jobs%s", cases[i].query);
        const struct json *list = service_get(&service, target, 200);
        ck_assert_msg(json_count(service_member(list, "items")) == cases[i].count, "%s", target);
    }
    service_get(&service, "/v1/jobs?state=lost", 422);
    char *long_text = arena_alloc(service.arena, 300, NULL);
    memcpy(long_text, "/v1/jobs?text=", 14);
    memset(long_text + 14, 'x', 201);
    service_get(&service, long_text, 422);
}
END_TEST

/* ---- access ---- */

START_TEST(without_tokens_only_localhost_is_served)
{
    static const struct {
        const char *host;
        int status;
    } cases[] = {{"localhost:8470", 200},  {"127.0.0.1", 200},
                 {"[::1]:8470", 200},      {"evil.example", 403},
                 {"evil.example:80", 403}, {"localhost.evil.example", 403}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = client_connect(service.port);
        client_send_text(fd,
                         arena_printf(service.arena, NULL,
                                      "GET /v1/jobs HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].host));
        struct reply reply = client_receive(fd, false);
        ck_assert_msg(reply.status == cases[i].status, "%s: %d", cases[i].host, reply.status);
        reply_free(&reply);
        close(fd);
    }
}
END_TEST

START_TEST(roles_decide_what_a_token_may_do)
{
    service_add_token(&service, "reader", "read", "r-token");
    service_add_token(&service, "anna", "submit", "a-token");
    service_add_token(&service, "bert", "submit", "b-token");
    service_add_token(&service, "root", "admin", "x-token");
    static const char reader[] = "Authorization: Bearer r-token\r\n";
    static const char anna[] = "Authorization: Bearer a-token\r\n";
    static const char bert[] = "Authorization: Bearer b-token\r\n";
    static const char root[] = "Authorization: Bearer x-token\r\n";

    service_get(&service, "/healthz", 200);
    const struct json *problem = service_get(&service, "/v1/jobs", 401);
    ck_assert_str_eq(service_text(problem, "code"), "unauthorized");
    service_call(&service, "GET", "/v1/jobs", "Authorization: Bearer nonsense\r\n", NULL, 0, 401);
    service_call(&service, "GET", "/v1/jobs", reader, NULL, 0, 200);
    service_call(&service, "POST", "/v1/models", reader, service.files.model.bytes,
                 service.files.model.size, 403);
    const struct json *model =
        service_call(&service, "POST", "/v1/models", anna, service.files.model.bytes,
                     service.files.model.size, 201);
    ck_assert_str_eq(service_text(model, "owner"), "anna");
    const char *target =
        arena_printf(service.arena, NULL, "/v1/models/%s", service_text(model, "id"));
    problem = service_call(&service, "DELETE", target, bert, NULL, 0, 403);
    ck_assert_str_eq(service_text(problem, "detail"),
                     "the model belongs to \"anna\", not to \"bert\"");
    service_call(&service, "DELETE", target, root, NULL, 0, 204);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api");
    TCase *tcase = tcase_create("api");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_model_is_described_and_known_the_second_time);
    tcase_add_test(tcase, a_file_that_is_no_model_leaves_nothing_behind);
    tcase_add_test(tcase, data_sets_and_labels_are_described);
    tcase_add_test(tcase, lists_come_in_pages);
    tcase_add_test(tcase, a_job_runs_and_reports);
    tcase_add_test(tcase, layers_come_as_a_table_too);
    tcase_add_test(tcase, the_report_comes_as_csv_and_markdown);
    tcase_add_test(tcase, an_artifact_has_range_digest_and_etag);
    tcase_add_test(tcase, waiting_ends_when_the_job_does);
    tcase_add_test(tcase, waiting_ends_after_its_time);
    tcase_add_test(tcase, waiting_with_a_known_version_ends_when_it_changes);
    tcase_add_test(tcase, a_running_job_shows_progress_and_is_cancelled_within_a_second);
    tcase_add_test(tcase, failed_runs_carry_their_problem_and_can_be_retried);
    tcase_add_test(tcase, a_finished_job_can_be_deleted_and_its_data_after_it);
    tcase_add_test(tcase, jobs_are_filtered);
    tcase_add_test(tcase, without_tokens_only_localhost_is_served);
    suite_add_tcase(suite, tcase);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, roles_decide_what_a_token_may_do);
    suite_add_tcase(suite, tokens);
    return support_run(suite);
}
