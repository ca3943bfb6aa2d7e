#pragma once

/* Outlier channel splitting (Zhao et al., "Improving Neural Network Quantization without Retraining
 * using Outlier Channel Splitting", arXiv 1901.09504): the input channel with the largest weight is
 * doubled and its weights are halved, which computes the same and narrows their range.
 *
 * The copy of a channel is made where the channel is: the layer in front gets the same filter and
 * bias a second time. So the network stays a plain one, with wider constants, and whatever looks at
 * it (costs, artifacts) counts the copies.
 *
 * Which layers are split: a Conv with one group, or a Gemm, whose input comes from another such
 * layer through nodes that keep channels apart and treat them alike, each with one reader:
 * pointwise functions, pooling, views of single positions, and depthwise Convs with as many outputs
 * as inputs (their filters are doubled on the way). Everything else ends the search: a sum, whose
 * other side would have to grow too; slopes or shapes that are given channel by channel; a Gemm
 * behind a flattened map, where a channel is not one column; groups, which would have to stay
 * equal.
 */

#include "ptqd/nn/graph.h"
#include "ptqd/quant/network.h"

struct split_options {
    double expand_ratio; /* a layer with C input channels gets ⌈ratio · C⌉ more, 0 to 1 */
    /* What the weights are going to be: halves are set apart by half a step, so that their rounded
     * sum is the rounded weight (section 3.3 of the paper). The step is that of the whole range. */
    const struct quant_options *formats;
};

/* A finished graph that computes the same function as the folded one. `out_added` counts the
 * channels that were added to layers' inputs; it may be NULL. */
bool split_channels(struct arena *arena, const struct graph *folded,
                    const struct split_options *options, struct graph **out_graph, int *out_added,
                    struct error *err);
