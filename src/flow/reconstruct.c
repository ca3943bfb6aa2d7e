/* Ranges and codes, layer by layer.
 *
 * One walk over both networks (recon/walk.h). At a FakeQuantize node the quantizer is fitted to the
 * float values; at a MAC node the moments of its inputs make the layer's linear problem, the method
 * of the pipeline decides the codes, and only then the quantized network executes the node.
 */

#include "ptqd/flow/reconstruct.h"

#include "ptqd/base/clock.h"
#include "ptqd/flow/branches.h"
#include "ptqd/flow/evaluate.h"
#include "ptqd/flow/ranges.h"
#include "ptqd/flow/run_state.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/bias.h"
#include "ptqd/recon/captured_sums.h"
#include "ptqd/recon/layer_moments.h"
#include "ptqd/recon/method.h"
#include "ptqd/recon/walk.h"

#include <math.h>
#include <string.h>

/* Solutions before the last where the loss is behind a Relu: each gives the targets of the next.
 * They need not be as good as the last one, so they take a share of its iterations. */
enum { RELU_ROUNDS = 3 };
static const double RELU_ROUND_EFFORT = 0.25;

struct reconstruction {
    struct arena *arena;
    const struct pipeline *pipeline;
    struct ranges ranges;
    const struct method *method;
    int64_t samples; /* how many */
    struct quant_network *network;
    struct walk *walk;
    struct progress *progress;
    struct run_state *state;
    int decided; /* layers whose codes and inputs' ranges come from a checkpoint */
    struct run_layer *layers;
    struct float_outputs *outputs;
    struct error *err;
};

static bool set_targets(struct reconstruction *r, const struct quant_layer *layer,
                        const struct layer_data *data, struct linear_problem *problem)
{
    struct linear_targets targets;
    double since = clock_seconds();
    if (!linear_targets_init(r->arena, layer, &targets, r->err))
        return false;
    struct arena_mark mark = arena_mark(r->arena);
    if (!layer_moments_add_targets(data, layer, &r->progress->monitor, r->arena, &targets, r->err))
        return false;
    arena_reset(r->arena, mark);
    linear_problem_set_targets(problem, &targets);
    (void)progress_account(r->progress, "gram", since); /* the next part takes its own time */
    return true;
}

static bool solve(struct reconstruction *r, struct quant_layer *layer,
                  const struct linear_problem *problem, double effort)
{
    struct arena_mark mark = arena_mark(r->arena);
    float *least_scales = ARENA_ARRAY(r->arena, float, layer->quantizer.channels, r->err);
    if (!least_scales)
        return false;
    ranges_least_scales(&r->ranges, layer, least_scales);
    bool own = pipeline_trains(r->pipeline); /* then the rows speak of the training */
    struct method_options options = {
        .iterations = own ? 0 : r->pipeline->optimize.iterations,
        .learning_rate = own ? 0.0 : r->pipeline->optimize.learning_rate,
        .effort = effort,
        .regularization = r->pipeline->optimize.regularization,
        .warm_start = r->pipeline->optimize.warm_start,
        .least_scales = least_scales,
    };
    double since = clock_seconds();
    progress_curve(r->progress,
                   losses_curve(r->network, CURVE_LAYER, (int)(layer - r->network->layers)));
    bool done = r->method->solve(problem, &options, &r->progress->monitor, r->arena, layer, r->err);
    arena_reset(r->arena, mark);
    (void)progress_account(r->progress, "solve", since); /* the next part takes its own time */
    return done;
}

/* Solves for the linear output, then with targets that give way where the Relu hides them. */
static bool solve_rounds(struct reconstruction *r, struct quant_layer *layer,
                         struct layer_data *data, struct linear_problem *problem)
{
    const struct node *node = &r->network->graph->nodes[layer->node];
    bool behind_relu = r->pipeline->optimize.loss == LOSS_ACTIVATED &&
                       branch_is_rectified(r->network->graph, node->outputs[0]);
    for (int round = 0; behind_relu && round < RELU_ROUNDS; round++) {
        if (!solve(r, layer, problem, RELU_ROUND_EFFORT) ||
            !walk_node_try(r->walk, layer->node, &r->progress->monitor, r->err))
            return false;
        data->rectified = walk_quantized(r->walk, node->outputs[0]);
        if (!set_targets(r, layer, data, problem))
            return false;
    }
    return solve(r, layer, problem, 1.0);
}

static bool fit_weights(struct reconstruction *r, struct quant_layer *layer,
                        const struct linear_problem *problem)
{
    double since = clock_seconds();
    bool done = ranges_fit_weights(&r->ranges, problem, &r->progress->monitor, layer, r->err);
    (void)progress_account(r->progress, "ranges", since); /* the next part takes its own time */
    return done;
}

/* Ranges and codes of a layer whose linear problem decides one of them, or both. */
static bool solve_layer(struct reconstruction *r, struct quant_layer *layer,
                        struct run_layer *report)
{
    const struct node *node = &r->network->graph->nodes[layer->node];
    const struct recon_monitor *monitor = &r->progress->monitor;
    /* What the other branch of a sum lacks, this layer can make up for. */
    int addend = branch_executed(r->walk, r->network->graph,
                                 branch_addend(r->network->graph, node->outputs[0]));
    struct layer_data data = {
        .graph = r->network->graph,
        .samples = r->samples,
        .input = walk_quantized(r->walk, node->inputs[0]),
        .output = walk_float(r->walk, node->outputs[0]),
        .addend = addend >= 0 ? walk_float(r->walk, addend) : NULL,
        .addend_quantized = addend >= 0 ? walk_quantized(r->walk, addend) : NULL,
    };
    struct gram gram;
    struct linear_problem problem;
    double since = clock_seconds();
    if (!linear_gram_init(r->arena, layer, &gram, r->err))
        return false;
    struct arena_mark mark = arena_mark(r->arena);
    if (!layer_moments_add_input(&data, layer, monitor, r->arena, &gram, r->err))
        return false;
    arena_reset(r->arena, mark);
    if (!linear_problem_create(&gram, layer, &problem, r->err))
        return false;
    if (!r->method->uses_data && !pipeline_trains(r->pipeline))
        problem.bias = layer->float_bias;
    linear_problem_add_prior(&problem);
    (void)progress_account(r->progress, "gram", since); /* the next parts take their own time */
    if (!set_targets(r, layer, &data, &problem) || !fit_weights(r, layer, &problem))
        return false;
    quant_layer_round(layer);
    report->output_sqnr_before_db = linear_problem_layer_sqnr_db(&problem, layer);
    return r->method->uses_data ? solve_rounds(r, layer, &data, &problem)
                                : solve(r, layer, NULL, 1.0);
}

/* An output whose variance is a smaller share of its mean square does not vary: samples are alike,
 * or there is one. In units of that variance its biases would have nowhere to go. */
static const double STILL = 1e-4;

/* Root mean variance over the channels of a layer's float output, [positions][K], which is named
 * `tensor`; root mean square of one that does not vary. */
static bool output_scale(struct arena *arena, const char *tensor, const struct captured *output,
                         int64_t K, double *out_scale, struct error *err)
{
    int64_t positions = output->samples * output->elements / K;
    double *means = ARENA_ARRAY(arena, double, K, err);
    double *squares = ARENA_ARRAY(arena, double, K, err);
    if (!means || !squares || !captured_add_channels(output, K, arena, means, squares, err))
        return false;
    double variance = 0.0, sum = 0.0, largest = 0.0;
    for (int64_t k = 0; k < K; k++) {
        double mean = means[k] / (double)positions, square = squares[k] / (double)positions;
        variance += fmax(square - mean * mean, 0.0);
        sum += square;
        largest = fmax(largest, square);
    }
    *out_scale = sqrt((variance > STILL * sum ? variance : sum) / (double)K);
    return ranges_check_size(tensor, sqrt(largest), err);
}

static bool decide_codes(struct reconstruction *r, struct quant_layer *layer,
                         struct run_layer *report)
{
    if (quant_layer_is_float(layer))
        return true;
    if (r->method->uses_data || !layer->range.observer)
        return solve_layer(r, layer, report);
    return fit_weights(r, layer, NULL) && solve(r, layer, NULL, 1.0);
}

/* How far a tensor of the quantized network is from the float one's. */
static bool captured_sqnr_db(struct reconstruction *r, int tensor, double *out_db)
{
    struct evaluate_error error = {0};
    if (!captured_add_error(walk_float(r->walk, tensor), walk_quantized(r->walk, tensor), r->arena,
                            &error.signal, &error.noise, r->err))
        return false;
    *out_db = evaluate_error_db(&error);
    return true;
}

/* Decides a layer before the quantized network executes it. */
static bool decide_layer(struct reconstruction *r, int index)
{
    struct quant_layer *layer = &r->network->layers[index];
    const struct node *node = &r->network->graph->nodes[layer->node];
    struct run_layer *report = &r->layers[index];
    const char *output = r->network->graph->tensors[node->outputs[0]].name;
    if (!output_scale(r->arena, output, walk_float(r->walk, node->outputs[0]), layer->K,
                      &r->outputs->layer_scale[index], r->err) ||
        !decide_codes(r, layer, report))
        return error_context(r->err, "layer '%s'", layer->name);
    for (int64_t k = 0; k < layer->K; k++)
        layer->bias_values[k] = quant_bias_nearest(r->network, layer, k, layer->bias_values[k]);
    int input = node->inputs[0];
    report->weight_sqnr_db =
        evaluate_sqnr_db(layer->float_weights, layer->weight_values, layer->K * layer->D);
    return captured_sqnr_db(r, input, &report->input_sqnr_db);
}

/* After both networks have executed the layer. */
static bool report_output(struct reconstruction *r, int index)
{
    struct quant_layer *layer = &r->network->layers[index];
    struct run_layer *report = &r->layers[index];
    const struct node *node = &r->network->graph->nodes[layer->node];
    if (!captured_sqnr_db(r, node->outputs[0], &report->output_sqnr_after_db))
        return false;
    if (!r->method->uses_data || quant_layer_is_float(layer))
        report->output_sqnr_before_db = report->output_sqnr_after_db;
    return true;
}

static int layer_of_node(const struct quant_network *network, int node)
{
    for (int i = 0; i < network->layer_count; i++)
        if (network->layers[i].node == node)
            return i;
    return -1;
}

static bool is_decided(const struct reconstruction *r, int node)
{
    return r->decided > 0 && node <= r->network->layers[r->decided - 1].node;
}

static bool walk_one(struct reconstruction *r, int node_index)
{
    const struct node *node = &r->network->graph->nodes[node_index];
    const struct recon_monitor *monitor = &r->progress->monitor;
    double since = clock_seconds();
    if (!walk_node_float(r->walk, node_index, monitor, r->err))
        return false;
    since = progress_account(r->progress, "float", since);
    bool decided = is_decided(r, node_index);
    if (node->op == &op_fake_quantize && !decided) {
        if (!ranges_fit_activation(&r->ranges, node, monitor, r->err))
            return false;
        since = progress_account(r->progress, "ranges", since);
    }
    int index = layer_of_node(r->network, node_index);
    if (index >= 0) {
        struct arena_mark mark = arena_mark(r->arena);
        bool done = progress_unit(r->progress, index + 1, r->network->layers[index].name, r->err) &&
                    (decided || decide_layer(r, index));
        arena_reset(r->arena, mark);
        if (!done)
            return false;
        walk_keep(r->walk, node->outputs[0]); /* until it is compared */
        since = clock_seconds();
    }
    if (!walk_node_quantized(r->walk, node_index, monitor, r->err))
        return false;
    (void)progress_account(r->progress, "quantized", since); /* the next node takes its own time */
    if (index >= 0 && !decided) {
        if (!report_output(r, index))
            return false;
        run_state_save(r->state, STEP_RECONSTRUCT, index + 1, NULL, 0);
    }
    if (index >= 0)
        walk_release(r->walk, node->outputs[0]);
    return true;
}

bool float_outputs_init(struct arena *arena, const struct quant_network *network, int64_t samples,
                        struct float_outputs *out_outputs, struct error *err)
{
    const struct graph *graph = network->graph;
    struct float_outputs outputs = {
        .count = tensor_elements(&graph->tensors[graph->output], samples),
        .layer_scale = ARENA_ARRAY(arena, double, network->layer_count, err),
    };
    outputs.values = ARENA_ARRAY(arena, float, outputs.count, err);
    if (!outputs.values || !outputs.layer_scale)
        return false;
    *out_outputs = outputs;
    return true;
}

static bool walk_all(struct reconstruction *r)
{
    const struct graph *graph = r->network->graph;
    walk_keep(r->walk, graph->output);
    for (int node = 0; node < graph->node_count; node++)
        if (!walk_one(r, node))
            return false;
    return captured_copy(walk_float(r->walk, graph->output), r->outputs->values, r->err);
}

bool reconstruct_network(const struct optimization *optimization, const struct method *method,
                         struct error *err)
{
    const struct pipeline *pipeline = optimization->pipeline;
    struct reconstruction r = {
        .arena = optimization->arena,
        .pipeline = pipeline,
        .method = method,
        .samples = optimization->data->count,
        .network = optimization->network,
        .progress = optimization->progress,
        .state = optimization->state,
        .decided = run_state_done(optimization->state, STEP_RECONSTRUCT),
        .layers = optimization->layers,
        .outputs = optimization->outputs,
        .err = err,
    };
    if (r.decided == RUN_STATE_ALL_DONE)
        return true;
    if (!progress_step(r.progress, STEP_RECONSTRUCT, r.network->layer_count, err) ||
        !walk_create(r.network, optimization->data, &r.walk, err))
        return false;
    r.ranges = (struct ranges){
        .arena = r.arena,
        .network = r.network,
        .walk = r.walk,
        .scope = optimization->scope,
        .initial = optimization->state->initial,
    };
    bool done = walk_all(&r);
    walk_destroy(r.walk);
    return done;
}
