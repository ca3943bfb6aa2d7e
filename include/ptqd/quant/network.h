#pragma once

/* The quantized network: a graph with explicit FakeQuantize nodes.
 *
 * Quantized are the network's input, the input of every MAC operator (Conv, ConvTranspose, Gemm),
 * both inputs of Add, and the weights of every MAC operator. A tensor that several of these read is
 * quantized once, by one node "<tensor>:quantized"; other readers (pooling, the last Softmax) see
 * the float value. What is only added may have a width of its own. Biases stay float. Because the
 * quantizers are nodes, execution, gradients, costs and artifacts need to know nothing else.
 *
 * Where a width is 32, values stay in float: weights keep theirs, a layer's input is the float
 * tensor, also where others read it quantized. Layers that read one tensor in different widths
 * share the widest.
 *
 * Weights are matrices [K][D] of the folded graph (nn/fold.h): K output channels, D = R·S·C/G for
 * both convolutions (order r, s, c) and D = C for Gemm.
 */

#include "ptqd/nn/graph.h"
#include "ptqd/quant/observer.h"

struct quant_layer {
    const char *name;           /* of the node in the model file */
    int node;                   /* in network->graph */
    int weights, bias;          /* constant tensors of network->graph */
    int64_t K, D, G;            /* output channels, weights per channel, groups */
    struct quantizer quantizer; /* of the weights: 1 or K channels; none in float */
    struct range_choice range;  /* how its range is found */
    const float *float_weights; /* [K][D], borrowed from the folded graph */
    const float *float_bias;    /* [K] */
    int8_t *codes;              /* [K][D]; NULL where the weights stay in float */
    float *weight_values;       /* [K][D], what the graph computes with: decoded codes */
    float *bias_values;         /* [K] */
    int activation;             /* of its input: index in network->activations; -1: float */
};

struct quant_activation {
    const char *name;           /* of the tensor that is quantized */
    int node;                   /* the FakeQuantize node in network->graph */
    int input, output;          /* its tensors */
    struct quantizer quantizer; /* 1 channel; passes values through while not calibrated */
    struct range_choice range;  /* how its range is found */
    bool of_input;              /* values of the network's input, as they came, moved or selected */
};

struct quant_network {
    struct arena *arena;        /* borrowed */
    const struct graph *folded; /* borrowed: the float network it was made from */
    struct graph *graph;
    struct quant_layer *layers; /* in execution order */
    int layer_count;
    struct quant_activation *activations; /* in execution order */
    int activation_count;
};

enum { QUANT_BITS_OF_TENSOR = 0 };

/* What a layer wants. */
struct quant_layer_format {
    struct quantizer_format weights; /* their codes are always signed */
    bool per_channel;                /* weights */
    struct range_choice weight_range;
    struct quantizer_format input; /* bits QUANT_BITS_OF_TENSOR: as the tensor has otherwise */
    struct range_choice input_range;
};

struct quant_options {
    struct quantizer_format weights, activations;
    struct range_choice weight_range, activation_range;
    int input_bits;   /* of the network's input, where activations are quantized */
    int sum_bits;     /* of what only sums read, likewise; 0: as the other activations */
    bool per_channel; /* weights */
    /* [MAC nodes of the folded graph, in order], in place of what is above; NULL: all alike. */
    const struct quant_layer_format *layers;
};

/* What layer `layer` wants. */
struct quant_layer_format quant_options_layer(const struct quant_options *options, int layer);

/* Builds the network from a folded graph. Starts with the float weights and uncalibrated
 * quantizers, so that it computes what the folded graph computes. E_UNSUPPORTED names a MAC node
 * whose weights are not such a matrix. */
bool quant_network_create(struct arena *arena, const struct graph *folded,
                          const struct quant_options *options, struct quant_network **out_network,
                          struct error *err);

/* True when the layer's weights stay in float: the next two do nothing then. */
bool quant_layer_is_float(const struct quant_layer *layer);

/* Writes decoded codes into weight_values. */
void quant_layer_decode(struct quant_layer *layer);

/* Rounds the float weights to the nearest codes of the calibrated quantizer, and decodes. */
void quant_layer_round(struct quant_layer *layer);

/* The FakeQuantize operator: detail is a `struct quantizer *`; straight-through gradient. */
extern const struct op op_fake_quantize;
