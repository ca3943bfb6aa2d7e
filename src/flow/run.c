/* One run, from pipeline to report. */

#include "ptqd/flow/run.h"

#include "ptqd/base/log.h"
#include "ptqd/flow/evaluate.h"
#include "ptqd/flow/final_walk.h"
#include "ptqd/flow/layer_formats.h"
#include "ptqd/flow/progress.h"
#include "ptqd/flow/reconstruct.h"
#include "ptqd/flow/run_state.h"
#include "ptqd/flow/sensitivity.h"
#include "ptqd/flow/shared_scope.h"
#include "ptqd/flow/unit_training.h"
#include "ptqd/nn/fold.h"
#include "ptqd/quant/bias.h"
#include "ptqd/recon/bias_correct.h"
#include "ptqd/recon/bias_tune.h"
#include "ptqd/recon/equalize.h"
#include "ptqd/recon/split_channels.h"

#include <math.h>

/* Streams of the run's seed, so that one use of random numbers does not change another. */
enum { STREAM_SAMPLES = 1, STREAM_TUNE = 2 };

struct run {
    struct arena *arena;
    const struct run_request *request;
    const struct pipeline *pipeline;
    struct run_result *result;
    struct progress progress;
    struct samples samples;
    struct graph *folded;
    struct shared_scope scope;
    struct quant_options options;
    struct quant_network *network;
    struct initial_ranges *initial; /* NULL: nobody wants them */
    struct float_outputs float_outputs;
    struct run_state state;
    struct error *err;
};

/* Step 1: rewrites the folded network into one that computes the same. */
static bool preprocess(struct run *run, const struct graph *folded)
{
    switch ((enum pipeline_equalize)run->pipeline->equalize) {
    case EQUALIZE_NONE:
        return true;
    case EQUALIZE_CLE:
        return equalize_graph(run->arena, folded, &run->folded, NULL, run->err);
    case EQUALIZE_OCS:
        break;
    }
    struct split_options split = {
        .expand_ratio = run->pipeline->expand_ratio,
        .formats = &run->options,
    };
    return split_channels(run->arena, folded, &split, &run->folded, NULL, run->err);
}

/* Step 1 and the network that the later steps fill in. */
static bool prepare(struct run *run)
{
    const struct pipeline *pipeline = run->pipeline;
    struct rng rng;
    rng_init(&rng, run->request->seed, STREAM_SAMPLES);
    double since = progress_now();
    struct graph *folded;
    if (!progress_step(&run->progress, STEP_PREPARE, 0, run->err) ||
        !dataset_check_input(run->request->calibration, run->request->model, run->err) ||
        !samples_draw(run->arena, run->request->calibration, pipeline->samples, &rng, &run->samples,
                      run->err) ||
        !graph_fold(run->request->model, run->arena, &folded, run->err))
        return false;
    if (!cost_of_graph(run->arena, folded, &run->result->float_cost, run->err))
        return false;
    run->folded = folded;
    bool done =
        layer_formats_options(run->arena, pipeline, folded, &run->options, run->err) &&
        preprocess(run, folded) &&
        shared_scope_init(run->request->shared, &run->request->origin, run->folded, &run->samples,
                          &run->scope, run->err) &&
        quant_network_create(run->arena, run->folded, &run->options, &run->network, run->err);
    (void)progress_account(&run->progress, "prepare", since); /* the next step reads the clock */
    return done;
}

/* Makes room for what the steps decide, and takes up what an interrupted run has decided. */
static bool open_state(struct run *run)
{
    struct run_result *result = run->result;
    if (run->pipeline->report.sensitivity) {
        run->initial = ARENA_NEW(run->arena, struct initial_ranges, run->err);
        if (!run->initial ||
            !initial_ranges_create(run->arena, run->network, run->initial, run->err))
            return false;
    }
    result->layer_count = run->network->layer_count;
    result->layers = ARENA_ARRAY(run->arena, struct run_layer, result->layer_count, run->err);
    return result->layers &&
           float_outputs_init(run->arena, run->network, run->samples.count, &run->float_outputs,
                              run->err) &&
           run_state_open(run->arena, run->request, run->network, result->layers,
                          &run->float_outputs, run->initial, &run->state, run->err);
}

/* Steps 2 and 3. */
static bool optimize(struct run *run)
{
    struct optimization optimization = {
        .arena = run->arena,
        .pipeline = run->pipeline,
        .samples = &run->samples,
        .scope = &run->scope,
        .network = run->network,
        .progress = &run->progress,
        .state = &run->state,
        .layers = run->result->layers,
        .outputs = &run->float_outputs,
    };
    const struct pipeline *pipeline = run->pipeline;
    int method = pipeline_trains(pipeline) ? pipeline->optimize.start : pipeline->optimize.variable;
    return reconstruct_network(&optimization, method_table()[method], run->err) &&
           unit_training(&optimization, run->request->seed, run->err);
}

static bool tune_biases(struct run *run, double *before, double *after)
{
    const struct pipeline *pipeline = run->pipeline;
    struct recon_keeper keeper = run_state_keeper(&run->state, STEP_TUNE, 0);
    struct bias_tune_options options = {
        .keeper = &keeper,
        .epochs = pipeline->postprocess.epochs,
        .batch = pipeline->postprocess.batch,
        .learning_rate = pipeline->postprocess.learning_rate,
    };
    struct bias_tune_target target = {
        .output = run->float_outputs.values,
        .output_scale = run->float_outputs.layer_scale,
    };
    struct rng rng;
    rng_init(&rng, run->request->seed, STREAM_TUNE);
    return bias_tune(run->network, &run->samples, &target, &options, &rng, &run->progress.monitor,
                     run->arena, before, after, run->err);
}

static bool postprocess(struct run *run)
{
    int bias = run->pipeline->postprocess.bias;
    if (bias == BIAS_NONE || run->network->layer_count == 0)
        return true;
    double before, after, since = progress_now();
    if (!progress_step(&run->progress, STEP_TUNE, 0, run->err))
        return false;
    struct arena_mark mark = arena_mark(run->arena);
    bool done = bias == BIAS_TUNE
                    ? tune_biases(run, &before, &after)
                    : bias_correct(run->network, &run->samples, &run->progress.monitor, run->arena,
                                   &before, &after, run->err);
    if (done)
        log_write(LOG_DEBUG, "flow", "biases %s|before=%g after=%g",
                  bias == BIAS_TUNE ? "tuned" : "corrected", before, after);
    arena_reset(run->arena, mark);
    (void)progress_account(&run->progress, "tune", since); /* the next step reads the clock */
    return done;
}

static bool evaluate_calibration(struct run *run)
{
    int64_t elements = tensor_elements(&run->folded->tensors[run->folded->output], 1);
    int64_t count = run->samples.count * elements;
    float *real = ARENA_ARRAY(run->arena, float, count, run->err);
    float *quantized = ARENA_ARRAY(run->arena, float, count, run->err);
    if (!real || !quantized || !progress_unit(&run->progress, 1, "calibration set", run->err) ||
        !final_walk(run->network, &run->samples, &run->progress.monitor, run->arena,
                    run->result->layers, real, quantized, run->err))
        return false;
    run->result->agreement = evaluate_agreement(real, quantized, elements, run->samples.count);
    run->result->output_sqnr_db = evaluate_sqnr_db(real, quantized, count);
    return true;
}

static bool evaluate_labels(struct run *run)
{
    const struct dataset *dataset = run->request->evaluation;
    struct samples all;
    float *real, *quantized;
    int64_t elements = tensor_elements(&run->folded->tensors[run->folded->output], 1);
    if (!progress_unit(&run->progress, 2, "evaluation set", run->err) ||
        !dataset_check_input(dataset, run->request->model, run->err) ||
        !dataset_check_labels(dataset, run->request->model, run->err) ||
        !samples_draw(run->arena, dataset, 0, NULL, &all, run->err) ||
        !shared_float_outputs(&run->scope, run->folded, &all, run->request->origin.evaluation,
                              &run->progress.monitor, run->arena, &real, run->err) ||
        !(quantized = ARENA_ARRAY(run->arena, float, all.count *elements, run->err)) ||
        !evaluate_outputs(run->network->graph, &all, &run->progress.monitor, run->arena, quantized,
                          run->err))
        return false;
    struct run_result *result = run->result;
    result->evaluation_samples = all.count;
    result->float_accuracy = evaluate_accuracy(real, elements, dataset->labels, all.count);
    result->accuracy = evaluate_accuracy(quantized, elements, dataset->labels, all.count);
    result->loss = result->float_accuracy - result->accuracy;
    return true;
}

static bool evaluate(struct run *run)
{
    double since = progress_now();
    struct arena_mark mark = arena_mark(run->arena);
    bool done =
        progress_step(&run->progress, STEP_EVALUATE, run->request->evaluation ? 2 : 1, run->err) &&
        evaluate_calibration(run) && (!run->request->evaluation || evaluate_labels(run));
    arena_reset(run->arena, mark);
    (void)progress_account(&run->progress, "evaluate", since); /* the next step reads the clock */
    return done;
}

static bool measure_sensitivity(struct run *run)
{
    const struct sensitivity_request request = {
        .network = run->network,
        .options = &run->options,
        .ranges = run->initial,
        .calibration = &run->samples,
        .evaluation = run->request->evaluation,
        .origin = &run->request->origin,
        .scope = &run->scope,
        .progress = &run->progress,
    };
    double since = progress_now();
    if (!run->pipeline->report.sensitivity)
        return true;
    if (!progress_step(&run->progress, STEP_SENSITIVITY, sensitivity_units(run->network),
                       run->err) ||
        !sensitivity_measure(run->arena, &request, &run->result->sensitivity, run->err))
        return false;
    (void)progress_account(&run->progress, "sensitivity", since); /* the next reads the clock */
    return true;
}

/* What of the network's state the report names. */
static void describe_layers(struct run *run)
{
    for (int i = 0; i < run->network->layer_count; i++) {
        const struct quant_layer *layer = &run->network->layers[i];
        struct run_layer *report = &run->result->layers[i];
        report->name = layer->name;
        report->op = run->network->graph->nodes[layer->node].op_type;
        report->weight_scales = layer->quantizer.scales;
        report->weight_zero_points =
            layer->quantizer.format.symmetric ? NULL : layer->quantizer.zero_points;
        report->weight_channels = layer->quantizer.channels;
        report->input_scale = NAN;
        if (layer->activation < 0)
            continue;
        const struct quantizer *input = &run->network->activations[layer->activation].quantizer;
        report->input_scale = input->scales[0];
        report->input_zero_point = input->zero_points[0];
    }
}

static bool export_artifacts(struct run *run)
{
    double since = progress_now();
    struct artifact_origin origin = run->request->origin;
    origin.seed = run->request->seed;
    bool done = progress_step(&run->progress, STEP_EXPORT, 0, run->err) &&
                cost_of_network(run->arena, run->network, &run->result->cost, run->err) &&
                artifact_write_all(run->arena, run->network, &origin, run->pipeline->artifacts,
                                   &run->result->artifacts, &run->result->artifact_count, run->err);
    (void)progress_account(&run->progress, "export", since); /* the last step */
    return done;
}

bool run_execute(struct arena *arena, const struct run_request *request,
                 struct run_result **out_result, struct error *err)
{
    struct run_result *result = ARENA_NEW(arena, struct run_result, err);
    if (!result)
        return false;
    result->float_accuracy = result->accuracy = result->loss = NAN;
    struct run run = {
        .arena = arena,
        .request = request,
        .pipeline = request->pipeline,
        .result = result,
        .err = err,
    };
    progress_init(&run.progress, &request->monitor, result);
    run.progress.skipped[STEP_TRAIN] = !pipeline_trains(request->pipeline);
    run.progress.skipped[STEP_TUNE] = request->pipeline->postprocess.bias == BIAS_NONE;
    run.progress.skipped[STEP_SENSITIVITY] = !request->pipeline->report.sensitivity;
    if (!pipeline_check(request->pipeline, err) || !prepare(&run) || !open_state(&run) ||
        !optimize(&run) || !postprocess(&run) || !quant_network_round_biases(run.network, err) ||
        !evaluate(&run) || !measure_sensitivity(&run) || !export_artifacts(&run))
        return false;
    describe_layers(&run);
    result->calibration_samples = run.samples.count;
    result->network = run.network;
    progress_finish(&run.progress);
    *out_result = result;
    return true;
}
