#pragma once

/* Which tensors of a folded graph are quantized, and in which format: planned before the network is
 * built. */

#include "ptqd/quant/network.h"

enum { READS_FLOAT = -1 };

struct tensor_format {
    struct quantizer_format format; /* bits 0: nobody reads it quantized */
    struct range_choice range;
    bool of_input; /* values of the network's input, as they came, moved or selected */
};

struct formats {
    const struct graph *folded; /* borrowed */
    const struct quant_options *options;
    struct tensor_format *tensors; /* [folded tensors] */
    int *layer_of;                 /* [folded nodes] counts MAC nodes; -1: none */
    /* The network's input is quantized before anybody reads it. */
    bool input_first;
};

bool formats_plan(struct arena *arena, const struct graph *folded,
                  const struct quant_options *options, struct formats *out_formats,
                  struct error *err);

/* The tensor whose quantizer an input of a node wants: the input itself, or the network's input
 * where that is quantized first and reaches the node on its grid. READS_FLOAT: none. */
int formats_source(const struct formats *formats, const struct node *node, int layer, int input);
