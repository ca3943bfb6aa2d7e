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

static bool calibrate_activation(struct reconstruction *r, const struct node *node)
{
    int tensor = node->inputs[0];
    const float *values = walk_float(r->walk, tensor);
    int64_t count = walk_elements(r, tensor);
    const char *name = r->network->graph->tensors[tensor].name;
    double min, max;
    if (!find_extremes(values, count, name, &min, &max, r->err))
        return false;
    struct arena_mark mark = arena_mark(r->arena);
    struct histogram *histogram = ARENA_NEW(r->arena, struct histogram, r->err);
    if (!histogram)
        return false;
    histogram_init(histogram, min, max);
    histogram_add(histogram, values, (size_t)count);
    struct observation seen = histogram_observation(histogram);
    struct quantizer *quantizer = node->detail;
    bool done = observer_fit(r->activation_observer, &seen, quantizer, 0, r->err) ||
                error_context(r->err, "activation '%s'", name);
    arena_reset(r->arena, mark);
    return done;
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

/* The other input of the Add that alone reads the layer's output, when both networks have computed
 * it: its error can be made up for by this layer (the residual branch). -1 when there is none. */
static int find_addend(const struct reconstruction *r, const struct quant_layer *layer)
{
    const struct graph *graph = r->network->graph;
    int tensor = graph->nodes[layer->node].outputs[0];
    int reader = graph_only_reader(graph, tensor);
    if (reader >= 0 && graph->nodes[reader].op == &op_fake_quantize) {
        tensor = graph->nodes[reader].outputs[0];
        reader = graph_only_reader(graph, tensor);
    }
    if (reader < 0 || strcmp(graph->nodes[reader].op_type, "Add") != 0)
        return -1;
    const struct node *add = &graph->nodes[reader];
    int other = add->inputs[add->inputs[0] == tensor];
    if (!walk_float(r->walk, other) || !walk_quantized(r->walk, other) ||
        !shape_equal(&graph->tensors[other].shape, &graph->tensors[tensor].shape))
        return -1;
    return other;
}

static bool solve_layer(struct reconstruction *r, struct quant_layer *layer,
                        struct run_layer *report)
{
    const struct node *node = &r->network->graph->nodes[layer->node];
    int addend = find_addend(r, layer);
    struct layer_data data = {
        .graph = r->network->graph,
        .samples = r->samples,
        .input = walk_quantized(r->walk, node->inputs[0]),
        .output = walk_float(r->walk, node->outputs[0]),
        .addend = addend >= 0 ? walk_float(r->walk, addend) : NULL,
        .addend_quantized = addend >= 0 ? walk_quantized(r->walk, addend) : NULL,
    };
    const struct recon_monitor *monitor = &r->progress->monitor;
    struct linear_moments moments;
    struct linear_problem problem;
    double since = progress_now();
    if (!linear_moments_init(r->arena, layer->K, layer->D, layer->G, &moments, r->err) ||
        !layer_moments_add(&data, layer, monitor, r->arena, &moments, r->err) ||
        !linear_problem_create(&moments, layer, &problem, r->err))
        return false;
    since = progress_account(r->progress, "gram", since);

    double signal = 0.0;
    for (int64_t k = 0; k < layer->K; k++)
        signal += problem.target_mean[k] * problem.target_mean[k] + problem.target_variance[k];
    quant_layer_round(layer);
    double error = linear_problem_layer_error(&problem, layer);
    report->output_sqnr_before_db = 10.0 * log10(signal / (double)layer->K / fmax(error, DBL_MIN));
    struct method_options options = {
        .iterations = r->pipeline->optimize.iterations,
        .learning_rate = r->pipeline->optimize.learning_rate,
        .regularization = r->pipeline->optimize.regularization,
        .warm_start = r->pipeline->optimize.warm_start,
    };
    bool done = r->method->solve(&problem, &options, monitor, r->arena, layer, r->err);
    (void)progress_account(r->progress, "solve", since); /* the next part takes its own time */
    return done;
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
