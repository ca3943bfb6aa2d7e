/* One run, from pipeline to report. */

#include "ptqd/flow/run.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"
#include "ptqd/flow/evaluate.h"
#include "ptqd/flow/final_walk.h"
#include "ptqd/flow/layer_formats.h"
#include "ptqd/flow/memory_plan.h"
#include "ptqd/flow/progress.h"
#include "ptqd/flow/reconstruct.h"
#include "ptqd/flow/run_state.h"
#include "ptqd/flow/sensitivity.h"
#include "ptqd/flow/shared_scope.h"
#include "ptqd/flow/shared_state.h"
#include "ptqd/flow/unit_training.h"
#include "ptqd/nn/fold.h"
#include "ptqd/quant/bias.h"
#include "ptqd/recon/bias_correct.h"
#include "ptqd/recon/bias_tune.h"
#include "ptqd/recon/equalize.h"
#include "ptqd/recon/split_channels.h"
#include "ptqd/recon/value_pool.h"

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
    struct walk_options data; /* all of them */
    struct graph *folded;
    struct shared_scope scope;
    struct quant_options options;
    struct quant_network *network;
    struct initial_ranges initial;
    struct float_outputs float_outputs;
    struct run_state state;
    uint8_t *packed; /* the state for other runs, or of one; NULL: nothing is shared */
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
    double since = clock_seconds();
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
    run->data = (struct walk_options){
        .samples = &run->samples,
        .count = run->samples.count,
        .spill_directory = run->request->memory.spill_directory,
    };
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
    result->layer_count = run->network->layer_count;
    result->layers = ARENA_ARRAY(run->arena, struct run_layer, result->layer_count, run->err);
    result->distributions =
        ARENA_ARRAY(run->arena, struct layer_distribution, result->layer_count, run->err);
    if (!result->layers || !result->distributions ||
        !initial_ranges_create(run->arena, run->network, &run->initial, run->err) ||
        !float_outputs_init(run->arena, run->network, run->samples.count, &run->float_outputs,
                            run->err) ||
        !run_state_open(run->arena, run->request, run->network, result->layers, &run->float_outputs,
                        &run->initial, &run->state, run->err))
        return false;
    run->progress.losses = &run->state.losses;
    if (!run->scope.cache)
        return true;
    run->packed = ARENA_ARRAY(run->arena, uint8_t, run_state_bytes(&run->state), run->err);
    return run->packed != NULL;
}

/* What of the steps fits into memory, before anything is computed, and room for its tensors. */
static bool plan_memory(struct run *run)
{
    struct memory_plan plan;
    if (!memory_plan_make(run->arena, run->request, run->network, &run->samples, &plan, run->err))
        return false;
    if (!value_pool_create(plan.kept_bytes, &run->data.pool, run->err))
        return false;
    run->data.memory_bytes = plan.walk_bytes;
    run->result->predicted_bytes = plan.predicted_bytes;
    run->result->spilled_bytes = plan.spilled_bytes;
    const struct run_memory *memory = &run->request->memory;
    if (!memory->admit)
        return true;
    double since = clock_seconds();
    run->progress.state.step = "memory"; /* until a step begins */
    bool admitted =
        memory->admit(memory->context, plan.predicted_bytes, &run->progress.monitor, run->err);
    (void)progress_account(&run->progress, "memory", since); /* the next step reads the clock */
    return admitted;
}

static struct optimization optimization_of(struct run *run)
{
    return (struct optimization){
        .arena = run->arena,
        .pipeline = run->pipeline,
        .data = &run->data,
        .scope = &run->scope,
        .network = run->network,
        .progress = &run->progress,
        .state = &run->state,
        .layers = run->result->layers,
        .outputs = &run->float_outputs,
    };
}

static bool reconstruct(struct run *run)
{
    const struct optimization optimization = optimization_of(run);
    return reconstruct_network(&optimization, pipeline_solver(run->pipeline), run->err);
}

static bool train(struct run *run)
{
    const struct optimization optimization = optimization_of(run);
    return unit_training(&optimization, run->request->seed, run->err);
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
    progress_curve(&run->progress, losses_curve(run->network, CURVE_BIASES, 0));
    rng_init(&rng, run->request->seed, STREAM_TUNE);
    return bias_tune(run->network, &run->samples, &target, &options, &rng, &run->progress.monitor,
                     run->arena, before, after, run->err);
}

static bool postprocess(struct run *run)
{
    int bias = run->pipeline->postprocess.bias;
    if (bias == BIAS_NONE || run->network->layer_count == 0)
        return true;
    double before, after, since = clock_seconds();
    if (!progress_step(&run->progress, STEP_TUNE, 0, run->err))
        return false;
    struct arena_mark mark = arena_mark(run->arena);
    bool done = bias == BIAS_TUNE ? tune_biases(run, &before, &after)
                                  : bias_correct(run->network, &run->data, &run->progress.monitor,
                                                 run->arena, &before, &after, run->err);
    if (done)
        log_write(LOG_DEBUG, "flow", "biases %s|before=%g after=%g",
                  bias == BIAS_TUNE ? "tuned" : "corrected", before, after);
    arena_reset(run->arena, mark);
    (void)progress_account(&run->progress, "tune", since); /* the next step reads the clock */
    return done;
}

/* ---- what is decided, by this run or another ---- */

/* The steps that decide something; each goes on from the state behind the one before. */
static bool (*const deciding[STEP_COUNT])(struct run *run) = {
    [STEP_RECONSTRUCT] = reconstruct,
    [STEP_TRAIN] = train,
    [STEP_TUNE] = postprocess,
};

static bool decide(struct run *run, enum run_step_id step);

static bool decide_alone(struct run *run, enum run_step_id step)
{
    return decide(run, (enum run_step_id)(step - 1)) && deciding[step](run);
}

struct decision {
    struct run *run;
    enum run_step_id step;
    bool alone;
};

static bool compute_state(void *context, void *out_state, struct error *err)
{
    struct decision *decision = context;
    (void)err; /* is the run's */
    decision->alone = true;
    if (!decide_alone(decision->run, decision->step))
        return false;
    run_state_pack(&decision->run->state, out_state);
    return true;
}

/* Comes to the state behind a step: it is that of a checkpoint, or of another run, or is decided
 * here while others wait for it. Who decides it may have to wait for a state before, never for a
 * later one, so nobody waits in a circle. A step that another run did takes no time in the report;
 * waiting for it is a part of its own. */
static bool decide(struct run *run, enum run_step_id step)
{
    if (!deciding[step] || run_state_done(&run->state, step) == RUN_STATE_ALL_DONE)
        return true;
    if (run->progress.skipped[step])
        return decide(run, (enum run_step_id)(step - 1));
    if (!run->packed)
        return decide_alone(run, step);
    double since = clock_seconds();
    struct decision decision = {.run = run, .step = step};
    const struct shared_work work = {compute_state, &decision};
    struct shared_key key;
    run->progress.state.step = "shared"; /* until a step begins */
    if (!shared_key_state(&run->scope, run->request, step, &key, run->err) ||
        !shared_get(run->scope.cache, &key, run_state_bytes(&run->state), &work,
                    &run->progress.monitor, run->packed, run->err))
        return false;
    if (decision.alone)
        return true;
    run_state_unpack(&run->state, run->packed);
    (void)progress_account(&run->progress, "shared", since); /* the next step reads the clock */
    return true;
}

/* ---- what is reported ---- */

static bool evaluate_calibration(struct run *run)
{
    const struct evaluate_decision decision = evaluate_decision_of(run->folded);
    int64_t count = run->samples.count * decision.elements;
    const struct final_values values = {
        .layers = run->result->layers,
        .distributions = run->result->distributions,
        .real = ARENA_ARRAY(run->arena, float, count, run->err),
        .quantized = ARENA_ARRAY(run->arena, float, count, run->err),
    };
    if (!values.real || !values.quantized ||
        !progress_unit(&run->progress, 1, "calibration set", run->err) ||
        !final_walk(run->network, &run->data, &run->progress.monitor, run->arena, &values,
                    run->err))
        return false;
    run->result->agreement =
        evaluate_agreement(values.real, values.quantized, &decision, run->samples.count);
    run->result->output_sqnr_db = evaluate_sqnr_db(values.real, values.quantized, count);
    return true;
}

static bool float_outputs(struct run *run, const struct samples *samples, float **out_outputs)
{
    return shared_float_outputs(&run->scope, run->folded, samples, run->request->origin.evaluation,
                                &run->progress.monitor, run->arena, out_outputs, run->err);
}

/* Of both networks. Where another run computes the float one's, ours come first: by then they are
 * there. (Two workers waited for each other through a twentieth of eight runs of DS-CNN.) */
static bool execute_both(struct run *run, const struct samples *samples, float **out_real,
                         float **out_quantized)
{
    int64_t elements = tensor_elements(&run->folded->tensors[run->folded->output], 1);
    float *quantized = ARENA_ARRAY(run->arena, float, samples->count *elements, run->err);
    bool later;
    if (!quantized ||
        !shared_float_outputs_wait(&run->scope, run->folded, samples,
                                   run->request->origin.evaluation, &later, run->err) ||
        (!later && !float_outputs(run, samples, out_real)) ||
        !evaluate_outputs(run->network->graph, false, samples, &run->progress.monitor, run->arena,
                          quantized, run->err) ||
        (later && !float_outputs(run, samples, out_real)))
        return false;
    *out_quantized = quantized;
    return true;
}

static bool evaluate_labels(struct run *run)
{
    const struct dataset *dataset = run->request->evaluation;
    struct samples all;
    float *real, *quantized;
    const struct evaluate_decision decision = evaluate_decision_of(run->folded);
    if (!progress_unit(&run->progress, 2, "evaluation set", run->err) ||
        !dataset_check_input(dataset, run->request->model, run->err) ||
        !dataset_check_labels(dataset, run->request->model, run->err) ||
        !samples_draw(run->arena, dataset, 0, NULL, &all, run->err) ||
        !execute_both(run, &all, &real, &quantized))
        return false;
    struct run_result *result = run->result;
    result->evaluation_samples = all.count;
    result->float_accuracy = evaluate_accuracy(real, &decision, dataset->labels, all.count);
    result->accuracy = evaluate_accuracy(quantized, &decision, dataset->labels, all.count);
    result->loss = result->float_accuracy - result->accuracy;
    return true;
}

static bool evaluate(struct run *run)
{
    double since = clock_seconds();
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
        .ranges = &run->initial,
        .calibration = &run->samples,
        .evaluation = run->request->evaluation,
        .origin = &run->request->origin,
        .scope = &run->scope,
        .progress = &run->progress,
    };
    double since = clock_seconds();
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
    double since = clock_seconds();
    struct artifact_origin origin = run->request->origin;
    origin.seed = run->request->seed;
    bool done =
        progress_step(&run->progress, STEP_EXPORT, 0, run->err) &&
        cost_of_network(run->arena, run->network, &run->result->cost, run->err) &&
        memory_timeline_make(run->arena, run->network->graph, &run->result->memory, run->err) &&
        artifact_write_all(run->arena, run->network, &origin, run->pipeline->artifacts,
                           &run->result->artifacts, &run->result->artifact_count, run->err);
    (void)progress_account(&run->progress, "export", since); /* the last step */
    return done;
}

/* The one that fills in `result`. */
static struct run run_of(struct arena *arena, const struct run_request *request,
                         struct run_result *result, struct error *err)
{
    return (struct run){
        .arena = arena,
        .request = request,
        .pipeline = request->pipeline,
        .result = result,
        .err = err,
    };
}

bool run_predict_memory(struct arena *arena, const struct run_request *request, size_t *out_bytes,
                        struct error *err)
{
    struct run_result *result = ARENA_NEW(arena, struct run_result, err);
    struct memory_plan plan;
    if (!result)
        return false;
    struct run run = run_of(arena, request, result, err);
    progress_init(&run.progress, &request->monitor, result);
    if (!pipeline_check(request->pipeline, err) || !prepare(&run) || !open_state(&run) ||
        !memory_plan_make(arena, request, run.network, &run.samples, &plan, err))
        return false;
    *out_bytes = plan.predicted_bytes;
    return true;
}

bool run_execute(struct arena *arena, const struct run_request *request,
                 struct run_result **out_result, struct error *err)
{
    struct run_result *result = ARENA_NEW(arena, struct run_result, err);
    if (!result)
        return false;
    result->float_accuracy = result->accuracy = result->loss = NAN;
    struct run run = run_of(arena, request, result, err);
    progress_init(&run.progress, &request->monitor, result);
    run.progress.walks_only = !pipeline_solver(request->pipeline)->uses_data;
    run.progress.skipped[STEP_TRAIN] = !pipeline_trains(request->pipeline);
    run.progress.skipped[STEP_TUNE] = request->pipeline->postprocess.bias == BIAS_NONE;
    run.progress.skipped[STEP_SENSITIVITY] = !request->pipeline->report.sensitivity;
    bool done = pipeline_check(request->pipeline, err) && prepare(&run) && open_state(&run) &&
                plan_memory(&run) && decide(&run, STEP_TUNE) &&
                quant_network_round_biases(run.network, err) && evaluate(&run) &&
                measure_sensitivity(&run) && export_artifacts(&run);
    value_pool_destroy(run.data.pool);
    if (!done)
        return false;
    describe_layers(&run);
    if (!losses_report(arena, &run.state.losses, run.pipeline, run.network, &result->losses,
                       &result->loss_count, err))
        return false;
    result->calibration_samples = run.samples.count;
    result->network = run.network;
    progress_finish(&run.progress);
    *out_result = result;
    return true;
}
