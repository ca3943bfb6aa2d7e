/* PATCH of a job: what may be changed, by whom, and of which version. */

#include "service.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static struct service service;

static const char anna[] = "Authorization: Bearer anna-token\r\n";
static const char bert[] = "Authorization: Bearer bert-token\r\n";
static const char root[] = "Authorization: Bearer root-token\r\n";

static void setup(void)
{
    const struct service_options options = {.tokens = true};
    service_start_with(&service, &options);
    service_add_token(&service, "anna", "submit", "anna-token");
    service_add_token(&service, "bert", "submit", "bert-token");
    service_add_token(&service, "root", "admin", "root-token");
    const struct sample_file *model = &service.files.model, *data = &service.files.calibration;
    const char *model_id = service_text(
        service_call(&service, "POST", "/v1/models", anna, model->bytes, model->size, 201), "id");
    const char *data_id = service_text(
        service_call(&service, "POST", "/v1/datasets", anna, data->bytes, data->size, 201), "id");
    const char *spec = arena_printf(service.arena, NULL,
                                    "{\"name\":\"first\",\"labels\":{\"team\":\"red\"},"
                                    "\"model\":\"%s\",\"calibration\":\"%s\"}",
                                    model_id, data_id);
    service_call(&service, "POST", "/v1/jobs", anna, spec, strlen(spec), 202);
    service_call(&service, "GET", "/v1/jobs/j1?wait=20", anna, NULL, 0, 200);
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct json *patch(const char *who, const char *body, int status)
{
    return service_call(&service, "PATCH", "/v1/jobs/j1", who, body, strlen(body), status);
}

static double count_jobs(const char *query)
{
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs?%s", query);
    const struct json *list = service_call(&service, "GET", target, anna, NULL, 0, 200);
    return (double)json_count(service_member(list, "items"));
}

START_TEST(what_is_given_changes)
{
    patch(anna, "{\"name\":\"second\",\"labels\":{\"team\":\"blue\"},\"priority\":-3}", 200);
    const struct json *job = service_call(&service, "GET", "/v1/jobs/j1", anna, NULL, 0, 200);
    ck_assert_str_eq(service_text(job, "name"), "second");
    ck_assert_str_eq(service_text(service_member(job, "labels"), "team"), "blue");
    ck_assert_double_eq(service_number(job, "priority"), -3);
    ck_assert_double_eq(count_jobs("label=team=red"), 0);
    ck_assert_double_eq(count_jobs("label=team=blue"), 1);
    ck_assert_str_eq(service_text(patch(anna, "{\"priority\":1}", 200), "name"), "second");
}
END_TEST

START_TEST(what_can_not_be_changed_is_named)
{
    static const struct {
        const char *body, *detail, *pointer;
        int status;
    } rows[] = {
        {"{\"seeds\":3}", "\"seeds\"", "/seeds", 422},
        {"{}", "nothing is to be changed", "", 422},
        {"{\"priority\":101}", "101", "/priority", 422},
        {"{\"priority\":\"high\"}", "", "/priority", 422},
        {"{\"labels\":{\"a b\":\"c\"}}", "\"a b\" is not the key of a label", "/labels/a b", 422},
        {"{\"labels\":[]}", "", "/labels", 422},
        {"{\"name\":null}", "", "/name", 422},
        {"[]", "", "", 422},
        {"", "", "", 400},
        {"{\"priority\":6}", "for \"anna\" it is at most 5", "/priority", 422},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct json *problem = patch(anna, rows[i].body, rows[i].status);
        ck_assert_msg(support_contains(service_text(problem, "detail"), rows[i].detail), "%s: %s",
                      rows[i].body, service_text(problem, "detail"));
        if (rows[i].pointer[0] != '\0')
            ck_assert_str_eq(service_text(problem, "pointer"), rows[i].pointer);
    }
    const struct json *job = service_call(&service, "GET", "/v1/jobs/j1", anna, NULL, 0, 200);
    ck_assert_str_eq(service_text(job, "name"), "first");
}
END_TEST

START_TEST(only_owner_and_administrator_may)
{
    ck_assert_str_eq(service_text(patch(bert, "{\"name\":\"his\"}", 403), "code"), "forbidden");
    ck_assert_double_eq(service_number(patch(root, "{\"priority\":6}", 200), "priority"), 6);
    patch(anna, "{\"name\":\"still hers\"}", 200); /* whatever priority the job was given */
    patch(anna, "{\"priority\":0}", 200);
}
END_TEST

/* Law: with If-Match a job is changed as the version that is meant, or not at all. */
START_TEST(another_version_than_meant_is_not_changed)
{
    char tag[128], headers[256];
    struct reply reply = client_call(service.port, "GET", "/v1/jobs/j1", anna, NULL, 0);
    ck_assert_ptr_nonnull(reply_header(&reply, "ETag", tag, sizeof(tag)));
    reply_free(&reply);
    (void)snprintf(headers, sizeof(headers), "%sIf-Match: %s\r\n", anna, tag);
    reply = client_call(service.port, "PATCH", "/v1/jobs/j1", headers, "{\"name\":\"b\"}", 12);
    ck_assert_int_eq(reply.status, 200);
    char next[128];
    ck_assert_ptr_nonnull(reply_header(&reply, "ETag", next, sizeof(next)));
    ck_assert_str_ne(next, tag);
    reply_free(&reply);

    const struct json *problem =
        service_call(&service, "PATCH", "/v1/jobs/j1", headers, "{\"name\":\"c\"}", 12, 412);
    ck_assert_str_eq(service_text(problem, "code"), "precondition-failed");
    (void)snprintf(headers, sizeof(headers), "%sIf-Match: %s\r\n", anna, next);
    ck_assert_str_eq(service_text(service_call(&service, "PATCH", "/v1/jobs/j1", headers,
                                               "{\"name\":\"d\"}", 12, 200),
                                  "name"),
                     "d");
    (void)snprintf(headers, sizeof(headers), "%sIf-None-Match: *\r\n", anna);
    service_call(&service, "PATCH", "/v1/jobs/j1", headers, "{\"name\":\"e\"}", 12, 412);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("patch");
    TCase *tcase = tcase_create("patch");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_given_changes);
    tcase_add_test(tcase, what_can_not_be_changed_is_named);
    tcase_add_test(tcase, only_owner_and_administrator_may);
    tcase_add_test(tcase, another_version_than_meant_is_not_changed);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
