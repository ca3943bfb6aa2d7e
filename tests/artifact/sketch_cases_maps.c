/* Sketches of operators that cut maps or make them larger. */

#include "sketch_cases.h"

#include "support.h"

static int transpose_conv(struct sketch *sketch, int x, struct shape weight_shape, int64_t K)
{
    int weight = sketch_constant(sketch, "weight", weight_shape);
    int bias = sketch_constant(sketch, "bias", SKETCH(K));
    return sketch_node(sketch, "ConvTranspose", "y", x, weight, bias, SKETCH_END);
}

static int build_conv_transpose(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "strides", SKETCH(2, 3));
    sketch_ints(sketch, "pads", SKETCH(1, 0, 0, 2));
    sketch_ints(sketch, "output_padding", SKETCH(1, 2));
    return transpose_conv(sketch, x, SKETCH(4, 3, 3, 4), 3);
}

/* Behind a convolution, with another product behind it. */
static int build_conv_transpose_inside(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 4, 2, SKETCH(3, 3));
    int weight = sketch_constant(sketch, "weight", SKETCH(4, 3, 2, 2));
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    int b = sketch_node(sketch, "ConvTranspose", "up", a, weight, SKETCH_END);
    int relu = sketch_node(sketch, "Relu", "relu", b, SKETCH_END);
    return sketch_conv(sketch, "y", relu, 2, 3, SKETCH(1, 1));
}

static int build_conv_transpose_grouped(struct sketch *sketch, int x)
{
    sketch_int(sketch, "group", 2);
    sketch_ints(sketch, "dilations", SKETCH(2, 1));
    return transpose_conv(sketch, x, SKETCH(4, 3, 2, 3), 6);
}

static int build_conv_transpose_depthwise(struct sketch *sketch, int x)
{
    sketch_int(sketch, "group", 4);
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    sketch_text(sketch, "auto_pad", "SAME_UPPER");
    return transpose_conv(sketch, x, SKETCH(4, 1, 3, 3), 4);
}

static int build_conv_transpose_same_lower(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    sketch_text(sketch, "auto_pad", "SAME_LOWER");
    return transpose_conv(sketch, x, SKETCH(4, 2, 5, 3), 2);
}

static int build_conv_transpose_sized(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "strides", SKETCH(3, 2));
    sketch_ints(sketch, "output_shape", SKETCH(20, 11));
    return transpose_conv(sketch, x, SKETCH(4, 2, 3, 3), 2);
}

static int build_conv_transpose_1d(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 4, 3, SKETCH(3));
    sketch_ints(sketch, "strides", SKETCH(2));
    sketch_ints(sketch, "pads", SKETCH(1, 1));
    return transpose_conv(sketch, a, SKETCH(4, 2, 4), 2);
}

struct resize_form {
    const char *mode, *coordinates, *rounding; /* NULL: the default */
};

static void set_form(struct sketch *sketch, const struct resize_form *form)
{
    sketch_text(sketch, "mode", form->mode);
    if (form->coordinates != NULL)
        sketch_text(sketch, "coordinate_transformation_mode", form->coordinates);
    if (form->rounding != NULL)
        sketch_text(sketch, "nearest_mode", form->rounding);
}

static int resize_sizes(struct sketch *sketch, int x, struct resize_form form, struct shape extents)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int sizes = sketch_integers(sketch, "sizes", extents);
    set_form(sketch, &form);
    return sketch_node(sketch, "Resize", "y", a, NODE_ABSENT, NODE_ABSENT, sizes, SKETCH_END);
}

static int build_resize_linear(struct sketch *sketch, int x)
{
    return resize_sizes(sketch, x, (struct resize_form){.mode = "linear"}, SKETCH(1, 3, 8, 4));
}

static int build_resize_aligned(struct sketch *sketch, int x)
{
    return resize_sizes(sketch, x,
                        (struct resize_form){.mode = "linear", .coordinates = "align_corners"},
                        SKETCH(1, 3, 11, 7));
}

static int build_resize_nearest(struct sketch *sketch, int x)
{
    return resize_sizes(sketch, x, (struct resize_form){.mode = "nearest", .rounding = "ceil"},
                        SKETCH(1, 3, 8, 4));
}

/* floor((i + 1/2) / scale), which opset 13 says in other words. */
static int build_resize_half_pixel_for_nn(struct sketch *sketch, int x)
{
    return resize_sizes(sketch, x, (struct resize_form){"nearest", "tf_half_pixel_for_nn", "floor"},
                        SKETCH(1, 3, 3, 13));
}

static int resize_scales(struct sketch *sketch, int x, struct resize_form form,
                         const float scales[static 4])
{
    struct error err;
    int list, a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    struct tensor tensor = {
        .name = "scales", .shape = {.rank = 1, .dim = {4}}, .values = scales, .producer = -1};
    ck_assert_ok(graph_add_tensor(sketch->graph, &tensor, true, &list, &err), &err);
    set_form(sketch, &form);
    return sketch->graph->opset < 11
               ? sketch_node(sketch, "Resize", "y", a, list, SKETCH_END)
               : sketch_node(sketch, "Resize", "y", a, NODE_ABSENT, list, SKETCH_END);
}

static int build_resize_scales(struct sketch *sketch, int x)
{
    return resize_scales(
        sketch, x, (struct resize_form){.mode = "linear", .coordinates = "pytorch_half_pixel"},
        (const float[]){1, 1, 0.7F, 2.3F});
}

static int build_resize_first_version(struct sketch *sketch, int x)
{
    return resize_scales(sketch, x, (struct resize_form){.mode = "linear"},
                         (const float[]){1, 1, 2, 1.5F});
}

static int build_slice(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int starts = sketch_integers(sketch, "starts", SKETCH(-1, 1));
    int ends = sketch_integers(sketch, "ends", SKETCH(-5, 3));
    int axes = sketch_integers(sketch, "axes", SKETCH(-1, 1));
    int steps = sketch_integers(sketch, "steps", SKETCH(-2, 1));
    return sketch_node(sketch, "Slice", "y", a, starts, ends, axes, steps, SKETCH_END);
}

static int build_slice_attributes(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_ints(sketch, "starts", SKETCH(0, 1, 2));
    sketch_ints(sketch, "ends", SKETCH(INT64_MAX, 3, 1000));
    return sketch_node(sketch, "Slice", "y", a, SKETCH_END);
}

/* Of three parts the one in the middle is not read. */
static int build_split(struct sketch *sketch, int x)
{
    int parts[3], a = sketch_conv(sketch, "conv", x, 6, 2, SKETCH(3, 3));
    int lengths = sketch_integers(sketch, "lengths", SKETCH(2, 1, 3));
    sketch_int(sketch, "axis", -3);
    sketch_node_outputs(sketch, "Split", "parts", a, lengths, parts, 3);
    sketch_int(sketch, "axis", 1);
    return sketch_node(sketch, "Concat", "y", parts[2], parts[0], SKETCH_END);
}

static int build_split_equal(struct sketch *sketch, int x)
{
    int parts[2];
    sketch_int(sketch, "axis", 2);
    sketch_node_outputs(sketch, "Split", "parts", x, NODE_ABSENT, parts, 2);
    return sketch_node(sketch, "Sub", "y", parts[0], parts[1], SKETCH_END);
}

/* Two branches of one map, each made larger in its own way, and cut to fit. */
static int build_two_branches(struct sketch *sketch, int x)
{
    int parts[2], a = sketch_conv(sketch, "conv", x, 4, 2, SKETCH(3, 3));
    int slope = sketch_constant(sketch, "slope", SKETCH(4, 1, 1));
    int active = sketch_node(sketch, "PRelu", "active", a, slope, SKETCH_END);
    sketch_int(sketch, "axis", 1);
    sketch_node_outputs(sketch, "Split", "parts", active, NODE_ABSENT, parts, 2);
    int sizes = sketch_integers(sketch, "sizes", SKETCH(1, 2, 10, 12));
    int resized = sketch_node(sketch, "Resize", "resized", parts[0], NODE_ABSENT, NODE_ABSENT,
                              sizes, SKETCH_END);
    int weight = sketch_constant(sketch, "up.weight", SKETCH(2, 3, 3, 3));
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    int up = sketch_node(sketch, "ConvTranspose", "up", parts[1], weight, SKETCH_END);
    int from = sketch_integers(sketch, "from", SKETCH(0, 1));
    int to = sketch_integers(sketch, "to", SKETCH(10, 100));
    int axes = sketch_integers(sketch, "axes", SKETCH(2, 3));
    int cut = sketch_node(sketch, "Slice", "cut", up, from, to, axes, SKETCH_END);
    sketch_int(sketch, "axis", 1);
    int joined = sketch_node(sketch, "Concat", "joined", resized, cut, SKETCH_END);
    return sketch_conv(sketch, "y", joined, 2, 5, SKETCH(1, 1));
}

static const struct sketch_case rows[] = {
    {"conv_transpose", 13, {1, 4, 5, 6}, build_conv_transpose},
    {"conv_transpose_1d", 13, {1, 3, 8}, build_conv_transpose_1d},
    {"conv_transpose_depthwise", 13, {1, 4, 5, 6}, build_conv_transpose_depthwise},
    {"conv_transpose_grouped", 13, {1, 4, 5, 6}, build_conv_transpose_grouped},
    {"conv_transpose_inside", 13, {1, 2, 5, 6}, build_conv_transpose_inside},
    {"conv_transpose_same_lower", 13, {1, 4, 5, 6}, build_conv_transpose_same_lower},
    {"conv_transpose_sized", 13, {1, 4, 6, 5}, build_conv_transpose_sized},
    {"resize_aligned", 13, {1, 2, 5, 6}, build_resize_aligned},
    {"resize_first_version", 10, {1, 2, 5, 6}, build_resize_first_version},
    {"resize_half_pixel_for_nn", 11, {1, 2, 5, 6}, build_resize_half_pixel_for_nn},
    {"resize_linear", 13, {1, 2, 5, 6}, build_resize_linear},
    {"resize_nearest", 13, {1, 2, 5, 6}, build_resize_nearest},
    {"resize_scales", 13, {1, 2, 5, 6}, build_resize_scales},
    {"slice", 13, {1, 2, 5, 6}, build_slice},
    {"slice_attributes", 9, {1, 2, 5, 6}, build_slice_attributes},
    {"split", 13, {1, 2, 5, 6}, build_split},
    {"split_equal", 11, {1, 3, 8}, build_split_equal},
    {"two_branches", 13, {1, 2, 5, 6}, build_two_branches},
};

const struct sketch_cases sketch_cases_maps = {rows, sizeof(rows) / sizeof(rows[0])};
