/* End-to-end tuning of all biases: Adam with cosine decay on mini-batches, straight-through
 * gradients of the activation quantizers.
 *
 * The network is judged with the biases that a device can hold, so these are what the forward pass
 * uses; steps are taken on the values they are rounded from. (Rounded only afterwards, DS-CNN at
 * W4A4 fell from 15.5 to 10.7 dB of its output.)
 *
 * Defaults: 10 epochs are the authors'. Of steps of 0.001, 0.002 and 0.004 of a layer's output,
 * 0.004 left the smallest divergence on the calibration sets at W4A4: ResNet-8 0.060, DS-CNN 0.051,
 * MobileNetV1 0.030, against 0.055, 0.061, 0.033 at 0.001. */

#include "ptqd/recon/bias_tune.h"

#include "ptqd/nn/exec.h"
#include "ptqd/quant/bias.h"
#include "ptqd/recon/adam.h"
#include "ptqd/recon/sample_order.h"

#include <math.h>
#include <string.h>

struct tuning {
    struct quant_network *network;
    const struct samples *samples;
    const struct bias_tune_target *target;
    struct exec *exec;
    bool divergence; /* the loss is Kullback-Leibler, and its gradient that of the logits */
    int loss_tensor; /* where the gradient starts: the logits, or the output */
    float unit;      /* what the gradient counts differences in: the output's root mean square */
    struct sample_order order;
    int64_t part;                            /* samples executed at once */
    int64_t input_elements, output_elements; /* of one sample */
    float *input;                            /* [batch][input_elements] */
    float *gradient;                         /* [batch][output_elements] */
    int64_t count;                           /* biases of all layers */
    /* [count]: as they were, now and at the best moment (both in units of the layer's output scale,
     * from the start), and the gradient with respect to these. */
    float *start, *biases, *best, *slopes;
    double loss_before, best_loss;
    struct rng *rng;
    const struct recon_monitor *monitor;
    double now;       /* share of the steps done */
    struct adam adam; /* its step is the tuning's */
};

/* What changes while the tuning runs. */
enum { FIELDS = 10 };
static void list_fields(struct tuning *tuning, struct keeper_field out_fields[static FIELDS])
{
    const struct keeper_field fields[FIELDS] = {
        {"tune.step", KEEP_I64, 1, &tuning->adam.step},
        {"tune.start", KEEP_F32, tuning->count, tuning->start},
        {"tune.biases", KEEP_F32, tuning->count, tuning->biases},
        {"tune.best", KEEP_F32, tuning->count, tuning->best},
        {"tune.loss_before", KEEP_F64, 1, &tuning->loss_before},
        {"tune.best_loss", KEEP_F64, 1, &tuning->best_loss},
        {"tune.first_moments", KEEP_F32, tuning->count, tuning->adam.moments.first},
        {"tune.second_moments", KEEP_F32, tuning->count, tuning->adam.moments.second},
        {"tune.order", KEEP_I64, tuning->order.count, tuning->order.shuffled},
        {"tune.rng", KEEP_U64, 4, tuning->rng->state},
    };
    memcpy(out_fields, fields, sizeof(fields));
}

/* 1 for probabilities. Adam's steps do not depend on the unit, but for the 1e-8 that it adds to
 * what it divides by. */
static float output_unit(const struct tuning *tuning)
{
    if (tuning->divergence)
        return 1.0f;
    int64_t count = tuning->samples->count * tuning->output_elements;
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)tuning->target->output[i] * (double)tuning->target->output[i];
    float unit = (float)sqrt(sum / (double)count);
    return unit > 0.0f ? unit : 1.0f;
}

static bool tuning_init(struct tuning *tuning, const struct bias_tune_options *options,
                        struct arena *scratch, struct error *err)
{
    const struct quant_network *network = tuning->network;
    const struct graph *graph = network->graph;
    if (!sample_order_create(scratch, tuning->samples->count, graph->batchable ? options->batch : 1,
                             tuning->rng, &tuning->order, err))
        return false;
    tuning->part = sample_order_of_network(graph, tuning->order.batch, options->most_bytes);
    tuning->input_elements = tensor_elements(&graph->tensors[graph->input], 1);
    tuning->output_elements = tensor_elements(&graph->tensors[graph->output], 1);
    tuning->loss_tensor = graph_before_softmax(graph, graph->output);
    tuning->divergence = tuning->loss_tensor != graph->output;
    tuning->unit = output_unit(tuning);
    for (int i = 0; i < network->layer_count; i++)
        tuning->count += network->layers[i].K;
    tuning->input = ARENA_ARRAY(scratch, float, tuning->part * tuning->input_elements, err);
    tuning->gradient = ARENA_ARRAY(scratch, float, tuning->part * tuning->output_elements, err);
    tuning->biases = ARENA_ARRAY(scratch, float, tuning->count, err);
    tuning->start = ARENA_ARRAY(scratch, float, tuning->count, err);
    tuning->best = ARENA_ARRAY(scratch, float, tuning->count, err);
    tuning->slopes = ARENA_ARRAY(scratch, float, tuning->count, err);
    if (!tuning->input || !tuning->gradient || !tuning->biases || !tuning->start || !tuning->best ||
        !tuning->slopes || !adam_init(scratch, (size_t)tuning->count, &tuning->adam, err))
        return false;
    struct exec_options exec_options = {.batch = tuning->part, .gradients = true, .joins = true};
    if (!exec_create(graph, &exec_options, &tuning->exec, err))
        return false;
    float *start = tuning->start;
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        if (!exec_want_gradient(tuning->exec, layer->bias, err))
            return false;
        memcpy(start, layer->bias_values, (size_t)layer->K * sizeof(float));
        start += layer->K;
    }
    return true;
}

/* biases → the layers' bias_values, which are what a device can hold. */
static void apply_biases(struct tuning *tuning)
{
    int64_t place = 0;
    for (int i = 0; i < tuning->network->layer_count; i++) {
        struct quant_layer *layer = &tuning->network->layers[i];
        float scale = (float)tuning->target->output_scale[i];
        for (int64_t k = 0; k < layer->K; k++, place++)
            layer->bias_values[k] =
                quant_bias_nearest(tuning->network, layer, k,
                                   tuning->start[place] + scale * tuning->biases[place]);
        exec_set_constant(tuning->exec, layer->bias, layer->bias_values);
    }
}

static void collect_slopes(struct tuning *tuning)
{
    int64_t place = 0;
    for (int i = 0; i < tuning->network->layer_count; i++) {
        const struct quant_layer *layer = &tuning->network->layers[i];
        const float *gradient = exec_gradient(tuning->exec, layer->bias);
        float scale = (float)(tuning->target->output_scale[i] / (double)tuning->unit);
        for (int64_t k = 0; k < layer->K; k++, place++)
            tuning->slopes[place] = scale * gradient[k];
    }
}

/* Loss of one output, and its gradient: p log(p / q), q − p at the logits; or half the square. */
static double loss_of(const struct tuning *tuning, float wanted, float given, float *out_gradient)
{
    const double least =
        1e-12; /* of a probability: what is impossible costs 27 nats, not infinity */
    double p = (double)wanted, q = (double)given;
    *out_gradient = given - wanted;
    if (!tuning->divergence)
        return (p - q) * (p - q);
    return p > 0.0 ? p * log(p / fmax(q, least)) : 0.0;
}

/* Forward pass of the given samples, at most a part; adds the loss and what it is relative to, sets
 * the gradient of the mean over `batch` samples. */
static bool compare(struct tuning *tuning, const int64_t *order, int64_t count, int64_t batch,
                    double *loss, double *unit, struct error *err)
{
    for (int64_t i = 0; i < count; i++)
        samples_read(tuning->samples, order[i], tuning->input + i * tuning->input_elements);
    if (!exec_forward(tuning->exec, tuning->input, count, err))
        return false;
    const float *output = exec_values(tuning->exec, tuning->network->graph->output);
    int64_t elements = tuning->output_elements;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < elements; j++) {
            float wanted = tuning->target->output[order[i] * elements + j], gradient;
            *loss += loss_of(tuning, wanted, output[i * elements + j], &gradient);
            *unit += (double)wanted * (double)(tuning->divergence ? 1.0f : wanted);
            tuning->gradient[i * elements + j] = gradient / tuning->unit / (float)batch;
        }
    return true;
}

/* Loss over all samples in order: per sample (probabilities add up to 1), or relative. */
static bool mean_loss(struct tuning *tuning, double *out_loss, struct error *err)
{
    double loss = 0.0, unit = 0.0;
    const struct sample_order *order = &tuning->order;
    for (int64_t first = 0; first < order->count; first += tuning->part) {
        int64_t count = sample_order_part(first, order->count, tuning->part);
        if (!compare(tuning, order->in_order + first, count, count, &loss, &unit, err) ||
            !recon_monitor_report(tuning->monitor, tuning->now, tuning->best_loss, err))
            return false;
    }
    *out_loss = unit > 0.0 ? loss / unit : loss;
    return true;
}

/* Measures the present biases on all samples, and remembers them when they are the best. */
static bool keep_best(struct tuning *tuning, struct error *err)
{
    double loss;
    if (!mean_loss(tuning, &loss, err))
        return false;
    if (loss < tuning->best_loss) {
        tuning->best_loss = loss;
        memcpy(tuning->best, tuning->biases, (size_t)tuning->count * sizeof(float));
    }
    return true;
}

/* The biases as they are, or where an interrupted tuning was. */
static bool begin(struct tuning *tuning, const struct bias_tune_options *options, struct error *err)
{
    struct keeper_field fields[FIELDS];
    bool found;
    list_fields(tuning, fields);
    if (!recon_keeper_load(options->keeper, fields, FIELDS, &found, err))
        return false;
    if (found) {
        apply_biases(tuning);
        return true;
    }
    if (!mean_loss(tuning, &tuning->loss_before, err))
        return false;
    tuning->best_loss = tuning->loss_before; /* of `best`, all zeros */
    recon_monitor_record(tuning->monitor, 0, tuning->loss_before);
    return true;
}

static bool train_step(struct tuning *tuning, int64_t step, double learning_rate, struct error *err)
{
    const int64_t *samples = sample_order_step(&tuning->order, step);
    int64_t batch = tuning->order.batch;
    double loss = 0.0, unit = 0.0;
    const struct exec_seed seed = {tuning->loss_tensor, .gradient = tuning->gradient};
    for (int64_t first = 0; first < batch; first += tuning->part) {
        int64_t count = sample_order_part(first, batch, tuning->part);
        if (!compare(tuning, samples + first, count, batch, &loss, &unit, err) ||
            !exec_backward_from(tuning->exec, &seed, 1, first > 0, err))
            return false;
    }
    collect_slopes(tuning);
    if (step > 0)
        recon_monitor_record(tuning->monitor, step, unit > 0.0 ? loss / unit : loss);
    adam_step(&tuning->adam, learning_rate, tuning->slopes, tuning->biases);
    apply_biases(tuning);
    return true;
}

static bool train(struct tuning *tuning, const struct bias_tune_options *options, struct error *err)
{
    struct keeper_field fields[FIELDS];
    list_fields(tuning, fields);
    int64_t per_epoch = sample_order_epoch(&tuning->order);
    int64_t steps = per_epoch * options->epochs;
    for (int64_t step = tuning->adam.step; step < steps; step++) {
        tuning->now = (double)step / (double)steps;
        if (!train_step(tuning, step, adam_cosine(options->learning_rate, step, steps), err))
            return false;
        bool epoch_ends = step % per_epoch == per_epoch - 1;
        int64_t epoch = step / per_epoch;
        bool is_moment = sample_order_moment(epoch + 1, options->epochs) >
                         sample_order_moment(epoch, options->epochs);
        if (epoch_ends && is_moment && !keep_best(tuning, err))
            return false;
        if (epoch_ends)
            recon_keeper_save(options->keeper, fields, FIELDS);
        if (!recon_monitor_report(tuning->monitor, tuning->now, tuning->best_loss, err))
            return false;
    }
    return true;
}

bool bias_tune(struct quant_network *network, const struct samples *samples,
               const struct bias_tune_target *target, const struct bias_tune_options *options,
               struct rng *rng, const struct recon_monitor *monitor, struct arena *scratch,
               double *out_before, double *out_after, struct error *err)
{
    struct tuning tuning = {
        .network = network,
        .samples = samples,
        .target = target,
        .rng = rng,
        .monitor = monitor,
        .best_loss = NAN,
    };
    bool done = tuning_init(&tuning, options, scratch, err) && begin(&tuning, options, err) &&
                train(&tuning, options, err);
    if (done) {
        memcpy(tuning.biases, tuning.best, (size_t)tuning.count * sizeof(float));
        apply_biases(&tuning);
        recon_monitor_record(monitor, tuning.adam.step, tuning.best_loss);
        *out_before = tuning.loss_before;
        *out_after = tuning.best_loss;
    }
    exec_destroy(tuning.exec);
    return done;
}
