#pragma once

/* The steps of graph_finish, each over a whole graph. For this room only. */

#include "ptqd/nn/graph.h"

/* Puts the nodes into an order in which producers come first; the file's order where that is one.
 * E_INVALID names a node on a cycle, or a tensor that nothing provides and its reader. */
bool graph_sort(struct graph *graph, struct error *err);

/* Removes nodes that the network's output does not depend on, and unused outputs after the first
 * of those that stay (unless its operator needs them). */
bool graph_prune(struct graph *graph, struct error *err);

/* Replaces the nodes by `nodes` (in the graph's arena) and sets the producers of all tensors. */
void graph_replace_nodes(struct graph *graph, struct node *nodes, int count, int capacity);

/* Drops tensors that no node uses, and renumbers the others. */
bool graph_compact(struct graph *graph, struct error *err);

/* Finds the operator of every node that has none; reports all that are not supported at once. */
bool graph_resolve(struct graph *graph, struct error *err);

/* Infers every node, in order; decides `batched` and `batchable`. */
bool graph_infer(struct graph *graph, struct error *err);

/* One node: `batched` and `channels_last` of its outputs, its operator's infer, and whether the
 * node leaves the graph batchable. */
bool node_infer(struct graph *graph, struct node *node, struct error *err);

/* As graph_infer, and evaluates nodes that depend on constants alone: they become constants. */
bool graph_infer_constants(struct graph *graph, struct error *err);

/* Moves transposes of a tflite-style graph behind elementwise operators, where they meet their
 * inverse and go away. In the file's order, after inference. */
bool graph_sink_transposes(struct graph *graph, struct error *err);

/* Moves spatial operators to channels-last; infers again on the way. */
bool graph_layout(struct graph *graph, struct error *err);

/* Composes transposes of transposes, and drops what is left without effect. */
bool graph_merge_transposes(struct graph *graph, struct error *err);

/* Executes a node whose inputs are all constant: its outputs become constants. */
bool node_evaluate(struct graph *graph, struct node *node, struct error *err);

/* The operator of nodes that compute shapes: what they write is integers, known before anything is
 * executed. No node of a finished graph has it. */
extern const struct op op_integers;

/* True for the types that such nodes can be of, ... */
bool integers_know(const char *op_type);
/* ... and for a node that is one; `is_integer` [tensors] says which are lists of integers. */
bool integers_make(const struct node *node, const bool *is_integer);
/* Its output becomes a constant; the shapes of its inputs are inferred. */
bool integers_evaluate(struct graph *graph, const struct node *node, struct error *err);

/* The permutation of a Transpose node (rank of its input), out.dim[i] = in.dim[perm[i]]; NULL for
 * any other node, and before it was inferred. */
const int *transpose_perm(const struct node *node);

/* Describes a Transpose from `input` to `output`: to be inferred, then put into a list of nodes. */
bool transpose_node(struct graph *graph, int input, int output, const int *perm,
                    struct node *out_node, struct error *err);

/* "nhwc", "nchw" and their forms of three axes: what tensors of layout changes are called. */
const char *layout_suffix(int rank, bool channels_last);
