/* /v1/queue: how the queue is, and its pause; and what all changes of the queue share. */

#include "view.h"

#include "api_private.h"

#include "ptqd/store/job_owner.h"
#include "ptqd/store/queue_row.h"

#include <string.h>

/* ---- changes ---- */

struct change {
    struct jobs_change change;
    struct error error;
    bool failed;
};

/* On the writer thread. */
static void on_changed(void *context, const struct error *failure)
{
    struct http_request *request = context;
    struct change *change = http_state(request);
    change->failed = failure != NULL;
    if (failure != NULL)
        change->error = *failure;
    http_resume(request);
}

struct jobs_change *change_suspend(struct http_request *request, http_handler *next,
                                   struct error *err)
{
    struct change *change = ARENA_NEW(http_arena(request), struct change, err);
    if (change == NULL)
        return NULL;
    change->change.done = on_changed;
    change->change.context = request;
    http_set_state(request, change, NULL);
    /* Suspended first: the answer may come before the change's start returns. */
    http_suspend(request, next, HTTP_NO_TIMEOUT);
    return &change->change;
}

bool change_check(const struct http_request *request, struct error *err)
{
    const struct change *change = http_state(request);
    if (change->failed)
        *err = change->error;
    return !change->failed;
}

/* ---- the queue ---- */

/* Whose run it is decides whether the request may know of it. */
static bool is_shown(struct http_request *request, struct api *api, struct database *database,
                     const char *job, bool *out_shown, struct error *err)
{
    const struct store_viewer viewer = access_viewer(request, api);
    const char *owner;
    *out_shown = !viewer.own_only;
    if (!viewer.own_only)
        return true;
    if (!job_owner_find(database, job, http_arena(request), &owner, err))
        return err->code == E_NOT_FOUND; /* deleted meanwhile */
    *out_shown = strcmp(owner, viewer.owner) == 0;
    return true;
}

static const struct schema_member queue_run_members[] = {
    {"id", .type = SCHEMA_STRING},
    {"job", .type = SCHEMA_STRING},
    {"worker", .type = SCHEMA_STRING},
    {"progress", .type = SCHEMA_OBJECT, .of = &run_progress_schema},
    {0},
};
static const struct schema queue_run_schema = {
    .name = "QueueRun",
    .help = "What a worker runs",
    .members = queue_run_members,
};

static const struct schema_member queue_members[] = {
    {"paused", .type = SCHEMA_BOOL, .help = "No run is started"},
    {"workers", .type = SCHEMA_INTEGER},
    {"queued", .type = SCHEMA_INTEGER, .help = "Runs"},
    {"running", .type = SCHEMA_INTEGER, .help = "Runs"},
    {"runs", .type = SCHEMA_OBJECT, .of = &queue_run_schema, .list = true},
    {0},
};
static const struct schema queue_schema = {
    .name = "Queue",
    .help = "What waits and what runs",
    .members = queue_members,
};

static bool reply_queue(struct http_request *request, struct api *api, enum view_form form,
                        struct error *err)
{
    struct arena *arena = http_arena(request);
    struct database *database;
    struct queue_row row;
    struct jobs_running *runs;
    size_t count;
    if (!store_reader(api->options.store, &database, err) || !queue_row_read(database, &row, err) ||
        !jobs_running(api->options.jobs, NULL, arena, &runs, &count, err))
        return false;
    struct json *object = json_object(arena);
    json_add_bool(object, "paused", row.paused);
    json_add_integer(object, "workers", jobs_load(api->options.jobs).workers);
    json_add_integer(object, "queued", row.queued);
    json_add_integer(object, "running", row.running);
    struct json *list = json_add_array(object, "runs");
    for (size_t i = 0; i < count; i++) {
        bool shown;
        if (!is_shown(request, api, database, runs[i].job, &shown, err))
            return false;
        if (!shown)
            continue;
        struct json *run = json_add_object(list, NULL);
        json_add_string(run, "id", runs[i].run);
        json_add_string(run, "job", runs[i].job);
        json_add_string(run, "worker", runs[i].worker);
        add_run_progress(run, runs[i].progress.step, &runs[i].progress);
    }
    return reply_view(request, &queue_view, form, object, err);
}

static bool get_queue(struct http_request *request, void *context, struct error *err)
{
    enum view_form form;
    return view_negotiate(request, &form, err) && reply_queue(request, context, form, err);
}

static bool reply_changed(struct http_request *request, void *context, struct error *err)
{
    return change_check(request, err) && reply_queue(request, context, VIEW_JSON, err);
}

static bool pause_queue(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct jobs_change *change = change_suspend(request, reply_changed, err);
    if (change == NULL)
        return false;
    change->now = read_now(request);
    jobs_pause_all(api->options.jobs, change);
    return true;
}

static bool resume_queue(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct jobs_change *change = change_suspend(request, reply_changed, err);
    if (change == NULL)
        return false;
    jobs_resume_all(api->options.jobs, change);
    return true;
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/queue",
     .access = ACCESS_READ,
     .handle = get_queue,
     .summary = "Whether the queue is paused, how much waits, and what the workers run",
     .replies = {{200, "The queue", .schema = &queue_schema}, VIEW_REPLIES}},
    {.method = "POST",
     .pattern = "/v1/queue/pause",
     .access = ACCESS_ADMIN,
     .handle = pause_queue,
     .summary = "Start no more runs; ?now=true also puts back those that run",
     .query = {&query_now},
     .replies = {{200, "The queue", .schema = &queue_schema}}},
    {.method = "POST",
     .pattern = "/v1/queue/resume",
     .access = ACCESS_ADMIN,
     .handle = resume_queue,
     .summary = "Let a paused queue go on",
     .replies = {{200, "The queue", .schema = &queue_schema}}},
};
const struct http_table queue_routes = {routes, sizeof(routes) / sizeof(routes[0])};
