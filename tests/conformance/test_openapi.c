/* What every route keeps of /openapi.json, whatever it is asked, and the document itself. */

#include "openapi_check.h"
#include "route_path.h"
#include "service.h"

#include "support.h"

#include "ptqd/api/api.h"
#include "ptqd/http/route.h"

#include <string.h>

static struct service service;
static struct openapi openapi;

static void setup(void)
{
    service_start(&service, false);
    openapi_fetch(&openapi, &service);
}

static void setup_tokens(void)
{
    service_start(&service, true);
    service_add_token(&service, "anna", "read", "anna-token");
    openapi_fetch(&openapi, &service);
}

static void teardown(void)
{
    service_stop(&service);
}

static struct reply call(const char *method, const char *target, const char *headers,
                         const char *body)
{
    return client_call(service.port, method, target, headers, body,
                       body != NULL ? strlen(body) : 0);
}

/* ---- what every route keeps ---- */

static const char *path_of_nothing(const struct http_route *route)
{
    return route_path(service.arena, route, "nothing", "nothing");
}

/* Law: the answer to this request is a documented problem with this status and text. */
static void expect_text(const struct http_route *route, const char *target, const char *headers,
                        int status, const char *text)
{
    struct reply reply = call(route->method, target, headers, NULL);
    ck_assert_msg(reply.status == status, "%s %s: %d, not %d: %s", route->method, target,
                  reply.status, status, reply.body);
    openapi_check(&openapi, route->method, route->pattern, target, NULL, &reply);
    ck_assert_msg(support_contains(reply.body, text), "%s %s: %s", route->method, target,
                  reply.body);
    reply_free(&reply);
}

static void expect_problem(const struct http_route *route, const char *target, const char *headers,
                           int status)
{
    expect_text(route, target, headers, status, "");
}

static void expect_bad_parameter(const struct http_route *route, const char *path, const char *name)
{
    expect_text(route, arena_printf(service.arena, NULL, "%s?%s=nonsense", path, name), NULL, 422,
                arena_printf(service.arena, NULL, "\"parameter\":\"%s\"", name));
}

#define FOR_EACH_ROUTE(route)                                                                      \
    for (size_t index_##route = 0; (route = http_route_at(api_tables(), index_##route)) != NULL;   \
         index_##route++)

/* Law: a parameter that a route does not name, and a value outside the rule of one that it does,
 * are refused by every route, and named. */
START_TEST(every_route_checks_its_query_string)
{
    const struct http_route *route;
    FOR_EACH_ROUTE(route)
    {
        const char *path = path_of_nothing(route);
        expect_bad_parameter(route, path, "colour");
        for (size_t i = 0; i < HTTP_QUERY_MAX && route->query[i] != NULL; i++) {
            if (route->query[i]->type != PARAM_TEXT)
                expect_bad_parameter(route, path, route->query[i]->name);
        }
    }
}
END_TEST

/* Law: errors that any route may have are documented problems of each. */
START_TEST(typical_faults_are_documented_problems)
{
    const struct http_route *route;
    FOR_EACH_ROUTE(route)
    {
        const char *path = path_of_nothing(route);
        expect_problem(route, path, "Expect: a-miracle\r\n", 417);
        expect_problem(route, path, "Host: a\r\n", 400); /* two of them */
        if (strcmp(route->method, "GET") != 0 && !route->conditional)
            expect_problem(route, path, "If-Match: \"a\"\r\n", 412);
        expect_problem(route, arena_printf(service.arena, NULL, "%s?%%ff=1", path), NULL, 422);
        if (strchr(route->pattern, '{') != NULL) {
            expect_problem(route, path, NULL, 404);
            expect_problem(route, route_path(service.arena, route, "a%ff", "a%ff"), NULL, 404);
        }
        if (!route->any_body && route->begin == NULL) {
            struct reply reply = call(route->method, path, NULL, "body");
            ck_assert_int_eq(reply.status, 413);
            openapi_check(&openapi, route->method, route->pattern, path, NULL, &reply);
            reply_free(&reply);
        }
    }
}
END_TEST

/* Law: a method that a path has not is a problem, and no operation of the document. */
START_TEST(another_method_is_no_operation)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "PATCH", "DELETE"};
    const struct http_route *route;
    FOR_EACH_ROUTE(route)
    {
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
            if (openapi_operation(&openapi, methods[i], route->pattern) != NULL)
                continue;
            struct reply reply = call(methods[i], path_of_nothing(route), NULL, NULL);
            ck_assert_msg(reply.status == 405, "%s %s: %d", methods[i], route->pattern,
                          reply.status);
            openapi_check_problem(&openapi, &reply);
            reply_free(&reply);
        }
    }
}
END_TEST

/* Law: the document names the role that is asked for, and that role alone decides. */
START_TEST(roles_are_as_documented)
{
    const struct http_route *route;
    FOR_EACH_ROUTE(route)
    {
        const struct json *operation = openapi_operation(&openapi, route->method, route->pattern);
        const struct json *security = json_first(json_find(operation, "security"));
        const struct json *role = json_first(json_find(security, "bearer"));
        const char *name = "", *path = path_of_nothing(route);
        ck_assert_int_eq(security != NULL, route->access != ACCESS_ANYBODY);
        if (security == NULL)
            continue;
        ck_assert(json_as_string(role, &name, NULL));
        expect_problem(route, path, NULL, 401);
        if (strcmp(name, "read") != 0)
            expect_problem(route, path, "Authorization: Bearer anna-token\r\n", 403);
    }
}
END_TEST

/* ---- the document itself ---- */

/* Calls `visit` for a value and all that it holds. */
static void walk(const struct json *value, void (*visit)(const struct json *value))
{
    visit(value);
    for (const struct json *v = json_first(value); v != NULL; v = json_next(v))
        walk(v, visit);
}

static const char *member_text(const struct json *object, const char *key)
{
    const char *text = "";
    (void)json_as_string(json_find(object, key), &text, NULL); /* "" when it is none */
    return text;
}

static struct json *referred; /* an object whose keys are the references of the document */

static void visit_reference(const struct json *value)
{
    const char *reference = member_text(value, "$ref");
    if (reference[0] == '\0')
        return;
    (void)openapi_follow(&openapi, value); /* fails the test when there is nothing */
    if (json_find(referred, reference) == NULL)
        json_add_null(referred, reference);
}

START_TEST(every_reference_resolves_and_every_component_is_referred_to)
{
    static const char *const kinds[] = {"schemas", "parameters", "headers", "responses"};
    const struct json *components = json_find(openapi.document, "components");
    referred = json_object(service.arena);
    walk(openapi.document, visit_reference);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct json *v = json_first(json_find(components, kinds[i]));
        ck_assert_msg(v != NULL, "there are no %s", kinds[i]);
        for (; v != NULL; v = json_next(v)) {
            const char *reference =
                arena_printf(service.arena, NULL, "#/components/%s/%s", kinds[i], json_key(v));
            ck_assert_msg(json_find(referred, reference) != NULL, "nothing refers to %s",
                          reference);
        }
    }
}
END_TEST

/* Law: an object has the members of its schema and no others, so that one without is noticed. */
static void visit_object(const struct json *value)
{
    if (json_type(json_find(value, "properties")) == JSON_OBJECT &&
        strcmp(member_text(value, "type"), "object") == 0)
        ck_assert(json_type(json_find(value, "additionalProperties")) == JSON_BOOL);
}

START_TEST(schemas_are_closed)
{
    walk(openapi.document, visit_object);
}
END_TEST

static void check_path_parameters(const struct http_route *route, const struct json *operation)
{
    size_t named = 0, listed = 0;
    for (const char *at = strchr(route->pattern, '{'); at != NULL; at = strchr(at + 1, '{'))
        named++;
    const struct json *v = json_first(json_find(operation, "parameters"));
    for (; v != NULL; v = json_next(v)) {
        const struct json *parameter = openapi_follow(&openapi, v);
        const char *place = member_text(parameter, "in"), *name = member_text(parameter, "name");
        const char *segment = arena_printf(service.arena, NULL, "{%s}", name);
        ck_assert_msg(name[0] != '\0' && json_find(parameter, "schema") != NULL, "%s %s",
                      route->method, route->pattern);
        ck_assert_msg(member_text(parameter, "description")[0] != '\0', "%s has no description",
                      segment);
        if (strcmp(place, "path") != 0)
            continue;
        ck_assert(support_contains(route->pattern, segment));
        listed++;
    }
    ck_assert_uint_eq(named, listed);
}

/* Law: a header of requests that a row names is described. */
static void check_request_headers(const struct http_route *route, const struct json *operation)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && route->headers[i] != NULL; i++) {
        const struct json *v = json_first(json_find(operation, "parameters"));
        while (v != NULL &&
               strcmp(member_text(openapi_follow(&openapi, v), "name"), route->headers[i]) != 0)
            v = json_next(v);
        ck_assert_msg(v != NULL, "%s %s: %s", route->method, route->pattern, route->headers[i]);
    }
}

START_TEST(every_route_is_one_operation)
{
    const struct http_route *route;
    size_t routes = 0, operations = 0;
    struct json *ids = json_object(service.arena);
    FOR_EACH_ROUTE(route)
    {
        const struct json *operation = openapi_operation(&openapi, route->method, route->pattern);
        ck_assert_msg(operation != NULL, "%s %s", route->method, route->pattern);
        const char *id = member_text(operation, "operationId");
        ck_assert_msg(id[0] != '\0' && json_find(ids, id) == NULL, "operationId \"%s\"", id);
        json_add_null(ids, id);
        ck_assert_msg(route->replies[0].status != 0, "%s %s has no answer", route->method,
                      route->pattern);
        check_path_parameters(route, operation);
        check_request_headers(route, operation);
        routes++;
    }
    const struct json *path = json_first(json_find(openapi.document, "paths"));
    for (; path != NULL; path = json_next(path))
        operations += json_count(path);
    ck_assert_uint_eq(routes, operations);
    ck_assert_str_eq(member_text(openapi.document, "openapi"), "3.1.0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *plain = tcase_create("plain");
    tcase_set_timeout(plain, 60);
    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_add_test(plain, every_route_checks_its_query_string);
    tcase_add_test(plain, typical_faults_are_documented_problems);
    tcase_add_test(plain, another_method_is_no_operation);
    tcase_add_test(plain, every_reference_resolves_and_every_component_is_referred_to);
    tcase_add_test(plain, schemas_are_closed);
    tcase_add_test(plain, every_route_is_one_operation);
    suite_add_tcase(suite, plain);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, roles_are_as_documented);
    suite_add_tcase(suite, tokens);
    return support_run(suite);
}
