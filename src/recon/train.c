/* Training of one unit on mini-batches. */

#include "ptqd/recon/train.h"

#include "ptqd/kern/difference.h"
#include "ptqd/kern/statistics.h"
#include "ptqd/recon/sample_order.h"
#include "ptqd/recon/unit_loss.h"

#include <math.h>
#include <string.h>

/* Steps whose loss is recorded, evenly over all of them. */
enum { RECORDED_STEPS = 62 };

/* Of the activations and gradients of samples that are trained at once: those of more are gone from
 * the caches when they are wanted again. Milliseconds of a step of all blocks with 32 samples, all
 * at once and no more than this: MobileNetV1 27.9, 22.4; ResNet-8 23.7, 18.9; DS-CNN 7.2, 6.8. */
static const int64_t PART_BYTES = INT64_C(12) << 20;

int64_t train_part(const struct graph *unit, int64_t batch, int64_t most_bytes)
{
    return sample_order_at_once(unit, batch, most_bytes > 0 ? most_bytes : PART_BYTES);
}

struct training {
    const struct train_options *options;
    int64_t samples;
    struct captured_reader quantized_input, float_input, target; /* a sample at a time */
    struct unit_graph graph;
    struct trainee trainee;
    struct exec *exec;
    struct sample_order order;
    int64_t part;            /* samples executed at once */
    int64_t inputs, outputs; /* elements of one sample */
    float *input;            /* [part][inputs], of the executor */
    struct unit_loss unit_loss;
    float *gradient;      /* [part][outputs], of unit_loss.tensor */
    double target_square; /* mean over all elements */
    struct rng *rng;
    const struct recon_monitor *monitor;
    double now, loss; /* share of the steps done, and what was measured last */
};

static bool open_data(struct training *training, const struct unit_data *data,
                      struct arena *scratch, struct error *err)
{
    training->samples = data->samples;
    return captured_open(data->input, 1, scratch, &training->quantized_input, err) &&
           captured_open(data->float_input, 1, scratch, &training->float_input, err) &&
           captured_open(data->target, 1, scratch, &training->target, err);
}

static bool measure_target(struct training *training, struct error *err)
{
    double squares = 0.0;
    for (int64_t i = 0; i < training->samples; i++) {
        const float *target = captured_at(&training->target, i, 1, err);
        if (!target)
            return false;
        squares += squares_f32(target, training->outputs);
    }
    training->target_square = squares / (double)(training->samples * training->outputs);
    return true;
}

static bool training_init(struct training *training, struct quant_network *network,
                          const struct unit *unit, const double *output_scales,
                          struct arena *scratch, struct error *err)
{
    const struct train_options *options = training->options;
    if (!unit_graph_create(scratch, network, unit, &training->graph, err))
        return false;
    const struct graph *graph = training->graph.graph;
    if (!sample_order_create(scratch, training->samples, graph->batchable ? options->batch : 1,
                             training->rng, &training->order, err))
        return false;
    int64_t part = training->part = train_part(graph, training->order.batch, options->most_bytes);
    training->inputs = tensor_elements(&graph->tensors[graph->input], 1);
    training->outputs = tensor_elements(&graph->tensors[graph->output], 1);
    training->unit_loss = unit_loss_of(graph);
    training->gradient = ARENA_ARRAY(scratch, float, part * training->outputs, err);
    if (!training->gradient || !measure_target(training, err) ||
        !unit_graph_prepare_drop(&training->graph, scratch, part, options->drop, training->rng,
                                 err) ||
        !trainee_create(scratch, network, unit, &training->graph, output_scales, &options->trainee,
                        &training->trainee, err))
        return false;
    struct exec_options exec_options = {.batch = part, .gradients = true, .joins = true};
    bool at_start = graph->input == network->graph->input; /* nothing in front to be trained */
    if (!exec_create(graph, &exec_options, &training->exec, err))
        return false;
    training->input = exec_input(training->exec);
    return trainee_want_gradients(&training->trainee, training->exec, err) &&
           (at_start || exec_reach_input(training->exec, err));
}

/* A row of the unit's input; some elements as in the float network. */
static bool read_input(const struct training *training, int64_t sample, double drop, float *out,
                       struct error *err)
{
    const float *quantized = captured_at(&training->quantized_input, sample, 1, err);
    if (!quantized)
        return false;
    memcpy(out, quantized, (size_t)training->inputs * sizeof(float));
    if (drop == 0.0)
        return true;
    const float *plain = captured_at(&training->float_input, sample, 1, err);
    for (int64_t i = 0; plain && i < training->inputs; i++)
        if (rng_uniform(training->rng) < drop)
            out[i] = plain[i];
    return plain != NULL;
}

static bool forward(struct training *training, const int64_t *order, int64_t count, double drop,
                    struct error *err)
{
    for (int64_t i = 0; i < count; i++)
        if (!read_input(training, order[i], drop, training->input + i * training->inputs, err))
            return false;
    return exec_forward(training->exec, training->input, count, err);
}

/* Output of sample i of the last forward pass. */
static const float *output_of(const struct training *training, int64_t i)
{
    return exec_values(training->exec, training->graph.graph->output) + i * training->outputs;
}

/* The gradient of half the squared errors of the last forward pass, times `factor`; adds these to
 * `squares` unless that is NULL. */
static bool differentiate(struct training *training, const int64_t *order, int64_t count,
                          float factor, double *squares, struct error *err)
{
    for (int64_t i = 0; i < count; i++) {
        const float *target = captured_at(&training->target, order[i], 1, err);
        if (!target)
            return false;
        training->unit_loss.differ(output_of(training, i), target, training->outputs, factor,
                                   training->gradient + i * training->outputs);
        if (squares)
            *squares += difference_squares_f32(output_of(training, i), target, training->outputs);
    }
    return true;
}

/* Squared errors of `count` samples relative to the mean square of the target. */
static double relative(const struct training *training, double squares, int64_t count)
{
    double all = training->target_square * (double)(count * training->outputs);
    return all > 0.0 ? squares / all : squares;
}

/* Adds the squared errors of the last forward pass. */
static bool add_squares(struct training *training, const int64_t *order, int64_t count, double *sum,
                        struct error *err)
{
    for (int64_t i = 0; i < count; i++) {
        const float *target = captured_at(&training->target, order[i], 1, err);
        if (!target)
            return false;
        *sum += difference_squares_f32(output_of(training, i), target, training->outputs);
    }
    return true;
}

/* Relative error over all samples, everything quantized and hard. */
static bool measure(struct training *training, double *out_loss, struct error *err)
{
    double total = 0.0;
    training->trainee.hard = true;
    trainee_apply(&training->trainee);
    unit_graph_set_drop(&training->graph, 0.0);
    const struct sample_order *order = &training->order;
    for (int64_t first = 0; first < order->count; first += training->part) {
        int64_t count = sample_order_part(first, order->count, training->part);
        const int64_t *samples = order->in_order + first;
        if (!forward(training, samples, count, 0.0, err) ||
            !add_squares(training, samples, count, &total, err) ||
            !recon_monitor_report(training->monitor, training->now, training->loss, err))
            return false;
    }
    training->trainee.hard = false;
    unit_graph_set_drop(&training->graph, training->options->drop);
    *out_loss = relative(training, total, training->samples);
    return true;
}

/* The loss of a step is the squared error in units of `unit`, and the rounding term. */
static bool train_step(struct training *training, int64_t step, double unit, struct error *err)
{
    const struct train_options *options = training->options;
    const int64_t *samples = sample_order_step(&training->order, step);
    int64_t batch = training->order.batch;
    float factor = (float)(2.0 / ((double)(batch * training->outputs) * unit));
    int64_t every = (options->steps + RECORDED_STEPS - 1) / RECORDED_STEPS;
    bool recorded = step > 0 && step % every == 0;
    double squares = 0.0;
    const struct exec_seed seed = {training->unit_loss.tensor, .gradient = training->gradient};
    trainee_apply(&training->trainee);
    for (int64_t first = 0; first < batch; first += training->part) {
        int64_t count = sample_order_part(first, batch, training->part);
        if (!forward(training, samples + first, count, options->drop, err) ||
            !differentiate(training, samples + first, count, factor, recorded ? &squares : NULL,
                           err) ||
            !exec_backward_from(training->exec, &seed, 1, first > 0, err))
            return false;
    }
    if (recorded)
        recon_monitor_record(training->monitor, step, relative(training, squares, batch));
    double share = adam_cosine(1.0, step, options->steps);
    struct trainee_step how =
        trainee_schedule(&training->trainee, step, options->steps, share, 1.0);
    trainee_step(&training->trainee, training->exec, &how);
    return true;
}

static bool train(struct training *training, struct train_loss *loss, struct error *err)
{
    int64_t steps = training->options->steps;
    trainee_keep(&training->trainee);
    if (!measure(training, &loss->before, err))
        return false;
    /* The error of one weight, as far as it is known: λ does not depend on the unit. */
    double unit = loss->before * training->target_square / trainee_weights(&training->trainee);
    training->loss = loss->before;
    recon_monitor_record(training->monitor, 0, loss->before);
    for (int64_t step = 0; unit > 0.0 && step < steps; step++) {
        training->now = (double)step / (double)steps;
        if (!train_step(training, step, unit, err) ||
            !recon_monitor_report(training->monitor, training->now, training->loss, err))
            return false;
    }
    return measure(training, &loss->after, err);
}

bool train_unit(struct quant_network *network, const struct unit *unit,
                const struct unit_data *data, const double *output_scales,
                const struct train_options *options, struct rng *rng,
                const struct recon_monitor *monitor, struct arena *scratch,
                struct train_loss *out_loss, struct error *err)
{
    struct training training = {
        .options = options,
        .rng = rng,
        .monitor = monitor,
        .loss = NAN,
    };
    struct train_loss loss;
    bool done = false;
    if (!open_data(&training, data, scratch, err) ||
        !training_init(&training, network, unit, output_scales, scratch, err) ||
        !train(&training, &loss, err))
        goto out;
    if (!(loss.after <= loss.before)) {
        trainee_restore(&training.trainee);
        loss.after = loss.before;
    }
    training.trainee.hard = true;
    trainee_apply(&training.trainee);
    recon_monitor_record(monitor, options->steps, loss.after);
    *out_loss = loss;
    done = true;
out:
    exec_destroy(training.exec);
    return done || error_context(err, "unit '%s'", unit->name);
}
