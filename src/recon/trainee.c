/* Variables of a unit that is trained. */

#include "ptqd/recon/trainee.h"

#include "rounding_grid.h"

#include "ptqd/kern/blended_quantize.h"
#include "ptqd/quant/bias.h"

#include <math.h>

static const double BETA_START = 20.0, BETA_END = 2.0; /* AdaRound's authors, as in BRECQ's code */

/* ---- creation ---- */

static struct trained_vector *add_vector(struct arena *arena, struct trainee *trainee,
                                         int64_t count, double rate, struct error *err)
{
    struct trained_vector *vector = &trainee->vectors[trainee->vector_count++];
    *vector = (struct trained_vector){
        .count = count,
        .rate = rate,
        .values = ARENA_ARRAY(arena, float, count, err),
        .gradient = ARENA_ARRAY(arena, float, count, err),
        .best = ARENA_ARRAY(arena, float, count, err),
    };
    bool done = vector->values && vector->gradient && vector->best &&
                (rate == 0.0 || adam_init(arena, (size_t)count, &vector->adam, err));
    return done ? vector : NULL;
}

/* w in codes, without the zero point: the float weight, or as near to it as rounds to the present
 * code. */
static float start_place(const struct quant_layer *layer, int64_t channel, int64_t i,
                         bool from_codes)
{
    const float within = 0.499f;
    const struct quantizer *quantizer = &layer->quantizer;
    float code = (float)(layer->codes[i] - quantizer->zero_points[channel]);
    float place = layer->float_weights[i] / quantizer->scales[channel];
    return from_codes ? fminf(fmaxf(place, code - within), code + within) : place;
}

/* ⌊w / s⌋ and α. Where the present code is not one of the two that w lies between, it becomes one
 * of them, on the side of w. Where it is not the nearer one, α begins just on its side of the
 * middle. */
static void start_rounding(struct trained_layer *trained, int64_t channel, int64_t i)
{
    const struct quant_layer *layer = trained->layer;
    const struct quantizer *quantizer = &layer->quantizer;
    float code = (float)(layer->codes[i] - quantizer->zero_points[channel]);
    float place = layer->float_weights[i] / quantizer->scales[channel];
    float floor = floorf(place);
    if (code != floor && code != floor + 1.0f)
        floor = place > code ? code : code - 1.0f;
    float fraction = fminf(fmaxf(place - floor, 0.0f), 1.0f);
    bool nearest = fabsf(place - code) <= 0.5f;
    trained->floors[i] = floor;
    trained->weights->values[i] = (float)rectified_sigmoid_inverse(
        (double)(nearest ? fraction : 0.45f * fraction + 0.55f * (code - floor)));
}

static bool create_layer(struct arena *arena, struct trainee *trainee, struct quant_layer *layer,
                         double output_scale, struct error *err)
{
    const struct trainee_options *options = &trainee->options;
    const struct trainee_rates *rates = &options->rates;
    bool rounds = options->variable == TRAIN_ROUND;
    bool is_float = quant_layer_is_float(layer);
    bool weights_stay = options->variable == TRAIN_QPARAM || is_float;
    bool scales_stay = rounds || is_float;
    const float *biases = options->from_codes ? layer->bias_values : layer->float_bias;
    int64_t cells = layer->K * layer->D, channels = layer->quantizer.channels;
    struct trained_layer *trained = &trainee->layers[trainee->layer_count++];
    *trained = (struct trained_layer){
        .layer = layer,
        .output_scale = (float)output_scale,
        .start_scales =
            arena_memdup(arena, layer->quantizer.scales, (size_t)channels * sizeof(float), err),
        .start_biases = arena_memdup(arena, biases, (size_t)layer->K * sizeof(float), err),
        .floors = rounds ? ARENA_ARRAY(arena, float, cells, err) : NULL,
        .weights = add_vector(arena, trainee, cells, weights_stay ? 0.0 : rates->weights, err),
        .scales =
            add_vector(arena, trainee, channels, scales_stay ? 0.0 : rates->weight_scales, err),
        .biases = add_vector(arena, trainee, layer->K, rates->biases, err),
    };
    if (!trained->start_scales || !trained->start_biases || (rounds && !trained->floors) ||
        !trained->weights || !trained->scales || !trained->biases)
        return false;
    for (int64_t i = 0; !is_float && i < cells; i++) {
        int64_t channel = quantizer_channel(&layer->quantizer, i / layer->D);
        if (rounds)
            start_rounding(trained, channel, i);
        else
            trained->weights->values[i] = start_place(layer, channel, i, options->from_codes);
    }
    return true;
}

static bool create_activation(struct arena *arena, struct trainee *trainee,
                              struct trained_quantizer *quantizer, struct error *err)
{
    const struct trainee_rates *rates = &trainee->options.rates;
    struct trained_activation *trained = &trainee->activations[trainee->activation_count++];
    bool stays = trainee->network->activations[quantizer->activation].of_input;
    /* Behind a Relu the zero point is at the end: moved, it would waste codes. */
    bool at_end = quantizer->quantizer->zero_points[0] == quantizer->quantizer->low;
    bool symmetric = quantizer->quantizer->format.symmetric;
    *trained = (struct trained_activation){
        .quantizer = quantizer,
        .start_scale = quantizer->quantizer->scales[0],
        .scale = add_vector(arena, trainee, 1, stays ? 0.0 : rates->activation_scales, err),
        .zero_point = add_vector(arena, trainee, 1,
                                 stays || symmetric || at_end ? 0.0 : rates->zero_points, err),
    };
    if (!trained->scale || !trained->zero_point)
        return false;
    trained->zero_point->values[0] = (float)quantizer->quantizer->zero_points[0];
    return true;
}

enum { VECTORS_PER_LAYER = 3, VECTORS_PER_ACTIVATION = 2 };

bool trainee_create(struct arena *arena, struct quant_network *network, const struct unit *unit,
                    const struct unit_graph *graph, const double *output_scales,
                    const struct trainee_options *options, struct trainee *out_trainee,
                    struct error *err)
{
    struct trainee trainee = {
        .network = network,
        .options = *options,
        .blend = 1.0,
        .layers = ARENA_ARRAY(arena, struct trained_layer, unit->layer_count, err),
        .activations = ARENA_ARRAY(arena, struct trained_activation, graph->quantizer_count, err),
        .vectors = ARENA_ARRAY(arena, struct trained_vector,
                               VECTORS_PER_LAYER * unit->layer_count +
                                   VECTORS_PER_ACTIVATION * graph->quantizer_count,
                               err),
    };
    if (!trainee.layers || !trainee.activations || !trainee.vectors)
        return false;
    for (int i = unit->layer; i < unit->layer + unit->layer_count; i++)
        if (!create_layer(arena, &trainee, &network->layers[i], output_scales[i], err))
            return false;
    for (int i = 0; i < graph->quantizer_count; i++)
        if (!create_activation(arena, &trainee, &graph->quantizers[i], err))
            return false;
    *out_trainee = trainee;
    return true;
}

bool trainee_want_gradients(const struct trainee *trainee, struct exec *exec, struct error *err)
{
    for (int i = 0; i < trainee->layer_count; i++) {
        const struct quant_layer *layer = trainee->layers[i].layer;
        if (!exec_want_gradient(exec, layer->weights, err) ||
            !exec_want_gradient(exec, layer->bias, err))
            return false;
    }
    return true;
}

/* ---- variables to values ---- */

/* s of a trained logarithm, which stays within what can still be a scale: a thousand times more or
 * less than at the start. */
static float scale_of(float start, float *logarithm)
{
    const float reach = 6.9f;
    *logarithm = fminf(fmaxf(*logarithm, -reach), reach);
    return start * expf(*logarithm);
}

/* What one unit of w's variables is. Trained weights move with their scale, which so is a gain of
 * the whole channel; for qparam they stay. */
static float unit_of(const struct trained_layer *trained, int64_t channel)
{
    return trained->weights->rate > 0.0 ? trained->layer->quantizer.scales[channel]
                                        : trained->start_scales[channel];
}

/* Keeps w of channel k within half a step of the codes: beyond them it would feel nothing any more,
 * and at 2 bits half of the weights are at an end. */
static void confine_channel(const struct trained_layer *trained, int64_t k)
{
    const struct quant_layer *layer = trained->layer;
    const struct quantizer *quantizer = &layer->quantizer;
    int64_t channel = quantizer_channel(quantizer, k);
    float lowest = (float)(quantizer->low - quantizer->zero_points[channel]) - 0.5f;
    float highest = (float)(quantizer->high - quantizer->zero_points[channel]) + 0.5f;
    float *values = trained->weights->values;
    for (int64_t i = k * layer->D; i < (k + 1) * layer->D; i++) {
        float value = values[i] < lowest ? lowest : values[i];
        values[i] = value > highest ? highest : value;
    }
}

static struct blended_format format_of(const struct trained_layer *trained, int64_t channel,
                                       double blend)
{
    const struct quantizer *quantizer = &trained->layer->quantizer;
    return (struct blended_format){
        .unit = unit_of(trained, channel),
        .scale = quantizer->scales[channel],
        .zero_point = quantizer->zero_points[channel],
        .low = quantizer->low,
        .high = quantizer->high,
        .blend = (float)blend,
        .moves = trained->weights->rate > 0.0,
    };
}

/* Codes and weights of channel k of w. */
static void quantize_channel(const struct trained_layer *trained, int64_t k, double blend)
{
    struct quant_layer *layer = trained->layer;
    int64_t first = k * layer->D;
    struct blended_format format =
        format_of(trained, quantizer_channel(&layer->quantizer, k), blend);
    blended_quantize_f32(trained->weights->values + first, (size_t)layer->D, &format,
                         layer->codes + first, layer->weight_values + first);
}

/* Codes and weights of channel k, each rounded to the side where its variable is. */
static void round_channel(const struct trained_layer *trained, int64_t k)
{
    struct quant_layer *layer = trained->layer;
    struct rounding_grid grid = rounding_grid_of(&trained->layer->quantizer, k);
    int32_t zero_point = layer->quantizer.low - (int32_t)grid.low;
    for (int64_t i = k * layer->D; i < (k + 1) * layer->D; i++) {
        float code = trained->floors[i] + (trained->weights->values[i] >= 0.0f ? 1.0f : 0.0f);
        code = fminf(fmaxf(code, grid.low), grid.high);
        layer->codes[i] = (int8_t)((int32_t)code + zero_point);
        layer->weight_values[i] = grid.scale * code;
    }
}

/* Weights of channel k between two codes. */
static void soften_channel(const struct trained_layer *trained, int64_t k)
{
    int64_t D = trained->layer->D;
    struct rounding_grid grid = rounding_grid_of(&trained->layer->quantizer, k);
    rectified_rounding_f32(trained->weights->values + k * D, trained->floors + k * D, (size_t)D,
                           &grid, trained->layer->weight_values + k * D);
}

static void apply_layer(const struct trainee *trainee, const struct trained_layer *trained)
{
    struct quant_layer *layer = trained->layer;
    struct quantizer *quantizer = &layer->quantizer;
    bool is_float = quant_layer_is_float(layer);
    for (int64_t c = 0; c < quantizer->channels; c++)
        quantizer->scales[c] = scale_of(trained->start_scales[c], &trained->scales->values[c]);
    for (int64_t k = 0; k < layer->K; k++) {
        float bias = trained->start_biases[k] + trained->output_scale * trained->biases->values[k];
        if (is_float)
            ; /* its weights stay */
        else if (trainee->options.variable == TRAIN_ROUND && trainee->hard)
            round_channel(trained, k);
        else if (trainee->options.variable == TRAIN_ROUND)
            soften_channel(trained, k);
        else {
            if (trainee->blend == 1.0 && trained->weights->rate > 0.0)
                confine_channel(trained, k);
            quantize_channel(trained, k, trainee->blend);
        }
        layer->bias_values[k] = quant_bias_nearest(trainee->network, layer, k, bias);
    }
}

static void apply_activation(const struct trained_activation *trained)
{
    struct quantizer *quantizer = trained->quantizer->quantizer;
    float *place = &trained->zero_point->values[0];
    *place = fminf(fmaxf(*place, (float)quantizer->low), (float)quantizer->high);
    quantizer->scales[0] = scale_of(trained->start_scale, &trained->scale->values[0]);
    quantizer->zero_points[0] = (int32_t)rintf(*place);
}

void trainee_apply(struct trainee *trainee)
{
    for (int i = 0; i < trainee->activation_count; i++)
        apply_activation(&trainee->activations[i]);
    for (int i = 0; i < trainee->layer_count; i++) /* after the scale that biases are steps of */
        apply_layer(trainee, &trainee->layers[i]);
}

/* ---- gradients of values to gradients of variables ---- */

static void collect_straight(const struct trained_layer *trained, double blend,
                             const float *gradient)
{
    const struct quant_layer *layer = trained->layer;
    for (int64_t k = 0; k < layer->K; k++) {
        int64_t channel = quantizer_channel(&layer->quantizer, k), first = k * layer->D;
        struct blended_format format = format_of(trained, channel, blend);
        trained->scales->gradient[channel] +=
            blended_quantize_f32_grad(trained->weights->values + first,
                                      layer->weight_values + first, (size_t)layer->D, &format,
                                      gradient + first, trained->weights->gradient + first);
    }
}

static void collect_rounding(const struct trained_layer *trained, const float *gradient,
                             const struct trainee_step *step)
{
    const struct quant_layer *layer = trained->layer;
    struct rounding_pull pull = {.lambda = (float)step->lambda, .beta = (float)step->beta};
    for (int64_t k = 0; k < layer->K; k++) {
        struct rounding_grid grid = rounding_grid_of(&trained->layer->quantizer, k);
        int64_t first = k * layer->D;
        rectified_rounding_f32_grad(trained->weights->values + first, trained->floors + first,
                                    (size_t)layer->D, &grid, &pull, gradient + first,
                                    trained->weights->gradient + first);
    }
}

static void collect_layer(const struct trainee *trainee, const struct trained_layer *trained,
                          const struct exec *exec, const struct trainee_step *step)
{
    const struct quant_layer *layer = trained->layer;
    const float *weights = exec_gradient(exec, layer->weights);
    const float *biases = exec_gradient(exec, layer->bias);
    if (quant_layer_is_float(layer))
        ; /* its weights stay */
    else if (trainee->options.variable == TRAIN_ROUND)
        collect_rounding(trained, weights, step);
    else
        collect_straight(trained, trainee->blend, weights);
    for (int64_t k = 0; k < layer->K; k++)
        trained->biases->gradient[k] += trained->output_scale * biases[k];
}

static void collect_activation(const struct trained_activation *trained)
{
    const struct trained_quantizer *quantizer = trained->quantizer;
    trained->scale->gradient[0] +=
        (float)((double)quantizer->quantizer->scales[0] * quantizer->grad_scale);
    trained->zero_point->gradient[0] += (float)quantizer->grad_zero_point;
}

struct trainee_step trainee_schedule(const struct trainee *trainee, int64_t step, int64_t steps,
                                     double share, double unit)
{
    double warm = trainee->options.warm_start * (double)steps;
    double past = ((double)step - warm) / ((double)steps - warm);
    return (struct trainee_step){
        .share = share,
        .lambda = past < 0.0 ? 0.0 : unit * trainee->options.regularization,
        .beta = BETA_START + (BETA_END - BETA_START) * past,
    };
}

double trainee_weights(const struct trainee *trainee)
{
    double count = 0.0;
    for (int i = 0; i < trainee->layer_count; i++)
        count += (double)trainee->layers[i].weights->count;
    return count;
}

void trainee_step(struct trainee *trainee, const struct exec *exec, const struct trainee_step *step)
{
    for (int i = 0; i < trainee->vector_count; i++)
        for (int64_t j = 0; j < trainee->vectors[i].count; j++)
            trainee->vectors[i].gradient[j] = 0.0f;
    for (int i = 0; i < trainee->layer_count; i++)
        collect_layer(trainee, &trainee->layers[i], exec, step);
    for (int i = 0; i < trainee->activation_count; i++)
        collect_activation(&trainee->activations[i]);
    for (int i = 0; i < trainee->vector_count; i++) {
        struct trained_vector *vector = &trainee->vectors[i];
        if (vector->rate > 0.0)
            adam_step(&vector->adam, step->share * vector->rate, vector->gradient, vector->values);
    }
}

void trainee_keep(struct trainee *trainee)
{
    for (int i = 0; i < trainee->vector_count; i++)
        for (int64_t j = 0; j < trainee->vectors[i].count; j++)
            trainee->vectors[i].best[j] = trainee->vectors[i].values[j];
}

void trainee_restore(struct trainee *trainee)
{
    for (int i = 0; i < trainee->vector_count; i++)
        for (int64_t j = 0; j < trainee->vectors[i].count; j++)
            trainee->vectors[i].values[j] = trainee->vectors[i].best[j];
}
