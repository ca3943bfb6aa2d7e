/* /v1/jobs: lists, one job (with long polling), and what may be done to it. */

#include "submit.h"
#include "view.h"

#include "ptqd/jobs/spec.h"

#include <string.h>

/* ---- reading ---- */

static const struct param query_state = {
    .name = "state",
    .type = PARAM_CHOICE,
    .default_text = "",
    .choices = job_state_names,
    .unit = "",
    .help = "Only jobs in this state.",
};

static const struct param query_label = {
    .name = "label",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = 264,
    .unit = "bytes",
    .help = "Only jobs with this label: \"key\" or \"key=value\".",
};

static const struct param query_text = {
    .name = "text",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = 200,
    .unit = "bytes",
    .help = "Only jobs with it in id, name, owner, a label (\"key=value\") or the model's name, in "
            "small or large letters; a page looks at 2000 jobs, so it may have few items, or none, "
            "and a next page all the same.",
};

static const struct schema_member list_members[] = {
    {"items", .type = SCHEMA_OBJECT, .of = &job_schema, .list = true},
    {0},
};
static const struct schema list_schema = {
    .name = "JobList",
    .help = "A page of jobs",
    .members = list_members,
    .base = &page_schema,
};

/* One page of jobs. */
struct job_page {
    struct database *database;
    struct job_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
};

static bool read_jobs(struct http_request *request, struct api *api, struct job_page *out_page,
                      struct error *err)
{
    const struct store_viewer viewer = access_viewer(request, api);
    struct job_filter filter = {.owner = http_query(request, "owner"),
                                .own_only = viewer.own_only ? viewer.owner : NULL,
                                .label = http_query(request, "label"),
                                .text = http_query(request, "text")};
    const struct store_page page = read_page(request);
    enum job_state state;
    struct param_value wanted;
    if (http_query_value(request, &query_state, &wanted)) {
        state = (enum job_state)wanted.choice;
        filter.state = &state;
    }
    return store_reader(api->options.store, &out_page->database, err) &&
           job_row_list(out_page->database, &filter, &page, http_arena(request), &out_page->rows,
                        &out_page->count, out_page->next, err);
}

static bool list_json(struct http_request *request, struct api *api, struct error *err)
{
    struct arena *arena = http_arena(request);
    struct job_page page;
    const struct answer_version version = answer_version_now(api);
    const char *key = answer_key(request, err);
    if (key == NULL)
        return false;
    if (reply_kept(request, api, key, version))
        return true;
    if (!read_jobs(request, api, &page, err))
        return false;
    struct json *object = json_object(arena);
    struct json *items = reply_list(object, page.next);
    bool live = false;
    for (size_t i = 0; i < page.count; i++) {
        struct job_text job;
        if (!job_text(api, page.database, &page.rows[i], arena, &job, err))
            return false;
        json_add_raw(items, NULL, job.text);
        live |= job.live;
    }
    size_t size;
    const char *text = json_print_string(object, arena, &size, err);
    if (text == NULL)
        return false;
    keep_answer(api, key, version, live, &(struct answer_draft){text, size, "", 0});
    http_answer(request, 200, "application/json", text, size, false);
    return true;
}

/* A job, and what only people are told. */
static bool add_viewed_job(struct json *object, struct api *api, struct database *database,
                           const struct job_row *row, struct arena *arena, struct error *err)
{
    double best;
    if (!add_job(object, api, database, row, arena, err) ||
        !run_row_best(database, row->id, &best, err))
        return false;
    json_add_number(object, "best_accuracy", best);
    return true;
}

static bool list(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    struct job_page page;
    enum view_form form;
    if (!view_negotiate(request, &form, err))
        return false;
    if (form == VIEW_JSON)
        return list_json(request, api, err);
    if (!read_jobs(request, api, &page, err))
        return false;
    struct json *object = json_object(arena);
    struct json *items = reply_list(object, page.next);
    for (size_t i = 0; i < page.count; i++) {
        if (!add_viewed_job(json_add_object(items, NULL), api, page.database, &page.rows[i], arena,
                            err))
            return false;
    }
    return reply_view(request, &jobs_view, form, object, err);
}

bool find_job(struct http_request *request, struct api *api, const char *id,
              struct database **out_database, struct job_row *out_row, struct error *err)
{
    return store_reader(api->options.store, out_database, err) &&
           job_row_find(*out_database, id, http_arena(request), out_row, err);
}

struct news {
    bool finished;
    bool any;           /* it is finished, or not what If-None-Match names */
    double eta_seconds; /* NaN: not known */
};

/* The job and its first runs as tables. */
static bool job_view_text(struct api *api, struct database *database, const struct job_row *row,
                          enum view_form form, struct arena *arena, struct job_text *out_text,
                          struct error *err)
{
    const struct store_page first = {.limit = 0};
    struct run_row *runs;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    struct json *object = json_object(arena);
    if (!add_viewed_job(object, api, database, row, arena, err) ||
        !run_row_list(database, row->id, NULL, &first, arena, &runs, &count, next, err))
        return false;
    struct json *list = json_add_array(object, "runs");
    for (size_t i = 0; i < count; i++) {
        if (!add_run(json_add_object(list, NULL), api, database, &runs[i], arena, err))
            return false;
    }
    struct job_text text = {.live = true};
    if (!view_print(&job_view, form, object, arena, &text.text, &text.size, err) ||
        !make_etag(text.text, text.size, text.etag, err))
        return false;
    *out_text = text;
    return true;
}

static bool answer_job(struct http_request *request, struct api *api, enum view_form form,
                       struct job_text *out_text, struct news *out_news, struct error *err)
{
    struct arena *arena = http_arena(request);
    struct database *database;
    struct job_row row;
    if (!find_job(request, api, http_param(request, "id"), &database, &row, err) ||
        !(form == VIEW_JSON ? job_text(api, database, &row, arena, out_text, err)
                            : job_view_text(api, database, &row, form, arena, out_text, err)))
        return false;
    http_set_etag(request, out_text->etag);
    http_answer(request, 200, http_media_type(request), out_text->text, out_text->size, false);
    bool finished = job_state_is_final(row.state);
    *out_news = (struct news){
        .finished = finished,
        .any = finished || poll_is_other(request),
        .eta_seconds = jobs_job_progress(api->options.jobs, &row).eta_seconds,
    };
    return true;
}

static bool look_at_job(struct http_request *request, struct api *api, bool *out_news,
                        struct error *err)
{
    struct job_text text;
    struct news news;
    enum view_form form;
    if (!view_negotiate(request, &form, err) || !answer_job(request, api, form, &text, &news, err))
        return false;
    *out_news = news.any;
    return true;
}

/* Without waiting. */
static bool get_now(struct http_request *request, struct api *api, enum view_form form,
                    struct error *err)
{
    const struct answer_version version = answer_version_of_job(api, http_param(request, "id"));
    const char *key = answer_key(request, err);
    struct job_text text;
    struct news news;
    if (key == NULL)
        return false;
    if (form == VIEW_JSON && reply_kept(request, api, key, version))
        return true;
    if (!answer_job(request, api, form, &text, &news, err))
        return false;
    struct answer_draft draft = {text.text, text.size, text.etag, 0};
    if (!news.finished) {
        draft.retry_seconds = retry_seconds_of(news.eta_seconds);
        reply_retry_seconds(request, draft.retry_seconds);
    }
    if (form == VIEW_JSON)
        keep_answer(api, key, version, text.live || !news.finished, &draft);
    return true;
}

static bool get(struct http_request *request, void *context, struct error *err)
{
    int64_t seconds = read_wait(request);
    enum view_form form;
    if (seconds > 0)
        return poll_wait(request, context, http_param(request, "id"), seconds, look_at_job, err);
    return view_negotiate(request, &form, err) && get_now(request, context, form, err);
}

/* ---- changing ---- */

/* Starts a change of the job in the path and continues with `next` when it is on disk. */
static bool start_change(struct http_request *request, struct api *api,
                         void (*start)(struct jobs *jobs, const char *job,
                                       struct jobs_change *change),
                         http_handler *next, struct error *err)
{
    struct database *database;
    struct job_row row;
    const char *id = http_param(request, "id");
    if (!find_job(request, api, id, &database, &row, err) ||
        !check_owner(request, row.owner, "the job", err))
        return false;
    struct jobs_change *change = change_suspend(request, next, err);
    if (change == NULL)
        return false;
    change->now = start == jobs_pause && read_now(request);
    start(api->options.jobs, id, change);
    return true;
}

static bool reply_changed(struct http_request *request, void *context, struct error *err)
{
    struct job_text text;
    struct news news;
    return change_check(request, err) && answer_job(request, context, VIEW_JSON, &text, &news, err);
}

static bool reply_deleted(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    return change_check(request, err) && reply_nothing(request);
}

static bool cancel(struct http_request *request, void *context, struct error *err)
{
    return start_change(request, context, jobs_cancel, reply_changed, err);
}

static bool retry(struct http_request *request, void *context, struct error *err)
{
    return start_change(request, context, jobs_retry, reply_changed, err);
}

static bool pause_job(struct http_request *request, void *context, struct error *err)
{
    return start_change(request, context, jobs_pause, reply_changed, err);
}

static bool resume_job(struct http_request *request, void *context, struct error *err)
{
    return start_change(request, context, jobs_resume, reply_changed, err);
}

/* A version of the job that If-Match does not mean is not changed, also when it becomes one after
 * this look: the write looks at the revision. */
static bool check_version(struct http_request *request, struct api *api, struct database *database,
                          const struct job_row *row, int64_t *out_revision, struct error *err)
{
    struct job_text text;
    if (http_header(request, "If-Match") == NULL)
        return true;
    if (!job_text(api, database, row, http_arena(request), &text, err))
        return false;
    *out_revision = row->revision;
    return http_is_meant(request, text.etag) ||
           FAIL(err, E_PRECONDITION, "job '%s' is not the version that If-Match means", row->id);
}

static bool patch_job(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    struct job_patch *patch = ARENA_NEW(arena, struct job_patch, err);
    struct database *database;
    struct job_row row;
    struct json *object;
    size_t size;
    const char *body = http_body(request, &size);
    if (patch == NULL || !find_job(request, api, http_param(request, "id"), &database, &row, err) ||
        !check_owner(request, row.owner, "the job", err) ||
        !json_parse(arena, body, size, NULL, &object, err) ||
        !job_patch_parse(object, arena, patch, err) ||
        (patch->has_priority && !check_priority(request, api, patch->priority, err)) ||
        !check_version(request, api, database, &row, &patch->revision, err))
        return false;
    struct jobs_change *change = change_suspend(request, reply_changed, err);
    if (change == NULL)
        return false;
    jobs_patch(api->options.jobs, row.id, patch, change);
    return true;
}

static bool delete_job(struct http_request *request, void *context, struct error *err)
{
    return start_change(request, context, jobs_delete, reply_deleted, err);
}

static const struct http_route routes[] = {
    {.method = "POST",
     .pattern = "/v1/jobs",
     .access = ACCESS_SUBMIT,
     .any_body = true,
     .begin = submit_begin,
     .handle = submit_handle,
     .summary = "Submit a job: JSON, or a form with files and the specification",
     .headers = {"Idempotency-Key"},
     .bodies = {{"application/json", &job_spec_schema}, {"multipart/form-data", &job_form_schema}},
     .replies = {{202, "The job, which is on disk", .schema = &job_schema,
                  .headers = {"Location", "Retry-After", "Idempotency-Replayed"}}}},
    {.method = "POST",
     .pattern = "/v1/jobs/estimate",
     .access = ACCESS_SUBMIT,
     .blocking = true,
     .any_body = true,
     .handle = estimate_handle,
     .summary = "What a job would take: variants, runs, seconds and memory; nothing is submitted",
     .bodies = {{"application/json", &job_spec_schema}},
     .replies = {{200, "The estimate", .schema = &estimate_schema}}},
    {.method = "GET",
     .pattern = "/v1/jobs",
     .access = ACCESS_READ,
     .handle = list,
     .summary = "List jobs, newest first: JSON, Markdown or plain text by Accept",
     .query = {&query_state, &query_owner, &query_label, &query_text, &query_limit, &query_cursor},
     .replies = {{200, "A page of jobs", .schema = &list_schema}, VIEW_REPLIES}},
    {.method = "GET",
     .pattern = "/v1/jobs/{id}",
     .access = ACCESS_READ,
     .handle = get,
     .summary = "A job: JSON, Markdown or plain text by Accept; ?wait=30 answers when it is "
                "finished, at the latest after 30 s",
     .query = {&query_wait},
     .replies = {{200, "The job", .schema = &job_schema, .headers = {"ETag", "Retry-After"}},
                 VIEW_REPLIES}},
    {.method = "PATCH",
     .pattern = "/v1/jobs/{id}",
     .access = ACCESS_SUBMIT,
     .any_body = true,
     .conditional = true,
     .handle = patch_job,
     .summary = "Change a job's name, labels or priority; with If-Match only if it is that version",
     .bodies = {{"application/json", &job_patch_schema}},
     .replies = {{200, "The job", .schema = &job_schema, .headers = {"ETag"}}}},
    {.method = "DELETE",
     .pattern = "/v1/jobs/{id}",
     .access = ACCESS_SUBMIT,
     .handle = delete_job,
     .summary = "Remove a finished job with its runs and artifacts",
     .replies = {{204, .help = "It is removed"}},
     .problems = {409}},
    {.method = "POST",
     .pattern = "/v1/jobs/{id}/cancel",
     .access = ACCESS_SUBMIT,
     .any_body = true,
     .handle = cancel,
     .summary = "Stop a job's runs",
     .replies = {{200, "The job", .schema = &job_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "POST",
     .pattern = "/v1/jobs/{id}/retry",
     .access = ACCESS_SUBMIT,
     .any_body = true,
     .handle = retry,
     .summary = "Queue a job's failed runs again",
     .replies = {{200, "The job", .schema = &job_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "POST",
     .pattern = "/v1/jobs/{id}/pause",
     .access = ACCESS_SUBMIT,
     .any_body = true,
     .handle = pause_job,
     .summary = "Start no more of a job's runs; ?now=true also puts back those that run",
     .query = {&query_now},
     .replies = {{200, "The job", .schema = &job_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "POST",
     .pattern = "/v1/jobs/{id}/resume",
     .access = ACCESS_SUBMIT,
     .any_body = true,
     .handle = resume_job,
     .summary = "Let a paused job go on",
     .replies = {{200, "The job", .schema = &job_schema, .headers = {"ETag"}}},
     .problems = {409}},
};
const struct http_table job_routes = {routes, sizeof(routes) / sizeof(routes[0])};
