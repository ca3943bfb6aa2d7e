/* "components" of the document: what operations refer to. */

#include "openapi.h"

#include "ptqd/api/problem.h"
#include "ptqd/json/json_schema.h"

/* ---- headers ---- */

const struct openapi_header openapi_request_headers[] = {
    {"Idempotency-Key", NULL,
     "The same key and request give the same job; another request with the key is 422"},
    {"Last-Event-ID", NULL, "The id of the last event; that of \"end\" is answered with 204"},
    {"If-None-Match", "ETag", "304 when the answer has this tag"},
    {"If-Match", "ETag", "412 unless the answer has this tag"},
    {"If-Modified-Since", "Last-Modified", "304 when it is not younger"},
    {"If-Unmodified-Since", "Last-Modified", "412 when it is younger"},
    {"Range", "Accept-Ranges", "A part of the file: \"bytes=0-1023\""},
    {"If-Range", "Accept-Ranges", "The whole file unless it has this tag"},
    {NULL, NULL, NULL},
};

static const struct {
    const char *name, *help;
} answer_headers[] = {
    {"Accept-Ranges", "bytes"},
    {"Content-Disposition", "A name for the file"},
    {"Digest", "\"sha-256=<base64>\" of the file (RFC 3230)"},
    {"ETag", "Tag of this version"},
    {"Idempotency-Replayed", "\"true\" when the key was used before"},
    {"Last-Modified", "When the file came"},
    {"Location", "The path of the object"},
    {"Retry-After", "Seconds after which to ask again"},
    {"WWW-Authenticate", "Bearer"},
    {"X-Request-Id", "The client's, or one that lines of the log have"},
};

static void add_string_schema(struct json *parent)
{
    json_add_string(json_add_object(parent, "schema"), "type", "string");
}

static void add_request_headers(struct json *components)
{
    struct json *parameters = json_add_object(components, "parameters");
    for (const struct openapi_header *h = openapi_request_headers; h->name != NULL; h++) {
        struct json *parameter = json_add_object(parameters, h->name);
        json_add_string(parameter, "name", h->name);
        json_add_string(parameter, "in", "header");
        json_add_string(parameter, "description", h->help);
        add_string_schema(parameter);
    }
}

static void add_answer_headers(struct json *components)
{
    struct json *headers = json_add_object(components, "headers");
    for (size_t i = 0; i < sizeof(answer_headers) / sizeof(answer_headers[0]); i++) {
        struct json *header = json_add_object(headers, answer_headers[i].name);
        json_add_string(header, "description", answer_headers[i].help);
        add_string_schema(header);
    }
}

/* ---- problems ---- */

static const struct {
    enum error_code code;
    const char *name, *meaning;
} codes[] = {
#define ERROR_CODE(code, name, meaning) {code, name, meaning},
#include "ptqd/base/error.def"
#undef ERROR_CODE
};
enum { CODES = sizeof(codes) / sizeof(codes[0]) };

/* "not-found: nothing has this name" for each code of the status. */
static void add_description(struct json *response, int status)
{
    const char *all = "";
    for (size_t i = 0; i < CODES; i++) {
        if (problem_status(codes[i].code) == status)
            all = json_format(response, "%s%s%s: %s", all, all[0] != '\0' ? "; " : "",
                              codes[i].name, codes[i].meaning);
    }
    json_add_string(response, "description", all);
}

/* The header that explains a status; NULL: none. */
static const char *header_of(int status)
{
    switch (status) {
    case 401:
        return "WWW-Authenticate";
    case 429:
    case 503:
        return "Retry-After";
    default:
        return NULL;
    }
}

static void add_header(struct json *headers, const char *name)
{
    struct json *header = json_add_object(headers, name);
    json_add_string(header, "$ref", json_format(header, "#/components/headers/%s", name));
}

static void add_problem(struct json *responses, int status)
{
    struct json *response = json_add_object(responses, json_format(responses, "%d", status));
    add_description(response, status);
    struct json *headers = json_add_object(response, "headers");
    add_header(headers, "X-Request-Id");
    if (header_of(status) != NULL)
        add_header(headers, header_of(status));
    struct json *content = json_add_object(response, "content");
    json_schema_reference(json_add_object(content, "application/problem+json"), "schema",
                          &problem_schema);
}

static bool is_used(const struct http_table *const *tables, int status)
{
    const struct http_route *route;
    for (size_t i = 0; (route = http_route_at(tables, i)) != NULL; i++) {
        if (openapi_is_problem(route, status))
            return true;
    }
    return false;
}

static void add_problems(struct json *components, const struct http_table *const *tables)
{
    struct json *responses = json_add_object(components, "responses");
    for (int status = 400; status < 600; status++) {
        if (is_used(tables, status))
            add_problem(responses, status);
    }
}

/* ---- schemas ---- */

enum { SCHEMAS_MAX = 256 };

struct schemas {
    const struct schema *list[SCHEMAS_MAX];
    size_t count;
    bool overflow;
};

static void collect(struct schemas *schemas, const struct schema *schema);

static void collect_members(struct schemas *schemas, const struct schema *schema)
{
    if (schema->base != NULL)
        collect_members(schemas, schema->base);
    const struct schema_member *member = schema->members;
    for (; member != NULL && member->name != NULL; member++)
        collect(schemas, member->of);
}

/* The schema, and those that it refers to. */
static void collect(struct schemas *schemas, const struct schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schemas->count; i++) {
        if (schemas->list[i] == schema)
            return;
    }
    if (schemas->count == SCHEMAS_MAX) {
        schemas->overflow = true;
        return;
    }
    schemas->list[schemas->count++] = schema;
    collect_members(schemas, schema);
}

static void collect_route(struct schemas *schemas, const struct http_route *route)
{
    for (size_t i = 0; i < HTTP_BODIES_MAX; i++)
        collect(schemas, route->bodies[i].schema);
    for (size_t i = 0; i < HTTP_REPLIES_MAX; i++)
        collect(schemas, route->replies[i].schema);
}

static bool add_schemas(struct json *components, const struct http_table *const *tables,
                        struct error *err)
{
    struct schemas schemas = {.count = 0};
    const struct http_route *route;
    collect(&schemas, &problem_schema);
    for (size_t i = 0; (route = http_route_at(tables, i)) != NULL; i++)
        collect_route(&schemas, route);
    if (schemas.overflow)
        return FAIL(err, E_INTERNAL, "there are more than %d schemas", (int)SCHEMAS_MAX);
    struct json *list = json_add_object(components, "schemas");
    for (size_t i = 0; i < schemas.count; i++)
        json_schema_print(list, schemas.list[i]->name, schemas.list[i]);
    return true;
}

/* ---- all of it ---- */

static void add_security(struct json *components)
{
    struct json *schemes = json_add_object(components, "securitySchemes");
    struct json *bearer = json_add_object(schemes, "bearer");
    json_add_string(bearer, "type", "http");
    json_add_string(bearer, "scheme", "bearer");
    json_add_string(bearer, "description",
                    "A token of \"ptqd token add NAME read|submit|admin\"; an operation names the "
                    "least role, which each later one includes. While there is no token at all, "
                    "requests from this machine need none");
}

bool openapi_add_components(struct json *document, const struct http_table *const *tables,
                            struct error *err)
{
    struct json *components = json_add_object(document, "components");
    add_security(components);
    add_request_headers(components);
    add_answer_headers(components);
    add_problems(components, tables);
    return add_schemas(components, tables, err);
}
