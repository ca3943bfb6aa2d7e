/* The service itself: what it can do, how it is, and where to start. */

#include "api_private.h"

#include "ptqd/artifact/artifact.h"
#include "ptqd/base/text.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/json/params.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/op.h"

static bool list_calls(struct http_request *request, struct error *err)
{
    struct text text;
    text_init(&text, 1 << 16);
    text_puts(&text, "ptqd: quantization of tiny neural networks below 8 bits\n\n");
    const struct http_route *route;
    for (size_t i = 0; (route = http_route_at(api_tables(), i)) != NULL; i++)
        text_printf(&text, "%-7s%-32s%s\n", route->method, route->pattern, route->summary);
    bool ok = reply_text(request, &text, err);
    text_finish(&text);
    return ok;
}

/* The dashboard for browsers, the list for everything else. */
static bool get_index(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    int form;             /* of the replies below */
    struct error neither; /* is wanted: then the list, as ever */
    bool page = http_negotiate(request, &form, &neither) && form == 1;
    http_add_header(request, "Vary", "Accept");
    return page ? reply_web_file(request, "index.html", err) : list_calls(request, err);
}

static void add_operators(struct json *object)
{
    struct json *list = json_add_array(object, "operators");
    for (const struct op *const *op = op_table(); *op != NULL; op++) {
        struct json *row = json_add_object(list, NULL);
        json_add_string(row, "name", (*op)->name);
        json_add_bool(row, "quantized", (*op)->mac);
        json_add_string(row, "limits", (*op)->limits);
    }
}

static const char *const param_types[] = {"integer", "number", "boolean", "string",
                                          "choice",  "set",    NULL};
static const struct schema_member param_members[] = {
    {"name", .type = SCHEMA_STRING, .help = "Dotted, as it is nested in the pipeline"},
    {"type", .type = SCHEMA_STRING, .choices = param_types},
    {"default", .type = SCHEMA_SCALAR, .or_list = true, .null = true},
    {"minimum", .type = SCHEMA_NUMBER, .optional = true},
    {"maximum", .type = SCHEMA_NUMBER, .optional = true},
    {"also", .type = SCHEMA_INTEGER, .optional = true, .help = "One more value above the range"},
    {"special", .type = SCHEMA_STRING, .optional = true,
     .help = "A word that may stand for a number"},
    {"minimum_length", .type = SCHEMA_NUMBER, .optional = true},
    {"maximum_length", .type = SCHEMA_NUMBER, .optional = true},
    {"choices", .type = SCHEMA_STRING, .list = true, .optional = true},
    {"unit", .type = SCHEMA_STRING},
    {"help", .type = SCHEMA_STRING},
    {"sweep", .type = SCHEMA_BOOL, .help = "A list makes one variant of each value"},
    {0},
};
static const struct schema param_schema = {
    .name = "Parameter",
    .help = "A field of the pipeline",
    .members = param_members,
};

static const struct schema_member artifact_format_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"help", .type = SCHEMA_STRING},
    {0},
};
static const struct schema artifact_format_schema = {
    .name = "ArtifactFormat",
    .help = "A kind of file that runs can make",
    .members = artifact_format_members,
};

static const struct schema_member operator_members[] = {
    {"name", .type = SCHEMA_STRING, .help = "In the words of ONNX"},
    {"quantized", .type = SCHEMA_BOOL, .help = "Whether its weights and input are"},
    {"limits", .type = SCHEMA_STRING, .null = true},
    {0},
};
static const struct schema operator_schema = {
    .name = "Operator",
    .help = "An operator that networks may have",
    .members = operator_members,
};

static const struct schema_member catalog_members[] = {
    {"version", .type = SCHEMA_STRING},
    {"pipeline", .type = SCHEMA_OBJECT, .of = &param_schema, .list = true},
    {"layers", .type = SCHEMA_OBJECT, .of = &param_schema, .list = true, .help = "Of layer rules"},
    {"artifacts", .type = SCHEMA_OBJECT, .of = &artifact_format_schema, .list = true},
    {"model_formats", .type = SCHEMA_STRING, .list = true},
    {"operators", .type = SCHEMA_OBJECT, .of = &operator_schema, .list = true},
    {0},
};
static const struct schema catalog_schema = {
    .name = "Catalog",
    .help = "What this version can do",
    .members = catalog_members,
};

static bool get_catalog(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    struct json *object = json_object(http_arena(request));
    json_add_string(object, "version", PTQD_VERSION);
    json_params_catalog(json_add_array(object, "pipeline"), pipeline_table());
    json_params_catalog(json_add_array(object, "layers"), layer_rule_table());
    struct json *artifacts = json_add_array(object, "artifacts");
    for (const struct artifact_format *const *f = artifact_format_table(); *f != NULL; f++) {
        struct json *row = json_add_object(artifacts, NULL);
        json_add_string(row, "name", (*f)->name);
        json_add_string(row, "help", (*f)->help);
    }
    struct json *formats = json_add_array(object, "model_formats");
    for (const struct model_format *const *f = model_format_table(); *f != NULL; f++)
        json_add_string(formats, NULL, (*f)->name);
    add_operators(object);
    return reply_json_tagged(request, object, err);
}

static const struct schema_member health_members[] = {
    {"status", .type = SCHEMA_STRING},
    {"version", .type = SCHEMA_STRING},
    {0},
};
static const struct schema health_schema = {
    .name = "Health",
    .help = "The process is alive",
    .members = health_members,
};

static bool get_health(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    struct json *object = json_object(http_arena(request));
    json_add_string(object, "status", "ok");
    json_add_string(object, "version", PTQD_VERSION);
    return reply_json(request, 200, object, err);
}

static const struct schema_member ready_members[] = {
    {"status", .type = SCHEMA_STRING},
    {0},
};
static const struct schema ready_schema = {
    .name = "Ready",
    .help = "It accepts work, and its database answers",
    .members = ready_members,
};

/* Ready when it accepts work and its database answers. */
static bool get_ready(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct database *database;
    int64_t counts[JOB_STATE_COUNT];
    if (!atomic_load(&api->ready))
        return FAIL(err, E_UNAVAILABLE, "starting or stopping");
    if (!store_reader(api->options.store, &database, err) || !job_row_count(database, counts, err))
        return false;
    struct json *object = json_object(http_arena(request));
    json_add_string(object, "status", "ready");
    return reply_json(request, 200, object, err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/catalog",
     .access = ACCESS_READ,
     .handle = get_catalog,
     .summary = "Every parameter, operator, format and artifact",
     .replies = {{200, "The catalogue", .schema = &catalog_schema, .headers = {"ETag"}}}},
    {.method = "GET",
     .pattern = "/healthz",
     .access = ACCESS_ANYBODY,
     .handle = get_health,
     .summary = "Is the process alive?",
     .replies = {{200, "It is", .schema = &health_schema}}},
    {.method = "GET",
     .pattern = "/readyz",
     .access = ACCESS_ANYBODY,
     .handle = get_ready,
     .summary = "Does it accept work?",
     .replies = {{200, "It does", .schema = &ready_schema}}},
    {.method = "GET",
     .pattern = "/",
     .access = ACCESS_ANYBODY,
     .handle = get_index,
     .summary = "This list; to a browser the dashboard",
     .replies = {{200, "One line per call", .type = TYPE_PLAIN},
                 {200, "The dashboard", .type = "text/html", .headers = {"ETag"}}}},
};
const struct http_table service_routes = {routes, sizeof(routes) / sizeof(routes[0])};
