/* /v1/models: networks, by the SHA-256 of their file. */

#include "held_routes.h"
#include "model_use.h"

#include "ptqd/api/describe.h"
#include "ptqd/nn/model.h"
#include "ptqd/store/model_row.h"

#include <string.h>

/* ---- uploading ---- */

static uint64_t model_limit(const struct api *api)
{
    return api->options.model_bytes;
}

struct inspection {
    struct model_row *row;
    struct arena *arena;
};

static bool describe(void *context, const struct graph *graph, struct arena *scratch,
                     struct error *err)
{
    const struct inspection *inspection = context;
    struct json *detail = json_object(scratch);
    if (!describe_model(detail, graph, scratch, err))
        return false;
    inspection->row->detail = json_print_string(detail, inspection->arena, NULL, err);
    return inspection->row->detail != NULL;
}

static bool inspect_model(struct api *api, const uint8_t *bytes, size_t size, void *settings,
                          struct arena *arena, void **out_row, struct error *err)
{
    (void)settings;
    struct model_row *row = ARENA_NEW(arena, struct model_row, err);
    struct inspection inspection = {row, arena};
    const struct model_format *format;
    if (row == NULL ||
        !model_use(api, bytes, size, (struct model_user){describe, &inspection}, &format, err))
        return false;
    row->format = format->name;
    *out_row = row;
    return true;
}

static bool insert_model(struct database *database, const struct upload *upload, void *row,
                         const char *name, const char *owner, bool *out_known, struct error *err)
{
    struct model_row *model = row;
    model->id = upload->id;
    model->name = name;
    model->owner = owner;
    model->bytes = (int64_t)upload->size;
    return model_row_insert(database, model, out_known, err);
}

const struct upload_kind upload_model = {model_limit, inspect_model, insert_model};

/* ---- the object ---- */

static const struct schema_member item_members[] = {
    {"id", .type = SCHEMA_ID},
    {"name", .type = SCHEMA_STRING},
    {"owner", .type = SCHEMA_STRING},
    {"format", .type = SCHEMA_STRING, .help = "As the catalogue names it"},
    {"bytes", .type = SCHEMA_INTEGER},
    {"created", .type = SCHEMA_TIME},
    {"input", .type = SCHEMA_OBJECT, .of = &model_end_schema},
    {"output", .type = SCHEMA_OBJECT, .of = &model_end_schema},
    {"macs", .type = SCHEMA_INTEGER},
    {"parameters", .type = SCHEMA_INTEGER},
    {0},
};
static const struct schema item_schema = {
    .name = "ModelItem",
    .help = "A network",
    .members = item_members,
};

static const struct schema_member model_members[] = {
    {"layers", .type = SCHEMA_OBJECT, .of = &model_layer_schema, .list = true},
    {0},
};
static const struct schema model_schema = {
    .name = "Model",
    .help = "A network with its layers, in the order of execution",
    .members = model_members,
    .base = &item_schema,
};

static const struct schema_member list_members[] = {
    {"items", .type = SCHEMA_OBJECT, .of = &item_schema, .list = true},
    {0},
};
static const struct schema list_schema = {
    .name = "ModelList",
    .help = "A page of networks",
    .members = list_members,
    .base = &page_schema,
};

static bool add_model(struct json *object, const struct model_row *row, bool layers,
                      struct arena *arena, struct error *err)
{
    static const struct json_limits limits = {.bytes = (size_t)64 << 20, .depth = 8, .values = 100};
    struct json *detail;
    const char *text = NULL;
    if (!json_parse(arena, row->detail, strlen(row->detail), &limits, &detail, err))
        return error_context(err, "the stored description of model %s", row->id);
    json_add_string(object, "id", row->id);
    json_add_string(object, "name", row->name);
    json_add_string(object, "owner", row->owner);
    json_add_string(object, "format", row->format);
    json_add_integer(object, "bytes", row->bytes);
    add_time(object, "created", row->created_ms);
    for (const struct json *v = json_first(detail); v != NULL; v = json_next(v)) {
        if (strcmp(json_key(v), "layers") != 0)
            json_add_copy(object, json_key(v), v);
        else if (!json_as_string(v, &text, err))
            return false;
    }
    if (layers)
        json_add_raw(object, "layers", text);
    return true;
}

static bool add_found(struct json *object, struct database *database,
                      const struct store_viewer *viewer, const char *id, struct arena *arena,
                      struct error *err)
{
    struct model_row row;
    return model_row_find(database, viewer, id, arena, &row, err) &&
           add_model(object, &row, true, arena, err);
}

static bool add_page(struct json *object, struct database *database,
                     const struct store_viewer *viewer, const struct store_page *page,
                     struct arena *arena, struct error *err)
{
    struct model_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    if (!model_row_list(database, viewer, page, arena, &rows, &count, next, err))
        return false;
    struct json *items = reply_list(object, next);
    for (size_t i = 0; i < count; i++) {
        if (!add_model(json_add_object(items, NULL), &rows[i], false, arena, err))
            return false;
    }
    return true;
}

static const struct held_resource models = {
    .noun = "the model",
    .filename = "model",
    .upload = &upload_model,
    .view = &models_view,
    .add = add_found,
    .add_page = add_page,
    .touch = model_row_touch,
    .delete = model_row_delete,
};

/* ---- handlers ---- */

static bool post(struct http_request *request, void *context, struct error *err)
{
    return post_held(request, context, NULL, err);
}

static const struct schema_member graph_members[] = {
    {"model", .type = SCHEMA_ID},
    {"input", .type = SCHEMA_OBJECT, .of = &model_end_schema},
    {"nodes", .type = SCHEMA_OBJECT, .of = &model_node_schema, .list = true,
     .help = "In execution order"},
    {"outputs", .type = SCHEMA_INTEGER, .list = true, .help = "Ids of nodes"},
    {0},
};
static const struct schema graph_schema = {
    .name = "ModelGraph",
    .help = "A network as a graph",
    .members = graph_members,
};

struct graph_description {
    struct json *object;
    struct arena *arena;
};

/* Strings of the description are copied, so it outlives the graph. */
static bool add_graph(void *context, const struct graph *graph, struct arena *scratch,
                      struct error *err)
{
    const struct graph_description *description = context;
    (void)scratch;
    return describe_graph(description->object, graph, description->arena, err);
}

/* Made from the file whenever somebody asks: so it is there for every model, also for those that
 * were uploaded before there was this call. */
static bool get_graph(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    const char *id = http_param(request, "id");
    const struct store_viewer viewer = access_viewer(request, api);
    struct json *object = json_object(http_arena(request));
    struct graph_description description = {object, http_arena(request)};
    struct database *database;
    if (!store_reader(api->options.store, &database, err) ||
        !model_row_check(database, &viewer, id, err))
        return false;
    json_add_string(object, "model", id);
    return stored_model_use(api, id, (struct model_user){add_graph, &description}, err) &&
           reply_json_tagged(request, object, err);
}

static const struct http_route routes[] = {
    {.method = "POST",
     .pattern = "/v1/models",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .begin = begin_held_post,
     .handle = post,
     .subject = &models,
     .summary = "Upload a network: an ONNX or TFLite file as the body",
     .query = {&query_name, &query_id},
     .bodies = {{"application/octet-stream", NULL}},
     .replies = {{201, "The network", .schema = &model_schema, .headers = {"Location"}},
                 {200, "The network, which the caller had already", .schema = &model_schema,
                  .headers = {"Location"}}}},
    {.method = "GET",
     .pattern = "/v1/models",
     .access = ACCESS_READ,
     .handle = list_held,
     .subject = &models,
     .summary = "List networks, newest first",
     .query = {&query_limit, &query_cursor},
     .replies = {{200, "A page of networks, without their layers", .schema = &list_schema},
                 VIEW_REPLIES}},
    {.method = "GET",
     .pattern = "/v1/models/{id}",
     .access = ACCESS_READ,
     .handle = get_held,
     .subject = &models,
     .summary = "A network with its layers",
     .replies = {{200, "The network", .schema = &model_schema}}},
    {.method = "DELETE",
     .pattern = "/v1/models/{id}",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .handle = delete_held,
     .subject = &models,
     .summary = "Remove a network that no queued or running job needs",
     .replies = {{204, .help = "It is removed"}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/models/{id}/file",
     .access = ACCESS_READ,
     .handle = get_held_file,
     .subject = &models,
     .summary = "The file as it was uploaded",
     .replies = {{200, "The file", .type = "application/octet-stream", .headers = {FILE_HEADERS}}}},
    {.method = "GET",
     .pattern = "/v1/models/{id}/graph",
     .access = ACCESS_READ,
     .blocking = true,
     .handle = get_graph,
     .summary = "A network as a graph: nodes in execution order and what each of them reads",
     .replies = {{200, "The graph", .schema = &graph_schema, .headers = {"ETag"}}}},
};
const struct http_table model_routes = {routes, sizeof(routes) / sizeof(routes[0])};
