#pragma once

/* The finished network beside the float one, over the calibration samples. */

#include "ptqd/flow/run.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/walk.h"

/* Samples of a chunk. */
int64_t final_walk_chunk(const struct quant_network *network);

/* Fills output_sqnr_final_db of the layers, and both networks' outputs: [samples][elements]. In
 * chunks of samples, so it needs no more memory than the walk that decided the layers. */
bool final_walk(const struct quant_network *network, const struct walk_options *data,
                const struct recon_monitor *monitor, struct arena *scratch,
                struct run_layer *layers, float *out_real, float *out_quantized, struct error *err);
