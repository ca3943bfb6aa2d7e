#pragma once

/* Steps 2 and 3 of the pipeline: ranges of all quantizers, and the codes of all weights, layer by
 * layer in execution order, each with its input from the part that is quantized already. */

#include "ptqd/flow/progress.h"
#include "ptqd/flow/shared_scope.h"
#include "ptqd/recon/samples.h"

/* What the float network gave, and how large each layer's output is. */
struct float_outputs {
    int64_t count;       /* of values */
    float *values;       /* [samples][elements of the network's output] */
    double *layer_scale; /* [layers] root mean variance over the channels */
};

bool float_outputs_init(struct arena *arena, const struct quant_network *network, int64_t samples,
                        struct float_outputs *out_outputs, struct error *err);

struct run_state;

/* Fills network (scales, codes, biases), the numbers of the report's layers (all but final costs)
 * and the float outputs. What the state says is decided stays as it is, and is only walked over. */
bool reconstruct_network(struct arena *arena, const struct pipeline *pipeline,
                         const struct samples *samples, const struct shared_scope *scope,
                         struct quant_network *network, struct progress *progress,
                         struct run_state *state, struct run_layer *layers,
                         struct float_outputs *outputs, struct error *err);
