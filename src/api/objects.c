/* Jobs and runs as the interface shows them. */

#include "api_private.h"

#include "ptqd/api/result.h"
#include "ptqd/jobs/spec.h"

#include <math.h>
#include <string.h>

/* A specification with every default, or a result: text that this program wrote. */
static const struct json_limits stored_limits = {.bytes = (size_t)256 << 20,
                                                 .depth = 32,
                                                 .values = 4 * 1000 * 1000};

static const struct schema_member job_progress_members[] = {
    {"runs", .type = SCHEMA_INTEGER, .help = "Of the job, in any state"},
    {"queued", .type = SCHEMA_INTEGER},
    {"running", .type = SCHEMA_INTEGER},
    {"succeeded", .type = SCHEMA_INTEGER},
    {"failed", .type = SCHEMA_INTEGER},
    {"cancelled", .type = SCHEMA_INTEGER},
    {"fraction", .type = SCHEMA_NUMBER, .help = "Of the work that is done, 0 to 1"},
    {"eta_seconds", .type = SCHEMA_NUMBER, .null = true,
     .help = "Until the job is finished, at the pace of now; not known while none of its runs "
             "runs"},
    {0},
};
const struct schema job_progress_schema = {
    .name = "JobProgress",
    .help = "How far a job is",
    .members = job_progress_members,
};

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

static const struct schema_member job_members[] = {
    {"id", .type = SCHEMA_STRING},
    {"name", .type = SCHEMA_STRING},
    {"owner", .type = SCHEMA_STRING},
    {"labels", .type = SCHEMA_STRING, .map = true},
    {"priority", .type = SCHEMA_INTEGER, .help = "Higher ones start first"},
    {"state", .type = SCHEMA_STRING, .choices = job_state_names},
    {"cancel_requested", .type = SCHEMA_BOOL},
    {"paused", .type = SCHEMA_BOOL, .help = "None of its runs is started"},
    {"created", .type = SCHEMA_TIME},
    {"started", .type = SCHEMA_TIME, .null = true},
    {"finished", .type = SCHEMA_TIME, .null = true},
    {"model", .type = SCHEMA_ID},
    {"calibration", .type = SCHEMA_ID, .of = &job_data_schema},
    {"evaluation", .type = SCHEMA_ID, .of = &job_data_schema, .null = true},
    {"seeds", .type = SCHEMA_INTEGER, .list = true},
    {"pipeline", .type = SCHEMA_OBJECT, .of = &pipeline_schema},
    {"progress", .type = SCHEMA_OBJECT, .of = &job_progress_schema},
    {"problem", .type = SCHEMA_OBJECT, .of = &problem_schema, .null = true,
     .help = "Of the first run that failed"},
    {0},
};
const struct schema job_schema = {
    .name = "Job",
    .help = "A model, its data, a pipeline and seeds, with every default",
    .members = job_members,
};

bool add_job(struct json *object, struct api *api, struct database *database,
             const struct job_row *row, struct arena *arena, struct error *err)
{
    struct json *spec;
    if (!json_parse(arena, row->spec, strlen(row->spec), &stored_limits, &spec, err))
        return error_context(err, "the stored specification of job %s", row->id);
    return add_job_of(object, api, database, row, spec, arena, err);
}

bool add_job_of(struct json *object, struct api *api, struct database *database,
                const struct job_row *row, const struct json *spec, struct arena *arena,
                struct error *err)
{
    static const char *const from_spec[] = {"model", "calibration", "evaluation", "seeds",
                                            "pipeline"};
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

static const struct schema_member run_progress_members[] = {
    {"step", .type = SCHEMA_STRING, .null = true, .help = "What it does now"},
    {"unit", .type = SCHEMA_INTEGER, .help = "Of the step: the one that is being optimized"},
    {"units", .type = SCHEMA_INTEGER, .help = "Of the step"},
    {"fraction", .type = SCHEMA_NUMBER, .help = "Of the run that is done, 0 to 1"},
    {"loss", .type = SCHEMA_NUMBER, .null = true, .help = "Of the unit, as it is optimized"},
    {"eta_seconds", .type = SCHEMA_NUMBER, .null = true, .help = "Until the run is finished"},
    {0},
};
const struct schema run_progress_schema = {
    .name = "RunProgress",
    .help = "How far a run is",
    .members = run_progress_members,
};

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

static const struct schema_member artifact_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"media_type", .type = SCHEMA_STRING},
    {"bytes", .type = SCHEMA_INTEGER},
    {"id", .type = SCHEMA_ID},
    {0},
};
const struct schema artifact_schema = {
    .name = "Artifact",
    .help = "A file that a run made",
    .members = artifact_members,
};

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

static const struct schema_member run_members[] = {
    {"id", .type = SCHEMA_STRING},
    {"job", .type = SCHEMA_STRING},
    {"variant", .type = SCHEMA_STRING},
    {"choices", .type = SCHEMA_SCALAR, .map = true, .help = "The swept fields of its variant"},
    {"seed", .type = SCHEMA_INTEGER},
    {"state", .type = SCHEMA_STRING, .choices = run_state_names},
    {"attempts", .type = SCHEMA_INTEGER, .help = "How often it was started"},
    {"worker", .type = SCHEMA_STRING, .null = true},
    {"created", .type = SCHEMA_TIME},
    {"started", .type = SCHEMA_TIME, .null = true},
    {"finished", .type = SCHEMA_TIME, .null = true},
    {"progress", .type = SCHEMA_OBJECT, .of = &run_progress_schema},
    {"accuracy", .type = SCHEMA_NUMBER, .null = true},
    {"loss", .type = SCHEMA_NUMBER, .null = true,
     .help = "Accuracy of the float network less its own"},
    {"agreement", .type = SCHEMA_NUMBER, .null = true,
     .help = "Share of the calibration samples with the float network's class"},
    {"peak_rss_bytes", .type = SCHEMA_INTEGER, .null = true},
    {"float_accuracy", .type = SCHEMA_NUMBER, .null = true},
    {"output_sqnr_db", .type = SCHEMA_NUMBER, .null = true},
    {"calibration_samples", .type = SCHEMA_INTEGER, .null = true},
    {"evaluation_samples", .type = SCHEMA_INTEGER, .null = true},
    {"seconds", .type = SCHEMA_NUMBER, .map = true, .null = true, .help = "By step, and \"total\""},
    {"cost", .type = SCHEMA_OBJECT, .of = &cost_schema, .null = true},
    {"artifacts", .type = SCHEMA_OBJECT, .of = &artifact_schema, .list = true},
    {"problem", .type = SCHEMA_OBJECT, .of = &problem_schema, .null = true},
    {0},
};
const struct schema run_schema = {
    .name = "Run",
    .help = "One variant with one seed",
    .members = run_members,
};

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
