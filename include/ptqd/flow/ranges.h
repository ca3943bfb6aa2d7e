#pragma once

/* Step 2 of the pipeline: the ranges of quantizers from the float network's values. */

#include "ptqd/flow/initial_ranges.h"
#include "ptqd/flow/shared_scope.h"
#include "ptqd/quant/network.h"
#include "ptqd/quant/observer.h"
#include "ptqd/recon/linear_problem.h"
#include "ptqd/recon/walk.h"

struct ranges {
    struct arena *arena; /* for scratch, reset after each call; all borrowed */
    const struct quant_network *network;
    struct walk *walk; /* executed up to the node in question */
    const struct shared_scope *scope;
    const struct initial_ranges *initial; /* what is fitted is kept here; NULL: nowhere */
};

/* E_INVALID when a tensor of the float network reaches values whose squares float32 can't sum. */
bool ranges_check_size(const char *tensor, double reached, struct error *err);

/* Fits the quantizer of a FakeQuantize node of network->graph. E_INVALID when the float network's
 * values are not finite, or too large. */
bool ranges_fit_activation(const struct ranges *ranges, const struct node *node,
                           const struct recon_monitor *monitor, struct error *err);

/* Fits the quantizer of a layer's weights; its input's must be fitted already. A channel of nothing
 * but zeros gets the scale that its bias is finest in. `problem` is the layer's, with its targets;
 * it may be NULL where ranges do not go by the output. */
bool ranges_fit_weights(const struct ranges *ranges, const struct linear_problem *problem,
                        const struct recon_monitor *monitor, struct quant_layer *layer,
                        struct error *err);

/* The smallest scale of each channel [channels] of a layer's weights at which its float bias still
 * has a code; its input's must be fitted already. */
void ranges_least_scales(const struct ranges *ranges, const struct quant_layer *layer,
                         float *out_scales);
