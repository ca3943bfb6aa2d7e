#pragma once

/* The geometry of Conv nodes, for the rooms that quantize and reconstruct them. */

#include "ptqd/kern/conv.h"
#include "ptqd/nn/graph.h"

/* Shape of a Conv node of a finished graph for `samples` samples; 1-D has H = R = OH = 1. Its
 * tensors are laid out as in kern/conv.h. */
struct conv_shape conv_node_shape(const struct graph *graph, const struct node *node,
                                  int64_t samples);
