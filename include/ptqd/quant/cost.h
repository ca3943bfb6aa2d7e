#pragma once

/* What a network costs: multiply-accumulates, bit operations, flash and memory, for one sample.
 *
 *   MACs              products of every Conv, ConvTranspose, Gemm, MatMul
 *   BOPs              MACs · b_w · b_a, b_a the bits of the layer's input (arXiv 2203.05492, 4.3)
 *   BOPs, extended    MACs · (p·b_a·b_w + b_a + b_w + log2(D)), p the share of non-zero weights
 *                     and D the products per output (Baskin et al., arXiv 1804.10969)
 *   weight bytes      packed weights (⌈elements · b_w / 8⌉ per tensor) + 4 per bias; constants of
 *                     other nodes with more than one element (slopes, addends) at 4 each
 *   flash bytes       weight bytes + 4 per scale of every quantizer + 1 per zero point of every
 *                     asymmetric one
 *   activation peak   largest sum of the activations alive during one node, in the execution
 *                     order: its inputs, its outputs and every tensor still needed later. Views
 *                     and activation functions work in place. Packed, ⌈elements · bits / 8⌉ each
 *   peak bytes        weight bytes + activation peak (arXiv 2203.05492, 4.3)
 *
 * Every activation counts at its quantizer's bits; one without a quantizer of its own at the bits
 * of the quantizer that the values go to or came from, the network's input at its own bits.
 */

#include "ptqd/nn/graph.h"
#include "ptqd/quant/network.h"

struct cost_layer {
    const char *name, *op;
    int64_t macs, weights, biases; /* elements */
    int weight_bits, input_bits;
    double bops, bops_extended;
    int64_t weight_bytes;
    int64_t flash_bytes; /* with the scales of the weights; activations' only in the total */
    int64_t live_bytes;  /* activations alive while it runs */
};

struct cost {
    int64_t macs, weights, biases;
    double bops, bops_extended;
    int64_t weight_bytes, flash_bytes;
    int64_t max_tensor_elements, peak_elements; /* activations, at the peak */
    int64_t peak_activation_bytes, peak_bytes;
    const char *peak_layer;    /* the node during which the peak is first reached */
    struct cost_layer *layers; /* nodes with MACs */
    int layer_count;
};

/* Of a folded float graph: 32 bits everywhere. */
bool cost_of_graph(struct arena *arena, const struct graph *folded, struct cost *out_cost,
                   struct error *err);

/* Of a quantized network. */
bool cost_of_network(struct arena *arena, const struct quant_network *network,
                     struct cost *out_cost, struct error *err);
