/* The ranges that step 2 found. */

#include "ptqd/flow/initial_ranges.h"

#include <string.h>

bool initial_ranges_create(struct arena *arena, const struct quant_network *network,
                           struct initial_ranges *out_ranges, struct error *err)
{
    struct initial_ranges ranges = {
        .weights = ARENA_ARRAY(arena, struct quantizer, network->layer_count, err),
        .activations = ARENA_ARRAY(arena, struct quantizer, network->activation_count, err),
    };
    if (!ranges.weights || !ranges.activations)
        return false;
    for (int i = 0; i < network->layer_count; i++) {
        const struct quantizer *own = &network->layers[i].quantizer;
        if (!quantizer_create(arena, &own->format, own->channels, &ranges.weights[i], err))
            return false;
    }
    for (int i = 0; i < network->activation_count; i++) {
        const struct quantizer *own = &network->activations[i].quantizer;
        if (!quantizer_create(arena, &own->format, own->channels, &ranges.activations[i], err))
            return false;
    }
    *out_ranges = ranges;
    return true;
}

void initial_ranges_copy(const struct quantizer *from, struct quantizer *to)
{
    size_t channels = (size_t)from->channels;
    if (channels == 0) /* float has no arrays */
        return;
    memcpy(to->scales, from->scales, channels * sizeof(*to->scales));
    memcpy(to->zero_points, from->zero_points, channels * sizeof(*to->zero_points));
}

void initial_ranges_keep_weights(const struct initial_ranges *ranges,
                                 const struct quant_network *network,
                                 const struct quant_layer *layer)
{
    if (ranges)
        initial_ranges_copy(&layer->quantizer, &ranges->weights[layer - network->layers]);
}

void initial_ranges_keep_activation(const struct initial_ranges *ranges,
                                    const struct quant_network *network,
                                    const struct quant_activation *activation)
{
    if (ranges)
        initial_ranges_copy(&activation->quantizer,
                            &ranges->activations[activation - network->activations]);
}
