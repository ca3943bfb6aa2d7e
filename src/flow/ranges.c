/* The ranges of quantizers from the float network's values. */

#include "ptqd/flow/ranges.h"

#include "ptqd/flow/branches.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/bias.h"
#include "ptqd/quant/observer.h"
#include "ptqd/recon/captured_sums.h"
#include "ptqd/recon/output_range.h"

#include <math.h>

static bool check_finite(const char *name, float odd, struct error *err)
{
    return odd == 0.0f ||
           FAIL(err, E_INVALID,
                "tensor '%s' of the float network is %g for a calibration sample; only finite "
                "activations can be quantized",
                name, (double)odd);
}

/* The squares of values that large, and sums of many, are still float32; far above any network. */
static const double LARGEST = 1e15;

bool ranges_check_size(const char *tensor, double reached, struct error *err)
{
    return reached <= LARGEST ||
           FAIL(err, E_INVALID,
                "tensor '%s' of the float network reaches %g for the calibration samples; up to %g "
                "can be quantized: is the scale of the samples right?",
                tensor, reached, LARGEST);
}

/* Elements that stand for a large tensor where pairs are needed, evenly spread. */
enum { PAIRS = 1 << 16 };

/* One tensor of the float network whose quantizer is to be fitted. */
struct fit {
    const struct range_choice *range;
    struct quantizer *quantizer;
    const struct captured *values;
    struct captured_extremes extremes;
};

static bool fit_pairs(const struct ranges *ranges, const struct fit *fit,
                      const struct captured *addends, struct error *err)
{
    int64_t count = fit->values->samples * fit->values->elements;
    int64_t pairs = count < PAIRS ? count : PAIRS;
    float *some = ARENA_ARRAY(ranges->arena, float, 2 * pairs, err);
    if (!some || !captured_pick(fit->values, ranges->arena, pairs, some, err) ||
        !captured_pick(addends, ranges->arena, pairs, some + pairs, err))
        return false;
    struct observation seen = {
        .values = some,
        .addends = some + pairs,
        .count = (size_t)pairs,
        .min = fit->extremes.min,
        .max = fit->extremes.max,
    };
    return observer_fit(fit->range->observer, &seen, &fit->range->options, fit->quantizer, 0, err);
}

static bool fit_histogram(const struct ranges *ranges, const struct fit *fit, struct error *err)
{
    struct histogram *histogram = ARENA_NEW(ranges->arena, struct histogram, err);
    if (!histogram)
        return false;
    histogram_init(histogram, fit->extremes.min, fit->extremes.max);
    if (!captured_add_histogram(fit->values, ranges->arena, histogram, err))
        return false;
    struct observation seen = histogram_observation(histogram);
    return observer_fit(fit->range->observer, &seen, &fit->range->options, fit->quantizer, 0, err);
}

/* The tensor of the float network to which the one of `node` is added on the way into a Relu; -1
 * when there is none, or it was not executed yet. */
static int addend_of(const struct ranges *ranges, const struct node *node)
{
    const struct graph *graph = ranges->network->graph;
    int tensor = node->inputs[0];
    return branch_is_rectified(graph, tensor)
               ? branch_executed(ranges->walk, graph, branch_addend(graph, tensor))
               : -1;
}

struct fitted {
    float scale;
    int32_t zero_point;
};

/* The activation that a FakeQuantize node is of. */
static const struct quant_activation *activation_of(const struct quant_network *network,
                                                    const struct node *node)
{
    int i = 0;
    while (network->activations[i].output != node->outputs[0])
        i++;
    return &network->activations[i];
}

/* What computes a range that no other run has fitted yet. */
struct fit_context {
    const struct ranges *ranges;
    const struct node *node;
    const struct range_choice *range;
    int addend; /* -1: none */
};

static bool fit_activation(void *context, void *out_fitted, struct error *err)
{
    const struct fit_context *at = context;
    const struct ranges *ranges = at->ranges;
    const struct graph *graph = ranges->network->graph;
    int tensor = at->node->inputs[0];
    struct fit fit = {
        .range = at->range,
        .quantizer = at->node->detail,
        .values = walk_float(ranges->walk, tensor),
    };
    if (!captured_find_extremes(fit.values, ranges->arena, &fit.extremes, err) ||
        !check_finite(graph->tensors[tensor].name, fit.extremes.odd, err) ||
        !ranges_check_size(graph->tensors[tensor].name, fmax(-fit.extremes.min, fit.extremes.max),
                           err))
        return false;
    struct arena_mark mark = arena_mark(ranges->arena);
    bool done = at->addend >= 0 ? fit_pairs(ranges, &fit, walk_float(ranges->walk, at->addend), err)
                                : fit_histogram(ranges, &fit, err);
    arena_reset(ranges->arena, mark);
    if (done)
        *(struct fitted *)out_fitted =
            (struct fitted){fit.quantizer->scales[0], fit.quantizer->zero_points[0]};
    return done;
}

/* The range follows from float values, which other runs have too. */
static bool share_activation(const struct ranges *ranges, const struct node *node,
                             const struct recon_monitor *monitor, struct error *err)
{
    struct quantizer *quantizer = node->detail;
    const struct quantizer_format *format = &quantizer->format;
    const struct quant_activation *activation = activation_of(ranges->network, node);
    const struct range_choice *range = &activation->range;
    struct fit_context context = {ranges, node, range, addend_of(ranges, node)};
    const struct shared_work work = {fit_activation, &context};
    struct shared_key key;
    struct fitted fitted;
    if (!shared_key_print(&key, err, "range %s %s init=%s percentile=%a bits=%d%s%s%s tensor=%d %s",
                          ranges->scope->network.hex, ranges->scope->calibration.hex,
                          range->observer->name, range->options.percentile, format->bits,
                          format->symmetric ? " symmetric" : "", format->narrow ? " narrow" : "",
                          format->signed_codes ? " signed" : "", node->inputs[0],
                          context.addend >= 0 ? "rectified sum" : "") ||
        !shared_get(ranges->scope->cache, &key, sizeof(fitted), &work, monitor, &fitted, err))
        return false;
    quantizer->scales[0] = fitted.scale;
    quantizer->zero_points[0] = fitted.zero_point;
    initial_ranges_keep_activation(ranges->initial, ranges->network, activation);
    return true;
}

bool ranges_fit_activation(const struct ranges *ranges, const struct node *node,
                           const struct recon_monitor *monitor, struct error *err)
{
    return share_activation(ranges, node, monitor, err) ||
           error_context(err, "activation '%s'",
                         ranges->network->graph->tensors[node->inputs[0]].name);
}

/* A bias takes at most 24 bits in units of its channel's step: weights that small do nothing beside
 * their bias, and up to 2^24 a whole number is exact in float32. */
void ranges_least_scales(const struct ranges *ranges, const struct quant_layer *layer,
                         float *out_scales)
{
    const float largest = 16777216.0f;
    int64_t channels = layer->quantizer.channels;
    for (int64_t channel = 0; channel < channels; channel++)
        out_scales[channel] = 0.0f;
    if (!quant_bias_has_codes(layer))
        return;
    float input_scale = ranges->network->activations[layer->activation].quantizer.scales[0];
    for (int64_t k = 0; k < layer->K; k++) {
        float *least = &out_scales[channels == 1 ? 0 : k];
        *least = fmaxf(*least, fabsf(layer->float_bias[k]) / (largest * input_scale));
    }
}

/* True when all weights of a channel of the quantizer are zero: any scale fits them. */
static bool has_no_weights(const struct quant_layer *layer, int64_t channel)
{
    int64_t count = layer->K * layer->D / layer->quantizer.channels;
    const float *weights = layer->float_weights + channel * count;
    for (int64_t i = 0; i < count; i++)
        if (weights[i] != 0.0f)
            return false;
    return true;
}

static bool fit_to_bias(const struct ranges *ranges, struct quant_layer *layer, struct error *err)
{
    struct arena_mark mark = arena_mark(ranges->arena);
    struct quantizer *quantizer = &layer->quantizer;
    float *least = ARENA_ARRAY(ranges->arena, float, quantizer->channels, err);
    if (!least)
        return false;
    ranges_least_scales(ranges, layer, least);
    for (int64_t channel = 0; channel < quantizer->channels; channel++) {
        float *scale = &quantizer->scales[channel];
        bool only_bias = least[channel] > 0.0f && has_no_weights(layer, channel);
        *scale = only_bias ? least[channel] : fmaxf(*scale, least[channel]);
    }
    arena_reset(ranges->arena, mark);
    return true;
}

static bool observe_weights(struct quant_layer *layer, struct error *err)
{
    int64_t channels = layer->quantizer.channels;
    int64_t count = layer->K * layer->D / channels;
    for (int64_t channel = 0; channel < channels; channel++) {
        struct observation seen = {
            .values = layer->float_weights + channel * count,
            .count = (size_t)count,
        };
        struct captured_extremes extremes = extremes_of(seen.values, count);
        if (!check_finite(layer->name, extremes.odd, err))
            return false;
        seen.min = extremes.min;
        seen.max = extremes.max;
        if (!observer_fit(layer->range.observer, &seen, &layer->range.options, &layer->quantizer,
                          channel, err))
            return false;
    }
    return true;
}

bool ranges_fit_weights(const struct ranges *ranges, const struct linear_problem *problem,
                        const struct recon_monitor *monitor, struct quant_layer *layer,
                        struct error *err)
{
    struct arena_mark mark = arena_mark(ranges->arena);
    bool done = layer->range.observer
                    ? observe_weights(layer, err)
                    : output_range_fit(problem, monitor, ranges->arena, layer, err);
    arena_reset(ranges->arena, mark);
    if (!done)
        return error_context(err, "weights of '%s'", layer->name);
    if (!fit_to_bias(ranges, layer, err))
        return false;
    initial_ranges_keep_weights(ranges->initial, ranges->network, layer);
    return true;
}
