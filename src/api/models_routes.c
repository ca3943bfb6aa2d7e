/* /v1/models: networks, by the SHA-256 of their file. */

#include "model_use.h"
#include "upload.h"
#include "view.h"

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

static bool find_model(struct http_request *request, struct api *api, const char *id,
                       struct model_row *out_row, struct error *err)
{
    struct database *database;
    const struct store_viewer viewer = access_viewer(request, api);
    return store_reader(api->options.store, &database, err) &&
           model_row_find(database, &viewer, id, http_arena(request), out_row, err);
}

static bool reply_model(struct http_request *request, struct api *api, const char *id, int status,
                        struct error *err)
{
    struct model_row row;
    struct json *object = json_object(http_arena(request));
    return find_model(request, api, id, &row, err) &&
           add_model(object, &row, true, http_arena(request), err) &&
           reply_json(request, status, object, err);
}

/* ---- handlers ---- */

static bool reply_upload(struct http_request *request, struct api *api, const char *id, bool known,
                         struct error *err)
{
    http_add_header(request, "Location",
                    arena_printf(http_arena(request), NULL, "/v1/models/%s", id));
    return reply_model(request, api, id, known ? 200 : 201, err);
}

/* Who has it already need not send it again. */
static bool is_held(struct http_request *request, struct api *api, const char *id)
{
    struct model_row row;
    struct error ignored; /* then it is sent */
    return id != NULL && find_model(request, api, id, &row, &ignored) &&
           strcmp(row.owner, http_owner(request)) == 0;
}

static bool begin_post(struct http_request *request, void *context, struct error *err)
{
    const char *id = http_query(request, "id");
    return is_held(request, context, id) ? reply_upload(request, context, id, true, err)
                                         : upload_begin(request, context, &upload_model, err);
}

static bool post(struct http_request *request, void *context, struct error *err)
{
    struct upload *upload = http_state(request);
    void *row;
    bool known_already;
    if (!upload_inspect(upload, NULL, http_arena(request), &row, err) ||
        !upload_commit(upload, row, read_name(request), http_owner(request), &known_already, err))
        return false;
    return reply_upload(request, context, upload->id, known_already, err);
}

static bool list(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    const struct store_viewer viewer = access_viewer(request, api);
    const struct store_page page = read_page(request);
    struct database *database;
    struct model_row *rows;
    size_t count;
    enum view_form form;
    char next[STORE_CURSOR_BYTES];
    if (!view_negotiate(request, &form, err) || !store_reader(api->options.store, &database, err) ||
        !model_row_list(database, &viewer, &page, arena, &rows, &count, next, err))
        return false;
    struct json *object = json_object(arena);
    struct json *items = reply_list(object, next);
    for (size_t i = 0; i < count; i++) {
        if (!add_model(json_add_object(items, NULL), &rows[i], false, arena, err))
            return false;
    }
    return reply_view(request, &models_view, form, object, err);
}

static bool get(struct http_request *request, void *context, struct error *err)
{
    return reply_model(request, context, http_param(request, "id"), 200, err);
}

static bool get_file(struct http_request *request, void *context, struct error *err)
{
    struct model_row row;
    if (!find_model(request, context, http_param(request, "id"), &row, err))
        return false;
    const char *filename = arena_printf(http_arena(request), err, "model.%s", row.format);
    return filename != NULL &&
           reply_blob(request, context, row.id, "application/octet-stream", filename, err);
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
    struct model_row row;
    struct json *object = json_object(http_arena(request));
    if (!find_model(request, context, http_param(request, "id"), &row, err))
        return false;
    struct graph_description description = {object, http_arena(request)};
    json_add_string(object, "model", row.id);
    return stored_model_use(context, row.id, (struct model_user){add_graph, &description}, err) &&
           reply_json_tagged(request, object, err);
}

static bool apply_delete(struct database *database, void *context, struct error *err)
{
    const struct model_row *row = context;
    return model_row_delete(database, row->id, row->owner, err);
}

static bool delete_model(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct model_row row;
    if (!find_model(request, api, http_param(request, "id"), &row, err) ||
        !check_owner(request, row.owner, "the model", err))
        return false;
    if (strcmp(row.owner, http_owner(request)) != 0)
        row.owner = NULL; /* an administrator who does not hold it takes it from everybody */
    return store_write_now(api->options.store, apply_delete, &row, err) && reply_nothing(request);
}

static const struct http_route routes[] = {
    {.method = "POST",
     .pattern = "/v1/models",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .begin = begin_post,
     .handle = post,
     .summary = "Upload a network: an ONNX or TFLite file as the body",
     .query = {&query_name, &query_id},
     .bodies = {{"application/octet-stream", NULL}},
     .replies = {{201, "The network", .schema = &model_schema, .headers = {"Location"}},
                 {200, "The network, which the caller had already", .schema = &model_schema,
                  .headers = {"Location"}}},
     .problems = {429}},
    {.method = "GET",
     .pattern = "/v1/models",
     .access = ACCESS_READ,
     .handle = list,
     .summary = "List networks, newest first",
     .query = {&query_limit, &query_cursor},
     .replies = {{200, "A page of networks, without their layers", .schema = &list_schema},
                 VIEW_REPLIES}},
    {.method = "GET",
     .pattern = "/v1/models/{id}",
     .access = ACCESS_READ,
     .handle = get,
     .summary = "A network with its layers",
     .replies = {{200, "The network", .schema = &model_schema}}},
    {.method = "DELETE",
     .pattern = "/v1/models/{id}",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .handle = delete_model,
     .summary = "Remove a network that no queued or running job needs",
     .replies = {{204, .help = "It is removed"}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/models/{id}/file",
     .access = ACCESS_READ,
     .handle = get_file,
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
