/* Jobs and runs as the interface shows them. */

#include "api_private.h"

#include <math.h>
#include <string.h>

/* A specification with every default, or a result: text that this program wrote. */
static const struct json_limits stored_limits = {.bytes = (size_t)256 << 20,
                                                 .depth = 32,
                                                 .values = 4 * 1000 * 1000};

void add_job_progress(struct json *object, struct api *api, const struct job_row *row)
{
    const struct job_counts *counts = &row->counts;
    struct job_progress progress = jobs_job_progress(api->options.jobs, row);
    struct json *list = json_add_object(object, "progress");
    json_add_integer(list, "runs", job_counts_all(counts));
    json_add_integer(list, "queued", counts->queued);
    json_add_integer(list, "running", counts->running);
    json_add_integer(list, "succeeded", counts->succeeded);
    json_add_integer(list, "failed", counts->failed);
    json_add_integer(list, "cancelled", counts->cancelled);
    json_add_number(list, "fraction", progress.fraction);
    json_add_number(list, "eta_seconds", progress.eta_seconds);
}

/* The problem of the first run that failed stands for the job's. */
static bool add_job_problem(struct json *object, struct database *database,
                            const struct job_row *row, struct arena *arena, struct error *err)
{
    static const enum run_state failed = RUN_FAILED;
    const struct store_page first = {.limit = 1};
    struct run_row *runs = NULL;
    size_t count = 0;
    char next[STORE_CURSOR_BYTES];
    if (row->counts.failed > 0 &&
        !run_row_list(database, row->id, &failed, &first, arena, &runs, &count, next, err))
        return false;
    if (count > 0)
        add_run_problem(object, "problem", &runs[0].problem);
    else
        json_add_null(object, "problem");
    return true;
}

bool add_job(struct json *object, struct api *api, struct database *database,
             const struct job_row *row, struct arena *arena, struct error *err)
{
    static const char *const from_spec[] = {"model", "calibration", "evaluation", "seeds",
                                            "pipeline"};
    struct json *spec;
    if (!json_parse(arena, row->spec, strlen(row->spec), &stored_limits, &spec, err))
        return error_context(err, "the stored specification of job %s", row->id);
    json_add_string(object, "id", row->id);
    json_add_string(object, "name", row->name);
    json_add_string(object, "owner", row->owner);
    json_add_copy(object, "labels", json_find(spec, "labels"));
    json_add_integer(object, "priority", row->priority);
    json_add_string(object, "state", job_state_name(row->state));
    json_add_bool(object, "cancel_requested", row->cancel_requested);
    json_add_bool(object, "paused", row->paused);
    add_time(object, "created", row->created_ms);
    add_time(object, "started", row->started_ms);
    add_time(object, "finished", row->finished_ms);
    for (size_t i = 0; i < sizeof(from_spec) / sizeof(from_spec[0]); i++)
        json_add_copy(object, from_spec[i], json_find(spec, from_spec[i]));
    add_job_progress(object, api, row);
    return add_job_problem(object, database, row, arena, err);
}

void add_run_progress(struct json *object, const char *step, const struct ticket_progress *progress)
{
    struct json *list = json_add_object(object, "progress");
    json_add_string(list, "step", step != NULL && step[0] != '\0' ? step : NULL);
    json_add_integer(list, "unit", progress->unit);
    json_add_integer(list, "units", progress->units);
    json_add_number(list, "fraction", progress->fraction);
    json_add_number(list, "loss", progress->loss);
    json_add_number(list, "eta_seconds", progress->seconds_left);
}

static void add_progress(struct json *object, struct api *api, const struct run_row *row)
{
    struct ticket_progress progress = {.fraction = row->state == RUN_SUCCEEDED ? 1 : 0,
                                       .loss = (double)NAN,
                                       .seconds_left = (double)NAN};
    bool runs =
        row->state == RUN_RUNNING && jobs_run_progress(api->options.jobs, row->id, &progress);
    add_run_progress(object, runs ? progress.step : NULL, &progress);
}

/* What the result has beside the layers, which have a call of their own. */
static bool add_result(struct json *object, const struct run_row *row, struct arena *arena,
                       struct error *err)
{
    static const char *const members[] = {
        "float_accuracy",     "output_sqnr_db", "calibration_samples",
        "evaluation_samples", "seconds",        "cost"};
    struct json *summary = NULL;
    if (row->summary != NULL &&
        !json_parse(arena, row->summary, strlen(row->summary), &stored_limits, &summary, err))
        return error_context(err, "the stored result of run %s", row->id);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        json_add_copy(object, members[i], json_find(summary, members[i]));
    return true;
}

void add_artifacts(struct json *list, const struct artifact_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct json *artifact = json_add_object(list, NULL);
        json_add_string(artifact, "name", rows[i].name);
        json_add_string(artifact, "media_type", rows[i].media_type);
        json_add_integer(artifact, "bytes", rows[i].bytes);
        json_add_string(artifact, "id", rows[i].blob);
    }
}

bool add_run(struct json *object, struct api *api, struct database *database,
             const struct run_row *row, struct arena *arena, struct error *err)
{
    char variant[VARIANT_ID_BYTES];
    variant_id(row->variant, variant);
    json_add_string(object, "id", row->id);
    json_add_string(object, "job", row->job);
    json_add_string(object, "variant", variant);
    json_add_raw(object, "choices", row->choices);
    json_add_integer(object, "seed", row->seed);
    json_add_string(object, "state", run_state_name(row->state));
    json_add_integer(object, "attempts", row->attempts);
    json_add_string(object, "worker", row->worker[0] != '\0' ? row->worker : NULL);
    add_time(object, "created", row->created_ms);
    add_time(object, "started", row->started_ms);
    add_time(object, "finished", row->finished_ms);
    add_progress(object, api, row);
    json_add_number(object, "accuracy", row->accuracy);
    json_add_number(object, "loss", row->loss);
    json_add_number(object, "agreement", row->agreement);
    if (row->peak_rss_bytes != 0)
        json_add_integer(object, "peak_rss_bytes", row->peak_rss_bytes);
    else
        json_add_null(object, "peak_rss_bytes");
    struct artifact_row *artifacts;
    size_t count;
    if (!add_result(object, row, arena, err) ||
        !artifact_row_list(database, row->id, arena, &artifacts, &count, err))
        return false;
    add_artifacts(json_add_array(object, "artifacts"), artifacts, count);
    add_run_problem(object, "problem", &row->problem);
    return true;
}
