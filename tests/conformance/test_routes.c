/* Every route of the table keeps the promises of the interface: documented, guarded, and when it
 * refuses, a problem document that says nothing about the inside of the server. */

#include "openapi_check.h"
#include "route_path.h"
#include "service.h"

#include "support.h"

#include "ptqd/api/api.h"
#include "ptqd/base/file.h"
#include "ptqd/http/route.h"

#include <stdio.h>
#include <string.h>

static struct service service;
static struct openapi openapi;
static const char *job; /* a finished one */

static void setup(void)
{
    service_start(&service, false);
    job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
    openapi_fetch(&openapi, &service);
}

static void setup_tokens(void)
{
    service_start(&service, true);
    openapi_fetch(&openapi, &service);
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct http_route *route_at(size_t index)
{
    return http_route_at(api_tables(), index);
}

static size_t route_count(void)
{
    size_t count = 0;
    while (route_at(count) != NULL)
        count++;
    return count;
}

/* The name of a file that is there. */
static const char *file_of(const struct http_route *route)
{
    return support_contains(route->pattern, "/web/") ? "app.js" : "model.onnx";
}

/* What a route's "{id}" names: the model, the data set, the job, or its first run. */
static const char *choose_id(const struct http_route *route, const char *model, const char *dataset)
{
    if (support_contains(route->pattern, "/models/"))
        return model;
    if (support_contains(route->pattern, "/datasets/"))
        return dataset;
    return support_contains(route->pattern, "/runs/")
               ? arena_printf(service.arena, NULL, "%s-v000-s0", job)
               : job;
}

/* The path of something that exists, or that does not. */
static const char *make_path(const struct http_route *route, bool exists)
{
    if (!exists)
        return route_path(service.arena, route, "nothing-of-this-name", "nothing-of-this-name");
    const char *model = NULL, *dataset = NULL;
    if (support_contains(route->pattern, "/models/"))
        model = service_upload(&service, "/v1/models", &service.files.model);
    if (support_contains(route->pattern, "/datasets/"))
        dataset = service_upload(&service, "/v1/datasets", &service.files.calibration);
    return route_path(service.arena, route, choose_id(route, model, dataset), file_of(route));
}

START_TEST(every_route_is_documented_and_the_only_one)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        ck_assert_int_eq(route->pattern[0], '/');
        ck_assert(route->handle != NULL);
        ck_assert_ptr_nonnull(route->summary);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(strcmp(route->method, route_at(j)->method) != 0 ||
                              strcmp(route->pattern, route_at(j)->pattern) != 0,
                          "%s %s is there twice", route->method, route->pattern);
    }
}
END_TEST

START_TEST(the_readme_names_every_route)
{
    struct error err = {0};
    char path[512];
    char *readme;
    size_t size;
    ck_assert_ok(file_read(service.arena, support_source_path("README.md", path, sizeof(path)),
                           1 << 20, &readme, &size, &err),
                 &err);
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        const char *name =
            arena_printf(service.arena, NULL, "`%s %s`", route->method, route->pattern);
        ck_assert_msg(support_contains(readme, name), "README.md does not name %s", name);
    }
}
END_TEST

/* Law: what may be read is read: GET on things that are there is 200. */
START_TEST(a_get_of_what_is_there_succeeds)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        if (strcmp(route->method, "GET") != 0)
            continue;
        struct reply reply = client_get(service.port, make_path(route, true));
        ck_assert_msg(reply.status == 200, "GET %s: %d %s", route->pattern, reply.status,
                      reply.body);
        struct reply head =
            client_call(service.port, "HEAD", make_path(route, true), NULL, NULL, 0);
        ck_assert_int_eq(head.status, 200);
        reply_free(&head);
        reply_free(&reply);
    }
}
END_TEST

START_TEST(a_name_of_nothing_is_a_404_problem)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        if (strchr(route->pattern, '{') == NULL)
            continue;
        struct reply reply = client_call(service.port, route->method, make_path(route, false), NULL,
                                         strcmp(route->method, "POST") == 0 ? "" : NULL, 0);
        ck_assert_msg(reply.status == 404, "%s %s: %d %s", route->method, route->pattern,
                      reply.status, reply.body);
        openapi_check_problem(&openapi, &reply);
        reply_free(&reply);
    }
}
END_TEST

START_TEST(a_post_of_nonsense_is_a_4xx_problem)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        if (strcmp(route->method, "POST") != 0 || strchr(route->pattern, '{') != NULL)
            continue;
        static const char *const bodies[] = {"", "nonsense", "{}", "[[[[", "\x93NUMPY\x01"};
        bool takes_body = route->any_body || route->begin != NULL; /* or nothing is right */
        for (size_t j = takes_body ? 0 : 1; j < sizeof(bodies) / sizeof(bodies[0]); j++) {
            struct reply reply = client_call(service.port, "POST", route->pattern, NULL, bodies[j],
                                             strlen(bodies[j]));
            ck_assert_msg(reply.status / 100 == 4, "POST %s: %d %s", route->pattern, reply.status,
                          reply.body);
            openapi_check_problem(&openapi, &reply);
            reply_free(&reply);
        }
    }
}
END_TEST

static void take_away(const char *name)
{
    const char *path = arena_printf(service.arena, NULL, "%s/%s", service.directory, name);
    ck_assert_int_eq(rename(path, arena_printf(service.arena, NULL, "%s.gone", path)), 0);
}

/* Law: when the server's own files fail it, the answer is a 5xx that names none of them. */
START_TEST(files_that_are_gone_are_no_fault_of_the_client)
{
    const char *paths[64];
    ck_assert_uint_le(route_count(), 64);
    for (size_t i = 0; i < route_count(); i++)
        paths[i] = make_path(route_at(i), true);
    take_away("tmp");
    take_away("blobs");
    size_t failed = 0;
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        bool post = strcmp(route->method, "POST") == 0;
        bool upload = post && (support_contains(paths[i], "models") ||
                               support_contains(paths[i], "datasets"));
        if (!upload && strcmp(route->method, "GET") != 0)
            continue;
        struct reply reply = client_call(service.port, route->method, paths[i], NULL,
                                         upload ? service.files.model.bytes : NULL,
                                         upload ? service.files.model.size : 0);
        failed += reply.status >= 500;
        ck_assert_msg(reply.status == 200 || reply.status >= 500 ||
                          support_contains(reply.body, "there is no file sha256:"),
                      "%s %s: %d %s", route->method, paths[i], reply.status, reply.body);
        if (reply.status != 200)
            openapi_check_problem(&openapi, &reply);
        reply_free(&reply);
    }
    ck_assert_uint_ge(failed, 2); /* both uploads */
}
END_TEST

START_TEST(another_method_is_405_with_the_ones_that_are_allowed)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        struct reply reply =
            client_call(service.port, "PUT", make_path(route, false), NULL, NULL, 0);
        char allow[128];
        ck_assert_int_eq(reply.status, 405);
        ck_assert_ptr_nonnull(reply_header(&reply, "Allow", allow, sizeof(allow)));
        ck_assert_msg(support_contains(allow, route->method), "%s: %s", route->pattern, allow);
        openapi_check_problem(&openapi, &reply);
        reply_free(&reply);
    }
}
END_TEST

START_TEST(options_names_the_method_of_every_route)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        struct reply reply =
            client_call(service.port, "OPTIONS", make_path(route, false), NULL, NULL, 0);
        char allow[128];
        ck_assert_int_eq(reply.status, 204);
        ck_assert_ptr_nonnull(reply_header(&reply, "Allow", allow, sizeof(allow)));
        ck_assert_msg(support_contains(allow, route->method), "%s: %s", route->pattern, allow);
        reply_free(&reply);
    }
}
END_TEST

/* Law: an answer with an ETag is 304 for who has it, and 412 for who means another. */
START_TEST(tagged_answers_are_conditional)
{
    size_t tagged = 0;
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        if (strcmp(route->method, "GET") != 0)
            continue;
        const char *path = make_path(route, true);
        char tag[128], header[256];
        struct reply reply = client_get(service.port, path);
        bool has_tag = reply_header(&reply, "ETag", tag, sizeof(tag)) != NULL;
        reply_free(&reply);
        if (!has_tag)
            continue;
        tagged++;
        (void)snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
        reply = client_call(service.port, "GET", path, header, NULL, 0);
        ck_assert_msg(reply.status == 304, "%s: %d", path, reply.status);
        reply_free(&reply);
        reply = client_call(service.port, "GET", path, "If-Match: \"other\"\r\n", NULL, 0);
        ck_assert_msg(reply.status == 412, "%s: %d", path, reply.status);
        openapi_check_problem(&openapi, &reply);
        reply_free(&reply);
    }
    ck_assert_uint_ge(tagged, 5);
}
END_TEST

/* Law: without a token only what is for anybody answers; everything else is 401. */
START_TEST(every_guarded_route_wants_a_token)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        bool anybody = route->access == ACCESS_ANYBODY;
        struct reply reply = client_call(service.port, route->method, make_path(route, anybody),
                                         NULL, strcmp(route->method, "POST") == 0 ? "{}" : NULL,
                                         strcmp(route->method, "POST") == 0 ? 2 : 0);
        if (anybody) {
            ck_assert_int_eq(reply.status, 200);
        } else {
            ck_assert_msg(reply.status == 401, "%s %s: %d", route->method, route->pattern,
                          reply.status);
            openapi_check_problem(&openapi, &reply);
        }
        bool changes = strcmp(route->method, "GET") != 0;
        ck_assert(!changes || route->access >= ACCESS_SUBMIT);
        reply_free(&reply);
    }
}
END_TEST

/* ---- others' things ---- */

static const char anna[] = "Authorization: Bearer anna-token\r\n";
static const char bert[] = "Authorization: Bearer bert-token\r\n";
static const char root[] = "Authorization: Bearer root-token\r\n";
static const char *ids[2]; /* anna's model and data set */

static const char *upload_as(const char *who, const char *target, const struct sample_file *file)
{
    return service_text(service_call(&service, "POST", target, who, file->bytes, file->size, 201),
                        "id");
}

/* Everything that is there is anna's. */
static void setup_private(void)
{
    const struct service_options options = {.tokens = true, .private = true};
    service_start_with(&service, &options);
    service_add_token(&service, "anna", "submit", "anna-token");
    service_add_token(&service, "bert", "submit", "bert-token");
    service_add_token(&service, "root", "admin", "root-token");
    openapi_fetch(&openapi, &service);
    ids[0] = upload_as(anna, "/v1/models", &service.files.model);
    ids[1] = upload_as(anna, "/v1/datasets", &service.files.calibration);
    const char *spec = arena_printf(service.arena, NULL,
                                    "{\"name\":\"secret\",\"model\":\"%s\",\"calibration\":\"%s\"}",
                                    ids[0], ids[1]);
    job = service_text(service_call(&service, "POST", "/v1/jobs", anna, spec, strlen(spec), 202),
                       "id");
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=10", job);
    ck_assert_str_eq(service_text(service_call(&service, "GET", target, anna, NULL, 0, 200),
                                  "state"),
                     "succeeded");
}

/* The path with anna's things in place of its parameters. */
static const char *annas_path(const struct http_route *route)
{
    return route_path(service.arena, route, choose_id(route, ids[0], ids[1]), file_of(route));
}

/* Law: with `others = private` another's things are not there, whatever one asks of them, in the
 * very words of what really is not there. */
START_TEST(what_is_anothers_is_not_there)
{
    int hidden = 0;
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        if (!support_contains(route->pattern, "{id}"))
            continue;
        bool gets = strcmp(route->method, "GET") == 0;
        const char *path = annas_path(route);
        struct reply reply = client_call(service.port, route->method, path, bert, NULL, 0);
        ck_assert_msg(reply.status == 404, "%s %s: %d %s", route->method, path, reply.status,
                      reply.body);
        openapi_check_problem(&openapi, &reply);
        ck_assert_msg(support_contains(reply.body, "there is no ") &&
                          !support_contains(reply.body, "anna"),
                      "%s %s: %s", route->method, path, reply.body);
        reply_free(&reply);
        for (int who = 0; gets && who < 2; who++) { /* a stream ends: the job is finished */
            reply = client_call(service.port, "GET", path, who == 0 ? anna : root, NULL, 0);
            ck_assert_msg(reply.status == 200, "GET %s: %d", path, reply.status);
            reply_free(&reply);
        }
        hidden++;
    }
    ck_assert_int_gt(hidden, 10);
}
END_TEST

/* Law: no answer to another says a word of what anna has; an administrator gets everything. */
START_TEST(what_is_anothers_is_in_no_answer)
{
    int shown = 0;
    for (size_t i = 0; i < route_count(); i++) {
        const struct http_route *route = route_at(i);
        if (strcmp(route->method, "GET") != 0 || support_contains(route->pattern, "{") ||
            strcmp(route->pattern, "/v1/events") == 0) /* endless; test_events has this law */
            continue;
        struct reply reply = client_call(service.port, "GET", route->pattern, bert, NULL, 0);
        const char *const secrets[] = {"\"anna\"", "\"secret\"", ids[0], ids[1]};
        for (size_t j = 0; j < sizeof(secrets) / sizeof(secrets[0]); j++)
            ck_assert_msg(!support_contains(reply.body, secrets[j]), "GET %s: %s", route->pattern,
                          reply.body);
        reply_free(&reply);
        reply = client_call(service.port, "GET", route->pattern, root, NULL, 0);
        shown += support_contains(reply.body, "\"anna\"");
        reply_free(&reply);
    }
    ck_assert_int_ge(shown, 3); /* models, data sets, jobs */
    struct reply reply = client_call(service.port, "GET", "/v1/jobs?owner=anna", bert, NULL, 0);
    ck_assert(support_contains(reply.body, "\"items\":[]"));
    reply_free(&reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes");
    TCase *tcase = tcase_create("routes");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_route_is_documented_and_the_only_one);
    tcase_add_test(tcase, the_readme_names_every_route);
    tcase_add_test(tcase, a_get_of_what_is_there_succeeds);
    tcase_add_test(tcase, a_name_of_nothing_is_a_404_problem);
    tcase_add_test(tcase, a_post_of_nonsense_is_a_4xx_problem);
    tcase_add_test(tcase, files_that_are_gone_are_no_fault_of_the_client);
    tcase_add_test(tcase, another_method_is_405_with_the_ones_that_are_allowed);
    tcase_add_test(tcase, options_names_the_method_of_every_route);
    tcase_add_test(tcase, tagged_answers_are_conditional);
    suite_add_tcase(suite, tcase);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, every_guarded_route_wants_a_token);
    suite_add_tcase(suite, tokens);
    TCase *private = tcase_create("private");
    tcase_set_timeout(private, 60);
    tcase_add_checked_fixture(private, setup_private, teardown);
    tcase_add_test(private, what_is_anothers_is_not_there);
    tcase_add_test(private, what_is_anothers_is_in_no_answer);
    suite_add_tcase(suite, private);
    return support_run(suite);
}
