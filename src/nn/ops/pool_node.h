#pragma once

/* What the pooling operators share: node->detail is a struct pool_shape for one sample. */

#include "ptqd/kern/pool.h"
#include "ptqd/nn/op.h"

/* Window attributes, ceil_mode and count_include_pad to a shape; sets output 0. */
bool pool_node_infer(struct graph *graph, struct node *node, struct error *err);

/* One window over the whole map, whatever its number of axes. */
bool pool_node_infer_global(struct graph *graph, struct node *node, struct error *err);

/* Maxima, and averages, over the windows of node->detail. */
bool pool_node_max_forward(const struct op_call *call, struct error *err);
bool pool_node_max_backward(const struct op_call *call, struct error *err);
bool pool_node_average_forward(const struct op_call *call, struct error *err);
bool pool_node_average_backward(const struct op_call *call, struct error *err);
