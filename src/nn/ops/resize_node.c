/* Resize nodes: from the inputs and attributes of each operator set to one form.
 *
 * Opset 10 has the input scales, asymmetric coordinates, and rounds down; 11 to 13 have inputs
 * scales and sizes, of which one is given (the other may be an empty list), and the attributes; 18
 * names the axes. Places are computed in float32 by the formulas of the specification, as
 * onnxruntime does it: an element half-way between two falls to the same side. */

#include "ptqd/nn/resize_node.h"

#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static float asymmetric(const struct resize_axis *axis, float to)
{
    return to / axis->scale;
}

static float half_pixel(const struct resize_axis *axis, float to)
{
    return (to + 0.5F) / axis->scale - 0.5F;
}

static float pytorch_half_pixel(const struct resize_axis *axis, float to)
{
    return axis->out > 1 ? half_pixel(axis, to) : 0;
}

static float align_corners(const struct resize_axis *axis, float to)
{
    return axis->out > 1 ? to * (float)(axis->in - 1) / (float)(axis->out - 1) : 0;
}

static const struct coordinates {
    const char *name;
    resize_place *function;
} coordinates[] = {
    {"half_pixel", half_pixel},
    {"asymmetric", asymmetric},
    {"align_corners", align_corners},
    {"pytorch_half_pixel", pytorch_half_pixel},
};

static float round_half_down(float place)
{
    return ceilf(place - 0.5F);
}

static const struct rounding {
    const char *name;
    float (*function)(float place);
} roundings[] = {
    {"round_prefer_floor", round_half_down},
    {"round_prefer_ceil", roundf}, /* places below zero are outside in any case */
    {"floor", floorf},
    {"ceil", ceilf},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct resize_node *resize_node_of(const struct node *node)
{
    return node->detail;
}

/* tf_half_pixel_for_nn is (to + 1/2) / scale, half a pixel above half_pixel. What rounds the one
 * down rounds the other to nearest, and so on. Opset 13 has lost it. */
static bool translate_half_pixel_for_nn(const char **coordinates_name, const char **rounding_name,
                                        bool linear, struct error *err)
{
    if (strcmp(*coordinates_name, "tf_half_pixel_for_nn") != 0)
        return true;
    bool floor = strcmp(*rounding_name, "floor") == 0;
    if (linear || (!floor && strcmp(*rounding_name, "round_prefer_floor") != 0))
        return FAIL(err, E_UNSUPPORTED,
                    "coordinate_transformation_mode is 'tf_half_pixel_for_nn' with %s '%s'; it "
                    "needs mode 'nearest', and nearest_mode 'floor' or 'round_prefer_floor'",
                    linear ? "mode" : "nearest_mode", linear ? "linear" : *rounding_name);
    *coordinates_name = "half_pixel";
    *rounding_name = floor ? "round_prefer_ceil" : "ceil";
    return true;
}

static bool find_functions(const char *coordinates_name, const char *rounding_name,
                           struct resize_node *resize, struct error *err)
{
    for (size_t i = 0; i < COUNT(coordinates); i++)
        if (strcmp(coordinates[i].name, coordinates_name) == 0) {
            resize->coordinates = coordinates[i].name;
            resize->place = coordinates[i].function;
        }
    for (size_t i = 0; i < COUNT(roundings); i++)
        if (strcmp(roundings[i].name, rounding_name) == 0) {
            resize->rounding = roundings[i].name;
            resize->round = roundings[i].function;
        }
    if (resize->place == NULL)
        return FAIL(err, E_UNSUPPORTED,
                    "coordinate_transformation_mode is '%s'; half_pixel, pytorch_half_pixel, "
                    "asymmetric and align_corners are supported",
                    coordinates_name);
    if (resize->round == NULL)
        return FAIL(err, E_INVALID,
                    "nearest_mode is '%s'; round_prefer_floor, round_prefer_ceil, floor and ceil "
                    "are possible",
                    rounding_name);
    return true;
}

static bool read_mode(const struct node *node, struct resize_node *resize, struct error *err)
{
    const char *mode, *policy;
    int64_t antialias;
    if (!attribute_string(node, "mode", "nearest", &mode, err) ||
        !attribute_string(node, "keep_aspect_ratio_policy", "stretch", &policy, err) ||
        !attribute_int(node, "antialias", 0, &antialias, err))
        return false;
    resize->linear = strcmp(mode, "linear") == 0;
    if (!resize->linear && strcmp(mode, "nearest") != 0)
        return FAIL(err, E_UNSUPPORTED,
                    "mode is '%s'; nearest and linear are supported: the runtimes of small devices "
                    "have no other",
                    mode);
    if (antialias != 0)
        return FAIL(err, E_UNSUPPORTED, "antialias is %" PRId64 "; only 0 is supported", antialias);
    if (strcmp(policy, "stretch") != 0)
        return FAIL(err, E_UNSUPPORTED,
                    "keep_aspect_ratio_policy is '%s'; only stretch is supported", policy);
    return true;
}

static bool read_form(const struct graph *graph, const struct node *node,
                      struct resize_node *resize, struct error *err)
{
    bool first = graph->opset < 11;
    const char *coordinates_name, *rounding_name;
    return read_mode(node, resize, err) &&
           attribute_string(node, "coordinate_transformation_mode",
                            first ? "asymmetric" : "half_pixel", &coordinates_name, err) &&
           attribute_string(node, "nearest_mode", first ? "floor" : "round_prefer_floor",
                            &rounding_name, err) &&
           translate_half_pixel_for_nn(&coordinates_name, &rounding_name, resize->linear, err) &&
           find_functions(coordinates_name, rounding_name, resize, err);
}

/* What the node gives: scales or sizes, for all axes or for some. */
struct request {
    struct real_list scales; /* one of the two has values */
    struct integer_list sizes;
    int count;
    int axes[SHAPE_RANK_MAX];
};

/* The constant of an input; NULL when it is absent or an empty list. */
static bool find_list(const struct graph *graph, const struct node *node, int input,
                      const char *what, const struct tensor **out, struct error *err)
{
    *out = NULL;
    if (!infer_has_input(node, input))
        return true;
    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    if (shape_is_empty_list(&tensor->shape))
        return true;
    if (tensor->values == NULL && tensor->integers == NULL)
        return FAIL(err, E_UNSUPPORTED, "%s '%s' is computed; it must be a constant", what,
                    tensor->name);
    *out = tensor;
    return true;
}

/* The inputs of a file's node. */
static bool read_inputs(const struct graph *graph, const struct node *node, struct request *out,
                        struct error *err)
{
    bool first = graph->opset < 11;
    const struct tensor *scales, *sizes;
    if (!find_list(graph, node, first ? 1 : 2, "scales", &scales, err) ||
        !find_list(graph, node, first ? NODE_ABSENT : 3, "sizes", &sizes, err))
        return false;
    if (scales != NULL)
        out->scales = (struct real_list){.values = scales->values,
                                         .count = (size_t)shape_elements(&scales->shape)};
    if (sizes != NULL)
        out->sizes = (struct integer_list){.values = sizes->integers,
                                           .count = (size_t)shape_elements(&sizes->shape)};
    return true;
}

/* From there, or from what keep_lists has made of them. */
static bool read_lists(const struct graph *graph, const struct node *node, struct request *out,
                       struct error *err)
{
    bool read = node->input_count > 1 ? read_inputs(graph, node, out, err)
                                      : attribute_reals(node, "scales", &out->scales, err) &&
                                            attribute_ints(node, "sizes", &out->sizes, err);
    if (!read)
        return false;
    if ((out->scales.values == NULL) == (out->sizes.values == NULL))
        return FAIL(err, E_INVALID, "%s; one of them must be",
                    out->scales.values == NULL ? "neither float32 scales nor int64 sizes are given"
                                               : "both scales and sizes are given");
    return true;
}

static bool read_axes(const struct node *node, int rank, struct request *out, struct error *err)
{
    size_t count = out->scales.values != NULL ? out->scales.count : out->sizes.count;
    struct integer_list axes;
    if (!attribute_ints(node, "axes", &axes, err))
        return false;
    size_t wanted = axes.values != NULL ? axes.count : (size_t)rank;
    if (count != wanted || count > (size_t)rank)
        return FAIL(err, E_INVALID, "%zu scales or sizes for %zu axes of an input of %d", count,
                    wanted, rank);
    out->count = (int)count;
    bool seen[SHAPE_RANK_MAX] = {false};
    for (int i = 0; i < out->count; i++) {
        int *axis = &out->axes[i];
        if (!infer_axis(axes.values != NULL ? axes.values[i] : i, rank, axis, err))
            return false;
        if (seen[*axis])
            return FAIL(err, E_INVALID, "axis %d is resized twice", *axis);
        seen[*axis] = true;
    }
    return true;
}

/* Far above any map. In float32 no ratio of two such numbers is 1 but that of equal ones. */
enum { EXTENT_MAX = 1 << 23 };

/* Entry `i` of the request: the new extent and the scale of its axis. */
static bool resize_axis(const struct request *request, int i, int64_t extent, int64_t *out_extent,
                        float *out_scale, struct error *err)
{
    const int64_t *size = request->sizes.values != NULL ? &request->sizes.values[i] : NULL;
    float scale = size != NULL ? (float)*size / (float)extent : request->scales.values[i];
    float wanted = floorf((float)extent * scale);
    if (size != NULL ? *size < 1 || *size > EXTENT_MAX
                     : !(wanted >= 1 && wanted <= (float)EXTENT_MAX))
        return FAIL(err, E_INVALID,
                    "axis %d with extent %" PRId64 " is scaled by %g; 1 to %d elements must result",
                    request->axes[i], extent, (double)scale, EXTENT_MAX);
    *out_extent = size != NULL ? *size : (int64_t)wanted;
    *out_scale = scale;
    return true;
}

/* The text of the specification aligns the corners of the whole elements, its test data those of
 * the fraction, and runtimes follow the one or the other. */
static bool check_corners(const struct resize_node *resize, int axis, int64_t extent,
                          int64_t wanted, struct error *err)
{
    float scale = resize->scale[axis];
    if (resize->place != align_corners || resize->by_sizes ||
        (float)extent * scale == (float)wanted)
        return true;
    return FAIL(err, E_UNSUPPORTED,
                "axis %d with extent %" PRId64 " is scaled by %g with aligned corners, which "
                "runtimes do differently when no whole number results; give sizes instead",
                axis, extent, (double)scale);
}

static bool resize_axes(const struct tensor *input, const struct request *request,
                        struct resize_node *resize, struct shape *shape, struct error *err)
{
    int channels = input->channels_last ? shape->rank - 1 : 1;
    resize->by_sizes = request->sizes.values != NULL;
    for (int i = 0; i < shape->rank; i++)
        resize->scale[i] = 1;
    for (int i = 0; i < request->count; i++) {
        int axis = request->axes[i];
        int64_t extent = shape->dim[axis];
        float *scale = &resize->scale[axis];
        if (!resize_axis(request, i, extent, &shape->dim[axis], scale, err) ||
            !check_corners(resize, axis, extent, shape->dim[axis], err))
            return false;
        if (*scale != 1 && (axis == 0 || axis == channels))
            return FAIL(err, E_UNSUPPORTED,
                        "axis %d, that of the %s, is scaled by %g; only those of maps can be", axis,
                        axis == 0 ? "samples" : "channels", (double)*scale);
    }
    return true;
}

/* The lists are no data of the network, and the axes that stay as they are need not be named: they
 * become attributes about the others, which a later reading finds. */
static bool keep_lists(struct graph *graph, struct node *node, const struct resize_node *resize,
                       const struct shape *shape, struct error *err)
{
    int64_t axes[SHAPE_RANK_MAX], sizes[SHAPE_RANK_MAX];
    float scales[SHAPE_RANK_MAX];
    size_t count = 0;
    for (int axis = 0; axis < shape->rank; axis++) {
        if (resize->scale[axis] == 1)
            continue;
        axes[count] = axis;
        sizes[count] = shape->dim[axis];
        scales[count++] = resize->scale[axis];
    }
    node->input_count = 1;
    return relayout_ints(graph, node, "axes", NODE_ABSENT, axes, count, err) &&
           (resize->by_sizes ? relayout_ints(graph, node, "sizes", NODE_ABSENT, sizes, count, err)
                             : relayout_attribute_reals(graph, node, "scales", scales, count, err));
}

bool resize_node_read(struct graph *graph, struct node *node, struct resize_node *out_resize,
                      struct shape *out_shape, struct error *err)
{
    const struct tensor *input;
    struct resize_node resize = {.place = NULL};
    struct request request = {.count = 0};
    if (!infer_counts(node, 1, 4, err) || !infer_input(graph, node, 0, &input, err) ||
        !read_form(graph, node, &resize, err) || !read_lists(graph, node, &request, err) ||
        !read_axes(node, input->shape.rank, &request, err))
        return false;
    struct shape shape = input->shape;
    if (!resize_axes(input, &request, &resize, &shape, err) ||
        !keep_lists(graph, node, &resize, &shape, err))
        return false;
    *out_resize = resize;
    *out_shape = shape;
    return true;
}
