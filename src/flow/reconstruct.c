/* Ranges and codes, layer by layer.
 *
 * One walk over both networks (recon/walk.h). At a FakeQuantize node the quantizer is fitted to the
 * float values; at a MAC node the moments of its inputs make the layer's linear problem, the method
 * of the pipeline decides the codes, and only then the quantized network executes the node.
 */

#include "ptqd/flow/reconstruct.h"

#include "ptqd/flow/evaluate.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/observer.h"
#include "ptqd/recon/bias_tune.h"
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
    return true;
}

/* Adds all samples of the layer's input in both networks to the moments. */
static bool add_moments(struct reconstruction *r, const struct quant_layer *layer,
                        struct gram *gram)
{
    const struct graph *graph = r->network->graph;
    const struct node *node = &graph->nodes[layer->node];
    int input = node->inputs[0];
    const float *real = walk_float(r->walk, input), *quantized = walk_quantized(r->walk, input);
    int64_t elements = tensor_elements(&graph->tensors[input], 1);
    bool is_conv = strcmp(node->op_type, "Conv") == 0;
    struct conv_shape shape =
        is_conv ? conv_node_shape(graph, node, WALK_BATCH) : (struct conv_shape){0};
    size_t bytes = is_conv ? gram_conv_scratch_bytes(&shape) : gram_dense_scratch_bytes(layer->D);
    void *scratch = arena_alloc(r->arena, bytes, r->err);
    if (!scratch)
        return false;
    for (int64_t first = 0; first < r->samples; first += WALK_BATCH) {
        int64_t count = r->samples - first < WALK_BATCH ? r->samples - first : WALK_BATCH;
        const float *x = real + first * elements, *x_quantized = quantized + first * elements;
        if (is_conv) {
            shape = conv_node_shape(graph, node, count);
            gram_add_conv(gram, &shape, x, x_quantized, scratch);
        } else {
            gram_add_dense(gram, count * elements / layer->D, x, x_quantized, scratch);
        }
        if (!recon_monitor_report(&r->progress->monitor, 0.5 * (double)first / (double)r->samples,
                                  NAN, r->err))
            return false;
    }
    return true;
}

/* V_k: variance of each channel of the float layer's output. */
static void output_variances(const float *values, int64_t positions, int64_t K, double *out_mean,
                             double *out_variance)
{
    memset(out_mean, 0, (size_t)K * sizeof(double));
    memset(out_variance, 0, (size_t)K * sizeof(double));
    for (int64_t i = 0; i < positions; i++)
        for (int64_t k = 0; k < K; k++)
            out_mean[k] += (double)values[i * K + k];
    for (int64_t k = 0; k < K; k++)
        out_mean[k] /= (double)positions;
    for (int64_t i = 0; i < positions; i++)
        for (int64_t k = 0; k < K; k++) {
            double d = (double)values[i * K + k] - out_mean[k];
            out_variance[k] += d * d;
        }
    for (int64_t k = 0; k < K; k++)
        out_variance[k] /= (double)positions;
}

static bool solve_layer(struct reconstruction *r, struct quant_layer *layer, double *variance,
                        double *out_error_before)
{
    int64_t D = layer->D, G = layer->G;
    struct gram gram = {
        .G = G,
        .D = D,
        .inner = ARENA_ARRAY(r->arena, double, G *D *D, r->err),
        .cross = ARENA_ARRAY(r->arena, double, G *D *D, r->err),
        .sum_float = ARENA_ARRAY(r->arena, double, G *D, r->err),
        .sum_quantized = ARENA_ARRAY(r->arena, double, G *D, r->err),
    };
    if (!gram.inner || !gram.cross || !gram.sum_float || !gram.sum_quantized)
        return false;
    double since = progress_now();
    struct linear_problem problem;
    if (!add_moments(r, layer, &gram) ||
        !linear_problem_create(r->arena, &gram, layer, variance, &problem, r->err))
        return false;
    since = progress_account(r->progress, "gram", since);

    quant_layer_round(layer);
    *out_error_before = linear_problem_layer_error(&problem, layer);
    struct method_options options = {
        .iterations = r->pipeline->optimize.iterations,
        .learning_rate = r->pipeline->optimize.learning_rate,
        .regularization = r->pipeline->optimize.regularization,
        .warm_start = r->pipeline->optimize.warm_start,
    };
    bool done =
        r->method->solve(&problem, &options, &r->progress->monitor, r->arena, layer, r->err);
    (void)progress_account(r->progress, "solve", since); /* the next part takes its own time */
    return done;
}

/* Decides the codes of a layer, before the quantized network executes it. */
static bool decide_layer(struct reconstruction *r, int index)
{
    struct quant_layer *layer = &r->network->layers[index];
    const struct graph *graph = r->network->graph;
    const struct node *node = &graph->nodes[layer->node];
    struct run_layer *report = &r->layers[index];
    int64_t positions = walk_elements(r, node->outputs[0]) / layer->K;
    double *variance = ARENA_ARRAY(r->arena, double, layer->K, r->err);
    double *mean = ARENA_ARRAY(r->arena, double, layer->K, r->err);
    if (!variance || !mean || !calibrate_weights(r, layer))
        return false;
    output_variances(walk_float(r->walk, node->outputs[0]), positions, layer->K, mean, variance);
    double signal = 0.0, spread = 0.0, error_before = 0.0;
    for (int64_t k = 0; k < layer->K; k++) {
        signal += mean[k] * mean[k] + variance[k];
        spread += variance[k];
    }
    r->outputs->layer_scale[index] = sqrt(spread / (double)layer->K);

    if (r->method->uses_data) {
        if (!solve_layer(r, layer, variance, &error_before))
            return error_context(r->err, "layer '%s'", layer->name);
        report->output_sqnr_before_db =
            10.0 * log10(signal / (double)layer->K / fmax(error_before, DBL_MIN));
    } else if (!r->method->solve(NULL, NULL, &r->progress->monitor, r->arena, layer, r->err)) {
        return error_context(r->err, "layer '%s'", layer->name);
    }
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
    struct float_outputs outputs = {.tensor = output_before_softmax(graph)};
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
