#pragma once

/* A small network with one of everything that quantization meets, for tests above nn: a
 * convolution, a depthwise and a pointwise one, a residual sum, pooling, a dense layer, a softmax.
 *
 *   input (N, 3, 8, 8) → Conv 3x3 "stem" → Relu ─┬→ depthwise 3x3 "depthwise" → Relu →
 *   Conv 1x1 "pointwise" ─→ Add ("sum", with the skip) → Relu → GlobalAveragePool → Flatten →
 *   Gemm "dense" (5 classes) → Softmax → output
 */

#include "ptqd/nn/dataset.h"
#include "ptqd/nn/graph.h"

enum { SMALL_NETWORK_CLASSES = 5, SMALL_NETWORK_INPUTS = 3 * 8 * 8 };

/* Finished, not folded. Random weights; channel ranges differ by up to 30 times. */
struct graph *small_network_create(struct arena *arena, uint64_t seed);

/* Random samples of its input; with `labels`, those that the network itself gives. */
struct dataset *small_network_data(struct arena *arena, const struct graph *graph, int64_t samples,
                                   bool labels, uint64_t seed);
