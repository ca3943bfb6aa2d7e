#pragma once

/* Bounds of the activation functions that cut: what range search and equalization need to know. */

#include "ptqd/nn/graph.h"

/* True for Relu (0 to infinity) and Clip; `out_max` may be INFINITY, `out_min` -INFINITY. The node
 * is of a finished graph. */
bool clip_bounds(const struct node *node, float *out_min, float *out_max);
