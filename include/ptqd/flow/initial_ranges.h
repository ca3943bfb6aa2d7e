#pragma once

/* The ranges that step 2 found, kept before a method moves them. */

#include "ptqd/quant/network.h"

struct initial_ranges {
    /* In the formats of the network's own; not ready until they are found, never for float. */
    struct quantizer *weights;     /* [layers] */
    struct quantizer *activations; /* [activations] */
};

bool initial_ranges_create(struct arena *arena, const struct quant_network *network,
                           struct initial_ranges *out_ranges, struct error *err);

/* Keeps what was fitted to a quantizer of the network. `ranges` NULL: nothing is kept. */
void initial_ranges_keep_weights(const struct initial_ranges *ranges,
                                 const struct quant_network *network,
                                 const struct quant_layer *layer);
void initial_ranges_keep_activation(const struct initial_ranges *ranges,
                                    const struct quant_network *network,
                                    const struct quant_activation *activation);

/* Gives a quantizer the scales and zero points of another one with as many channels. */
void initial_ranges_copy(const struct quantizer *from, struct quantizer *to);
