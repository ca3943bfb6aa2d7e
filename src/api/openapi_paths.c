/* "paths" of the document: one operation for each route. */

#include "openapi.h"

#include "ptqd/api/api.h"
#include "ptqd/base/text.h"
#include "ptqd/json/json_schema.h"

#include <ctype.h>
#include <string.h>

/* ---- names ---- */

enum { NAME_BYTES = 128 };

static void lower(const char *text, char out[static NAME_BYTES])
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < NAME_BYTES; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

/* "getJobsIdReport" of GET /v1/jobs/{id}/report. */
static void print_operation_id(const struct http_route *route, char out[static NAME_BYTES])
{
    const char *at = route->pattern;
    lower(route->method, out);
    size_t used = strlen(out);
    if (text_has_prefix(at, "/v1/"))
        at += strlen("/v1");
    bool first = true; /* of a word */
    for (; *at != '\0' && used + 1 < NAME_BYTES; at++) {
        if (isalnum((unsigned char)*at))
            out[used++] = (char)(first ? toupper((unsigned char)*at) : *at);
        first = !isalnum((unsigned char)*at);
    }
    out[used] = '\0';
}

/* The resource: "jobs" of /v1/jobs/{id}; "service" of what is not under /v1. */
static void add_tag(struct json *operation, const struct http_route *route)
{
    static const char version[] = "/v1/";
    struct json *tags = json_add_array(operation, "tags");
    const char *tag = "service";
    if (text_has_prefix(route->pattern, version)) {
        const char *resource = route->pattern + strlen(version);
        tag = json_format(tags, "%.*s", (int)strcspn(resource, "/"), resource);
    }
    json_add_string(tags, NULL, tag);
}

/* ---- what a request has ---- */

static void add_path_parameters(struct json *list, const char *pattern)
{
    static const struct {
        const char *name, *help;
    } helps[] = {
        {"id", "The object's id, as it stands in answers"},
        {"name", "The name of the file"},
    };
    for (const char *at = strchr(pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
        struct json *parameter = json_add_object(list, NULL);
        const char *name = json_format(parameter, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
        json_add_string(parameter, "name", name);
        json_add_string(parameter, "in", "path");
        json_add_bool(parameter, "required", true);
        for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++) {
            if (strcmp(helps[i].name, name) == 0)
                json_add_string(parameter, "description", helps[i].help);
        }
        struct json *schema = json_add_object(parameter, "schema");
        json_add_string(schema, "type", "string");
        json_add_integer(schema, "minLength", 1);
        json_add_integer(schema, "maxLength", HTTP_SEGMENT_MAX);
    }
}

static void add_query(struct json *list, const struct http_route *route)
{
    for (size_t i = 0; i < HTTP_QUERY_MAX && route->query[i] != NULL; i++) {
        struct json *parameter = json_add_object(list, NULL);
        json_add_string(parameter, "name", route->query[i]->name);
        json_add_string(parameter, "in", "query");
        json_add_string(parameter, "description", route->query[i]->help);
        json_add_bool(parameter, "required", route->query[i]->default_text == NULL);
        json_schema_param(parameter, "schema", route->query[i]);
    }
}

static bool is_get(const struct http_route *route)
{
    return strcmp(route->method, "GET") == 0;
}

bool openapi_sends(const struct http_route *route, const char *header)
{
    for (size_t i = 0; i < HTTP_REPLIES_MAX && route->replies[i].status != 0; i++) {
        const char *const *headers = route->replies[i].headers;
        for (size_t j = 0; j < HTTP_HEADERS_MAX && headers[j] != NULL; j++) {
            if (strcmp(headers[j], header) == 0)
                return true;
        }
    }
    return false;
}

/* Conditions and ranges are those of a GET; others look at what their row says. */
static bool looks_at(const struct http_route *route, const struct openapi_header *header)
{
    bool checks = is_get(route) || (route->conditional && strcmp(header->name, "If-Match") == 0);
    if (header->with != NULL && checks && openapi_sends(route, header->with))
        return true;
    for (size_t i = 0; i < HTTP_HEADERS_MAX && route->headers[i] != NULL; i++) {
        if (strcmp(route->headers[i], header->name) == 0)
            return true;
    }
    return false;
}

static void add_reference(struct json *parent, const char *key, const char *kind, const char *name)
{
    struct json *object = json_add_object(parent, key);
    json_add_string(object, "$ref", json_format(object, "#/components/%s/%s", kind, name));
}

static void add_parameters(struct json *operation, const struct http_route *route)
{
    struct json *list = json_add_array(operation, "parameters");
    add_path_parameters(list, route->pattern);
    add_query(list, route);
    for (const struct openapi_header *h = openapi_request_headers; h->name != NULL; h++) {
        if (looks_at(route, h))
            add_reference(list, NULL, "parameters", h->name);
    }
}

static void add_body(struct json *operation, const struct http_route *route)
{
    if (route->bodies[0].type == NULL)
        return;
    struct json *body = json_add_object(operation, "requestBody");
    json_add_bool(body, "required", true);
    struct json *content = json_add_object(body, "content");
    for (size_t i = 0; i < HTTP_BODIES_MAX && route->bodies[i].type != NULL; i++) {
        struct json *media = json_add_object(content, route->bodies[i].type);
        if (route->bodies[i].schema != NULL)
            json_schema_reference(media, "schema", route->bodies[i].schema);
    }
}

/* ---- what it may be answered ---- */

static bool has_reply(const struct http_route *route, int status)
{
    for (size_t i = 0; i < HTTP_REPLIES_MAX; i++) {
        if (route->replies[i].status == status)
            return true;
    }
    return false;
}

/* The media type without its parameters; NULL without a body. */
static const char *bare_type(struct json *response, const struct http_reply *reply)
{
    const char *type = http_reply_type(reply);
    return type != NULL ? json_format(response, "%.*s", (int)strcspn(type, ";"), type) : NULL;
}

/* One sentence, or, where Accept chooses, one for each media type. */
static void add_description(struct json *response, const struct http_route *route, int status)
{
    const struct http_reply *replies = route->replies;
    const char *all = "";
    for (size_t i = 0; i < HTTP_REPLIES_MAX && replies[i].status != 0; i++) {
        if (replies[i].status != status)
            continue;
        all = all[0] == '\0' ? replies[i].help
                             : json_format(response, "%s. %s: %s", all,
                                           bare_type(response, &replies[i]), replies[i].help);
    }
    json_add_string(response, "description", all);
}

/* X-Request-Id and those of all replies with the status. */
static void add_headers(struct json *response, const struct http_route *route, int status)
{
    struct json *headers = json_add_object(response, "headers");
    add_reference(headers, "X-Request-Id", "headers", "X-Request-Id");
    for (size_t i = 0; i < HTTP_REPLIES_MAX; i++) {
        const struct http_reply *reply = &route->replies[i];
        for (size_t j = 0; j < HTTP_HEADERS_MAX && reply->headers[j] != NULL; j++) {
            if (reply->status == status && json_find(headers, reply->headers[j]) == NULL)
                add_reference(headers, reply->headers[j], "headers", reply->headers[j]);
        }
    }
}

/* As the replies with `status` have it. */
static void add_content(struct json *response, const struct http_route *route, int status)
{
    struct json *content = NULL;
    for (size_t i = 0; i < HTTP_REPLIES_MAX; i++) {
        const struct http_reply *reply = &route->replies[i];
        if (reply->status != status || http_reply_type(reply) == NULL)
            continue;
        if (content == NULL)
            content = json_add_object(response, "content");
        struct json *media = json_add_object(content, bare_type(response, reply));
        if (reply->schema != NULL) /* of events: their names and data */
            json_schema_reference(media, reply->type == NULL ? "schema" : "x-events",
                                  reply->schema);
    }
}

static void add_reply(struct json *responses, const struct http_route *route, int status)
{
    struct json *response = json_add_object(responses, json_format(responses, "%d", status));
    add_description(response, route, status);
    add_headers(response, route, status);
    add_content(response, route, status);
}

/* 206 and 304: what conditions and ranges make of a 200. */
static void add_conditional(struct json *responses, const struct http_route *route)
{
    if (strcmp(route->method, "GET") != 0)
        return;
    if (openapi_sends(route, "Accept-Ranges")) {
        struct json *part = json_add_object(responses, "206");
        json_add_string(part, "description", "The part that Range asks for");
        add_headers(part, route, 200);
        add_content(part, route, 200);
    }
    if (is_get(route) && openapi_sends(route, "ETag")) {
        struct json *same = json_add_object(responses, "304");
        json_add_string(same, "description", "It has not changed since");
        add_headers(same, route, 200);
    }
}

static bool is_listed(const int *list, size_t count, int status)
{
    for (size_t i = 0; i < count && list[i] != 0; i++) {
        if (list[i] == status)
            return true;
    }
    return false;
}

/* Accept chooses between answers, or there is one that few clients ask for by accident. */
static bool negotiates(const struct http_route *route)
{
    const char *first = http_reply_type(&route->replies[0]);
    return route->replies[1].status == route->replies[0].status ||
           (first != NULL && strcmp(first, "text/event-stream") == 0);
}

bool openapi_is_problem(const struct http_route *route, int status)
{
    static const int any[] = {400, 412, 413, 417, 422, 431, 500, 503, 507};
    switch (status) {
    case 401:
    case 403:
    case 429: /* as many requests under way as one may have */
        return route->access > ACCESS_ANYBODY;
    case 404:
        return strchr(route->pattern, '{') != NULL;
    case 406:
        return negotiates(route);
    case 416:
        return openapi_sends(route, "Accept-Ranges");
    default:
        return is_listed(any, sizeof(any) / sizeof(any[0]), status) ||
               is_listed(route->problems, HTTP_PROBLEMS_MAX, status);
    }
}

static void add_responses(struct json *operation, const struct http_route *route)
{
    struct json *responses = json_add_object(operation, "responses");
    for (int status = 200; status < 300; status++) {
        if (has_reply(route, status))
            add_reply(responses, route, status);
    }
    add_conditional(responses, route);
    for (int status = 400; status < 600; status++) {
        const char *key = json_format(responses, "%d", status);
        if (openapi_is_problem(route, status))
            add_reference(responses, key, "responses", key);
    }
}

/* ---- operations ---- */

static void add_security(struct json *operation, const struct http_route *route)
{
    struct json *security = json_add_array(operation, "security");
    if (route->access == ACCESS_ANYBODY)
        return;
    struct json *roles = json_add_array(json_add_object(security, NULL), "bearer");
    json_add_string(roles, NULL, api_role_name((enum api_access)route->access));
}

static void add_operation(struct json *path, const struct http_route *route)
{
    char method[NAME_BYTES], id[NAME_BYTES];
    lower(route->method, method);
    print_operation_id(route, id);
    struct json *operation = json_add_object(path, json_format(path, "%s", method));
    json_add_string(operation, "operationId", id);
    add_tag(operation, route);
    json_add_string(operation, "summary", route->summary);
    add_security(operation, route);
    add_parameters(operation, route);
    add_body(operation, route);
    add_responses(operation, route);
}

static bool is_repeated(const struct http_table *const *tables, size_t index)
{
    const char *pattern = http_route_at(tables, index)->pattern;
    for (size_t i = 0; i < index; i++) {
        if (strcmp(http_route_at(tables, i)->pattern, pattern) == 0)
            return true;
    }
    return false;
}

void openapi_add_paths(struct json *document, const struct http_table *const *tables)
{
    struct json *paths = json_add_object(document, "paths");
    const struct http_route *route, *other;
    for (size_t i = 0; (route = http_route_at(tables, i)) != NULL; i++) {
        if (is_repeated(tables, i))
            continue;
        struct json *path = json_add_object(paths, route->pattern);
        for (size_t j = i; (other = http_route_at(tables, j)) != NULL; j++) {
            if (strcmp(other->pattern, route->pattern) == 0)
                add_operation(path, other);
        }
    }
}
