#pragma once

/* The finished network beside the float one, over the calibration samples. */

#include "ptqd/flow/run.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/walk.h"

/* Samples of a chunk. */
int64_t final_walk_chunk(const struct quant_network *network);

/* What it fills. */
struct final_values {
    struct run_layer *layers;                 /* output_sqnr_final_db */
    struct layer_distribution *distributions; /* [layers]; activations of the first chunk */
    float *real, *quantized;                  /* [samples][elements] of the networks' outputs */
};

/* In chunks of samples, so it needs no more memory than the walk that decided the layers. */
bool final_walk(const struct quant_network *network, const struct walk_options *data,
                const struct recon_monitor *monitor, struct arena *scratch,
                const struct final_values *values, struct error *err);
