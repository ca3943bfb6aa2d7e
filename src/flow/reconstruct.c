/* Ranges and codes, layer by layer.
 *
 * One walk over both networks (recon/walk.h). At a FakeQuantize node the quantizer is fitted to the
 * float values; at a MAC node the moments of its inputs make the layer's linear problem, the method
 * of the pipeline decides the codes, and only then the quantized network executes the node.
 */

#include "ptqd/flow/reconstruct.h"

#include "ptqd/flow/evaluate.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/observer.h"
#include "ptqd/recon/layer_moments.h"
#include "ptqd/recon/method.h"
#include "ptqd/recon/walk.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Solutions behind a Relu after the first; three were enough for the prototypes (weights only). */
enum { RELU_ROUNDS = 3 };

struct reconstruction {
    struct arena *arena;
    const struct pipeline *pipeline;
    const struct observer *weight_observer, *activation_observer;
    const struct method *method;
    int64_t samples;
    struct quant_network *network;
    struct walk *walk;
    struct progress *progress;
    struct run_layer *layers;
    struct float_outputs *outputs;
    struct error *err;
};

static int64_t walk_elements(const struct reconstruction *r, int tensor)
{
    return tensor_elements(&r->network->graph->tensors[tensor], r->samples);
}

static bool find_extremes(const float *values, int64_t count, const char *name, double *out_min,
                          double *out_max, struct error *err)
{
    float min = INFINITY, max = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return FAIL(err, E_INVALID,
                        "tensor '%s' of the float network is %g for a calibration sample; only "
                        "finite activations can be quantized",
                        name, (double)values[i]);
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    *out_min = (double)min;
    *out_max = (double)max;
    return true;
}

/* The tensor that `tensor` is added to, with nothing but a FakeQuantize node between; -1: it is
 * not. */
static int other_addend(const struct graph *graph, int tensor)
{
    int reader = graph_only_reader(graph, tensor);
    if (reader >= 0 && graph->nodes[reader].op == &op_fake_quantize) {
        tensor = graph->nodes[reader].outputs[0];
        reader = graph_only_reader(graph, tensor);
    }
    if (reader < 0 || strcmp(graph->nodes[reader].op_type, "Add") != 0)
        return -1;
    const struct node *add = &graph->nodes[reader];
    int other = add->inputs[add->inputs[0] == tensor];
    return shape_equal(&graph->tensors[other].shape, &graph->tensors[tensor].shape) ? other : -1;
}

/* True when the tensor goes into a Relu and nowhere else: at once, or through a sum. */
static bool is_rectified(const struct graph *graph, int tensor)
{
    for (;;) {
        int reader = graph_only_reader(graph, tensor);
        if (reader < 0)
            return false;
        const struct node *node = &graph->nodes[reader];
        if (strcmp(node->op_type, "Relu") == 0)
            return true;
        if (node->op != &op_fake_quantize && strcmp(node->op_type, "Add") != 0)
            return false;
        tensor = node->outputs[0];
    }
}

/* A quantized addend that has not been quantized yet stands for itself. */
static int executed_tensor(const struct reconstruction *r, int tensor)
{
    const struct graph *graph = r->network->graph;
    if (tensor >= 0 && !walk_quantized(r->walk, tensor)) {
        int producer = graph->tensors[tensor].producer;
        bool is_copy = producer >= 0 && graph->nodes[producer].op == &op_fake_quantize;
        tensor = is_copy ? graph->nodes[producer].inputs[0] : -1;
    }
    return tensor >= 0 && walk_float(r->walk, tensor) && walk_quantized(r->walk, tensor) ? tensor
                                                                                         : -1;
}

/* Elements that stand for a large tensor where pairs are needed, evenly spread. */
enum { PAIRS = 1 << 16 };

static bool fit_pairs(struct reconstruction *r, struct quantizer *quantizer, const float *values,
                      const float *addends, int64_t count, double min, double max)
{
    int64_t pairs = count < PAIRS ? count : PAIRS;
    float *some = ARENA_ARRAY(r->arena, float, 2 * pairs, r->err);
    if (!some)
        return false;
    for (int64_t i = 0; i < pairs; i++) {
        int64_t at = (int64_t)((double)count * (double)i / (double)pairs);
        some[i] = values[at];
        some[pairs + i] = addends[at];
    }
    struct observation seen = {
        .values = some,
        .addends = some + pairs,
        .count = (size_t)pairs,
        .min = min,
        .max = max,
    };
    return observer_fit(r->activation_observer, &seen, quantizer, 0, r->err);
}

static bool fit_histogram(struct reconstruction *r, struct quantizer *quantizer,
                          const float *values, int64_t count, double min, double max)
{
    struct histogram *histogram = ARENA_NEW(r->arena, struct histogram, r->err);
    if (!histogram)
        return false;
    histogram_init(histogram, min, max);
    histogram_add(histogram, values, (size_t)count);
    struct observation seen = histogram_observation(histogram);
    return observer_fit(r->activation_observer, &seen, quantizer, 0, r->err);
}

static bool calibrate_activation(struct reconstruction *r, const struct node *node)
{
    const struct graph *graph = r->network->graph;
    int tensor = node->inputs[0];
    const float *values = walk_float(r->walk, tensor);
    int64_t count = walk_elements(r, tensor);
    double min, max;
    if (!find_extremes(values, count, graph->tensors[tensor].name, &min, &max, r->err))
        return false;
    struct arena_mark mark = arena_mark(r->arena);
    int addend = is_rectified(graph, tensor) ? executed_tensor(r, other_addend(graph, tensor)) : -1;
    bool done = addend >= 0 ? fit_pairs(r, node->detail, values, walk_float(r->walk, addend), count,
                                        min, max)
                            : fit_histogram(r, node->detail, values, count, min, max);
    arena_reset(r->arena, mark);
    return done || error_context(r->err, "activation '%s'", graph->tensors[tensor].name);
}

/* Widens the step of a channel whose bias would take more than 24 bits in units of it: weights that
 * small do nothing beside their bias, and up to 2^24 a whole number is exact in float32. */
static void widen_for_bias(const struct reconstruction *r, struct quant_layer *layer)
{
    const float largest = 16777216.0f;
    struct quantizer *quantizer = &layer->quantizer;
    float input_scale = r->network->activations[layer->activation].quantizer.scales[0];
    for (int64_t k = 0; k < layer->K; k++) {
        float *scale = &quantizer->scales[quantizer->channels == 1 ? 0 : k];
        *scale = fmaxf(*scale, fabsf(layer->float_bias[k]) / (largest * input_scale));
    }
}

static bool calibrate_weights(struct reconstruction *r, struct quant_layer *layer)
{
    int64_t channels = layer->quantizer.channels;
    int64_t count = layer->K * layer->D / channels;
    for (int64_t channel = 0; channel < channels; channel++) {
        struct observation seen = {
            .values = layer->float_weights + channel * count,
            .count = (size_t)count,
        };
        if (!find_extremes(seen.values, count, layer->name, &seen.min, &seen.max, r->err) ||
            !observer_fit(r->weight_observer, &seen, &layer->quantizer, channel, r->err))
            return error_context(r->err, "weights of '%s'", layer->name);
    }
    widen_for_bias(r, layer);
    return true;
}

/* Relative error of the layer's linear output when every weight is rounded to nearest. */
static double nearest_sqnr_db(const struct linear_problem *problem, struct quant_layer *layer)
{
    double signal = 0.0;
    for (int64_t k = 0; k < layer->K; k++)
        signal += problem->target_mean[k] * problem->target_mean[k] + problem->target_variance[k];
    quant_layer_round(layer);
    double error = linear_problem_layer_error(problem, layer);
    return 10.0 * log10(signal / (double)layer->K / fmax(error, DBL_MIN));
}

/* `report` is given the first time. */
static bool solve_once(struct reconstruction *r, struct quant_layer *layer,
                       const struct layer_data *data, struct linear_problem *problem,
                       struct run_layer *report)
{
    const struct recon_monitor *monitor = &r->progress->monitor;
    struct linear_targets targets;
    double since = progress_now();
    if (!linear_targets_init(r->arena, layer, &targets, r->err) ||
        !layer_moments_add_targets(data, layer, monitor, r->arena, &targets, r->err))
        return false;
    linear_problem_set_targets(problem, &targets);
    since = progress_account(r->progress, "gram", since);
    if (report)
        report->output_sqnr_before_db = nearest_sqnr_db(problem, layer);
    struct method_options options = {
        .iterations = r->pipeline->optimize.iterations,
        .learning_rate = r->pipeline->optimize.learning_rate,
        .regularization = r->pipeline->optimize.regularization,
        .warm_start = r->pipeline->optimize.warm_start,
    };
    bool done = r->method->solve(problem, &options, monitor, r->arena, layer, r->err);
    (void)progress_account(r->progress, "solve", since); /* the next part takes its own time */
    return done;
}

/* The linear problem, then, where a Relu follows and the loss is behind it, again with targets that
 * give way where it hides them. */
static bool solve_layer(struct reconstruction *r, struct quant_layer *layer,
                        struct run_layer *report)
{
    const struct node *node = &r->network->graph->nodes[layer->node];
    const struct recon_monitor *monitor = &r->progress->monitor;
    /* What the other branch of a sum lacks, this layer can make up for. */
    int addend = executed_tensor(r, other_addend(r->network->graph, node->outputs[0]));
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
    double since = progress_now();
    if (!linear_gram_init(r->arena, layer, &gram, r->err) ||
        !layer_moments_add_input(&data, layer, monitor, r->arena, &gram, r->err) ||
        !linear_problem_create(&gram, layer, &problem, r->err))
        return false;
    (void)progress_account(r->progress, "gram", since); /* solve_once takes its own time */
    if (!solve_once(r, layer, &data, &problem, report))
        return false;
    bool behind_relu = r->pipeline->optimize.loss == LOSS_ACTIVATED &&
                       is_rectified(r->network->graph, node->outputs[0]);
    for (int round = 0; behind_relu && round < RELU_ROUNDS; round++) {
        since = progress_now();
        if (!walk_node_try(r->walk, layer->node, monitor, r->err))
            return false;
        data.rectified = walk_quantized(r->walk, node->outputs[0]);
        (void)progress_account(r->progress, "quantized", since); /* solve_once takes its own */
        if (!solve_once(r, layer, &data, &problem, NULL))
            return false;
    }
    return true;
}

/* Root mean variance over the channels of a layer's float output. */
static double output_scale(const float *values, int64_t positions, int64_t K)
{
    double sum = 0.0;
    for (int64_t k = 0; k < K; k++) {
        double mean = 0.0, squares = 0.0;
        for (int64_t i = k; i < positions * K; i += K) {
            mean += (double)values[i];
            squares += (double)values[i] * (double)values[i];
        }
        mean /= (double)positions;
        sum += fmax(squares / (double)positions - mean * mean, 0.0);
    }
    return sqrt(sum / (double)K);
}

/* Decides the codes of a layer, before the quantized network executes it. */
static bool decide_layer(struct reconstruction *r, int index)
{
    struct quant_layer *layer = &r->network->layers[index];
    const struct node *node = &r->network->graph->nodes[layer->node];
    struct run_layer *report = &r->layers[index];
    int64_t positions = walk_elements(r, node->outputs[0]) / layer->K;
    r->outputs->layer_scale[index] =
        output_scale(walk_float(r->walk, node->outputs[0]), positions, layer->K);
    bool decided = calibrate_weights(r, layer) &&
                   (r->method->uses_data ? solve_layer(r, layer, report)
                                         : r->method->solve(NULL, NULL, &r->progress->monitor,
                                                            r->arena, layer, r->err));
    if (!decided)
        return error_context(r->err, "layer '%s'", layer->name);
    int input = node->inputs[0];
    report->weight_sqnr_db =
        evaluate_sqnr_db(layer->float_weights, layer->weight_values, layer->K * layer->D);
    report->input_sqnr_db =
        evaluate_sqnr_db(walk_float(r->walk, input), walk_quantized(r->walk, input),
                         walk_elements(r, input));
    return true;
}

/* After both networks have executed the layer. */
static void report_output(struct reconstruction *r, int index, const float *real,
                          const float *quantized)
{
    struct quant_layer *layer = &r->network->layers[index];
    const struct quant_activation *activation = &r->network->activations[layer->activation];
    struct run_layer *report = &r->layers[index];
    const struct node *node = &r->network->graph->nodes[layer->node];
    report->output_sqnr_after_db =
        evaluate_sqnr_db(real, quantized, walk_elements(r, node->outputs[0]));
    if (!r->method->uses_data)
        report->output_sqnr_before_db = report->output_sqnr_after_db;
    report->name = layer->name;
    report->op = node->op_type;
    report->weight_scales = layer->quantizer.scales;
    report->weight_channels = layer->quantizer.channels;
    report->input_scale = activation->quantizer.scales[0];
    report->input_zero_point = activation->quantizer.zero_points[0];
}

static int layer_of_node(const struct quant_network *network, int node)
{
    for (int i = 0; i < network->layer_count; i++)
        if (network->layers[i].node == node)
            return i;
    return -1;
}

static bool walk_one(struct reconstruction *r, int node_index)
{
    const struct node *node = &r->network->graph->nodes[node_index];
    const struct recon_monitor *monitor = &r->progress->monitor;
    double since = progress_now();
    if (!walk_node_float(r->walk, node_index, monitor, r->err))
        return false;
    since = progress_account(r->progress, "float", since);
    if (node->op == &op_fake_quantize) {
        if (!calibrate_activation(r, node))
            return false;
        since = progress_account(r->progress, "ranges", since);
    }
    int index = layer_of_node(r->network, node_index);
    if (index >= 0) {
        struct arena_mark mark = arena_mark(r->arena);
        bool decided =
            progress_unit(r->progress, index + 1, r->network->layers[index].name, r->err) &&
            decide_layer(r, index);
        arena_reset(r->arena, mark);
        if (!decided)
            return false;
        walk_keep(r->walk, node->outputs[0]); /* until it is compared */
        since = progress_now();
    }
    if (!walk_node_quantized(r->walk, node_index, monitor, r->err))
        return false;
    (void)progress_account(r->progress, "quantized", since); /* the next node takes its own time */
    if (index >= 0) {
        report_output(r, index, walk_float(r->walk, node->outputs[0]),
                      walk_quantized(r->walk, node->outputs[0]));
        walk_release(r->walk, node->outputs[0]);
    }
    return true;
}

bool reconstruct_network(struct arena *arena, const struct pipeline *pipeline,
                         const struct samples *samples, struct quant_network *network,
                         struct progress *progress, struct run_layer *layers,
                         struct float_outputs *out_outputs, struct error *err)
{
    const struct graph *graph = network->graph;
    struct float_outputs outputs = {.tensor = graph->output};
    struct reconstruction r = {
        .arena = arena,
        .pipeline = pipeline,
        .weight_observer = observer_table()[pipeline->weights.init],
        .activation_observer = observer_table()[pipeline->activations.init],
        .method = method_table()[pipeline->optimize.variable],
        .samples = samples->count,
        .network = network,
        .progress = progress,
        .layers = layers,
        .outputs = &outputs,
        .err = err,
    };
    outputs.elements = tensor_elements(&graph->tensors[outputs.tensor], 1);
    outputs.values = ARENA_ARRAY(arena, float, outputs.elements * samples->count, err);
    outputs.layer_scale = ARENA_ARRAY(arena, double, network->layer_count, err);
    if (!outputs.values || !outputs.layer_scale ||
        !walk_create(network, samples->count, &r.walk, err))
        return false;

    bool done = true;
    int64_t input_elements = tensor_elements(&graph->tensors[graph->input], 1);
    for (int64_t i = 0; i < samples->count; i++)
        samples_read(samples, i, walk_input(r.walk) + i * input_elements);
    walk_keep(r.walk, outputs.tensor);
    for (int node = 0; done && node < graph->node_count; node++)
        done = walk_one(&r, node);
    if (done)
        memcpy(outputs.values, walk_float(r.walk, outputs.tensor),
               (size_t)(outputs.elements * samples->count) * sizeof(float));
    walk_destroy(r.walk);
    if (done)
        *out_outputs = outputs;
    return done;
}
