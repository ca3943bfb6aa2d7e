/* Distillation of the whole network.
 *
 * In every step both networks see the same mini-batch; the float network's activations are computed
 * anew, since to keep them for all samples would take more memory than time. */

#include "ptqd/recon/distill.h"

#include "ptqd/kern/statistics.h"
#include "ptqd/recon/sample_order.h"

#include <math.h>
#include <string.h>

/* Moments of the training, as shares of it: the weights begin to turn into their codes, and have
 * done so; the learning rate begins to fall. */
static const double BLEND_BEGINS = 0.15, BLEND_ENDS = 0.65, RATE_FALLS = 0.5;

/* Where probabilities nearly agree, their divergence comes from few samples, and these are learned
 * by heart: then one half of the loss is taken at a higher temperature, where every sample says how
 * the teacher ranks all classes. The half is there below this doubt, gone above twice of it.
 *
 * On a held-out fifth of the calibration set, ResNet-8 at 3 bits agreed with the float network on
 * 84.3 % of the samples without a temperature, 84.3 at 2, 87.8 at 4 and at 8, 90.2 with one half at
 * 4; at 2 bits the divergence grew, from 0.56 to 0.77. With a doubt of 0.1 it agreed on 89.2 % at 3
 * bits, with 0.05, which hardly lets the temperature in, on 84.3 %. (One seed, 204 samples: the
 * standard error is 2 points.) MobileNetV1 at 2 bits has a doubt of 0.25, above either. */
static const double DOUBT = 0.1, DOUBT_INERTIA = 0.95;

struct distillation {
    struct quant_network *network;
    const struct samples *samples;
    const struct distill_options *options;
    struct unit_graph graph;
    struct trainee trainee;
    struct exec *teacher, *student;
    bool *kept; /* [tensor_count]: read from both */
    struct sample_order order;
    int64_t taught, part;    /* samples that the teacher executes at once, and the student */
    int64_t first;           /* of the taught ones, where those of the student begin */
    int64_t inputs, outputs; /* elements of one sample */
    float *input;            /* [batch][inputs], of the teacher where it executes all at once */
    float *tempered;         /* [outputs] */
    struct augmenter augmenter;
    struct exec_seed *seeds; /* the output's, then those of the activations */
    double *squares;         /* [seed_count]: sums over the teacher's values in a mini-batch */
    float *gradient;         /* [part][outputs], of the output */
    int seed_count;
    double unit;  /* mean square of the teacher's output over all samples */
    double doubt; /* running mean of the steps' divergence, in units of that of pure chance */
    struct rng *rng;
    const struct recon_monitor *monitor;
    int64_t step, measured; /* steps done, and moments at which the loss was measured */
    double now;             /* share of the steps */
    struct distill_result result;
    struct keeper_field *fields; /* what changes while it runs */
    int field_count;
};

/* Tensors that are compared: the output, and the quantized activations but the input. */
static bool choose_tensors(struct distillation *d, struct arena *scratch, struct error *err)
{
    const struct graph *graph = d->graph.graph;
    d->kept = ARENA_ARRAY(scratch, bool, graph->tensor_count, err);
    if (!d->kept)
        return false;
    d->kept[graph->output] = true;
    for (int i = 0; i < d->graph.quantizer_count; i++)
        d->kept[d->network->activations[d->graph.quantizers[i].activation].input] = true;
    return true;
}

static bool create_networks(struct distillation *d, const struct unit *unit,
                            const double *output_scales, struct arena *scratch, struct error *err)
{
    if (!unit_graph_create(scratch, d->network, unit, &d->graph, err) ||
        !choose_tensors(d, scratch, err))
        return false;
    const struct graph *folded = d->network->folded;
    d->taught = sample_order_of_network(folded, d->order.batch, d->options->most_bytes);
    d->part = sample_order_in_caches(folded, d->taught);
    struct exec_options taught = {
        .batch = d->taught,
        .gradients = true, /* keeps activations */
        .joins = true,
        .kept = d->kept,
    };
    struct exec_options learned = taught;
    learned.batch = d->part;
    if (!trainee_create(scratch, d->network, unit, &d->graph, output_scales, &d->options->trainee,
                        &d->trainee, err) ||
        !exec_create(folded, &taught, &d->teacher, err) ||
        !exec_create(d->graph.graph, &learned, &d->student, err))
        return false;
    return trainee_want_gradients(&d->trainee, d->student, err);
}

/* One seed for the output, one for each quantized activation but the network's input. */
static bool create_seeds(struct distillation *d, struct arena *scratch, struct error *err)
{
    const struct graph *graph = d->graph.graph;
    d->seeds = ARENA_ARRAY(scratch, struct exec_seed, d->graph.quantizer_count + 1, err);
    d->squares = ARENA_ARRAY(scratch, double, d->graph.quantizer_count + 1, err);
    d->gradient = ARENA_ARRAY(scratch, float, d->part * d->outputs, err);
    if (!d->seeds || !d->squares || !d->gradient)
        return false;
    d->seeds[d->seed_count++] = (struct exec_seed){graph->output, .gradient = d->gradient};
    for (int i = 0; d->options->share > 0.0 && i < d->graph.quantizer_count; i++) {
        const struct quant_activation *activation =
            &d->network->activations[d->graph.quantizers[i].activation];
        if (!activation->of_input)
            d->seeds[d->seed_count++].tensor = activation->input;
    }
    return true;
}

static bool distillation_init(struct distillation *d, const double *output_scales,
                              struct arena *scratch, struct error *err)
{
    const struct graph *graph = d->network->graph;
    struct unit *units;
    int count;
    if (!unit_cut(scratch, d->network, UNIT_NETWORK, &units, &count, err))
        return false;
    if (count != 1)
        return FAIL(err, E_INVALID, "the network has no layer that could be trained");
    if (!sample_order_create(scratch, d->samples->count, graph->batchable ? d->options->batch : 1,
                             d->rng, &d->order, err))
        return false;
    d->inputs = tensor_elements(&graph->tensors[graph->input], 1);
    d->outputs = tensor_elements(&graph->tensors[units[0].output], 1);
    d->tempered = ARENA_ARRAY(scratch, float, d->outputs, err);
    augmenter_init(graph, &d->options->augment, &d->augmenter);
    if (!d->tempered || !create_networks(d, &units[0], output_scales, scratch, err) ||
        !create_seeds(d, scratch, err))
        return false;
    d->input = d->taught == d->order.batch
                   ? exec_input(d->teacher)
                   : ARENA_ARRAY(scratch, float, d->order.batch * d->inputs, err);
    return d->input != NULL;
}

/* The given samples, at most a batch. */
static bool read_samples(struct distillation *d, const int64_t *order, int64_t count,
                         struct error *err)
{
    for (int64_t i = 0; i < count; i++)
        samples_read(d->samples, order[i], d->input + i * d->inputs);
    return recon_monitor_report(d->monitor, d->now, d->result.after, err);
}

/* log Σ exp of a row over a temperature. */
static double log_sum(const float *row, int64_t count, double temperature)
{
    double top = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        top = fmax(top, (double)row[i] / temperature);
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)row[i] / temperature - top);
    return top + log(sum);
}

/* T² Σ p log(p / q) of one sample at temperature T, and its gradient T (q − p) with respect to the
 * student's logits. */
static double divergence(const float *wanted, const float *given, int64_t count, double T,
                         float *gradient)
{
    double wanted_sum = log_sum(wanted, count, T), given_sum = log_sum(given, count, T), loss = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double log_p = (double)wanted[i] / T - wanted_sum, log_q = (double)given[i] / T - given_sum;
        loss += exp(log_p) * (log_p - log_q);
        gradient[i] = (float)(T * (exp(log_q) - exp(log_p)));
    }
    return T * T * loss;
}

/* Mean squared error of one sample relative to `unit`, and its gradient. */
static double relative_square(const float *wanted, const float *given, int64_t count, double unit,
                              float *gradient)
{
    double factor = unit > 0.0 ? 1.0 / (unit * (double)count) : 1.0 / (double)count, sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double error = (double)given[i] - (double)wanted[i];
        sum += error * error;
        gradient[i] = (float)(2.0 * factor * error);
    }
    return factor * sum;
}

/* Share of the loss that is taken at the higher temperature. */
static double tempered_share(const struct distillation *d)
{
    return d->options->temperature == 1.0 ? 0.0
                                          : 0.5 * fmin(fmax(2.0 - d->doubt / DOUBT, 0.0), 1.0);
}

/* What the teacher has in a tensor for the samples that the student executes. */
static const float *wanted_of(const struct distillation *d, int tensor)
{
    return exec_values(d->teacher, tensor) +
           tensor_elements(&d->graph.graph->tensors[tensor], d->first);
}

static bool may_temper(const struct distillation *d)
{
    return d->options->loss == DISTILL_PROBABILITIES && d->outputs > 1;
}

/* Adds what the loss of a part says at the higher temperature to the gradient of the output. */
static void temper(struct distillation *d, int64_t count)
{
    double share = tempered_share(d);
    const float *wanted = wanted_of(d, d->seeds[0].tensor);
    const float *given = exec_values(d->student, d->seeds[0].tensor);
    for (int64_t i = 0; share > 0.0 && i < count; i++) {
        int64_t at = i * d->outputs;
        float *gradient = d->gradient + at;
        (void)divergence(wanted + at, given + at, d->outputs, d->options->temperature,
                         d->tempered); /* for its gradient */
        for (int64_t j = 0; j < d->outputs; j++)
            gradient[j] = (float)((1.0 - share) * (double)gradient[j] +
                                  share / (double)d->order.batch * (double)d->tempered[j]);
    }
}

/* Sum of the output's loss over the samples of the last forward pass; fills its seed: a gradient of
 * the mean over a batch. */
static double compare_outputs(struct distillation *d, int64_t count)
{
    int tensor = d->seeds[0].tensor;
    const float *wanted = wanted_of(d, tensor);
    const float *given = exec_values(d->student, tensor);
    double loss = 0.0;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = i * d->outputs;
        float *gradient = d->gradient + at;
        loss += d->options->loss == DISTILL_PROBABILITIES
                    ? divergence(wanted + at, given + at, d->outputs, 1.0, gradient)
                    : relative_square(wanted + at, given + at, d->outputs, d->unit, gradient);
        for (int64_t j = 0; j < d->outputs; j++)
            gradient[j] /= (float)d->order.batch;
    }
    return loss;
}

/* Sets the seeds of the intermediate activations, also of the mean over a batch. */
static void compare_activations(struct distillation *d)
{
    for (int i = 1; i < d->seed_count; i++) {
        double factor = 2.0 * d->options->share / (double)(d->seed_count - 1);
        d->seeds[i].wanted = wanted_of(d, d->seeds[i].tensor);
        d->seeds[i].factor = d->squares[i] > 0.0 ? (float)(factor / d->squares[i]) : 0.0f;
    }
}

/* The student on some of the taught samples, of which the first is `input`. */
static bool answer(struct distillation *d, const float *input, int64_t count, struct error *err)
{
    return exec_forward(d->student, input + d->first * d->inputs, count, err);
}

/* Mean loss of the output over all samples, in order. */
static bool measure(struct distillation *d, double *out_loss, struct error *err)
{
    double sum = 0.0;
    for (int64_t first = 0; first < d->order.count; first += d->taught) {
        int64_t taught = sample_order_part(first, d->order.count, d->taught);
        if (!read_samples(d, d->order.in_order + first, taught, err) ||
            !exec_forward(d->teacher, d->input, taught, err))
            return false;
        for (d->first = 0; d->first < taught; d->first += d->part) {
            int64_t count = sample_order_part(d->first, taught, d->part);
            if (!answer(d, d->input, count, err))
                return false;
            sum += compare_outputs(d, count);
        }
    }
    *out_loss = sum / (double)d->samples->count;
    return true;
}

/* The mean square of the teacher's output over all samples. */
static bool measure_unit(struct distillation *d, struct error *err)
{
    double sum = 0.0;
    for (int64_t first = 0; first < d->order.count; first += d->taught) {
        int64_t count = sample_order_part(first, d->order.count, d->taught);
        if (!read_samples(d, d->order.in_order + first, count, err) ||
            !exec_forward(d->teacher, d->input, count, err))
            return false;
        const float *values = exec_values(d->teacher, d->seeds[0].tensor);
        sum += squares_f32(values, count * d->outputs);
    }
    d->unit = sum / (double)(d->samples->count * d->outputs);
    return true;
}

/* The teacher on the mini-batch that was read, and what its activations are measured in. Where it
 * is executed in one part its values stay.
 *
 * In units of all samples this would be known beforehand, and a step of DS-CNN take 0.91 of the
 * time, but the loudest samples lead: at 4 bits, five seeds, the divergence from the float network
 * is 0.0361 then, and 0.0339 in units of each mini-batch. */
static bool teach(struct distillation *d, struct error *err)
{
    const struct tensor *tensors = d->graph.graph->tensors;
    memset(d->squares, 0, (size_t)d->seed_count * sizeof(double));
    for (int64_t first = 0; first < d->order.batch; first += d->taught) {
        int64_t count = sample_order_part(first, d->order.batch, d->taught);
        if (!exec_forward(d->teacher, d->input + first * d->inputs, count, err))
            return false;
        for (int i = 1; i < d->seed_count; i++) {
            const float *values = exec_values(d->teacher, d->seeds[i].tensor);
            int64_t elements = tensor_elements(&tensors[d->seeds[i].tensor], count);
            d->squares[i] += squares_f32(values, elements);
        }
    }
    return true;
}

/* A forward and a backward pass of the student on a part of the taught samples. */
static bool learn(struct distillation *d, const float *input, int64_t count, double *loss,
                  struct error *err)
{
    if (!answer(d, input, count, err))
        return false;
    *loss += compare_outputs(d, count) / (double)d->order.batch;
    if (may_temper(d))
        temper(d, count);
    compare_activations(d);
    return exec_backward_from(d->student, d->seeds, d->seed_count, input > d->input || d->first > 0,
                              err);
}

static bool train_step(struct distillation *d, const struct trainee_step *step, struct error *err)
{
    const int64_t *samples = sample_order_step(&d->order, d->step);
    int64_t batch = d->order.batch;
    double loss = 0.0;
    d->trainee.hard = false;
    trainee_apply(&d->trainee);
    if (!read_samples(d, samples, batch, err))
        return false;
    augmenter_apply(&d->augmenter, d->rng, batch, d->input);
    if (!teach(d, err))
        return false;
    for (int64_t first = 0; first < batch; first += d->taught) {
        int64_t taught = sample_order_part(first, batch, d->taught);
        const float *input = d->input + first * d->inputs;
        if (taught < batch && !exec_forward(d->teacher, input, taught, err))
            return false;
        for (d->first = 0; d->first < taught; d->first += d->part)
            if (!learn(d, input, sample_order_part(d->first, taught, d->part), &loss, err))
                return false;
    }
    if (d->step > 0)
        recon_monitor_record(d->monitor, d->step, loss);
    if (may_temper(d))
        d->doubt =
            DOUBT_INERTIA * d->doubt + (1.0 - DOUBT_INERTIA) * loss / log((double)d->outputs);
    trainee_step(&d->trainee, d->student, step);
    return true;
}

/* Rises from 0 to 1 between two moments of the training. */
static double ramp(double now, double from, double to)
{
    return fmin(fmax((now - from) / (to - from), 0.0), 1.0);
}

static bool keep_better(struct distillation *d, struct error *err)
{
    double loss;
    d->trainee.hard = true;
    trainee_apply(&d->trainee);
    if (!measure(d, &loss, err))
        return false;
    if (loss < d->result.after) {
        d->result.after = loss;
        trainee_keep(&d->trainee);
    }
    return true;
}

static bool list_fields(struct distillation *d, struct arena *scratch, struct error *err)
{
    const struct keeper_field own[] = {
        {"train.steps", KEEP_I64, 1, &d->step},
        {"train.measured", KEEP_I64, 1, &d->measured},
        {"train.before", KEEP_F64, 1, &d->result.before},
        {"train.after", KEEP_F64, 1, &d->result.after},
        {"train.doubt", KEEP_F64, 1, &d->doubt},
        {"train.order", KEEP_I64, d->order.count, d->order.shuffled},
        {"train.rng", KEEP_U64, 4, d->rng->state},
    };
    const int count = sizeof(own) / sizeof(own[0]);
    if (!trainee_fields(&d->trainee, scratch, count, &d->fields, &d->field_count, err))
        return false;
    for (int i = 0; i < count; i++)
        d->fields[d->field_count++] = own[i];
    return true;
}

/* The network as it came, or where an interrupted training was. */
static bool begin(struct distillation *d, struct error *err)
{
    bool found;
    if ((d->options->loss == DISTILL_VALUES && !measure_unit(d, err)) ||
        !recon_keeper_load(d->options->keeper, d->fields, d->field_count, &found, err))
        return false;
    if (found)
        return true; /* the next step applies it */
    trainee_keep(&d->trainee);
    d->trainee.hard = true;
    trainee_apply(&d->trainee);
    if (!measure(d, &d->result.before, err))
        return false;
    d->result.after = d->result.before;
    recon_monitor_record(d->monitor, 0, d->result.before);
    trainee_restore(&d->trainee); /* quantized, it was confined to the codes */
    return true;
}

static bool train(struct distillation *d, struct error *err)
{
    int64_t per_epoch = sample_order_epoch(&d->order);
    int64_t steps = per_epoch * d->options->epochs;
    double unit = d->result.before / trainee_weights(&d->trainee);
    while (d->step < steps) {
        d->now = (double)d->step / (double)steps;
        double share = 0.5 + 0.5 * cos(M_PI * ramp(d->now, RATE_FALLS, 1.0));
        struct trainee_step how = trainee_schedule(&d->trainee, d->step, steps, share, unit);
        if (!d->options->trainee.from_codes)
            d->trainee.blend = ramp(d->now, BLEND_BEGINS, BLEND_ENDS);
        if (!train_step(d, &how, err))
            return false;
        d->step++;
        int64_t moment = sample_order_moment(d->step, steps);
        if (d->trainee.blend == 1.0 && moment > d->measured) {
            d->measured = moment;
            if (!keep_better(d, err))
                return false;
        }
        if (d->step % per_epoch == 0)
            recon_keeper_save(d->options->keeper, d->fields, d->field_count);
    }
    return true;
}

bool distill(struct quant_network *network, const struct samples *samples,
             const double *output_scales, const struct distill_options *options, struct rng *rng,
             const struct recon_monitor *monitor, struct arena *scratch,
             struct distill_result *out_result, struct error *err)
{
    struct distillation d = {
        .network = network,
        .samples = samples,
        .options = options,
        .rng = rng,
        .monitor = monitor,
        .result = {.before = NAN, .after = NAN},
    };
    bool done = distillation_init(&d, output_scales, scratch, err) &&
                list_fields(&d, scratch, err) && begin(&d, err) && train(&d, err);
    if (done) {
        d.trainee.blend = 1.0;
        d.trainee.hard = true;
        trainee_restore(&d.trainee);
        trainee_apply(&d.trainee);
        recon_monitor_record(monitor, d.step, d.result.after);
        *out_result = d.result;
    }
    exec_destroy(d.teacher);
    exec_destroy(d.student);
    return done;
}
