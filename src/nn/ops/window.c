/* Sliding windows: attributes of ONNX to extents (operator specification, Conv-11, MaxPool-12,
 * AveragePool-11). */

#include "window.h"

#include "ptqd/kern/pool.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <string.h>

/* Far above any map, and small enough that products of two don't overflow. */
static const int64_t EXTENT_MAX = INT64_C(1) << 30;

/* The library of kernels unrolls its code over the padding of lines: for 2^20 cells, a small layer
 * took 9 s and 400 MB to be planned, where 2^16 take less than one and 30 MB. */
static const int64_t PADDING_MOST = INT64_C(1) << 16;

bool window_map_infer(const struct graph *graph, const struct node *node,
                      struct window_map *out_map, struct error *err)
{
    const struct tensor *tensor;
    if (!infer_input(graph, node, 0, &tensor, err))
        return false;
    int rank = tensor->shape.rank;
    if (rank != 3 && rank != 4)
        return FAIL(err, E_UNSUPPORTED,
                    "input 0 '%s' has %d axes; maps in one and two dimensions (3 and 4 axes) are "
                    "supported",
                    tensor->name, rank);
    if (!tensor->batched)
        return FAIL(err, E_UNSUPPORTED,
                    "input 0 '%s' is a constant; it must depend on the network's input",
                    tensor->name);
    const int64_t *dim = tensor->shape.dim;
    int first = tensor->channels_last ? 1 : 2; /* axis of the map */
    *out_map = (struct window_map){
        .axes = rank - 2,
        .N = dim[0],
        .C = tensor->channels_last ? dim[rank - 1] : dim[1],
        .extent = {rank == 4 ? dim[first] : 1, rank == 4 ? dim[first + 1] : dim[first]},
    };
    return true;
}

bool window_infer_extents(const struct node *node, const struct window_map *map, const char *name,
                          int64_t low, int64_t fallback, int64_t out_extents[static WINDOW_AXES],
                          struct error *err)
{
    struct integer_list list;
    if (!attribute_ints(node, name, &list, err))
        return false;
    if (list.values != NULL && list.count != (size_t)map->axes)
        return FAIL(err, E_INVALID, "%s has %zu values; the map has %d axes", name, list.count,
                    map->axes);
    for (int axis = 0; axis < WINDOW_AXES; axis++)
        out_extents[axis] = low;
    for (int i = 0; i < map->axes; i++) {
        int64_t value = list.values != NULL ? list.values[i] : fallback;
        if (value < low || value > EXTENT_MAX)
            return FAIL(err, E_INVALID, "%s has %" PRId64 "; %" PRId64 " to 2^30 are possible",
                        name, value, low);
        out_extents[WINDOW_AXES - map->axes + i] = value;
    }
    return true;
}

static bool read_kernel(const struct node *node, const struct window_map *map,
                        const int64_t *kernel, struct window *window, struct error *err)
{
    bool given = node_attribute(node, "kernel_shape") != NULL;
    if (!given && kernel == NULL)
        return FAIL(err, E_INVALID, "kernel_shape is not given; it is not optional");
    if (!window_infer_extents(node, map, "kernel_shape", 1, 1, window->kernel, err))
        return false;
    for (int i = 0; kernel != NULL && i < map->axes; i++) {
        int64_t *extent = &window->kernel[WINDOW_AXES - map->axes + i];
        if (given && *extent != kernel[i])
            return FAIL(err, E_INVALID,
                        "kernel_shape has %" PRId64 " on axis %d, where the weights have %" PRId64,
                        *extent, i, kernel[i]);
        *extent = kernel[i];
    }
    return true;
}

/* pads: all that come before, axis by axis, then all that come after. */
bool window_infer_pads(const struct node *node, const struct window_map *map, struct window *window,
                       struct error *err)
{
    struct integer_list list;
    if (!attribute_ints(node, "pads", &list, err))
        return false;
    if (list.values == NULL)
        return true;
    if (list.count != 2 * (size_t)map->axes)
        return FAIL(err, E_INVALID, "pads has %zu values; a map of %d axes needs %d", list.count,
                    map->axes, 2 * map->axes);
    for (size_t i = 0; i < list.count; i++)
        if (list.values[i] < 0 || list.values[i] > EXTENT_MAX)
            return FAIL(err, E_INVALID, "pads has %" PRId64 "; 0 to 2^30 are possible",
                        list.values[i]);
    for (int i = 0; i < map->axes; i++) {
        int axis = WINDOW_AXES - map->axes + i;
        window->before[axis] = list.values[i];
        window->after[axis] = list.values[map->axes + i];
    }
    return true;
}

/* Padding that makes the output ceil(input / stride); an odd cell goes to the side of `lower`. */
static void pad_same(const struct window_map *map, bool lower, struct window *window)
{
    for (int axis = 0; axis < WINDOW_AXES; axis++) {
        int64_t stride = window->stride[axis];
        int64_t span = window->dilation[axis] * (window->kernel[axis] - 1) + 1;
        int64_t output = (map->extent[axis] + stride - 1) / stride;
        int64_t total = (output - 1) * stride + span - map->extent[axis];
        total = total > 0 ? total : 0;
        window->before[axis] = lower ? total - total / 2 : total / 2;
        window->after[axis] = total - window->before[axis];
    }
}

bool window_infer_auto_pad(const struct node *node, enum window_padding *out_padding,
                           struct error *err)
{
    static const char *const names[] = {[PADDING_GIVEN] = "NOTSET",
                                        [PADDING_SAME_UPPER] = "SAME_UPPER",
                                        [PADDING_SAME_LOWER] = "SAME_LOWER",
                                        [PADDING_NONE] = "VALID"};
    const char *mode;
    if (!attribute_string(node, "auto_pad", "NOTSET", &mode, err))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(mode, names[i]) == 0) {
            *out_padding = (enum window_padding)i;
            return true;
        }
    return FAIL(err, E_INVALID,
                "auto_pad is '%s'; NOTSET, SAME_UPPER, SAME_LOWER and VALID are possible", mode);
}

/* With an auto_pad other than NOTSET the attribute pads means nothing. */
static bool infer_padding(const struct node *node, const struct window_map *map,
                          struct window *window, struct error *err)
{
    enum window_padding padding;
    if (!window_infer_auto_pad(node, &padding, err))
        return false;
    switch (padding) {
    case PADDING_GIVEN:
        return window_infer_pads(node, map, window, err);
    case PADDING_SAME_UPPER:
    case PADDING_SAME_LOWER:
        pad_same(map, padding == PADDING_SAME_LOWER, window);
        return true;
    case PADDING_NONE:
        break;
    }
    return true;
}

static bool check_padding(const struct window *window, struct error *err)
{
    for (int axis = 0; axis < WINDOW_AXES; axis++) {
        const int64_t sides[] = {window->before[axis], window->after[axis]};
        for (int side = 0; side < 2; side++)
            if (sides[side] > PADDING_MOST)
                return FAIL(err, E_UNSUPPORTED,
                            "%" PRId64 " cells of padding on one side; up to %" PRId64
                            " are supported",
                            sides[side], PADDING_MOST);
    }
    return true;
}

static bool infer_output_extents(const struct window_map *map, bool ceil_mode,
                                 struct window *window, struct error *err)
{
    for (int axis = 0; axis < WINDOW_AXES; axis++) {
        int64_t input = map->extent[axis], kernel = window->kernel[axis];
        window->output[axis] =
            pool_extent(input, kernel, window->stride[axis], window->dilation[axis],
                        window->before[axis], window->after[axis], ceil_mode);
        if (window->output[axis] < 1)
            return FAIL(err, E_INVALID,
                        "a window of %" PRId64 " cells, %" PRId64 " apart, doesn't fit in %" PRId64
                        " + %" PRId64 " + %" PRId64 " cells of padding, map and padding",
                        kernel, window->dilation[axis], window->before[axis], input,
                        window->after[axis]);
    }
    return true;
}

bool window_infer_filter(const struct node *node, const struct window_map *map,
                         const int64_t *kernel, struct window *out_window, struct error *err)
{
    struct window window = {0};
    if (!read_kernel(node, map, kernel, &window, err) ||
        !window_infer_extents(node, map, "strides", 1, 1, window.stride, err) ||
        !window_infer_extents(node, map, "dilations", 1, 1, window.dilation, err))
        return false;
    *out_window = window;
    return true;
}

bool window_infer(const struct node *node, const struct window_map *map, const int64_t *kernel,
                  bool ceil_mode, struct window *out_window, struct error *err)
{
    struct window window;
    if (!window_infer_filter(node, map, kernel, &window, err) ||
        !infer_padding(node, map, &window, err) || !check_padding(&window, err) ||
        !infer_output_extents(map, ceil_mode, &window, err))
        return false;
    *out_window = window;
    return true;
}

bool window_output(struct graph *graph, const struct node *node, const struct window_map *map,
                   const int64_t extent[static WINDOW_AXES], int64_t C, struct error *err)
{
    bool channels_last = graph->tensors[node->inputs[0]].channels_last;
    struct shape shape = {.rank = map->axes + 2};
    shape.dim[0] = map->N;
    shape.dim[channels_last ? shape.rank - 1 : 1] = C;
    for (int i = 0; i < map->axes; i++)
        shape.dim[(channels_last ? 1 : 2) + i] = extent[WINDOW_AXES - map->axes + i];
    return infer_output(graph, node, 0, &shape, err);
}
