#pragma once

/* From what a layer sees and should give, on all calibration samples, to the moments of its linear
 * problem. */

#include "ptqd/recon/captured.h"
#include "ptqd/recon/linear_problem.h"
#include "ptqd/recon/monitor.h"

struct layer_data {
    const struct graph *graph; /* whose nodes the layers are */
    int64_t samples;
    const struct captured *input;  /* x̂ */
    const struct captured *output; /* y, the float layer's output */
    /* Where the output is added to another branch that both networks have computed already: its
     * values a and â, of the output's shape. What the quantized branch lacks joins the target, so
     * that the sum is what is fitted. Both NULL: a = â = 0. */
    const struct captured *addend, *addend_quantized;
    /* Where a Relu follows: the layer's present quantized output ŷ. Below zero the Relu hides every
     * difference, so there the target gives way: t = min(ŷ + â, 0) − â where y + a ≤ 0. That
     * majorizes the error behind the Relu and touches it at ŷ, so solving for t never makes it
     * larger. NULL: the error before the Relu counts. */
    const struct captured *rectified;
};

/* Scratch of the two functions below, the larger; with `spilled`, of values that are not in memory.
 */
size_t layer_moments_bytes(const struct graph *graph, const struct quant_layer *layer,
                           int64_t samples, bool spilled);

/* Σ x̂ x̂ᵀ over all samples. `scratch` is reset by the caller. */
bool layer_moments_add_input(const struct layer_data *data, const struct quant_layer *layer,
                             const struct recon_monitor *monitor, struct arena *scratch,
                             struct gram *gram, struct error *err);

/* Σ t x̂ᵀ with t = y + a − â over all samples, and the sums of t. */
bool layer_moments_add_targets(const struct layer_data *data, const struct quant_layer *layer,
                               const struct recon_monitor *monitor, struct arena *scratch,
                               struct linear_targets *targets, struct error *err);
