/* What the service counts, in the text format of Prometheus, version 0.0.4. Every metric is a row
 * of the table `metrics`; a label's values come from the code that adds its samples. */

#include "api_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/durations.h"
#include "ptqd/base/text.h"
#include "ptqd/http/server.h"
#include "ptqd/store/store_counts.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TEXT_LIMIT_BYTES = 1 << 17 };

/* All that the samples are made of, read once. */
struct reading {
    struct text *text;
    const char *name;           /* of the metric whose samples are added */
    struct api *api;            /* borrowed */
    struct http_server *server; /* NULL until it runs */
    int64_t jobs[JOB_STATE_COUNT], runs[RUN_STATE_COUNT];
    int64_t oldest_queued_ms;
    struct store_counts counts;
    struct jobs_stats queue;
    struct jobs_load load;
    struct store_stats store;
    struct http_stats http; /* zero without the server */
    struct rusage usage;
};

/* ---- samples ---- */

static void add_count(struct reading *reading, uint64_t value)
{
    text_printf(reading->text, "%s %" PRIu64 "\n", reading->name, value);
}

static void add_labelled(struct reading *reading, const char *label, const char *value,
                         uint64_t count)
{
    text_printf(reading->text, "%s{%s=\"%s\"} %" PRIu64 "\n", reading->name, label, value, count);
}

static void add_seconds(struct reading *reading, double seconds)
{
    text_printf(reading->text, "%s %.6f\n", reading->name, seconds);
}

/* `label` is "" or ends in a comma: kind="read", */
static void add_durations(struct reading *reading, const char *label, struct durations *durations)
{
    struct durations_reading values = durations_read(durations);
    const char *name = reading->name;
    for (size_t i = 0; i < DURATIONS_BOUNDS; i++)
        text_printf(reading->text, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, label,
                    durations_bounds[i], values.up_to[i]);
    uint64_t all = values.up_to[DURATIONS_BOUNDS];
    int length = (int)strlen(label) - (label[0] != '\0');
    const char *open = length > 0 ? "{" : "", *close = length > 0 ? "}" : "";
    text_printf(reading->text, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label, all);
    text_printf(reading->text, "%s_sum%s%.*s%s %.6f\n", name, open, length, label, close,
                values.sum_seconds);
    text_printf(reading->text, "%s_count%s%.*s%s %" PRIu64 "\n", name, open, length, label, close,
                all);
}

/* ---- the queue ---- */

static void add_jobs(struct reading *reading)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        add_labelled(reading, "state", job_state_name((enum job_state)i),
                     (uint64_t)reading->jobs[i]);
}

static void add_runs(struct reading *reading)
{
    for (int i = 0; i < RUN_STATE_COUNT; i++)
        add_labelled(reading, "state", run_state_name((enum run_state)i),
                     (uint64_t)reading->runs[i]);
}

static void add_oldest(struct reading *reading)
{
    double seconds = (double)(clock_unix_ms() - reading->oldest_queued_ms) * 1e-3;
    add_seconds(reading, reading->oldest_queued_ms > 0 && seconds > 0 ? seconds : 0);
}

static void add_workers(struct reading *reading)
{
    add_count(reading, (uint64_t)reading->load.workers);
}

static void add_busy(struct reading *reading)
{
    add_count(reading, (uint64_t)reading->load.busy);
}

static void add_ended(struct reading *reading)
{
    add_labelled(reading, "ending", "succeeded", reading->queue.succeeded);
    add_labelled(reading, "ending", "failed", reading->queue.failed);
    add_labelled(reading, "ending", "cancelled", reading->queue.cancelled);
    add_labelled(reading, "ending", "requeued", reading->queue.requeued);
}

static void add_run_seconds(struct reading *reading)
{
    add_seconds(reading, reading->queue.seconds);
}

static void add_steps(struct reading *reading)
{
    for (size_t i = 0; i < reading->queue.step_count; i++) {
        const char *step = reading->queue.steps[i].name;
        text_printf(reading->text, "%s_sum{step=\"%s\"} %.6f\n%s_count{step=\"%s\"} %" PRIu64 "\n",
                    reading->name, step, reading->queue.steps[i].seconds, reading->name, step,
                    reading->queue.steps[i].count);
    }
}

/* ---- what is stored ---- */

static void add_objects(struct reading *reading)
{
    add_labelled(reading, "kind", "model", (uint64_t)reading->counts.models);
    add_labelled(reading, "kind", "dataset", (uint64_t)reading->counts.datasets);
    add_labelled(reading, "kind", "artifact", (uint64_t)reading->counts.artifacts);
}

static void add_object_bytes(struct reading *reading)
{
    add_labelled(reading, "kind", "model", (uint64_t)reading->counts.model_bytes);
    add_labelled(reading, "kind", "dataset", (uint64_t)reading->counts.dataset_bytes);
    add_labelled(reading, "kind", "artifact", (uint64_t)reading->counts.artifact_bytes);
}

static void add_disk(struct reading *reading)
{
    add_count(reading, reading->store.disk_bytes);
}

static void add_disk_free(struct reading *reading)
{
    add_count(reading, reading->store.disk_free_bytes);
}

static void add_database(struct reading *reading)
{
    add_count(reading, reading->store.database_bytes);
}

static void add_wal(struct reading *reading)
{
    add_count(reading, reading->store.wal_bytes);
}

static void add_commits(struct reading *reading)
{
    add_durations(reading, "", reading->store.commits);
}

static void add_writes(struct reading *reading)
{
    add_labelled(reading, "result", "done", reading->store.writes - reading->store.failed_writes);
    add_labelled(reading, "result", "failed", reading->store.failed_writes);
}

static void add_writes_waiting(struct reading *reading)
{
    add_count(reading, reading->store.waiting);
}

/* ---- HTTP ---- */

static void add_requests(struct reading *reading)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        add_labelled(reading, "class", classes[i], reading->http.by_class[i + 1]);
}

static void add_active(struct reading *reading)
{
    add_count(reading, reading->http.active);
}

static void add_suspended(struct reading *reading)
{
    add_count(reading, reading->http.suspended);
}

static void add_connections(struct reading *reading)
{
    add_count(reading, reading->http.connections);
}

static void add_cut(struct reading *reading)
{
    add_labelled(reading, "reason", "slow", reading->http.cut);
    add_labelled(reading, "reason", "idle", reading->http.evicted);
    add_labelled(reading, "reason", "full", reading->http.turned_away);
}

static void add_received(struct reading *reading)
{
    add_count(reading, reading->http.received_bytes);
}

static void add_sent(struct reading *reading)
{
    add_count(reading, reading->http.sent_bytes);
}

static void add_latency(struct reading *reading)
{
    static const char *const labels[HTTP_KINDS] = {
        [HTTP_READ] = "kind=\"read\",",
        [HTTP_CHANGE] = "kind=\"change\",",
        [HTTP_WAIT] = "kind=\"wait\",",
    };
    for (size_t i = 0; i < HTTP_KINDS && reading->server != NULL; i++)
        add_durations(reading, labels[i], reading->http.latency[i]);
}

/* ---- the process ---- */

static void add_build(struct reading *reading)
{
    add_labelled(reading, "version", PTQD_VERSION, 1);
}

static void add_start(struct reading *reading)
{
    add_seconds(reading, (double)reading->api->started_ms * 1e-3);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void add_cpu(struct reading *reading)
{
    add_seconds(reading, seconds_of(reading->usage.ru_utime) + seconds_of(reading->usage.ru_stime));
}

static void add_memory(struct reading *reading)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%*u %llu", &pages) != 1)
            pages = 0;
        fclose(file); /* opened for reading */
    }
    add_count(reading, pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void add_descriptors(struct reading *reading)
{
    uint64_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    if (directory != NULL)
        (void)closedir(directory);                 /* it was only read */
    add_count(reading, count > 0 ? count - 1 : 0); /* without the one that looked */
}

static void add_descriptor_limit(struct reading *reading)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit); /* fails for unknown limits only */
    add_count(reading, (uint64_t)limit.rlim_cur);
}

/* ---- the table ---- */

static const struct metric {
    const char *name, *type, *help;
    void (*add)(struct reading *reading);
} metrics[] = {
    {"ptqd_build_info", "gauge", "1, with the version of the program.", add_build},
    {"ptqd_start_time_seconds", "gauge", "When the daemon started.", add_start},
    {"ptqd_jobs", "gauge", "Jobs, by state.", add_jobs},
    {"ptqd_runs", "gauge", "Runs, by state.", add_runs},
    {"ptqd_queue_oldest_seconds", "gauge",
     "Age of the oldest job with queued runs; 0 when nothing is queued.", add_oldest},
    {"ptqd_workers", "gauge", "Worker threads.", add_workers},
    {"ptqd_workers_busy", "gauge", "Worker threads that compute a run.", add_busy},
    {"ptqd_runs_ended_total", "counter", "Runs that a worker had, by how that ended.", add_ended},
    {"ptqd_run_seconds_total", "counter", "Seconds of the runs that succeeded.", add_run_seconds},
    {"ptqd_run_step_seconds", "summary", "Seconds of the steps of runs that succeeded.", add_steps},
    {"ptqd_objects", "gauge", "Models, data sets and artifacts; up to a minute old.", add_objects},
    {"ptqd_object_bytes", "gauge", "Bytes of models, data sets and artifacts; up to a minute old.",
     add_object_bytes},
    {"ptqd_disk_bytes", "gauge", "Size of the file system of the data directory.", add_disk},
    {"ptqd_disk_free_bytes", "gauge", "What is free of it.", add_disk_free},
    {"ptqd_database_bytes", "gauge", "Size of the database.", add_database},
    {"ptqd_database_wal_bytes", "gauge", "Size of its write-ahead log.", add_wal},
    {"ptqd_database_commit_seconds", "histogram",
     "Time of a group of changes, from its first one to the fsync.", add_commits},
    {"ptqd_database_writes_total", "counter", "Changes, by result.", add_writes},
    {"ptqd_database_writes_waiting", "gauge", "Changes that wait for the writer.",
     add_writes_waiting},
    {"ptqd_http_requests_total", "counter", "Requests answered, by class of status.", add_requests},
    {"ptqd_http_requests_active", "gauge", "Requests being handled.", add_active},
    {"ptqd_http_requests_suspended", "gauge", "Those of them that wait for something.",
     add_suspended},
    {"ptqd_http_request_seconds", "histogram",
     "From the header to the answer: reads, changes (with their bodies), and requests that waited "
     "for something to happen.",
     add_latency},
    {"ptqd_http_received_bytes_total", "counter", "Bytes of bodies received.", add_received},
    {"ptqd_http_sent_bytes_total", "counter", "Bytes of bodies sent.", add_sent},
    {"ptqd_http_connections", "gauge", "Connections.", add_connections},
    {"ptqd_http_connections_cut_total", "counter",
     "Connections that were cut: slow ones, idle ones to make place, new ones without a place.",
     add_cut},
    {"process_cpu_seconds_total", "counter", "CPU time of all threads.", add_cpu},
    {"process_resident_memory_bytes", "gauge", "Resident memory.", add_memory},
    {"process_open_fds", "gauge", "Open file descriptors.", add_descriptors},
    {"process_max_fds", "gauge", "Most file descriptors that may be open.", add_descriptor_limit},
};

static bool read_all(struct reading *reading, struct error *err)
{
    struct api *api = reading->api;
    struct database *database;
    if (!store_reader(api->options.store, &database, err) ||
        !job_row_count(database, reading->jobs, err) ||
        !run_row_count(database, reading->runs, err) ||
        !store_oldest_queued(database, &reading->oldest_queued_ms, err) ||
        !store_count(database, &reading->counts, err))
        return false;
    jobs_read_stats(api->options.jobs, &reading->queue);
    reading->load = jobs_load(api->options.jobs);
    store_read_stats(api->options.store, &reading->store);
    reading->server = atomic_load(&api->server);
    if (reading->server != NULL)
        reading->http = http_server_stats(reading->server);
    (void)getrusage(RUSAGE_SELF, &reading->usage); /* fails for unknown subjects only */
    return true;
}

static bool get_metrics(struct http_request *request, void *context, struct error *err)
{
    struct text text;
    struct reading reading = {.api = context, .text = &text};
    if (!read_all(&reading, err))
        return false;
    text_init(&text, TEXT_LIMIT_BYTES);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const struct metric *metric = &metrics[i];
        text_printf(&text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                    metric->type);
        reading.name = metric->name;
        metric->add(&reading);
    }
    bool ok = reply_text(request, &text, err);
    text_finish(&text);
    return ok;
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/metrics",
     .access = ACCESS_READ,
     .handle = get_metrics,
     .summary = "Counters for Prometheus",
     .replies = {{200, "The text format of Prometheus",
                  .type = "text/plain; version=0.0.4; charset=utf-8"}}},
};
const struct http_table metrics_routes = {routes, sizeof(routes) / sizeof(routes[0])};
