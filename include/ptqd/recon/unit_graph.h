#pragma once

/* A unit as a graph of its own, for training: from the unit's input to its output, with quantizers
 * whose scale and zero point get gradients. Tensors have the numbers they have in the network. */

#include "ptqd/base/rng.h"
#include "ptqd/quant/network.h"
#include "ptqd/recon/unit.h"

/* The quantizer of an activation while it is trained. */
struct trained_quantizer {
    struct quantizer *quantizer; /* the network's own: present scale and zero point; borrowed */
    int activation;              /* index in network->activations */
    /* Of the last backward pass and those it added to, with respect to scale and zero point. */
    double grad_scale, grad_zero_point;
    /* Each element stays float with this probability, drawn anew in every forward pass (QDrop, Wei
     * et al., arXiv 2203.05740). 0: all are quantized. */
    double drop;
    struct rng *rng;     /* borrowed; not used while `drop` is 0 */
    unsigned char *kept; /* [batch · elements] 1: quantized; NULL while `drop` is 0 */
};

struct unit_graph {
    struct graph *graph;
    struct trained_quantizer *quantizers; /* those on the way from input to output */
    int quantizer_count;
};

/* Everything in `arena`; weights, biases and quantizers are the network's own. */
bool unit_graph_create(struct arena *arena, const struct quant_network *network,
                       const struct unit *unit, struct unit_graph *out_graph, struct error *err);

/* Prepares for a probability of staying float, and sets it, for batches of up to `batch` samples.
 */
bool unit_graph_prepare_drop(struct unit_graph *graph, struct arena *arena, int64_t batch,
                             double probability, struct rng *rng, struct error *err);
/* Another probability, after that; 0: everything is quantized. */
void unit_graph_set_drop(struct unit_graph *graph, double probability);
