#pragma once

/* The weights of a MAC node of a folded graph as a matrix, for what rewrites float networks channel
 * by channel. For this room only. */

#include "ptqd/nn/graph.h"

/* [K][D]. Column d of row k reads input channel (k / rows_per_group) · width + d mod width. */
struct mac_matrix {
    float *values;
    int64_t K, D;
    int64_t rows_per_group, width;
};

/* True for a Conv or Gemm whose weights and bias are constants that no other node reads. */
bool mac_owns_constants(const struct graph *graph, const struct node *node);

/* The node's weights, with `values` in their place (those of the graph are read-only). */
struct mac_matrix mac_matrix_of(const struct graph *graph, const struct node *node, float *values);

/* Channels that the node reads. */
int64_t mac_matrix_inputs(const struct mac_matrix *matrix);

/* The largest magnitude among the weights of an output channel. */
double mac_matrix_row_range(const struct mac_matrix *matrix, int64_t channel);

/* Multiplies every weight that reads an input channel by `factor`; their largest magnitude then. */
double mac_matrix_column_scale(const struct mac_matrix *matrix, int64_t channel, float factor);

/* True for a view of a single position: its channels stay in order. */
bool mac_channels_stay(const struct graph *graph, const struct node *node);
