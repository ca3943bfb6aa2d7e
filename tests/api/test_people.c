/* Several people in one service: what belongs to whom, and what each may do and see. */

#include "service.h"

#include "support.h"

#include <string.h>

static struct service service;

static const char anna[] = "Authorization: Bearer anna-token\r\n";
static const char bert[] = "Authorization: Bearer bert-token\r\n";
static const char root[] = "Authorization: Bearer root-token\r\n";

static void start(bool private)
{
    const struct service_options options = {.tokens = true, .private = private};
    service_start_with(&service, &options);
    service_add_token(&service, "anna", "submit", "anna-token");
    service_add_token(&service, "bert", "submit", "bert-token");
    service_add_token(&service, "root", "admin", "root-token");
}

static void setup(void)
{
    start(false);
}

static void setup_private(void)
{
    start(true);
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct json *upload(const char *who, const char *target,
                                 const struct sample_file *file, int status)
{
    return service_call(&service, "POST", target, who, file->bytes, file->size, status);
}

static const struct json *ask(const char *who, const char *method, const char *target, int status)
{
    return service_call(&service, method, target, who, NULL, 0, status);
}

static const char *path_of(const char *collection, const struct json *object)
{
    return arena_printf(service.arena, NULL, "/v1/%s/%s", collection, service_text(object, "id"));
}

START_TEST(a_file_of_two_belongs_to_both)
{
    const struct sample_file *file = &service.files.model;
    const char *target = path_of("models", upload(anna, "/v1/models?name=a", file, 201));
    ck_assert_str_eq(service_text(ask(bert, "GET", target, 200), "owner"), "anna");
    ck_assert_str_eq(service_text(upload(bert, "/v1/models?name=b", file, 201), "owner"), "bert");
    upload(bert, "/v1/models", file, 200);
    ck_assert_str_eq(service_text(ask(anna, "GET", target, 200), "name"), "a");
    ck_assert_str_eq(service_text(ask(bert, "GET", target, 200), "name"), "b");

    ask(anna, "DELETE", target, 204);
    ck_assert_str_eq(service_text(ask(anna, "GET", target, 200), "owner"), "bert");
    ck_assert_str_eq(service_text(ask(anna, "DELETE", target, 403), "code"), "forbidden");
    ask(bert, "DELETE", target, 204);
    ask(bert, "GET", target, 404);
}
END_TEST

START_TEST(an_administrator_takes_a_file_from_all)
{
    const struct sample_file *file = &service.files.model;
    const char *target = path_of("models", upload(anna, "/v1/models", file, 201));
    upload(bert, "/v1/models", file, 201);
    ask(root, "DELETE", target, 204);
    ask(anna, "GET", target, 404);
    ask(bert, "GET", target, 404);
}
END_TEST

static void submit(const char *who, const char *model, const char *calibration, int status)
{
    const char *spec =
        arena_printf(service.arena, NULL, "{\"model\":\"%s\",\"calibration\":\"%s\"}", model,
                     calibration);
    const struct json *answer =
        service_call(&service, "POST", "/v1/jobs", who, spec, strlen(spec), status);
    if (status == 422)
        ck_assert_str_eq(service_text(answer, "pointer"), "/model");
}

/* Law: in private mode nobody finds out, and nobody can use, what others have. */
START_TEST(a_private_file_is_as_if_it_were_not_there)
{
    const struct sample_file *file = &service.files.model;
    const struct sample_file *data = &service.files.calibration;
    const struct json *model = upload(anna, "/v1/models?name=hers", file, 201);
    const struct json *samples = upload(anna, "/v1/datasets?scale=0.5", data, 201);
    const char *id = service_text(model, "id"), *data_id = service_text(samples, "id");
    const char *target = path_of("models", model);
    submit(bert, id, data_id, 422);
    ask(bert, "GET", target, 404);
    ask(bert, "DELETE", target, 404);

    /* The upload of known content is one of new content: 201, and no word of her name or scale. */
    const struct json *his = upload(bert, "/v1/models", file, 201);
    ck_assert_str_eq(service_text(his, "name"), "");
    ck_assert_str_eq(service_text(his, "owner"), "bert");
    ck_assert_double_eq(service_number(upload(bert, "/v1/datasets", data, 201), "scale"), 1);
    ck_assert_int_eq((int)json_count(service_member(ask(bert, "GET", "/v1/models", 200), "items")),
                     1);
    submit(bert, id, data_id, 202);
    submit(anna, id, data_id, 202);

    /* And its end is his alone. */
    ask(anna, "DELETE", "/v1/jobs/j1", 404);
    ck_assert_str_eq(service_text(ask(bert, "GET", "/v1/jobs/j1?wait=10", 200), "state"),
                     "succeeded");
    ask(bert, "DELETE", target, 204);
    ask(bert, "GET", target, 404);
    ck_assert_str_eq(service_text(ask(anna, "GET", target, 200), "name"), "hers");
}
END_TEST

static size_t running(const char *who)
{
    return json_count(service_member(ask(who, "GET", "/v1/queue", 200), "runs"));
}

/* Law: what the workers do for others is not said, only that they are busy. */
START_TEST(a_private_run_is_not_in_the_queue_of_others)
{
    service.mode = SERVICE_WAIT;
    const char *model = service_text(upload(anna, "/v1/models", &service.files.model, 201), "id");
    const char *data =
        service_text(upload(anna, "/v1/datasets", &service.files.calibration, 201), "id");
    submit(anna, model, data, 202);
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; running(anna) == 0;)
        ck_assert_int_lt(client_now_ms(), end);
    ck_assert_uint_eq(running(root), 1);
    ck_assert_uint_eq(running(bert), 0);
    ck_assert_double_eq(service_number(ask(bert, "GET", "/v1/queue", 200), "running"), 1);
    service.mode = SERVICE_SUCCEED;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("people");
    TCase *tcase = tcase_create("people");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_file_of_two_belongs_to_both);
    tcase_add_test(tcase, an_administrator_takes_a_file_from_all);
    suite_add_tcase(suite, tcase);
    TCase *private = tcase_create("private");
    tcase_set_timeout(private, 60);
    tcase_add_checked_fixture(private, setup_private, teardown);
    tcase_add_test(private, a_private_file_is_as_if_it_were_not_there);
    tcase_add_test(private, a_private_run_is_not_in_the_queue_of_others);
    suite_add_tcase(suite, private);
    return support_run(suite);
}
