#pragma once

/* Cross-layer equalization (Nagel et al., "Data-Free Quantization Through Weight Equalization and
 * Bias Correction", arXiv 1906.04721, section 4.1). */

#include "ptqd/nn/graph.h"

/* A finished graph that computes the same function as the folded one, in which the weight ranges of
 * directly connected MAC operators are balanced: with channel i of the first in the range r1 and
 * its use in the second in r2, the first is divided and the second multiplied by s = √(r1 r2) / r2,
 * over all pairs until no s differs from 1 by more than 0.1 %.
 *
 * A pair is connected through nodes that commute with a positive factor per channel: Relu,
 * LeakyRelu, pooling, and views of single positions; each with one reader. Clip (ReLU6) does not
 * and ends a pair, as does Add. `out_pairs` may be NULL. */
bool equalize_graph(struct arena *arena, const struct graph *folded, struct graph **out_graph,
                    int *out_pairs, struct error *err);
