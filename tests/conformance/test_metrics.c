/* /metrics is what Prometheus reads (text format 0.0.4), and the examples in etc/ ask for nothing
 * that is not there. */

#include "service.h"

#include "support.h"

#include "ptqd/base/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 128, FAMILIES_MAX = 128 };

struct family {
    char name[NAME_BYTES], type[16];
    size_t samples;
};

static struct service service;
static struct family families[FAMILIES_MAX];
static size_t family_count;
static char *text; /* of /metrics, in the service's arena */

static void read_metrics(void)
{
    struct reply reply = client_get(service.port, "/metrics");
    char type[128];
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply_header(&reply, "Content-Type", type, sizeof(type)),
                     "text/plain; version=0.0.4; charset=utf-8");
    text = arena_strdup(service.arena, reply.body, NULL);
    reply_free(&reply);
}

static void setup(void)
{
    service_start(&service, false);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
    family_count = 0;
    read_metrics();
}

static void teardown(void)
{
    service_stop(&service);
}

static struct family *find_family(const char *name, size_t length)
{
    for (size_t i = 0; i < family_count; i++) {
        if (strlen(families[i].name) == length && memcmp(families[i].name, name, length) == 0)
            return &families[i];
    }
    return NULL;
}

static bool ends_with(const char *name, size_t length, const char *end)
{
    size_t tail = strlen(end);
    return length > tail && memcmp(name + length - tail, end, tail) == 0;
}

/* The family of a sample: parts of histograms and summaries have a suffix. */
static struct family *family_of(const char *name, size_t length)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    struct family *family = find_family(name, length);
    for (size_t i = 0; i < 3 && family == NULL; i++) {
        if (ends_with(name, length, suffixes[i]))
            family = find_family(name, length - strlen(suffixes[i]));
    }
    return family;
}

static size_t name_length(const char *line)
{
    size_t length = 0;
    while (isalnum((unsigned char)line[length]) || line[length] == '_')
        length++;
    return length;
}

static void parse_help(const char *line, const char *type_line)
{
    ck_assert_uint_lt(family_count, FAMILIES_MAX);
    struct family *family = &families[family_count++];
    *family = (struct family){.samples = 0};
    char again[NAME_BYTES];
    ck_assert_int_eq(sscanf(line, "# HELP %127s", family->name), 1);
    ck_assert_int_eq(sscanf(type_line, "# TYPE %127s %15s", again, family->type), 2);
    ck_assert_str_eq(family->name, again);
    ck_assert_uint_eq(name_length(family->name), strlen(family->name));
    ck_assert_msg(strlen(line) > strlen("# HELP ") + strlen(family->name) + 5, "no help: %s", line);
    ck_assert_ptr_eq(find_family(family->name, strlen(family->name)), family); /* once only */
}

static void parse_sample(const char *line)
{
    size_t length = name_length(line);
    struct family *family = family_of(line, length);
    ck_assert_msg(family != NULL, "a sample without HELP and TYPE: %s", line);
    ck_assert_msg(family == &families[family_count - 1], "not below its TYPE: %s", line);
    const char *value = strrchr(line, ' ');
    ck_assert_ptr_nonnull(value);
    char *end;
    double number = strtod(value + 1, &end);
    ck_assert_msg(*end == '\0' && number >= 0, "not a number: %s", line);
    if (line[length] == '{')
        ck_assert_msg(value[-1] == '}' && strchr(line, '"') != NULL, "labels: %s", line);
    else
        ck_assert_ptr_eq(line + length, value);
    family->samples++;
}

static void parse_metrics(void)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
        if (strncmp(line, "# HELP ", 7) == 0)
            parse_help(line, strsep(&rest, "\n"));
        else
            parse_sample(line);
    }
    ck_assert_str_eq(line, ""); /* the last line ends as well */
}

/* The value of a whole series: "ptqd_runs{state=\"queued\"}". */
static double value_of(const char *series)
{
    size_t length = strlen(series);
    for (const char *line = text; line != NULL; line = strchr(line + 1, '\n')) {
        const char *start = line + (*line == '\n');
        if (strncmp(start, series, length) == 0 && start[length] == ' ')
            return strtod(start + length, NULL);
    }
    ck_abort_msg("there is no %s in\n%s", series, text);
}

/* Laws: each metric has one HELP and one TYPE, its samples follow, counters are named as such. */
START_TEST(every_metric_is_described)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "summary"};
    parse_metrics();
    ck_assert_uint_ge(family_count, 25);
    for (size_t i = 0; i < family_count; i++) {
        const struct family *family = &families[i];
        bool known = false;
        for (size_t j = 0; j < 4; j++)
            known |= strcmp(types[j], family->type) == 0;
        ck_assert_msg(known, "%s is a %s", family->name, family->type);
        bool counts = strcmp(family->type, "counter") == 0;
        ck_assert_msg(counts == ends_with(family->name, strlen(family->name), "_total"), "%s",
                      family->name);
        ck_assert_msg(family->samples > 0 || strcmp(family->type, "summary") == 0, "%s is empty",
                      family->name);
    }
}
END_TEST

/* Law: what happened is counted. */
START_TEST(metrics_count_what_happened)
{
    ck_assert_double_eq(value_of("ptqd_jobs{state=\"succeeded\"}"), 1);
    ck_assert_double_eq(value_of("ptqd_runs{state=\"succeeded\"}"), 2);
    ck_assert_double_eq(value_of("ptqd_runs_ended_total{ending=\"succeeded\"}"), 2);
    ck_assert_double_eq(value_of("ptqd_run_seconds_total"), 3);
    ck_assert_double_eq(value_of("ptqd_run_step_seconds_count{step=\"optimize\"}"), 2);
    ck_assert_double_eq(value_of("ptqd_run_step_seconds_sum{step=\"optimize\"}"), 1);
    ck_assert_double_eq(value_of("ptqd_queue_oldest_seconds"), 0);
    ck_assert_double_eq(value_of("ptqd_workers"), 2);
    ck_assert_double_eq(value_of("ptqd_objects{kind=\"model\"}"), 1);
    ck_assert_double_eq(value_of("ptqd_object_bytes{kind=\"artifact\"}"), 20);
    ck_assert_double_eq(value_of("ptqd_object_bytes{kind=\"model\"}"),
                        (double)service.files.model.size);
    ck_assert_double_ge(value_of("ptqd_http_received_bytes_total"),
                        (double)service.files.model.size);
    ck_assert_double_gt(value_of("ptqd_http_sent_bytes_total"), 100);
    ck_assert_double_ge(value_of("ptqd_database_bytes"), 4096);
    ck_assert_double_gt(value_of("ptqd_disk_free_bytes"), 0);
    ck_assert_double_gt(value_of("ptqd_database_writes_total{result=\"done\"}"), 5);
    ck_assert_double_gt(value_of("ptqd_database_commit_seconds_count"), 5);
    ck_assert_double_gt(value_of("process_resident_memory_bytes"), 1 << 20);
    ck_assert_double_gt(value_of("process_open_fds"), 5);
    ck_assert_double_ge(value_of("process_max_fds"), value_of("process_open_fds"));

    double reads = value_of("ptqd_http_request_seconds_count{kind=\"read\"}");
    double changes = value_of("ptqd_http_request_seconds_count{kind=\"change\"}");
    double waits = value_of("ptqd_http_request_seconds_count{kind=\"wait\"}");
    ck_assert_double_ge(changes, 5); /* four uploads and a job */
    ck_assert_double_eq(value_of("ptqd_http_request_seconds_bucket{kind=\"change\",le=\"+Inf\"}"),
                        changes);
    ck_assert_double_eq(reads + changes + waits,
                        value_of("ptqd_http_requests_total{class=\"2xx\"}"));
    read_metrics();
    ck_assert_double_eq(value_of("ptqd_http_request_seconds_count{kind=\"read\"}"), reads + 1);
}
END_TEST

START_TEST(what_waits_is_counted_as_waiting)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":5"));
    service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=1", job), 200);
    read_metrics();
    ck_assert_double_eq(value_of("ptqd_runs{state=\"queued\"}"), 3);
    ck_assert_double_eq(value_of("ptqd_workers_busy"), 2);
    ck_assert_double_ge(value_of("ptqd_http_request_seconds_count{kind=\"wait\"}"), 1);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_finish(&service, job);
}
END_TEST

static char *read_source(const char *file)
{
    char path[4096], *bytes;
    size_t size;
    struct error err = {0};
    ck_assert_ok(file_read(service.arena, support_source_path(file, path, sizeof(path)), 1 << 20,
                           &bytes, &size, &err),
                 &err);
    return bytes;
}

/* Law: every metric that an example names is in /metrics. */
static void check_names(const char *file, size_t least)
{
    static const char *const prefixes[] = {"ptqd_", "process_"};
    size_t found = 0;
    const char *bytes = read_source(file);
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = bytes; (at = strstr(at, prefixes[i])) != NULL;) {
            size_t length = name_length(at);
            ck_assert_msg(family_of(at, length) != NULL, "%s names %.*s, which is not there", file,
                          (int)length, at);
            at += length;
            found++;
        }
    }
    ck_assert_uint_ge(found, least);
}

START_TEST(the_examples_ask_for_what_is_there)
{
    parse_metrics();
    check_names("etc/prometheus/ptqd.rules.yml", 10);
    check_names("etc/grafana/ptqd.json", 25);
    struct json *board;
    struct error err = {0};
    const char *bytes = read_source("etc/grafana/ptqd.json");
    ck_assert_ok(json_parse(service.arena, bytes, strlen(bytes), NULL, &board, &err), &err);
    ck_assert_uint_ge(json_count(json_find(board, "panels")), 15);
}
END_TEST

/* Law: series are compared by all their labels, so two endings meet only where it is ignored; an
 * alert that forgets it never fires. */
START_TEST(alerts_compare_what_can_meet)
{
    static const char label[] = "{ending=\"", alert[] = "- alert:";
    const char *before = NULL, *rules = read_source("etc/prometheus/ptqd.rules.yml");
    size_t met = 0;
    for (const char *at = rules; (at = strstr(at, label)) != NULL; before = at++) {
        size_t length = strcspn(at + strlen(label), "\"") + strlen(label);
        const char *next = before == NULL ? NULL : strstr(before, alert);
        bool same_alert = before != NULL && (next == NULL || next > at);
        if (!same_alert || strncmp(before, at, length) == 0)
            continue;
        const char *ignoring = strstr(before, "ignoring(ending)");
        ck_assert_msg(ignoring != NULL && ignoring < at, "%.60s", before);
        met++;
    }
    ck_assert_uint_ge(met, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = tcase_create("metrics");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_metric_is_described);
    tcase_add_test(tcase, metrics_count_what_happened);
    tcase_add_test(tcase, what_waits_is_counted_as_waiting);
    tcase_add_test(tcase, the_examples_ask_for_what_is_there);
    tcase_add_test(tcase, alerts_compare_what_can_meet);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
