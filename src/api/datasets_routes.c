/* /v1/datasets: samples, and labels, by the SHA-256 of their file. */

#include "held_routes.h"

#include "ptqd/api/describe.h"
#include "ptqd/base/text.h"
#include "ptqd/store/dataset_row.h"

#include <math.h>
#include <string.h>

/* ---- uploading ---- */

static uint64_t dataset_limit(const struct api *api)
{
    return api->options.dataset_bytes;
}

static bool inspect_dataset(struct api *api, const uint8_t *bytes, size_t size, void *settings,
                            struct arena *arena, void **out_row, struct error *err)
{
    const struct upload_scale *scale = settings;
    struct dataset_row *row = ARENA_NEW(arena, struct dataset_row, err);
    struct arena *scratch = arena_create_within(api->options.import_bytes, &api->imports);
    if (row == NULL || scratch == NULL) {
        arena_destroy(scratch);
        return FAIL(err, E_MEMORY, "no memory to look at a data set of %zu bytes", size);
    }
    struct upload_window window = {.bytes = bytes, .size = size};
    const struct dataset_options options = {
        .scale = scale->scale,
        .zero_point = scale->zero_point,
        .limit_bytes = (size_t)api->options.dataset_bytes,
        .reading = {.passed = upload_passed, .context = &window},
    };
    struct dataset *dataset;
    bool labels_only;
    bool ok = describe_load(scratch, bytes, size, &options, &dataset, &labels_only, err);
    if (ok) {
        struct json *detail = json_object(arena);
        describe_dataset(detail, dataset, labels_only);
        row->samples = dataset->samples;
        row->scale = scale->scale;
        row->zero_point = scale->zero_point;
        row->detail = json_print_string(detail, arena, NULL, err);
        ok = row->detail != NULL;
    }
    arena_destroy(scratch);
    *out_row = row;
    return ok;
}

static bool insert_dataset(struct database *database, const struct upload *upload, void *row,
                           const char *name, const char *owner, bool *out_known, struct error *err)
{
    struct dataset_row *dataset = row;
    dataset->id = upload->id;
    dataset->name = name;
    dataset->owner = owner;
    dataset->bytes = (int64_t)upload->size;
    return dataset_row_insert(database, dataset, out_known, err);
}

const struct upload_kind upload_dataset = {dataset_limit, inspect_dataset, insert_dataset};

/* ---- the object ---- */

static const struct schema_member dataset_members[] = {
    {"id", .type = SCHEMA_ID},
    {"name", .type = SCHEMA_STRING},
    {"owner", .type = SCHEMA_STRING},
    {"bytes", .type = SCHEMA_INTEGER},
    {"created", .type = SCHEMA_TIME},
    {"samples", .type = SCHEMA_INTEGER},
    {"scale", .type = SCHEMA_NUMBER},
    {"zero_point", .type = SCHEMA_NUMBER},
    {"shape", .type = SCHEMA_INTEGER, .list = true, .help = "Of one sample"},
    {"dtype", .type = SCHEMA_STRING, .help = "As NumPy writes it: \"<f4\""},
    {"labels", .type = SCHEMA_BOOL, .help = "Whether it has labels"},
    {"labels_only", .type = SCHEMA_BOOL, .help = "Whether it is labels on their own"},
    {"classes", .type = SCHEMA_INTEGER, .null = true},
    {"min", .type = SCHEMA_NUMBER, .null = true},
    {"max", .type = SCHEMA_NUMBER, .null = true},
    {0},
};
static const struct schema dataset_schema = {
    .name = "Dataset",
    .help = "Samples, or labels",
    .members = dataset_members,
};

static const struct schema_member list_members[] = {
    {"items", .type = SCHEMA_OBJECT, .of = &dataset_schema, .list = true},
    {0},
};
static const struct schema list_schema = {
    .name = "DatasetList",
    .help = "A page of data sets",
    .members = list_members,
    .base = &page_schema,
};

static bool add_dataset(struct json *object, const struct dataset_row *row, struct arena *arena,
                        struct error *err)
{
    struct json *detail;
    if (!json_parse(arena, row->detail, strlen(row->detail), NULL, &detail, err))
        return error_context(err, "the stored description of data set %s", row->id);
    json_add_string(object, "id", row->id);
    json_add_string(object, "name", row->name);
    json_add_string(object, "owner", row->owner);
    json_add_integer(object, "bytes", row->bytes);
    add_time(object, "created", row->created_ms);
    json_add_integer(object, "samples", row->samples);
    json_add_number(object, "scale", row->scale);
    json_add_number(object, "zero_point", row->zero_point);
    for (const struct json *v = json_first(detail); v != NULL; v = json_next(v))
        json_add_copy(object, json_key(v), v);
    return true;
}

static bool add_found(struct json *object, struct database *database,
                      const struct store_viewer *viewer, const char *id, struct arena *arena,
                      struct error *err)
{
    struct dataset_row row;
    return dataset_row_find(database, viewer, id, arena, &row, err) &&
           add_dataset(object, &row, arena, err);
}

static bool add_page(struct json *object, struct database *database,
                     const struct store_viewer *viewer, const struct store_page *page,
                     struct arena *arena, struct error *err)
{
    struct dataset_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    if (!dataset_row_list(database, viewer, page, arena, &rows, &count, next, err))
        return false;
    struct json *items = reply_list(object, next);
    for (size_t i = 0; i < count; i++) {
        if (!add_dataset(json_add_object(items, NULL), &rows[i], arena, err))
            return false;
    }
    return true;
}

/* ---- its scale ---- */

static const struct param query_scale = {
    .name = "scale",
    .type = PARAM_REAL,
    .default_text = "1",
    .min = 1e-30,
    .max = 1e30,
    .unit = "",
    .help = "Of stored integers: value = (stored - zero_point) * scale.",
};

static const struct param query_zero_point = {
    .name = "zero_point",
    .type = PARAM_REAL,
    .default_text = "0",
    .min = -1e30,
    .max = 1e30,
    .unit = "",
    .help = "Of stored integers: the one that stands for 0.",
};

static bool read_scale(struct http_request *request, struct upload_scale *out, struct error *err)
{
    struct param_value scale, zero_point;
    if (!http_query_value(request, &query_scale, &scale) ||
        !http_query_value(request, &query_zero_point, &zero_point))
        return FAIL(err, E_MEMORY, "no memory to read the scale"); /* they were checked */
    *out = (struct upload_scale){.scale = scale.real, .zero_point = zero_point.real};
    return true;
}

static bool same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

/* A data set has one scale: uploading it again with another one would go unnoticed. */
static bool has_scale(struct http_request *request, const struct json *object, struct error *err)
{
    double scale = view_number(object, "scale"), zero_point = view_number(object, "zero_point");
    struct upload_scale given;
    if (!read_scale(request, &given, err))
        return false;
    if (same_number(scale, given.scale) && same_number(zero_point, given.zero_point))
        return true;
    return FAIL(err, E_CONFLICT,
                "the data set is here already with scale %.15g and zero point %.15g, not %.15g and "
                "%.15g: give another scale in the job, or delete the data set first",
                scale, zero_point, given.scale, given.zero_point);
}

static const struct held_resource data_sets = {
    .noun = "the data set",
    .filename = "dataset",
    .upload = &upload_dataset,
    .view = &datasets_view,
    .add = add_found,
    .add_page = add_page,
    .touch = dataset_row_touch,
    .delete = dataset_row_delete,
    .agrees = has_scale,
};

/* ---- handlers ---- */

static bool post(struct http_request *request, void *context, struct error *err)
{
    struct upload_scale scale;
    return read_scale(request, &scale, err) && post_held(request, context, &scale, err);
}

static const struct http_route routes[] = {
    {.method = "POST",
     .pattern = "/v1/datasets",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .begin = begin_held_post,
     .handle = post,
     .subject = &data_sets,
     .summary = "Upload samples (.npy, or .npz with x and y) or labels (.npy) as the body",
     .query = {&query_name, &query_id, &query_scale, &query_zero_point},
     .bodies = {{"application/octet-stream", NULL}},
     .replies = {{201, "The data set", .schema = &dataset_schema, .headers = {"Location"}},
                 {200, "The data set, which the caller had already", .schema = &dataset_schema,
                  .headers = {"Location"}}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/datasets",
     .access = ACCESS_READ,
     .handle = list_held,
     .subject = &data_sets,
     .summary = "List data sets, newest first",
     .query = {&query_limit, &query_cursor},
     .replies = {{200, "A page of data sets", .schema = &list_schema}, VIEW_REPLIES}},
    {.method = "GET",
     .pattern = "/v1/datasets/{id}",
     .access = ACCESS_READ,
     .handle = get_held,
     .subject = &data_sets,
     .summary = "Shape, type, labels and range of a data set",
     .replies = {{200, "The data set", .schema = &dataset_schema}}},
    {.method = "DELETE",
     .pattern = "/v1/datasets/{id}",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .handle = delete_held,
     .subject = &data_sets,
     .summary = "Remove a data set that no queued or running job needs",
     .replies = {{204, .help = "It is removed"}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/datasets/{id}/file",
     .access = ACCESS_READ,
     .handle = get_held_file,
     .subject = &data_sets,
     .summary = "The file as it was uploaded",
     .replies = {{200, "The file", .type = "application/octet-stream", .headers = {FILE_HEADERS}}}},
};
const struct http_table dataset_routes = {routes, sizeof(routes) / sizeof(routes[0])};
