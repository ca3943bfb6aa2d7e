/* Jobs, runs and the queue for people. */

#include "view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_BYTES = TABLE_CELL_BYTES };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- cells of jobs and runs ---- */

static bool is_state(const struct json *item, const char *state)
{
    return strcmp(view_string(item, "state"), state) == 0;
}

static bool is_unfinished(const struct json *item)
{
    return is_state(item, "queued") || is_state(item, "running");
}

static void print_state(const struct json *item, char out[static CELL_BYTES])
{
    const char *more = "";
    if (is_unfinished(item) && view_bool(item, "cancel_requested"))
        more = ", to be cancelled";
    else if (is_unfinished(item) && view_bool(item, "paused"))
        more = ", paused";
    (void)snprintf(out, CELL_BYTES, "%s%s", view_string(item, "state"), more);
}

static void print_progress(const struct json *item, char out[static CELL_BYTES])
{
    cell_bar(view_number(json_find(item, "progress"), "fraction"), out);
}

static void print_left(const struct json *item, char out[static CELL_BYTES])
{
    double seconds = view_number(json_find(item, "progress"), "eta_seconds");
    out[0] = '\0';
    if (!isnan(seconds) && is_unfinished(item))
        cell_duration(seconds, out);
}

/* ---- jobs ---- */

/* "3 of 6", and what did not succeed. */
static void print_runs(const struct json *item, char out[static CELL_BYTES])
{
    const struct json *progress = json_find(item, "progress");
    double succeeded = view_number(progress, "succeeded"), failed = view_number(progress, "failed");
    double cancelled = view_number(progress, "cancelled");
    int length = snprintf(out, CELL_BYTES, "%.0f of %.0f", succeeded + failed + cancelled,
                          view_number(progress, "runs"));
    if (failed > 0)
        length += snprintf(out + length, (size_t)(CELL_BYTES - length), ", %.0f failed", failed);
    if (cancelled > 0) /* three numbers of at most five digits fit */
        (void)snprintf(out + length, (size_t)(CELL_BYTES - length), ", %.0f cancelled", cancelled);
}

static void print_best(const struct json *item, char out[static CELL_BYTES])
{
    double accuracy = view_number(item, "best_accuracy");
    out[0] = '\0';
    if (!isnan(accuracy))
        cell_percent(accuracy, out);
}

static const struct view_column job_columns[] = {
    {"job", view_id, false},
    {"name", view_name, true},
    {"owner", view_owner, true},
    {"state", print_state, false},
    {"progress", print_progress, false},
    {"runs", print_runs, false},
    {"left", print_left, false},
    {"best accuracy %", print_best, false},
    {"created (UTC)", view_created, false},
};
static const struct view_table job_lines[] = {{"items", job_columns, COUNT(job_columns)}};
const struct view jobs_view = {.tables = job_lines, .table_count = COUNT(job_lines)};

/* ---- runs ---- */

/* What was swept, as "weights.bits 4, optimize.variable round": the values are numbers and words
 * from lists, in JSON without a blank. */
static void print_choices(const struct json *item, char out[static CELL_BYTES])
{
    struct text text;
    text_init(&text, 1 << 20);
    for (const char *c = view_string(item, "choices"); *c != '\0'; c++) {
        if (*c == ',')
            text_puts(&text, ", ");
        else if (*c == ':')
            text_puts(&text, " ");
        else if (strchr("{}\"", *c) == NULL)
            text_append(&text, c, 1);
    }
    cell_text(text.bytes, out);
    text_finish(&text);
}

static void print_seed(const struct json *item, char out[static CELL_BYTES])
{
    (void)snprintf(out, CELL_BYTES, "%.0f", view_number(item, "seed")); /* below 2^53 */
}

/* "optimize 3/12" of what runs. */
static void print_step(const struct json *item, char out[static CELL_BYTES])
{
    const struct json *progress = json_find(item, "progress");
    double units = view_number(progress, "units");
    const char *step = view_string(progress, "step");
    if (units > 0)
        (void)snprintf(out, CELL_BYTES, "%.40s %.0f/%.0f", step, view_number(progress, "unit"),
                       units);
    else
        (void)snprintf(out, CELL_BYTES, "%.40s", step);
}

/* Of a run that is over and has one. */
static void print_share(const struct json *item, const char *key, char out[static CELL_BYTES])
{
    double share = view_number(item, key);
    out[0] = '\0';
    if (!isnan(share))
        cell_percent(share, out);
}

static void print_accuracy(const struct json *item, char out[static CELL_BYTES])
{
    print_share(item, "accuracy", out);
}

static void print_loss(const struct json *item, char out[static CELL_BYTES])
{
    print_share(item, "loss", out);
}

static void print_agreement(const struct json *item, char out[static CELL_BYTES])
{
    print_share(item, "agreement", out);
}

static void print_took(const struct json *item, char out[static CELL_BYTES])
{
    double seconds = view_number(json_find(item, "seconds"), "total");
    out[0] = '\0';
    if (!isnan(seconds))
        cell_duration(seconds, out);
}

static const struct view_column run_columns[] = {
    {"run", view_id, false},
    {"choices", print_choices, false},
    {"seed", print_seed, false},
    {"state", print_state, false},
    {"progress", print_progress, false},
    {"step", print_step, false},
    {"left", print_left, false},
    {"accuracy %", print_accuracy, false},
    {"loss", print_loss, false},
    {"agreement %", print_agreement, false},
    {"took", print_took, false},
};
static const struct view_table run_lines[] = {{"items", run_columns, COUNT(run_columns)}};
const struct view runs_view = {.tables = run_lines, .table_count = COUNT(run_lines)};

static void print_media_type(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "media_type"), out);
}

static const struct view_column artifact_columns[] = {
    {"artifact", view_name, true},
    {"type", print_media_type, true},
    {"size", view_bytes, false},
};
static const struct view_table run_tables[] = {
    {NULL, run_columns, COUNT(run_columns)},
    {"artifacts", artifact_columns, COUNT(artifact_columns)},
};
const struct view run_view = {.tables = run_tables,
                              .table_count = COUNT(run_tables),
                              .foot = view_put_problem};

/* ---- a job with its runs ---- */

static void put_rest(const struct json *object, enum table_style style, struct text *text)
{
    double runs = view_number(json_find(object, "progress"), "runs");
    double shown = (double)json_count(json_find(object, "runs"));
    if (runs > shown)
        text_printf(text, "\nmore: %.0f runs in /v1/jobs/%s/runs\n", runs - shown,
                    view_string(object, "id"));
    view_put_problem(object, style, text);
}

static const struct view_table job_tables[] = {
    {NULL, job_columns, COUNT(job_columns)},
    {"runs", run_columns, COUNT(run_columns)},
};
const struct view job_view = {.tables = job_tables,
                              .table_count = COUNT(job_tables),
                              .foot = put_rest};

/* ---- the queue ---- */

static void put_queue(const struct json *object, enum table_style style, struct text *text)
{
    (void)style;
    text_printf(text, "%s: %.0f runs wait, %.0f run on %.0f workers\n",
                view_bool(object, "paused") ? "paused" : "open", view_number(object, "queued"),
                view_number(object, "running"), view_number(object, "workers"));
}

static void print_job(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "job"), out);
}

static void print_worker(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "worker"), out);
}

/* Everything that is listed runs. */
static void print_running_left(const struct json *item, char out[static CELL_BYTES])
{
    cell_duration(view_number(json_find(item, "progress"), "eta_seconds"), out);
}

static const struct view_column queue_columns[] = {
    {"run", view_id, false},         {"job", print_job, false},
    {"worker", print_worker, false}, {"progress", print_progress, false},
    {"step", print_step, false},     {"left", print_running_left, false},
};
static const struct view_table queue_tables[] = {{"runs", queue_columns, COUNT(queue_columns)}};
const struct view queue_view = {.head = put_queue,
                                .tables = queue_tables,
                                .table_count = COUNT(queue_tables)};
