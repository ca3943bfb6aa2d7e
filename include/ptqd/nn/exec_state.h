#pragma once

/* Inside of struct exec, for nn/exec*.c only. */

#include "ptqd/nn/exec.h"
#include "ptqd/nn/op.h"

/* Where the values of a tensor are during execution: a view, or a node that works in place, has its
 * output in the memory of its input; the first of such a chain is the root. */
struct exec {
    const struct graph *graph; /* borrowed */
    struct exec_options options;
    struct arena *arena;
    int *roots;           /* [tensor_count] */
    const float **values; /* [tensor_count]: constants, and activations of the last pass */
    float **memory;       /* [tensor_count]: where a node writes; NULL for what is not ours */
    bool *skipped;   /* [node_count]: Relu that the node in front of it computes as well, ... */
    bool *rectified; /* [node_count]: ... and that node */
    void **plans;    /* [node_count] */
    void *scratch;
    int64_t samples; /* of the last forward pass; 0 before it */

    /* One call's lists, long enough for every node. */
    const float **call_in, **call_grad_out;
    float **call_out, **call_grad_in;
    bool *call_fresh;

    /* Gradients, see exec_backward.c. */
    bool *wanted;       /* [tensor_count] */
    bool reaches_input; /* its readers go backward, for themselves */
    bool *needed;       /* [tensor_count]: either, or on a path from such a tensor */
    bool *touched;      /* [tensor_count]: something was added in this pass */
    float **gradients;  /* [tensor_count]: NULL where not needed */
    int *completes;     /* [node_count]: Relu in front, whose slope the node applies; or -1 */
    bool *completed;    /* [node_count]: and that Relu */
    const struct exec_seed *seeds; /* of the present backward pass */
    int seed_count;
    bool adds;             /* the pass adds to the gradients of the one before */
    const float **planted; /* [tensor_count]: a whole gradient, in the caller's memory; or NULL */
    bool prepared;
};

/* Arrays, roots and activation memory. */
bool exec_plan_memory(struct exec *exec, struct error *err);

int exec_count_readers(const struct graph *graph, int tensor);

/* Bytes of a tensor for the most samples of this executor. */
bool exec_tensor_bytes(const struct exec *exec, int tensor, size_t *out_bytes, struct error *err);
