#pragma once

/* What an operator is: a const struct of functions, one file in nn/ops/ and one row in ops.def.
 *
 * Operators follow the ONNX operator specification (all opsets up to 17 in which their meaning is
 * the same after attribute/input moves), on channels-last tensors where `tensor.channels_last`.
 */

#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"

#include <stddef.h>
#include <stdint.h>

/* How a node meets the change to channels-last (nn/layout.c). */
enum op_layout {
    LAYOUT_PLAIN,   /* needs the file's order; inputs are transposed back where necessary */
    LAYOUT_SPATIAL, /* needs channels-last for input 0 of rank 3 or 4, and gives it */
    LAYOUT_FOLLOW,  /* whatever input 0 has, the output has; axes through `relayout` */
    LAYOUT_MATCH,   /* all inputs get the order of the first channels-last one (broadcasting) */
};

/* One execution of a node on `samples` samples. */
struct op_call {
    const struct graph *graph;
    const struct node *node;
    int64_t samples;
    const float *const *in; /* [input_count]; NULL where absent or an integer constant */
    float *const *out; /* [output_count]; forward writes, backward may read what forward wrote */
    const float *const *grad_out;     /* backward: [output_count]; read */
    float *const *grad_in;            /* backward: [input_count], NULL where not wanted; added to */
    const bool *fresh;                /* backward: [input_count]; see writes_fresh */
    const struct gradient_rest *rest; /* backward: see completes_gradient; else NULL */
    bool adds;     /* backward: what the node learns itself is added to that of the pass before */
    bool relu;     /* forward: see joins_relu */
    void *scratch; /* `scratch_bytes` bytes, 64-byte aligned, undefined content */
    void *plan;    /* from plan_create, or NULL */
};

/* What a node is prepared for. */
struct op_plan {
    int64_t samples; /* the most at once */
    bool gradients;  /* backward will be called */
    bool coarse;     /* see exec_options */
    bool relu;       /* see joins_relu */
};

struct op {
    const char *name; /* ONNX op_type */
    enum op_layout layout;
    bool mac; /* products of input 0 with the constant weights in input 1, bias in input 2 */

    /* Checks the node's inputs and attributes, fills node->detail, and sets type and shape of the
     * outputs. Runs in the file's order and, when the graph was moved, again on the moved graph;
     * may rewrite the node into an equal form, which then stays. */
    bool (*infer)(struct graph *graph, struct node *node, struct error *err);

    /* Rewrites attributes and constant inputs for channels-last input 0. NULL: nothing to do. */
    bool (*relayout)(struct graph *graph, struct node *node, struct error *err);

    /* Multiply-accumulates for one sample. NULL: none. */
    int64_t (*macs)(const struct graph *graph, const struct node *node);

    /* Bytes of scratch that forward and backward need. NULL: none. */
    size_t (*scratch_bytes)(const struct graph *graph, const struct node *node, int64_t samples);

    /* Prepares repeated execution (library primitives, tables).
     * NULL: nothing to prepare. The plan is destroyed by plan_destroy. */
    bool (*plan_create)(const struct graph *graph, const struct node *node,
                        const struct op_plan *how, void **out_plan, struct error *err);
    void (*plan_destroy)(void *plan);

    bool (*forward)(const struct op_call *call, struct error *err);

    /* Adds to every wanted gradient. NULL: not differentiable. */
    bool (*backward)(const struct op_call *call, struct error *err);

    /* Backward writes the gradients that call->fresh marks, whatever was there, instead of adding
     * to them. Other operators find zeros there. */
    bool writes_fresh;

    /* Output 0 is input 0, with 0 in the place of what is negative. */
    bool rectifies;
    /* With relu in op_plan and op_call, forward rectifies what it writes; backward is as without.
     */
    bool joins_relu;
    /* Where op_call.rest is there, grad_in[0] is fresh, and gets what the rest makes of the
     * gradient of input 0: there is no other part of it. */
    bool completes_gradient;
    /* Output 0 may share the memory of input 0 (elementwise, shape-only). */
    bool in_place;
    /* Output 0 is the same values in the same order as input 0: needs no memory at run time. Its
     * forward copies where the caller's memory isn't shared. */
    bool view;
    /* Only moves or selects values, or puts zero in their place: what was on a quantizer's grid,
     * which always holds zero, stays on it. */
    bool keeps_grid;
    /* Output 0 is made element by element from input 0, all by the same function. */
    bool pointwise;
    /* Channel by channel, a positive factor on the input is the same factor on the output. */
    bool homogeneous;
    /* The number of outputs is part of the node's meaning: those that nobody reads stay. */
    bool needs_outputs;
    /* Its constants may be infinite: a bound that does not cut, padding that no maximum takes. */
    bool infinite_constants;
    /* Why a model with this operator is refused under some attributes, for the catalogue; or NULL.
     */
    const char *limits;
};

/* The operator of an ONNX op_type; NULL when it is not supported. */
const struct op *op_find(const char *op_type);
/* Multiply-accumulates of a node for one sample, 0 for one that has none. Those of all nodes of a
 * finished graph together fit an int64. */
int64_t node_macs(const struct graph *graph, const struct node *node);

/* All rows of ops.def, NULL-terminated, in alphabetical order. */
const struct op *const *op_table(void);
