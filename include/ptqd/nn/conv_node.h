#pragma once

/* The geometry of Conv and ConvTranspose nodes, for the rooms that quantize and reconstruct them.
 * The nodes are of a finished graph, whose weights are [K][R][S][C/G] for both. 1-D has H = R =
 * OH = 1. */

#include "ptqd/kern/deconv.h"
#include "ptqd/nn/graph.h"

/* Shape of a Conv node for `samples` samples; its tensors are laid out as in kern/conv.h. */
struct conv_shape conv_node_shape(const struct graph *graph, const struct node *node,
                                  int64_t samples);

/* The same of a ConvTranspose node, and kern/deconv.h. */
struct deconv_shape conv_transpose_node_shape(const struct graph *graph, const struct node *node,
                                              int64_t samples);
