/* The service itself: what it can do, how it is, and where to start. */

#include "api_private.h"

#include "ptqd/artifact/artifact.h"
#include "ptqd/base/text.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/json/params.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/op.h"

static bool get_index(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    struct text text;
    text_init(&text, 1 << 16);
    text_puts(&text, "ptqd: quantization of tiny neural networks below 8 bits\n\n");
    for (const struct http_table *const *table = api_tables(); *table != NULL; table++) {
        for (size_t i = 0; i < (*table)->count; i++) {
            const struct http_route *route = &(*table)->routes[i];
            text_printf(&text, "%-7s%-32s%s\n", route->method, route->pattern, route->summary);
        }
    }
    char *copy = text_dup(&text, http_arena(request), err);
    if (copy != NULL)
        http_answer(request, 200, "text/plain; charset=utf-8", copy, text.length, false);
    text_finish(&text);
    return copy != NULL;
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

static bool get_health(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    struct json *object = json_object(http_arena(request));
    json_add_string(object, "status", "ok");
    json_add_string(object, "version", PTQD_VERSION);
    return reply_json(request, 200, object, err);
}

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
     .summary = "Every parameter, operator, format and artifact"},
    {.method = "GET",
     .pattern = "/healthz",
     .access = ACCESS_ANYBODY,
     .handle = get_health,
     .summary = "Is the process alive?"},
    {.method = "GET",
     .pattern = "/readyz",
     .access = ACCESS_ANYBODY,
     .handle = get_ready,
     .summary = "Does it accept work?"},
    {.method = "GET",
     .pattern = "/",
     .access = ACCESS_ANYBODY,
     .handle = get_index,
     .summary = "This list"},
};
const struct http_table service_routes = {routes, sizeof(routes) / sizeof(routes[0])};
