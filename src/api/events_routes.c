/* Server-sent events: one job until its end, and all jobs for a dashboard.
 *
 * A stream begins with how things are, so that a client that comes back needs nothing of what it
 * has missed, and no log of events is kept. Then comes the latest state whenever something has
 * changed, at most a few times a second: what happened in between is left out. A comment is sent
 * when nothing has happened for a while, by which a client that has vanished is noticed. The token
 * is looked at again before each event, and each second.
 */

#include "api_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"
#include "ptqd/base/text.h"
#include "ptqd/store/queue_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EVENT_ID_BYTES = 48 };

static const int64_t least_ms = 250; /* between two events that tell of changes */

struct watch {
    struct waiter waiter;
    struct api *api;
    struct arena_mark mark; /* what an earlier look or event took is given back */
    const char *owner;      /* of all jobs: whose; NULL: everybody's */
    bool own_only;          /* others' are not there for the watcher */
    bool begun;             /* the first event was sent */
    bool over;              /* the last one was sent */
    int64_t sent_ms;
};

/* ---- events ---- */

/* An id for the time: it tells a client no more than that it has seen this. */
static void print_id(struct api *api, char out_id[static EVENT_ID_BYTES])
{
    (void)snprintf(out_id, EVENT_ID_BYTES, "%" PRId64 "-%" PRIu64, api->started_ms,
                   jobs_changes(api->options.jobs)); /* fits */
}

/* The id of the last event of a finished job. */
static void print_end_id(const struct job_row *row, char out_id[static EVENT_ID_BYTES])
{
    (void)snprintf(out_id, EVENT_ID_BYTES, "end-%" PRId64, row->finished_ms); /* fits */
}

static bool put_event(struct text *out, const char *name, const char *id, const struct json *data,
                      struct error *err)
{
    text_printf(out, "event: %s\nid: %s\ndata: ", name, id);
    if (!json_print(data, out, err)) /* on one line */
        return false;
    text_puts(out, "\n\n");
    return text_check(out, err);
}

static const struct schema_member brief_run_members[] = {
    {"id", .type = SCHEMA_STRING},
    {"worker", .type = SCHEMA_STRING},
    {"progress", .type = SCHEMA_OBJECT, .of = &run_progress_schema},
    {0},
};
static const struct schema brief_run_schema = {
    .name = "RunBrief",
    .help = "A run of a job that runs",
    .members = brief_run_members,
};

static const struct schema_member brief_members[] = {
    {"id", .type = SCHEMA_STRING},
    {"name", .type = SCHEMA_STRING},
    {"owner", .type = SCHEMA_STRING},
    {"state", .type = SCHEMA_STRING, .choices = job_state_names},
    {"paused", .type = SCHEMA_BOOL},
    {"progress", .type = SCHEMA_OBJECT, .of = &job_progress_schema},
    {"runs", .type = SCHEMA_OBJECT, .of = &brief_run_schema, .list = true},
    {0},
};
static const struct schema brief_schema = {
    .name = "JobBrief",
    .help = "What moves of a job: data of \"progress\"",
    .members = brief_members,
};

/* What moves of a job: its state, its progress, and that of the runs that run. */
static bool add_brief(struct json *object, struct api *api, const struct job_row *row,
                      struct arena *arena, struct error *err)
{
    struct jobs_running *runs;
    size_t count;
    if (!jobs_running(api->options.jobs, row->id, arena, &runs, &count, err))
        return false;
    json_add_string(object, "id", row->id);
    json_add_string(object, "name", row->name);
    json_add_string(object, "owner", row->owner);
    json_add_string(object, "state", job_state_name(row->state));
    json_add_bool(object, "paused", row->paused);
    add_job_progress(object, api, row);
    struct json *list = json_add_array(object, "runs");
    for (size_t i = 0; i < count; i++) {
        struct json *run = json_add_object(list, NULL);
        json_add_string(run, "id", runs[i].run);
        json_add_string(run, "worker", runs[i].worker);
        add_run_progress(run, runs[i].progress.step, &runs[i].progress);
    }
    return true;
}

/* ---- one job ---- */

static bool put_job(struct api *api, struct database *database, const struct job_row *row,
                    const char *name, const char *id, struct arena *arena, struct text *out,
                    struct error *err)
{
    struct json *object = json_object(arena);
    return add_job(object, api, database, row, arena, err) && put_event(out, name, id, object, err);
}

static bool put_progress(struct api *api, const struct job_row *row, const char *id,
                         struct arena *arena, struct text *out, struct error *err)
{
    struct json *object = json_object(arena);
    return add_brief(object, api, row, arena, err) && put_event(out, "progress", id, object, err);
}

static bool write_job(struct http_request *request, struct watch *watch, struct text *out,
                      struct error *err)
{
    struct api *api = watch->api;
    struct arena *arena = http_arena(request);
    struct database *database;
    struct job_row row;
    char id[EVENT_ID_BYTES];
    print_id(api, id);
    (void)waiter_take_change(api, &watch->waiter); /* before the row is read */
    if (!store_reader(api->options.store, &database, err) ||
        !job_row_find(database, watch->waiter.job, arena, &row, err))
        return false;
    bool ok = watch->begun ? put_progress(api, &row, id, arena, out, err)
                           : put_job(api, database, &row, "job", id, arena, out, err);
    if (!ok || !job_state_is_final(row.state))
        return ok;
    watch->over = true;
    print_end_id(&row, id);
    return put_job(api, database, &row, "end", id, arena, out, err);
}

/* ---- all jobs ---- */

static bool add_jobs(struct json *items, struct watch *watch, struct database *database,
                     enum job_state state, struct arena *arena, struct error *err)
{
    const struct job_filter filter = {.owner = watch->owner, .state = &state};
    const struct store_page page = {.limit = 100};
    struct job_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    if (!job_row_list(database, &filter, &page, arena, &rows, &count, next, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!add_brief(json_add_object(items, NULL), watch->api, &rows[i], arena, err))
            return false;
    }
    return true;
}

static const struct schema_member snapshot_members[] = {
    {"paused", .type = SCHEMA_BOOL, .help = "Whether the queue is"},
    {"items", .type = SCHEMA_OBJECT, .of = &brief_schema, .list = true},
    {0},
};
static const struct schema snapshot_schema = {
    .name = "JobsSnapshot",
    .help = "What is queued and runs: data of \"snapshot\"",
    .members = snapshot_members,
};

static bool put_snapshot(struct watch *watch, struct database *database, const char *id,
                         struct arena *arena, struct text *out, struct error *err)
{
    struct queue_row queue;
    if (!queue_row_read(database, &queue, err))
        return false;
    struct json *object = json_object(arena);
    json_add_bool(object, "paused", queue.paused);
    struct json *items = json_add_array(object, "items");
    return add_jobs(items, watch, database, JOB_RUNNING, arena, err) &&
           add_jobs(items, watch, database, JOB_QUEUED, arena, err) &&
           put_event(out, "snapshot", id, object, err);
}

static const struct schema_member deleted_members[] = {
    {"id", .type = SCHEMA_STRING},
    {0},
};
static const struct schema deleted_schema = {
    .name = "JobDeleted",
    .help = "A job that is gone: data of \"deleted\"",
    .members = deleted_members,
};

/* `*out_left`: a job is gone, and what is left is to be told. Whose it was is not known any more:
 * to who may not know of others' jobs, what is left says as much. */
static bool put_changed(struct watch *watch, struct database *database, const char *job,
                        const char *id, struct arena *arena, struct text *out, bool *out_left,
                        struct error *err)
{
    struct job_row row;
    struct error reason = {.message = ""};
    if (job_row_find(database, job, arena, &row, &reason)) {
        bool wanted = watch->owner == NULL || strcmp(row.owner, watch->owner) == 0;
        return !wanted || put_progress(watch->api, &row, id, arena, out, err);
    }
    if (reason.code != E_NOT_FOUND) {
        *err = reason;
        return false;
    }
    *out_left |= watch->own_only;
    if (watch->own_only)
        return true;
    struct json *object = json_object(arena);
    json_add_string(object, "id", job);
    return put_event(out, "deleted", id, object, err);
}

static bool write_jobs(struct http_request *request, struct watch *watch, struct text *out,
                       struct error *err)
{
    struct api *api = watch->api;
    struct arena *arena = http_arena(request);
    struct database *database;
    struct changed_jobs *changed = ARENA_NEW(arena, struct changed_jobs, err);
    char id[EVENT_ID_BYTES];
    if (changed == NULL || !store_reader(api->options.store, &database, err))
        return false;
    print_id(api, id);
    waiter_take_jobs(api, &watch->waiter, changed); /* before the rows are read */
    if (!watch->begun || changed->overflow)
        return put_snapshot(watch, database, id, arena, out, err);
    bool left = false;
    for (size_t i = 0; i < changed->count; i++) {
        if (!put_changed(watch, database, changed->ids[i], id, arena, out, &left, err))
            return false;
    }
    return !left || put_snapshot(watch, database, id, arena, out, err);
}

/* ---- the stream ---- */

static bool write_events(struct http_request *request, struct watch *watch, struct text *out)
{
    struct error err = {.message = ""};
    if (!watch->begun)
        text_puts(out, "retry: 3000\n");
    bool ok = watch->waiter.jobs != NULL ? write_jobs(request, watch, out, &err)
                                         : write_job(request, watch, out, &err);
    if (!ok && err.code != E_NOT_FOUND) /* a job that was deleted */
        log_failure("api", http_path(request), &err);
    return ok && !watch->over;
}

/* The token is good, and shows as much as when the stream was begun. */
static bool may_go_on(struct http_request *request, const struct watch *watch)
{
    struct error ignored; /* a stream that was begun has no place for it */
    return http_renew_access(request, &ignored) &&
           access_viewer(request, watch->api).own_only == watch->own_only;
}

static bool read_events(struct http_request *request, void *context, struct text *out)
{
    struct watch *watch = context;
    struct api *api = watch->api;
    int64_t heartbeat_ms = api->options.heartbeat_ms;
    arena_reset(http_arena(request), watch->mark);
    if (watch->begun && !may_go_on(request, watch))
        return false;
    if (!watch->begun) {
        bool more = write_events(request, watch, out);
        watch->begun = true;
        watch->sent_ms = clock_ms();
        return more;
    }
    int64_t quiet_ms = clock_ms() - watch->sent_ms;
    if (quiet_ms < least_ms) {
        waiter_pause(api, &watch->waiter, least_ms - quiet_ms);
        return true;
    }
    if (quiet_ms < heartbeat_ms) {
        int64_t left_ms = heartbeat_ms - quiet_ms;
        int64_t slice_ms = left_ms < ACCESS_RENEW_MS ? left_ms : ACCESS_RENEW_MS;
        if (waiter_sleep(api, &watch->waiter, NULL, slice_ms))
            return true;
    }
    if (waiter_has_changed(api, &watch->waiter) && !write_events(request, watch, out))
        return false;
    if (out->length == 0 && quiet_ms >= heartbeat_ms)
        text_puts(out, ":\n\n");
    if (out->length > 0)
        watch->sent_ms = clock_ms();
    else
        waiter_pause(api, &watch->waiter, least_ms); /* jobs that are not wanted have changed */
    return true;
}

static void destroy_watch(void *state)
{
    struct watch *watch = state;
    waiter_remove(watch->api, &watch->waiter);
}

/* Answers with the events of `job`, or of all jobs. */
static bool start_watch(struct http_request *request, struct api *api, const char *job,
                        const char *owner, struct error *err)
{
    const struct store_viewer viewer = access_viewer(request, api);
    struct arena *arena = http_arena(request);
    struct watch *watch = ARENA_NEW(arena, struct watch, err);
    if (watch == NULL || !http_negotiate(request, NULL, err))
        return false;
    *watch = (struct watch){.waiter = {.request = request},
                            .api = api,
                            .owner = viewer.own_only ? viewer.owner : owner,
                            .own_only = viewer.own_only};
    if (job == NULL) {
        watch->waiter.jobs = ARENA_NEW(arena, struct changed_jobs, err);
        if (watch->waiter.jobs == NULL)
            return false;
    } else {
        (void)snprintf(watch->waiter.job, sizeof(watch->waiter.job), "%s", job); /* it is an id */
    }
    if (!waiter_add(api, &watch->waiter, err))
        return false;
    watch->mark = arena_mark(arena);
    http_set_state(request, watch, destroy_watch);
    const struct http_source source = {.read = read_events, .context = watch};
    http_answer_stream(request, http_media_type(request), &source);
    return true;
}

/* A browser comes back when a stream has ended, and stays away after 204. */
static bool has_seen_end(const struct http_request *request, const struct job_row *row)
{
    char id[EVENT_ID_BYTES];
    const char *last = http_header(request, "Last-Event-ID");
    print_end_id(row, id);
    return last != NULL && job_state_is_final(row->state) && strcmp(last, id) == 0;
}

static bool watch_job(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct database *database;
    struct job_row row;
    if (!find_job(request, api, http_param(request, "id"), &database, &row, err))
        return false;
    if (has_seen_end(request, &row))
        return reply_nothing(request);
    return start_watch(request, api, row.id, NULL, err);
}

static bool watch_jobs(struct http_request *request, void *context, struct error *err)
{
    const struct store_viewer viewer = access_viewer(request, context);
    const char *owner = http_query(request, "owner");
    if (viewer.own_only && owner != NULL && strcmp(owner, viewer.owner) != 0) {
        FAIL(err, E_FORBIDDEN, "jobs of others are private here");
        return error_parameter(err, "owner");
    }
    return start_watch(request, context, NULL, owner, err);
}

static const struct schema_member job_events_members[] = {
    {"job", .type = SCHEMA_OBJECT, .of = &job_schema, .help = "At first"},
    {"progress", .type = SCHEMA_OBJECT, .of = &brief_schema, .help = "Whenever it has changed"},
    {"end", .type = SCHEMA_OBJECT, .of = &job_schema, .help = "When it is finished"},
    {0},
};
static const struct schema job_events_schema = {
    .name = "JobEvents",
    .help = "Data of the events of a job, by their names",
    .members = job_events_members,
};

static const struct schema_member events_members[] = {
    {"snapshot", .type = SCHEMA_OBJECT, .of = &snapshot_schema, .help = "At first"},
    {"progress", .type = SCHEMA_OBJECT, .of = &brief_schema, .help = "When a job has changed"},
    {"deleted", .type = SCHEMA_OBJECT, .of = &deleted_schema},
    {0},
};
static const struct schema events_schema = {
    .name = "Events",
    .help = "Data of the events of all jobs, by their names",
    .members = events_members,
};

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/events",
     .access = ACCESS_READ,
     .handle = watch_jobs,
     .summary = "Server-sent events of all jobs: what is queued and runs, then what changes",
     .query = {&query_owner},
     .replies = {{200, "Events", .schema = &events_schema, .type = "text/event-stream"}}},
    {.method = "GET",
     .pattern = "/v1/jobs/{id}/events",
     .access = ACCESS_READ,
     .handle = watch_job,
     .summary = "Server-sent events of a job until it is finished",
     .headers = {"Last-Event-ID"},
     .replies = {{200, "Events", .schema = &job_events_schema, .type = "text/event-stream"},
                 {204, .help = "The client has seen the end"}}},
};
const struct http_table event_routes = {routes, sizeof(routes) / sizeof(routes[0])};
