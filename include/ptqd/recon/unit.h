#pragma once

/* Units: the parts of the quantized network that are optimized at once.
 *
 * The nodes of network->graph are divided, in execution order, into units without a rest:
 *
 *   layer    one MAC operator with the quantizer of its input and its activation function
 *   block    what lies between two places where a single tensor is alive: a residual block with
 *            its branches; there, a depthwise convolution and the pointwise one behind it are
 *            joined (depthwise-separable block), with the expansion in front when the last one is
 *            linear (inverted residual); any other MAC operator is a block of its own
 *   network  everything
 *
 * (Blocks: Li et al., BRECQ, arXiv 2102.05426, section 3.2; arXiv 2203.05492, 4.2.)
 */

#include "ptqd/quant/network.h"

enum unit_granularity { UNIT_LAYER, UNIT_BLOCK, UNIT_NETWORK };

struct unit {
    const char *name;       /* of its layer, or "first to last" */
    int first, last;        /* nodes, both included */
    int start;              /* the first of them that depends on what is optimized */
    int input, output;      /* tensors; the output is what its error is measured at */
    int layer, layer_count; /* network->layers[layer] … are in it; a unit has at least one */
};

/* Units in execution order, in `arena`. Nodes behind the last layer belong to the last unit. None
 * for a network without layers. */
bool unit_cut(struct arena *arena, const struct quant_network *network,
              enum unit_granularity granularity, struct unit **out_units, int *out_count,
              struct error *err);
