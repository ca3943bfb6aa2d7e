#pragma once

/* Steps 2 and 3 of the pipeline: ranges of all quantizers, and the codes of all weights, layer by
 * layer in execution order, each with its input from the part that is quantized already. */

#include "ptqd/flow/optimization.h"
#include "ptqd/recon/method.h"

bool float_outputs_init(struct arena *arena, const struct quant_network *network, int64_t samples,
                        struct float_outputs *out_outputs, struct error *err);

/* Fills network (scales, codes, biases), the numbers of the report's layers (all but final costs)
 * and the float outputs. What the state says is decided stays as it is, and is only walked over;
 * nothing is done when the run is past this step. */
bool reconstruct_network(const struct optimization *optimization, const struct method *method,
                         struct error *err);
