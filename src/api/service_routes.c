/* The service itself: what it can do, how it is, and where to start. */

#include "api_private.h"

#include "ptqd/artifact/artifact.h"
#include "ptqd/base/text.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/http/server.h"
#include "ptqd/json/params.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

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

/* ---- metrics: the text format of Prometheus, version 0.0.4 ---- */

static void head(struct text *text, const char *name, const char *type, const char *help)
{
    text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_http_metrics(struct text *text, struct http_server *server)
{
    if (server == NULL)
        return;
    struct http_stats stats = http_server_stats(server);
    head(text, "ptqd_http_requests_total", "counter", "Requests answered, by class of status.");
    for (int i = 1; i <= 5; i++)
        text_printf(text, "ptqd_http_requests_total{class=\"%dxx\"} %" PRIu64 "\n", i,
                    stats.by_class[i]);
    head(text, "ptqd_http_requests_active", "gauge", "Requests being handled.");
    text_printf(text, "ptqd_http_requests_active %" PRIu64 "\n", stats.active);
    head(text, "ptqd_http_connections_cut_total", "counter", "Connections cut for slowness.");
    text_printf(text, "ptqd_http_connections_cut_total %" PRIu64 "\n", stats.cut);
}

static void add_queue_metrics(struct text *text, const struct api *api,
                              const int64_t jobs[static JOB_STATE_COUNT],
                              const int64_t runs[static RUN_STATE_COUNT])
{
    head(text, "ptqd_jobs", "gauge", "Jobs, by state.");
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        text_printf(text, "ptqd_jobs{state=\"%s\"} %" PRId64 "\n",
                    job_state_name((enum job_state)i), jobs[i]);
    head(text, "ptqd_runs", "gauge", "Runs, by state.");
    for (int i = 0; i < RUN_STATE_COUNT; i++)
        text_printf(text, "ptqd_runs{state=\"%s\"} %" PRId64 "\n",
                    run_state_name((enum run_state)i), runs[i]);
    struct jobs_load load = jobs_load(api->options.jobs);
    head(text, "ptqd_workers", "gauge", "Worker threads.");
    text_printf(text, "ptqd_workers %" PRId64 "\n", load.workers);
    head(text, "ptqd_workers_busy", "gauge", "Worker threads that compute a run.");
    text_printf(text, "ptqd_workers_busy %" PRId64 "\n", load.busy);
}

static bool get_metrics(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct database *database;
    int64_t jobs[JOB_STATE_COUNT], runs[RUN_STATE_COUNT];
    if (!store_reader(api->options.store, &database, err) || !job_row_count(database, jobs, err) ||
        !run_row_count(database, runs, err))
        return false;
    struct text text;
    text_init(&text, 1 << 16);
    head(&text, "ptqd_start_time_seconds", "gauge", "When the daemon started.");
    text_printf(&text, "ptqd_start_time_seconds %" PRId64 "\n", api->started_ms / 1000);
    add_queue_metrics(&text, api, jobs, runs);
    add_http_metrics(&text, atomic_load(&api->server));
    char *copy = text_dup(&text, http_arena(request), err);
    if (copy != NULL)
        http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", copy, text.length,
                    false);
    text_finish(&text);
    return copy != NULL;
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
     .pattern = "/metrics",
     .access = ACCESS_READ,
     .handle = get_metrics,
     .summary = "Counters for Prometheus"},
    {.method = "GET",
     .pattern = "/",
     .access = ACCESS_ANYBODY,
     .handle = get_index,
     .summary = "This list"},
};
const struct http_table service_routes = {routes, sizeof(routes) / sizeof(routes[0])};
