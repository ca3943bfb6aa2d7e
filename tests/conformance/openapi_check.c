#include "openapi_check.h"

#include "schema_check.h"

#include "support.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- the document ---- */

static const char *text_of(const struct json *value)
{
    const char *text = "";
    (void)json_as_string(value, &text, NULL); /* "" when it is none */
    return text;
}

void openapi_fetch(struct openapi *out_openapi, struct service *service)
{
    *out_openapi = (struct openapi){.arena = service->arena,
                                    .document = service_get(service, "/openapi.json", 200),
                                    .seen = json_object(service->arena)};
}

const struct json *openapi_follow(const struct openapi *openapi, const struct json *value)
{
    const struct json *reference = json_find(value, "$ref");
    if (reference == NULL)
        return value;
    const struct json *target = schema_resolve(openapi->document, text_of(reference));
    ck_assert_msg(target != NULL, "%s is nowhere", text_of(reference));
    return target;
}

const struct json *openapi_operation(const struct openapi *openapi, const char *method,
                                     const char *pattern)
{
    char key[16];
    size_t i = 0;
    for (; method[i] != '\0' && i + 1 < sizeof(key); i++)
        key[i] = (char)tolower((unsigned char)method[i]);
    key[i] = '\0';
    const struct json *paths = json_find(openapi->document, "paths");
    return json_find(json_find(paths, pattern), key);
}

/* ---- what was seen ---- */

/* "GET /v1/jobs 200 application/json" */
static const char *print_key(const struct openapi *openapi, const char *method, const char *pattern,
                             const char *status, const char *what)
{
    return arena_printf(openapi->arena, NULL, "%s %s %s %s", method, pattern, status, what);
}

static void note(struct openapi *openapi, const char *key)
{
    if (json_find(openapi->seen, key) == NULL)
        json_add_null(openapi->seen, key);
}

static void check_seen(const struct openapi *openapi, const char *key)
{
    ck_assert_msg(json_find(openapi->seen, key) != NULL, "no request of the test has shown \"%s\"",
                  key);
}

/* ---- answers ---- */

static struct json *parse(struct openapi *openapi, const char *what, const char *bytes, size_t size)
{
    struct error err = {.message = ""};
    struct json *value;
    ck_assert_msg(json_parse(openapi->arena, bytes, size, NULL, &value, &err), "%s: %s: %s", what,
                  err.message, bytes);
    return value;
}

static void check_value(const struct openapi *openapi, const struct json *schema,
                        const struct json *value, const char *what)
{
    struct error err = {.message = ""};
    ck_assert_msg(schema_check(openapi->document, schema, value, &err), "%s: at \"%s\": %s", what,
                  err.pointer, err.message);
}

static void check_events(struct openapi *openapi, const struct json *media, const char *what,
                         const char *body)
{
    const struct json *events = openapi_follow(openapi, json_find(media, "x-events"));
    char name[32] = "";
    for (const char *line = body; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "event: ", 7) == 0)
            (void)snprintf(name, sizeof(name), "%.*s", (int)length - 7, line + 7);
        if (strncmp(line, "data: ", 6) != 0)
            continue;
        const struct json *schema = json_find(json_find(events, "properties"), name);
        ck_assert_msg(schema != NULL, "%s: the event \"%s\"", what, name);
        check_value(openapi, schema, parse(openapi, what, line + 6, length - 6), what);
    }
}

static void check_content(struct openapi *openapi, const struct json *response, const char *method,
                          const char *pattern, const char *status, const struct reply *reply)
{
    char type[128] = "";
    const struct json *content = json_find(response, "content");
    const char *what = print_key(openapi, method, pattern, status, "");
    (void)reply_header(reply, "Content-Type", type, sizeof(type));
    type[strcspn(type, ";")] = '\0';
    if (content == NULL) {
        ck_assert_msg(reply->size == 0, "%s has a body, \"%s\"", what, reply->body);
        note(openapi, print_key(openapi, method, pattern, status, "-"));
        return;
    }
    bool any = json_find(content, "*/*") != NULL;
    const struct json *media = json_find(content, any ? "*/*" : type);
    ck_assert_msg(media != NULL, "%s has the media type \"%s\"", what, type);
    note(openapi, print_key(openapi, method, pattern, status, any ? "*/*" : type));
    if (json_find(media, "schema") != NULL)
        check_value(openapi, json_find(media, "schema"),
                    parse(openapi, what, reply->body, reply->size), what);
    if (json_find(media, "x-events") != NULL)
        check_events(openapi, media, what, reply->body);
}

/* Law: a header that the document knows is there only where it says so. */
static void check_headers(struct openapi *openapi, const struct json *response, const char *method,
                          const char *pattern, const char *status, const struct reply *reply)
{
    const struct json *components = json_find(openapi->document, "components");
    const struct json *header = json_first(json_find(components, "headers"));
    for (; header != NULL; header = json_next(header)) {
        char value[512];
        if (reply_header(reply, json_key(header), value, sizeof(value)) == NULL)
            continue;
        ck_assert_msg(json_find(json_find(response, "headers"), json_key(header)) != NULL,
                      "%s %s %s has the header %s: %s", method, pattern, status, json_key(header),
                      value);
        note(openapi, print_key(openapi, method, pattern, status, json_key(header)));
    }
}

static void note_query(struct openapi *openapi, const char *method, const char *pattern,
                       const char *target)
{
    for (const char *at = strpbrk(target, "?&"); at != NULL; at = strpbrk(at + 1, "?&")) {
        const char *name = arena_strndup(openapi->arena, at + 1, strcspn(at + 1, "=&"), NULL);
        note(openapi, print_key(openapi, method, pattern, "", name));
    }
}

static void check_body(struct openapi *openapi, const struct json *operation, const char *method,
                       const char *pattern, const char *body)
{
    const struct json *content = json_find(json_find(operation, "requestBody"), "content");
    for (const struct json *media = json_first(content); media != NULL; media = json_next(media)) {
        bool is_json = strcmp(json_key(media), "application/json") == 0;
        bool is_form = strcmp(json_key(media), "multipart/form-data") == 0;
        if (body == NULL || is_json != (body[0] == '{') || is_form != (body[0] == '-'))
            continue;
        note(openapi, print_key(openapi, method, pattern, "", json_key(media)));
        if (is_json)
            check_value(openapi, json_find(media, "schema"),
                        parse(openapi, pattern, body, strlen(body)), pattern);
    }
}

void openapi_check_problem(struct openapi *openapi, const struct reply *reply)
{
    static const char *const inside[] = {".c:", "/tmp", "/var", "/work", "sqlite", "0x", "blobs/"};
    char type[64] = "";
    (void)reply_header(reply, "Content-Type", type, sizeof(type));
    ck_assert_msg(strcmp(type, "application/problem+json") == 0, "%d %s: %s", reply->status, type,
                  reply->body);
    const struct json *problem = parse(openapi, "problem", reply->body, reply->size);
    double status = 0;
    check_value(openapi, schema_resolve(openapi->document, "#/components/schemas/Problem"), problem,
                reply->body);
    ck_assert(json_as_number(json_find(problem, "status"), 400, 599, &status, NULL));
    ck_assert_str_ne(text_of(json_find(problem, "code")), error_code_name(E_INTERNAL));
    ck_assert_str_ne(text_of(json_find(problem, "title")), "");
    ck_assert_str_ne(text_of(json_find(problem, "detail")), "");
    ck_assert_double_eq(status, reply->status);
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
        ck_assert_msg(!support_contains(reply->body, inside[i]), "%s", reply->body);
}

void openapi_check(struct openapi *openapi, const char *method, const char *pattern,
                   const char *target, const char *body, const struct reply *reply)
{
    char status[16];
    (void)snprintf(status, sizeof(status), "%d", reply->status);
    const struct json *operation = openapi_operation(openapi, method, pattern);
    ck_assert_msg(operation != NULL, "%s %s is not documented", method, pattern);
    const struct json *responses = json_find(operation, "responses");
    const struct json *response = openapi_follow(openapi, json_find(responses, status));
    ck_assert_msg(response != NULL, "%s %s is %s, which is not documented: %s", method, target,
                  status, reply->body);
    check_headers(openapi, response, method, pattern, status, reply);
    check_content(openapi, response, method, pattern, status, reply);
    if (reply->status >= 400)
        openapi_check_problem(openapi, reply);
    if (reply->status / 100 != 2)
        return;
    note_query(openapi, method, pattern, target);
    check_body(openapi, operation, method, pattern, body);
}

void openapi_check_event(struct openapi *openapi, const char *pattern, const char *name,
                         const char *data)
{
    const struct json *operation = openapi_operation(openapi, "GET", pattern);
    const struct json *response = json_find(json_find(operation, "responses"), "200");
    const struct json *media = json_find(json_find(response, "content"), "text/event-stream");
    check_events(openapi, media, pattern,
                 arena_printf(openapi->arena, NULL, "event: %s\ndata: %s\n", name, data));
    note(openapi, print_key(openapi, "GET", pattern, "200", name));
}

/* ---- all of it ---- */

static void check_response_seen(const struct openapi *openapi, const char *method,
                                const char *pattern, const struct json *response)
{
    const char *status = json_key(response);
    const struct json *content = json_find(response, "content");
    if (content == NULL)
        check_seen(openapi, print_key(openapi, method, pattern, status, "-"));
    for (const struct json *v = json_first(content); v != NULL; v = json_next(v)) {
        check_seen(openapi, print_key(openapi, method, pattern, status, json_key(v)));
        const struct json *events = openapi_follow(openapi, json_find(v, "x-events"));
        const struct json *event = json_first(json_find(events, "properties"));
        for (; event != NULL; event = json_next(event))
            check_seen(openapi, print_key(openapi, method, pattern, status, json_key(event)));
    }
    if (strcmp(status, "206") == 0 || strcmp(status, "304") == 0) /* those of 200 */
        return;
    const struct json *header = json_first(json_find(response, "headers"));
    for (; header != NULL; header = json_next(header))
        check_seen(openapi, print_key(openapi, method, pattern, status, json_key(header)));
}

void openapi_check_seen(const struct openapi *openapi, const char *method, const char *pattern,
                        const int *problems)
{
    const struct json *operation = openapi_operation(openapi, method, pattern);
    const struct json *v = json_first(json_find(operation, "responses"));
    for (; v != NULL && json_key(v)[0] < '4'; v = json_next(v))
        check_response_seen(openapi, method, pattern, openapi_follow(openapi, v));
    for (v = json_first(json_find(operation, "parameters")); v != NULL; v = json_next(v)) {
        if (strcmp(text_of(json_find(v, "in")), "query") == 0)
            check_seen(openapi,
                       print_key(openapi, method, pattern, "", text_of(json_find(v, "name"))));
    }
    v = json_first(json_find(json_find(operation, "requestBody"), "content"));
    for (; v != NULL; v = json_next(v))
        check_seen(openapi, print_key(openapi, method, pattern, "", json_key(v)));
    for (; *problems != 0; problems++)
        check_seen(openapi, print_key(openapi, method, pattern,
                                      arena_printf(openapi->arena, NULL, "%d", *problems),
                                      "application/problem+json"));
}
