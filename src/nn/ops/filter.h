#pragma once

/* What convolutions share: constant filters and biases. */

#include "window.h"

/* Input 1: a constant with two axes more than the map. */
bool filter_infer(const struct graph *graph, const struct node *node, const struct window_map *map,
                  const struct tensor **out_weights, struct error *err);

/* Input 2, where it is given: one element for each of K output channels. */
bool filter_infer_bias(const struct graph *graph, const struct node *node, int64_t K,
                       struct error *err);

/* E_INVALID when the product of the factors is above 2^63, so that nobody who multiplies extents
 * needs to look again. */
bool filter_check_macs(const int64_t *factors, int count, struct error *err);
