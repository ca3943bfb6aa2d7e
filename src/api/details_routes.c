/* What a run leaves beside its result: one call for each detail of api/details.h. */

#include "api_private.h"

#include "ptqd/api/details.h"
#include "ptqd/jobs/run_log.h"
#include "ptqd/store/run_detail.h"
#include "ptqd/store/run_log_row.h"

#include <inttypes.h>
#include <string.h>

/* {"run": …, and what is stored}, which is sent as it is: it may be large, and nobody here reads
 * it. */
static bool reply_stored(struct http_request *request, const char *run, const char *value,
                         struct error *err)
{
    char etag[ANSWER_ETAG_BYTES];
    const char *text = arena_printf(http_arena(request), err, "{\"run\":\"%s\",%s", run, value + 1);
    if (text == NULL || !make_etag(text, strlen(text), etag, err))
        return false;
    http_set_etag(request, etag);
    http_answer(request, 200, http_media_type(request), text, strlen(text), false);
    return true;
}

/* The detail that is the row's subject. */
static bool get_detail(struct http_request *request, void *context, struct error *err)
{
    const char *name = http_route_of(request)->subject;
    struct arena *arena = http_arena(request);
    struct database *database;
    struct run_row row;
    const char *value;
    if (!find_run(request, context, &database, &row, err))
        return false;
    if (row.state != RUN_SUCCEEDED)
        return FAIL(err, E_CONFLICT, "run %s is %s; its \"%s\" is known when it has succeeded",
                    row.id, run_state_name(row.state), name);
    if (run_detail_find(database, row.id, name, arena, &value, err))
        return reply_stored(request, row.id, value, err);
    if (err == NULL || err->code != E_NOT_FOUND)
        return false;
    return FAIL(err, E_CONFLICT, "run %s was made by an earlier version, which kept no \"%s\"",
                row.id, name);
}

/* ---- the log ---- */

static const struct schema_member line_members[] = {
    {"time", .type = SCHEMA_TIME},
    {"text", .type = SCHEMA_STRING},
    {0},
};
static const struct schema line_schema = {
    .name = "LogLine",
    .help = "A line of a log",
    .members = line_members,
};
static const struct schema_member log_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"lines", .type = SCHEMA_OBJECT, .of = &line_schema, .list = true},
    {0},
};
static const struct schema log_schema = {
    .name = "RunLog",
    .help = "What has happened to a run",
    .members = log_members,
};

static bool add_lines(struct json *list, const char *lines, struct arena *arena, struct error *err)
{
    struct json *parsed;
    if (!json_parse(arena, lines, strlen(lines), NULL, &parsed, err))
        return error_context(err, "the stored log of a run");
    for (const struct json *v = json_first(parsed); v != NULL; v = json_next(v))
        json_add_copy(list, NULL, v);
    return true;
}

static void add_line(struct json *list, int64_t time_ms, const char *text)
{
    struct json *line = json_add_object(list, NULL);
    add_time(line, "time", time_ms);
    json_add_string(line, "text", text);
}

/* What is known of a run that an earlier version made, which kept no log. */
static bool add_row_lines(struct json *list, const struct run_row *row, struct arena *arena,
                          struct error *err)
{
    const char *started =
        arena_printf(arena, err, "started by %s, attempt %" PRId64, row->worker, row->attempts);
    if (started == NULL)
        return false;
    add_line(list, row->started_ms, started);
    if (row->finished_ms != 0)
        add_line(list, row->finished_ms, run_state_name(row->state));
    return true;
}

/* Why it failed at last, in the words of its problem. */
static bool add_problem_line(struct json *list, const struct run_row *row, struct arena *arena,
                             struct error *err)
{
    const char *detail;
    const struct json *member;
    struct json *holder = json_object(arena);
    if (row->problem.code == NULL)
        return true;
    add_run_problem(holder, "problem", &row->problem);
    if (!json_member(json_find(holder, "problem"), "detail", &member, err) ||
        !json_as_string(member, &detail, err))
        return false;
    add_line(list, row->finished_ms, detail);
    return true;
}

/* Attempts that have ended, and of the one that runs what is known so far. */
static bool get_log(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    const char *id = http_param(request, "id");
    struct run_log *now = ARENA_NEW(arena, struct run_log, err);
    struct database *database;
    struct run_row row;
    struct run_log_row *attempts;
    size_t count;
    if (now == NULL)
        return false;
    bool runs = jobs_run_log(api->options.jobs, id, now); /* first: it may end meanwhile */
    if (!find_run(request, api, &database, &row, err) ||
        !run_log_row_list(database, id, arena, &attempts, &count, err))
        return false;
    struct json *object = json_object(arena);
    json_add_string(object, "run", row.id);
    struct json *lines = json_add_array(object, "lines");
    if (count == 0 && !runs && row.attempts > 0 && !add_row_lines(lines, &row, arena, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!add_lines(lines, attempts[i].lines, arena, err))
            return false;
    if (runs && row.state == RUN_RUNNING) {
        const char *known = run_log_print(now, arena, err);
        if (known == NULL || !add_lines(lines, known, arena, err))
            return false;
    }
    return add_problem_line(lines, &row, arena, err) && reply_json_tagged(request, object, err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/runs/{id}/memory",
     .access = ACCESS_READ,
     .handle = get_detail,
     .subject = "memory",
     .summary = "The activations in memory at each node of a run's network, in execution order",
     .replies = {{200, "The steps", .schema = &memory_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/losses",
     .access = ACCESS_READ,
     .handle = get_detail,
     .subject = "losses",
     .summary = "The loss of each unit of a run over the iterations in which it was optimized",
     .replies = {{200, "A curve for each unit", .schema = &losses_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/histograms",
     .access = ACCESS_READ,
     .handle = get_detail,
     .subject = "histograms",
     .summary = "How the weights and the input of each layer of a run are distributed, in float",
     .replies = {{200, "Two histograms for each layer", .schema = &histograms_schema,
                  .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/log",
     .access = ACCESS_READ,
     .handle = get_log,
     .summary = "What has happened to a run: attempts, steps with their seconds, how it ended",
     .replies = {{200, "The lines so far", .schema = &log_schema, .headers = {"ETag"}}}},
};
const struct http_table detail_routes = {routes, sizeof(routes) / sizeof(routes[0])};
