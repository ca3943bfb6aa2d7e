#pragma once

/* The memory of the activations while a device executes a network, node by node: what is behind
 * the peak of cost.h. Rests on the lifetimes (lifetime.h). */

#include "ptqd/nn/graph.h"

struct memory_tensor {
    const char *name; /* of the tensor that its buffer was made for */
    int64_t bytes;    /* packed */
};

struct memory_step { /* while one node runs */
    const char *node, *op;
    int64_t bytes, float_bytes;    /* all alive; the same with 32 bits for each element */
    struct memory_tensor *tensors; /* alive, in the order in which they came */
    int tensor_count;
};

struct memory_timeline {
    struct memory_step *steps; /* in execution order */
    int step_count;
};

/* Everything lives in `arena`; names are those of the graph. The largest `bytes` is the
 * peak_activation_bytes of cost_of_network. */
bool memory_timeline_make(struct arena *arena, const struct graph *graph,
                          struct memory_timeline *out_timeline, struct error *err);
