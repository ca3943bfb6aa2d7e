#pragma once

/* What operators on one tensor share. For this room only. */

#include "ptqd/nn/op.h"

/* Elements of input 0 in this execution. */
int64_t elementwise_count(const struct op_call *call);

/* `infer` of an operator with one input, no attributes, and an output of the input's shape. */
bool elementwise_infer(struct graph *graph, struct node *node, struct error *err);

/* Sets output 0 to the shape of input 0. */
bool elementwise_output(struct graph *graph, const struct node *node, struct error *err);

/* Keeps `size` bytes as the node's detail. */
bool elementwise_keep(struct graph *graph, struct node *node, const void *detail, size_t size,
                      struct error *err);

/* Operators whose output is their input under another shape: forward copies where the memory
 * isn't shared, backward adds. */
bool view_forward(const struct op_call *call, struct error *err);
bool view_backward(const struct op_call *call, struct error *err);
