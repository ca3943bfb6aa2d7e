/* /v1/runs, and the runs of a job: one variant with one seed, its layers and its artifacts. */

#include "view.h"

#include "api_private.h"

#include "ptqd/api/layers.h"

#include <math.h>
#include <string.h>

bool find_run(struct http_request *request, struct api *api, struct database **out_database,
              struct run_row *out_row, struct error *err)
{
    return store_reader(api->options.store, out_database, err) &&
           run_row_find(*out_database, http_param(request, "id"), http_arena(request), out_row,
                        err);
}

static const struct param query_state = {
    .name = "state",
    .type = PARAM_CHOICE,
    .default_text = "",
    .choices = run_state_names,
    .unit = "",
    .help = "Only runs in this state.",
};

static const struct schema_member list_members[] = {
    {"items", .type = SCHEMA_OBJECT, .of = &run_schema, .list = true},
    {0},
};
static const struct schema list_schema = {
    .name = "RunList",
    .help = "A page of runs",
    .members = list_members,
    .base = &page_schema,
};

static bool read_list(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    const struct store_page page = read_page(request);
    struct param_value wanted;
    enum view_form form;
    bool one_state = http_query_value(request, &query_state, &wanted);
    enum run_state state = one_state ? (enum run_state)wanted.choice : RUN_QUEUED;
    struct database *database;
    struct run_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    if (!view_negotiate(request, &form, err) || !store_reader(api->options.store, &database, err) ||
        !run_row_list(database, http_param(request, "id"), one_state ? &state : NULL, &page, arena,
                      &rows, &count, next, err))
        return false;
    struct json *object = json_object(arena);
    struct json *items = reply_list(object, next);
    for (size_t i = 0; i < count; i++) {
        if (!add_run(json_add_object(items, NULL), api, database, &rows[i], arena, err))
            return false;
    }
    return reply_view(request, &runs_view, form, object, err);
}

static bool list(struct http_request *request, void *context, struct error *err)
{
    return read_page(request).limit > DIRECT_RUNS_MAX ? http_block(request, read_list, err)
                                                      : read_list(request, context, err);
}

static bool run_is_final(const struct run_row *row)
{
    return row->state != RUN_RUNNING && row->state != RUN_QUEUED;
}

static bool answer_run(struct http_request *request, struct api *api, struct run_row *out_row,
                       struct error *err)
{
    struct database *database;
    enum view_form form;
    struct json *object = json_object(http_arena(request));
    return view_negotiate(request, &form, err) && find_run(request, api, &database, out_row, err) &&
           add_run(object, api, database, out_row, http_arena(request), err) &&
           reply_view_tagged(request, &run_view, form, object, err);
}

static bool look_at_run(struct http_request *request, struct api *api, bool *out_news,
                        struct error *err)
{
    struct run_row row;
    if (!answer_run(request, api, &row, err))
        return false;
    *out_news = run_is_final(&row) || poll_is_other(request);
    return true;
}

static bool get(struct http_request *request, void *context, struct error *err)
{
    struct run_row row;
    struct api *api = context;
    struct ticket_progress progress = {.seconds_left = (double)NAN};
    int64_t seconds = read_wait(request);
    if (seconds > 0) { /* what changes in a run changes in its job: "j1" of "j1-v000-s0" */
        const char *id = http_param(request, "id");
        const char *job = arena_strndup(http_arena(request), id, strcspn(id, "-"), err);
        return job != NULL && poll_wait(request, api, job, seconds, look_at_run, err);
    }
    if (!answer_run(request, api, &row, err))
        return false;
    if (row.state == RUN_RUNNING) /* a run that waits leaves the progress as it is */
        (void)jobs_run_progress(api->options.jobs, row.id, &progress);
    if (!run_is_final(&row))
        reply_retry_after(request, progress.seconds_left);
    return true;
}

static bool reply_layers_table(struct http_request *request, const struct json *result,
                               struct error *err)
{
    enum { LAYERS_BYTES_MAX = 16 << 20 };
    struct text text;
    text_init(&text, LAYERS_BYTES_MAX);
    bool ok = layers_markdown(result, &text, err) && reply_text(request, &text, err);
    text_finish(&text);
    return ok;
}

static bool get_layers(struct http_request *request, void *context, struct error *err)
{
    /* What result_print wrote. */
    static const struct json_limits limits = {.bytes = (size_t)256 << 20,
                                              .depth = 16,
                                              .values = 4 * 1000 * 1000};
    struct arena *arena = http_arena(request);
    struct database *database;
    struct run_row row;
    const char *text;
    struct json *result;
    int form; /* of the replies below */
    if (!http_negotiate(request, &form, err) || !find_run(request, context, &database, &row, err))
        return false;
    if (row.summary == NULL)
        return FAIL(err, E_CONFLICT, "run %s is %s; layers are known when it has succeeded", row.id,
                    run_state_name(row.state));
    if (!run_row_result(database, row.id, arena, &text, err))
        return false;
    if (!json_parse(arena, text, strlen(text), &limits, &result, err))
        return error_context(err, "the stored result of run %s", row.id);
    http_add_header(request, "Vary", "Accept");
    if (form > 0)
        return reply_layers_table(request, result, err);
    struct json *object = json_object(arena);
    json_add_string(object, "run", row.id);
    layers_add(object, result);
    return reply_json_tagged(request, object, err);
}

static const struct schema_member artifact_list_members[] = {
    {"items", .type = SCHEMA_OBJECT, .of = &artifact_schema, .list = true},
    {0},
};
static const struct schema artifact_list_schema = {
    .name = "ArtifactList",
    .help = "The artifacts of a run",
    .members = artifact_list_members,
    .base = &page_schema,
};

static bool list_artifacts(struct http_request *request, void *context, struct error *err)
{
    struct arena *arena = http_arena(request);
    struct database *database;
    struct run_row row;
    struct artifact_row *rows;
    size_t count;
    if (!find_run(request, context, &database, &row, err) ||
        !artifact_row_list(database, row.id, arena, &rows, &count, err))
        return false;
    struct json *object = json_object(arena);
    add_artifacts(reply_list(object, ""), rows, count);
    return reply_json(request, 200, object, err);
}

static bool get_artifact(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct database *database;
    struct artifact_row row;
    return store_reader(api->options.store, &database, err) &&
           artifact_row_find(database, http_param(request, "id"), http_param(request, "name"),
                             http_arena(request), &row, err) &&
           reply_blob(request, api, row.blob, row.media_type, row.name, err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/jobs/{id}/runs",
     .access = ACCESS_READ,
     .handle = list,
     .summary = "The runs of a job, by variant and seed: JSON, Markdown or plain text by Accept",
     .query = {&query_state, &query_limit, &query_cursor},
     .replies = {{200, "A page of runs", .schema = &list_schema}, VIEW_REPLIES}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}",
     .access = ACCESS_READ,
     .handle = get,
     .summary = "A run: JSON, Markdown or plain text by Accept; ?wait=30 answers when it has "
                "ended, at the latest after 30 s",
     .query = {&query_wait},
     .replies = {{200, "The run", .schema = &run_schema, .headers = {"ETag", "Retry-After"}},
                 VIEW_REPLIES}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/layers",
     .access = ACCESS_READ,
     .handle = get_layers,
     .summary = "Costs, signal-to-noise ratios and sensitivity of each layer of a run that "
                "succeeded: JSON or Markdown by Accept",
     .replies = {{200, "The layers", .schema = &layers_schema, .headers = {"ETag"}},
                 {200, "A table for people", .type = TYPE_MARKDOWN},
                 {200, "The same table", .type = TYPE_PLAIN}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/artifacts",
     .access = ACCESS_READ,
     .handle = list_artifacts,
     .summary = "The files that a run made",
     .replies = {{200, "All of them", .schema = &artifact_list_schema}}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/artifacts/{name}",
     .access = ACCESS_READ,
     .handle = get_artifact,
     .summary = "A file that a run made",
     .replies = {{200, "The file", .type = "*/*", .headers = {FILE_HEADERS}}}},
};
const struct http_table run_routes = {routes, sizeof(routes) / sizeof(routes[0])};
