#pragma once

/* A layer with constant weights while other nodes are folded into it: y = x wᵀ + b with w [K][D]
 * and b [K]. For this room only. */

#include "ptqd/nn/graph.h"

struct layer {
    const struct graph *graph; /* that is folded; borrowed */
    struct arena *arena;       /* of the new graph */
    const struct node *node;   /* Conv, ConvTranspose, Gemm or MatMul; input 1 has the weights */
    int output;                /* what the last folded node writes */
    int64_t K, D;
    struct shape weight_shape;
    const float *weights; /* of the graph, or in the arena once something changed them */
    float *bias;          /* in the arena */
    int bias_tensor;      /* of the graph: gives the bias its name; -1: the node does */
};

/* Weights as they are, output channels leading, bias zero. `transpose`: they are [D][K]. */
bool layer_begin(const struct graph *graph, const struct node *node, bool transpose,
                 struct arena *arena, struct layer *out_layer, struct error *err);

/* True when a tensor can be added to (or multiplied with) y as one constant, or one per channel. */
bool layer_fits(const struct layer *layer, int tensor);

/* b += factor · the constant, which gives the bias its name. */
void layer_add(struct layer *layer, int tensor, double factor);

/* w[k][…] *= factors[k], b[k] = b[k] factors[k] + offsets[k]; offsets NULL: zeros. */
bool layer_scale(struct layer *layer, const double *factors, const double *offsets,
                 struct error *err);

/* w *= factor, b untouched. */
bool layer_scale_weights(struct layer *layer, double factor, struct error *err);

/* y *= a constant, or one per channel, or its inverse: then it is nowhere zero. */
bool layer_multiply(struct layer *layer, int tensor, bool inverse, struct error *err);

/* Folds a BatchNormalization that reads y. */
bool layer_normalize(struct layer *layer, const struct node *node, struct error *err);

/* Descriptions of the constants for the new graph. */
bool layer_weights(const struct layer *layer, struct tensor *out, struct error *err);
bool layer_bias(const struct layer *layer, struct tensor *out, struct error *err);
