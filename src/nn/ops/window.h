#pragma once

/* What operators with a sliding window share: a map in one or two dimensions, and the attributes
 * kernel_shape, strides, dilations, pads and auto_pad over it. One dimension is a map of height 1:
 * its extents are those of axis 1 below, with 1 (and no padding) on axis 0. */

#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"

#include <stdbool.h>
#include <stdint.h>

enum { WINDOW_AXES = 2 };

/* An activation (N, C, H, W), in either order of axes. */
struct window_map {
    int axes; /* 1 or 2 in the file */
    int64_t N, C;
    int64_t extent[WINDOW_AXES];
};

struct window {
    int64_t kernel[WINDOW_AXES], stride[WINDOW_AXES], dilation[WINDOW_AXES];
    int64_t before[WINDOW_AXES], after[WINDOW_AXES]; /* padding */
    int64_t output[WINDOW_AXES];
};

/* Input 0 as a map. E_UNSUPPORTED unless it is an activation of 3 or 4 axes. */
bool window_map_infer(const struct graph *graph, const struct node *node,
                      struct window_map *out_map, struct error *err);

/* Reads the attributes. `kernel` (of map->axes extents): the one the weights have, which
 * kernel_shape must repeat if it is given; NULL: kernel_shape is needed. `ceil_mode`: the last
 * window may hang over. */
bool window_infer(const struct node *node, const struct window_map *map, const int64_t *kernel,
                  bool ceil_mode, struct window *out_window, struct error *err);

/* The parts of window_infer, for operators whose padding means something else: all but padding and
 * output; the attribute auto_pad; the attribute pads. */
enum window_padding { PADDING_GIVEN, PADDING_SAME_UPPER, PADDING_SAME_LOWER, PADDING_NONE };
bool window_infer_filter(const struct node *node, const struct window_map *map,
                         const int64_t *kernel, struct window *out_window, struct error *err);
bool window_infer_auto_pad(const struct node *node, enum window_padding *out_padding,
                           struct error *err);
bool window_infer_pads(const struct node *node, const struct window_map *map, struct window *window,
                       struct error *err);

/* An attribute with one extent per axis of the map, from `low` on; `fallback` where it is not
 * given. */
bool window_infer_extents(const struct node *node, const struct window_map *map, const char *name,
                          int64_t low, int64_t fallback, int64_t out_extents[static WINDOW_AXES],
                          struct error *err);

/* Sets output 0: map->N samples of `extent` with C channels, in the order of axes of input 0. */
bool window_output(struct graph *graph, const struct node *node, const struct window_map *map,
                   const int64_t extent[static WINDOW_AXES], int64_t C, struct error *err);
