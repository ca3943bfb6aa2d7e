#pragma once

/* What the parts of steps 2 and 3 of a run work on. */

#include "ptqd/flow/progress.h"
#include "ptqd/flow/shared_scope.h"
#include "ptqd/recon/walk.h"

/* What the float network gave, and how large each layer's output is. */
struct float_outputs {
    int64_t count;       /* samples · elements of the network's output */
    float *values;       /* [count] */
    double *layer_scale; /* [layers] root mean variance, or mean square where nothing varies */
};

struct run_state;

struct optimization { /* all borrowed */
    struct arena *arena;
    const struct pipeline *pipeline;
    const struct walk_options *data; /* all samples */
    const struct shared_scope *scope;
    struct quant_network *network;
    struct progress *progress;
    struct run_state *state;
    struct run_layer *layers; /* of the report */
    struct float_outputs *outputs;
};
