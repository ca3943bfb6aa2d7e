/* POST /v1/jobs/estimate: what a job would take, before it is submitted.
 *
 * A variant takes what earlier runs of the model with the same method took; where there was none,
 * the time that its multiply-accumulates take, and the memory that a run plans before it begins. */

#include "estimate_memory.h"
#include "submit.h"

#include "ptqd/flow/pipeline.h"
#include "ptqd/jobs/spec.h"
#include "ptqd/recon/method.h"
#include "ptqd/store/dataset_row.h"
#include "ptqd/store/model_row.h"
#include "ptqd/store/run_times.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Passes of the network over a sample. Walks: the float and the quantized network while layers are
 * decided, and again in the end. The layer-wise solvers work on Gram matrices; in CPU seconds of
 * the README's table of whole runs that is 8 to 20 passes over the calibration set for the networks
 * of the study. Training goes forwards, backwards to the data and to the weights; the network also
 * needs its teacher. */
enum {
    WALK_PASSES = 4,
    SOLVER_PASSES = 12,
    TRAINING_PASSES = 3,
    TEACHER_PASSES = 1,
    EVALUATION_PASSES = 2,
};
/* By the same table: training reaches 1.5 to 3.9 of these on one core. */
static const double MACS_PER_SECOND = 2.5e10;

enum { PLANNED_MAX = 8 };

struct estimate {
    struct http_request *request;
    struct api *api;
    struct database *database;
    struct arena *arena;
    struct job_spec spec;
    double macs;
    struct described_dataset calibration, evaluation;
    struct run_times *times; /* [time_count] of earlier runs */
    size_t time_count;
    double seconds, longest;                             /* of all runs together, of one */
    size_t known_variants;                               /* that earlier runs tell about */
    const char *planned[PLANNED_MAX];                    /* methods whose memory is planned, ... */
    size_t planned_variants[PLANNED_MAX], planned_count; /* ... for the first variant of each */
    struct error *err;
};

/* ---- from multiply-accumulates ---- */

static double training_passes(const struct pipeline *pipeline, double samples)
{
    double batch = (double)pipeline->optimize.batch;
    if (!pipeline_trains(pipeline))
        return 0;
    if (pipeline->optimize.granularity == OPTIMIZE_NETWORK)
        return (TRAINING_PASSES + TEACHER_PASSES) *
               (pipeline->optimize.epochs > 0 ? (double)pipeline->optimize.epochs * samples
                                              : PIPELINE_NETWORK_STEPS * batch);
    int64_t asked = pipeline->optimize.iterations;
    return TRAINING_PASSES * batch * (double)(asked > 0 ? asked : PIPELINE_UNIT_STEPS);
}

static double seconds_by_macs(const struct estimate *estimate, const struct pipeline *pipeline)
{
    double samples = (double)estimate->calibration.dataset.samples;
    if (pipeline->samples > 0)
        samples = fmin(samples, (double)pipeline->samples);
    double passes =
        (WALK_PASSES + (pipeline_solver(pipeline)->uses_data ? SOLVER_PASSES : 0)) * samples;
    passes += training_passes(pipeline, samples);
    if (pipeline->postprocess.bias == BIAS_TUNE)
        passes += TRAINING_PASSES * (double)pipeline->postprocess.epochs * samples;
    if (pipeline->postprocess.bias == BIAS_CORRECT)
        passes += WALK_PASSES * samples;
    passes += EVALUATION_PASSES * (double)estimate->evaluation.dataset.samples;
    return passes * estimate->macs / MACS_PER_SECOND;
}

/* ---- from earlier runs ---- */

static const struct run_times *find_times(const struct estimate *estimate, const char *method)
{
    for (size_t i = 0; i < estimate->time_count; i++) {
        if (strcmp(estimate->times[i].method, method) == 0)
            return &estimate->times[i];
    }
    return NULL;
}

/* Memory does not depend on bits: one variant of each method is planned, and of many methods some
 * are enough for a number, since each takes as long as to load the network. True when the name was
 * noted. */
static bool plan_method(struct estimate *estimate, const char *method, size_t variant)
{
    if (estimate->planned_count == PLANNED_MAX)
        return false;
    for (size_t i = 0; i < estimate->planned_count; i++) {
        if (strcmp(estimate->planned[i], method) == 0)
            return false;
    }
    estimate->planned[estimate->planned_count] = method;
    estimate->planned_variants[estimate->planned_count++] = variant;
    return true;
}

static bool add_variant(struct estimate *estimate, size_t variant)
{
    struct pipeline pipeline = {0};
    struct arena_mark mark = arena_mark(estimate->arena);
    const char *choices, *method;
    job_spec_variant(&estimate->spec, variant, &pipeline);
    if (!job_spec_choices(&estimate->spec, variant, true, estimate->arena, &choices,
                          estimate->err) ||
        !run_times_method(estimate->database, choices, estimate->arena, &method, estimate->err))
        return false;
    const struct run_times *times = find_times(estimate, method);
    double seconds = times != NULL ? times->seconds : seconds_by_macs(estimate, &pipeline);
    estimate->seconds += seconds * (double)estimate->spec.seed_count;
    estimate->longest = fmax(estimate->longest, seconds);
    estimate->known_variants += times != NULL;
    if (!plan_method(estimate, method, variant))
        arena_reset(estimate->arena, mark);
    return true;
}

/* ---- the answer ---- */

static bool read_dataset(struct estimate *estimate, const struct store_viewer *viewer,
                         const char *id, struct described_dataset *out)
{
    struct dataset_row row;
    return dataset_row_find(estimate->database, viewer, id, estimate->arena, &row, estimate->err) &&
           describe_read_dataset(&row, estimate->arena, out, estimate->err);
}

static bool read_sizes(struct estimate *estimate, const struct store_viewer *viewer)
{
    static const struct json_limits limits = {.bytes = (size_t)64 << 20,
                                              .depth = 8,
                                              .values = 4 * 1000 * 1000};
    const struct job_spec *spec = &estimate->spec;
    struct model_row model;
    struct json *detail;
    const struct json *macs;
    return model_row_find(estimate->database, viewer, spec->model.id, estimate->arena, &model,
                          estimate->err) &&
           json_parse(estimate->arena, model.detail, strlen(model.detail), &limits, &detail,
                      estimate->err) &&
           json_member(detail, "macs", &macs, estimate->err) &&
           json_as_number(macs, 0, HUGE_VAL, &estimate->macs, estimate->err) &&
           read_dataset(estimate, viewer, spec->calibration.samples.id, &estimate->calibration) &&
           (!spec->has_evaluation ||
            read_dataset(estimate, viewer, spec->evaluation.samples.id, &estimate->evaluation));
}

static const char *basis_of(const struct estimate *estimate, int64_t workers)
{
    size_t variants = estimate->spec.variant_count, known = estimate->known_variants;
    static const char macs[] =
        "multiply-accumulates and the usual cost of the method, which may be "
        "wrong by a factor of three";
    if (known == 0)
        return arena_printf(estimate->arena, estimate->err,
                            "%s: no run of this model with the method has succeeded yet; %" PRId64
                            " workers without other work",
                            macs, workers);
    if (known == variants)
        return arena_printf(estimate->arena, estimate->err,
                            "earlier runs of this model with the same method; %" PRId64
                            " workers without other work",
                            workers);
    return arena_printf(estimate->arena, estimate->err,
                        "for %zu of %zu variants earlier runs of this model with the same method, "
                        "for the others %s; %" PRId64 " workers without other work",
                        known, variants, macs, workers);
}

static const struct schema_member estimate_members[] = {
    {"variants", .type = SCHEMA_INTEGER},
    {"runs", .type = SCHEMA_INTEGER},
    {"seconds", .type = SCHEMA_NUMBER, .help = "Until all are done, where nothing else runs"},
    {"memory_bytes", .type = SCHEMA_INTEGER, .null = true,
     .help = "Of the largest run, as it is planned before it begins; null: see problem"},
    {"problem", .type = SCHEMA_STRING, .null = true,
     .help = "Why a run would fail, as far as its plan shows"},
    {"basis", .type = SCHEMA_STRING, .help = "What the estimate rests on"},
    {0},
};
const struct schema estimate_schema = {
    .name = "Estimate",
    .help = "What a job would take",
    .members = estimate_members,
};

static void add_memory(struct estimate *estimate, struct json *object)
{
    const struct memory_question question = {
        .spec = &estimate->spec,
        .calibration = &estimate->calibration,
        .evaluation = estimate->spec.has_evaluation ? &estimate->evaluation : NULL,
        .variants = estimate->planned_variants,
        .variant_count = estimate->planned_count,
    };
    const char *problem;
    int64_t bytes = estimate_memory(estimate->api, &question, estimate->arena, &problem);
    if (bytes > 0)
        json_add_integer(object, "memory_bytes", bytes);
    else
        json_add_null(object, "memory_bytes");
    if (problem != NULL)
        json_add_string(object, "problem", problem);
    else
        json_add_null(object, "problem");
}

/* Runs are spread over the workers, but one run has one of them. */
static bool reply(struct estimate *estimate)
{
    int64_t runs = (int64_t)(estimate->spec.variant_count * estimate->spec.seed_count);
    int64_t workers = jobs_load(estimate->api->options.jobs).workers;
    double side_by_side = (double)(workers < runs ? workers : runs);
    const char *basis = basis_of(estimate, workers);
    struct json *object = json_object(estimate->arena);
    if (basis == NULL)
        return false;
    json_add_integer(object, "variants", (int64_t)estimate->spec.variant_count);
    json_add_integer(object, "runs", runs);
    json_add_number(object, "seconds", fmax(estimate->seconds / side_by_side, estimate->longest));
    add_memory(estimate, object);
    json_add_string(object, "basis", basis);
    return reply_json(estimate->request, 200, object, estimate->err);
}

bool estimate_handle(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    const struct store_viewer viewer = access_viewer(request, api);
    struct estimate estimate = {
        .request = request, .api = api, .arena = http_arena(request), .err = err};
    struct json *object;
    size_t size;
    const char *body = http_body(request, &size);
    if (http_body_is(request, "multipart/form-data"))
        return FAIL(err, E_INVALID,
                    "the body is a form; an estimate is made from the specification alone, as JSON "
                    "that names uploaded files");
    if (!json_parse(estimate.arena, body, size, NULL, &object, err) ||
        !store_reader(api->options.store, &estimate.database, err) ||
        !check_submission(request, api, estimate.database, object, &estimate.spec, err) ||
        !read_sizes(&estimate, &viewer) ||
        !run_times_list(estimate.database, &viewer, estimate.spec.model.id, estimate.arena,
                        &estimate.times, &estimate.time_count, err))
        return false;
    for (size_t i = 0; i < estimate.spec.variant_count; i++)
        if (!add_variant(&estimate, i))
            return false;
    return reply(&estimate);
}
