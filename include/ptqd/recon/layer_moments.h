#pragma once

/* From what a layer sees and should give, on all calibration samples, to the moments of its linear
 * problem. */

#include "ptqd/recon/linear_problem.h"
#include "ptqd/recon/monitor.h"

struct layer_data {
    const struct graph *graph; /* whose nodes the layers are */
    int64_t samples;
    const float *input;  /* [samples] · elements: x̂ */
    const float *output; /* [samples] · elements: the float layer's output */
    /* What the quantized network lacks where the output is added to another branch that is
     * quantized already: float addend and quantized addend, of the output's shape. Their difference
     * joins the target, so that the sum is what is fitted. Both NULL: nothing is added. */
    const float *addend, *addend_quantized;
};

/* Adds all samples. `scratch` is reset by the caller. */
bool layer_moments_add(const struct layer_data *data, const struct quant_layer *layer,
                       const struct recon_monitor *monitor, struct arena *scratch,
                       struct linear_moments *moments, struct error *err);
