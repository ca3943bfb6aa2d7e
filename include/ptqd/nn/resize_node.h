#pragma once

/* Resize nodes in the terms of opset 13, whatever operator set they came from: for their execution,
 * and for the rooms that write them elsewhere. */

#include "ptqd/nn/graph.h"

/* One axis: extents before and after, and their ratio as the node gives it. */
struct resize_axis {
    int64_t in, out;
    float scale;
};

/* The place in the input of element `to` of the output; may be outside. */
typedef float resize_place(const struct resize_axis *axis, float to);

struct resize_node {
    bool linear;             /* between the two neighbours; else the nearest */
    const char *coordinates; /* coordinate_transformation_mode, and its formula */
    const char *rounding;    /* nearest_mode, and what it does to a place */
    resize_place *place;
    float (*round)(float place);
    bool by_sizes;               /* extents were given, else scales */
    float scale[SHAPE_RANK_MAX]; /* of each axis of the input; 1 for samples and channels */
};

/* Reads and checks a node, whose lists become attributes; `out_shape` is that of its output. Lists
 * that are not constant and what no runtime of small devices has are E_UNSUPPORTED. */
bool resize_node_read(struct graph *graph, struct node *node, struct resize_node *out_resize,
                      struct shape *out_shape, struct error *err);

/* Of a node of a finished graph. */
const struct resize_node *resize_node_of(const struct node *node);
