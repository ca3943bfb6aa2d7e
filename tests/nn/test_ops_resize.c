/* Resize: places and values worked out by hand for each mode of coordinates and rounding, the forms
 * of the operator sets, and what is refused. Gradients are in tests/conformance. */

#include "ptqd/nn/op.h"
#include "ptqd/nn/resize_node.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct error err;
static struct arena *arena;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(1 << 24);
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static int reals(const char *name, int count, const float *values)
{
    int index;
    struct tensor tensor = {
        .name = name, .shape = {.rank = 1, .dim = {count}}, .values = values, .producer = -1};
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &index, &err), &err);
    return index;
}

/* A node with scales or sizes of all axes, where its operator set has them; what the other input
 * would be is left out, or is an empty list. */
static int resize(int x, int count, const float *scales, const int64_t *sizes, bool empty_lists)
{
    if (sketch.graph->opset < 11)
        return sketch_node(&sketch, "Resize", "y", x, reals("scales", count, scales), SKETCH_END);
    int nothing = empty_lists ? reals("nothing", 0, (const float[1]){0}) : NODE_ABSENT;
    if (scales != NULL)
        return sketch_node(&sketch, "Resize", "y", x, nothing, reals("scales", count, scales),
                           SKETCH_END);
    struct shape list = {.rank = count};
    for (int i = 0; i < count; i++)
        list.dim[i] = sizes[i];
    return sketch_node(&sketch, "Resize", "y", x, nothing, nothing,
                       sketch_integers(&sketch, "sizes", list), SKETCH_END);
}

/* Of 1x1x4 with the values 0, 10, 20, 30. */
struct axis_case {
    int64_t opset;
    const char *mode, *coordinates, *rounding; /* NULL: the default */
    int64_t size;                              /* 0: the scale is given */
    float scale;
    int count;
    float expected[8];
};

static const struct axis_case axis_cases[] = {
    /* opset 10: i / scale, rounded down */
    {.opset = 10, .scale = 2, .count = 8, .expected = {0, 0, 10, 10, 20, 20, 30, 30}},
    {10, "linear", NULL, NULL, 0, 2, 8, {0, 5, 10, 15, 20, 25, 30, 30}},
    {.opset = 10, .scale = 0.6F, .count = 2, .expected = {0, 10}},
    /* (i + 1/2) / 2 − 1/2: −0.25, 0.25, 0.75 … 3.25 */
    {13, "linear", NULL, NULL, 8, 0, 8, {0, 2.5F, 7.5F, 12.5F, 17.5F, 22.5F, 27.5F, 30}},
    {11, "linear", "half_pixel", NULL, 0, 2, 8, {0, 2.5F, 7.5F, 12.5F, 17.5F, 22.5F, 27.5F, 30}},
    {13, "nearest", NULL, NULL, 8, 0, 8, {0, 0, 10, 10, 20, 20, 30, 30}},
    /* (i + 1/2) · 2 − 1/2: 0.5, 2.5, half-way */
    {.opset = 13, .size = 2, .count = 2, .expected = {0, 20}},
    {13, NULL, NULL, "round_prefer_floor", 2, 0, 2, {0, 20}},
    {13, NULL, NULL, "round_prefer_ceil", 2, 0, 2, {10, 30}},
    {13, NULL, NULL, "floor", 2, 0, 2, {0, 20}},
    {13, NULL, NULL, "ceil", 2, 0, 2, {10, 30}},
    {13, "linear", NULL, NULL, 2, 0, 2, {5, 25}},
    /* (i + 1/2) · 2 */
    {11, NULL, "tf_half_pixel_for_nn", "floor", 2, 0, 2, {10, 30}},
    {11, NULL, "tf_half_pixel_for_nn", NULL, 2, 0, 2, {10, 30}},
    /* i · 3 / 6, and to 3 elements i · 3 / 2 */
    {13, "linear", "align_corners", NULL, 7, 0, 7, {0, 5, 10, 15, 20, 25, 30}},
    {13, NULL, "align_corners", "round_prefer_ceil", 3, 0, 3, {0, 20, 30}},
    {13, "linear", "align_corners", NULL, 0, 1.75F, 7, {0, 5, 10, 15, 20, 25, 30}},
    /* One element: the first, or the middle. */
    {13, "linear", "align_corners", NULL, 1, 0, 1, {0}},
    {13, "linear", "pytorch_half_pixel", NULL, 1, 0, 1, {0}},
    {13, "linear", "half_pixel", NULL, 1, 0, 1, {15}},
    {13, "linear", "pytorch_half_pixel", NULL, 2, 0, 2, {5, 25}},
    {13, "linear", "asymmetric", NULL, 8, 0, 8, {0, 5, 10, 15, 20, 25, 30, 30}},
    /* The same extent: nothing moves, unless the scale says so: i / 1.2 */
    {13, "linear", NULL, NULL, 4, 0, 4, {0, 10, 20, 30}},
    {13, NULL, "asymmetric", "floor", 0, 1.2F, 4, {0, 0, 10, 20}},
};

static void set_form(const char *mode, const char *coordinates, const char *rounding)
{
    if (mode != NULL)
        sketch_text(&sketch, "mode", mode);
    if (coordinates != NULL)
        sketch_text(&sketch, "coordinate_transformation_mode", coordinates);
    if (rounding != NULL)
        sketch_text(&sketch, "nearest_mode", rounding);
}

/* Law: also behind an operator that has its channels last, and of two samples each for itself. */
START_TEST(elements_come_from_the_places_that_the_mode_says)
{
    const struct axis_case *c = &axis_cases[_i];
    const float input[] = {0, 10, 20, 30, 100, 110, 120, 130}, scales[] = {1, 1, c->scale};
    const int64_t sizes[] = {1, 1, c->size};
    float expected[16];
    for (int i = 0; i < c->count; i++) {
        expected[i] = c->expected[i];
        expected[c->count + i] = 100 + c->expected[i];
    }
    for (int form = 0; form < 4; form++) {
        sketch_init(&sketch, arena, c->opset);
        int x = sketch_input(&sketch, "x", SKETCH(1, 1, 4));
        if (form % 2 == 1)
            x = sketch_channels_last(&sketch, "moved", x, 1);
        set_form(c->mode, c->coordinates, c->rounding);
        const struct graph *graph =
            sketch_finish(&sketch, resize(x, 3, c->size == 0 ? scales : NULL, sizes, form >= 2));
        ck_assert_int_eq(graph->tensors[graph->output].shape.dim[2], c->count);
        graph_run_compare(graph_run(arena, graph, input, 2), expected, 2 * c->count, 2e-5);
    }
}
END_TEST

/* Channels stay apart, and both axes of the map are interpolated, whichever shrinks. */
START_TEST(two_axes_are_resized_one_after_the_other)
{
    /* two channels, the second 100 more: 0 10 20 / 30 40 50 */
    const float input[] = {0, 10, 20, 30, 40, 50, 100, 110, 120, 130, 140, 150};
    const float expected[] = {0, 20, 15, 35, 30, 50, 100, 120, 115, 135, 130, 150};
    for (int moved = 0; moved < 2; moved++) {
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 2, 3));
        if (moved)
            x = sketch_channels_last(&sketch, "moved", x, 2);
        set_form("linear", "align_corners", NULL);
        const struct graph *graph =
            sketch_finish(&sketch, resize(x, 4, NULL, (const int64_t[]){1, 2, 3, 2}, false));
        graph_run_compare(graph_run(arena, graph, input, 1), expected, 12, 1e-5);
    }
}
END_TEST

/* Since opset 18. */
START_TEST(only_the_named_axes_are_resized)
{
    for (int moved = 0; moved < 2; moved++) {
        sketch_init(&sketch, arena, 18);
        int x = sketch_input(&sketch, "x", SKETCH(1, 1, 2, 2));
        if (moved)
            x = sketch_channels_last(&sketch, "moved", x, 2);
        sketch_ints(&sketch, "axes", SKETCH(-1, 2));
        const struct graph *graph =
            sketch_finish(&sketch, resize(x, 2, NULL, (const int64_t[]){4, 2}, false));
        graph_run_compare(graph_run(arena, graph, (const float[]){1, 2, 3, 4}, 1),
                          (const float[]){1, 1, 2, 2, 3, 3, 4, 4}, 8, 0);
    }
}
END_TEST

/* Law: what only copies keeps a quantizer's grid, what interpolates does not. */
START_TEST(nearest_keeps_the_grid_and_linear_does_not)
{
    static const char *const modes[] = {"nearest", "linear"};
    for (int i = 0; i < 2; i++) {
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 1, 2, 2));
        set_form(modes[i], NULL, NULL);
        const struct graph *graph =
            sketch_finish(&sketch, resize(x, 4, (const float[]){1, 1, 2, 2}, NULL, false));
        ck_assert(graph->nodes[0].op->keeps_grid == (i == 0));
        ck_assert(graph->nodes[0].op->homogeneous);
        ck_assert(resize_node_of(&graph->nodes[0])->linear == (i == 1));
    }
}
END_TEST

/* Of 1x2x4x4. */
struct refusal {
    int64_t opset;
    const char *mode, *coordinates, *rounding;
    int count; /* of scales or sizes */
    float scales[4];
    int64_t sizes[4]; /* where no scale is given */
    enum error_code code;
    const char *message;
};

static const struct refusal refusals[] = {
    {.opset = 13,
     .mode = "cubic",
     .count = 4,
     .scales = {1, 1, 2, 2},
     .code = E_UNSUPPORTED,
     .message = "mode is 'cubic'; nearest and linear are supported: the runtimes of small devices"},
    {.opset = 13,
     .coordinates = "tf_crop_and_resize",
     .count = 4,
     .scales = {1, 1, 2, 2},
     .code = E_UNSUPPORTED,
     .message = "coordinate_transformation_mode is 'tf_crop_and_resize'; half_pixel"},
    {.opset = 11,
     .mode = "linear",
     .coordinates = "tf_half_pixel_for_nn",
     .count = 4,
     .scales = {1, 1, 2, 2},
     .code = E_UNSUPPORTED,
     .message = "'tf_half_pixel_for_nn' with mode 'linear'"},
    {.opset = 13,
     .rounding = "up",
     .count = 4,
     .scales = {1, 1, 2, 2},
     .code = E_INVALID,
     .message = "nearest_mode is 'up'; round_prefer_floor"},
    {.opset = 13,
     .mode = "linear",
     .coordinates = "align_corners",
     .count = 4,
     .scales = {1, 1, 0.6F, 2},
     .code = E_UNSUPPORTED,
     .message = "axis 2 with extent 4 is scaled by 0.6 with aligned corners"},
    {.opset = 13,
     .count = 4,
     .scales = {1, 2, 2, 2},
     .code = E_UNSUPPORTED,
     .message = "axis 1, that of the channels, is scaled by 2"},
    {.opset = 13,
     .count = 4,
     .sizes = {2, 2, 4, 4},
     .code = E_UNSUPPORTED,
     .message = "axis 0, that of the samples, is scaled by 2"},
    {.opset = 13,
     .count = 2,
     .scales = {2, 2},
     .code = E_INVALID,
     .message = "2 scales or sizes for 4 axes of an input of 4"},
    {.opset = 13,
     .count = 4,
     .scales = {1, 1, 0.2F, 1},
     .code = E_INVALID,
     .message = "axis 2 with extent 4 is scaled by 0.2; 1 to 8388608 elements must result"},
    {.opset = 13,
     .count = 4,
     .scales = {1, 1, -1, 1},
     .code = E_INVALID,
     .message = "axis 2 with extent 4 is scaled by -1"},
    {.opset = 13,
     .count = 4,
     .sizes = {1, 2, INT64_MAX, 1},
     .code = E_INVALID,
     .message = "1 to 8388608 elements must result"},
};

START_TEST(what_has_no_meaning_or_no_runtime_is_refused)
{
    const struct refusal *c = &refusals[_i];
    sketch_init(&sketch, arena, c->opset);
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    set_form(c->mode, c->coordinates, c->rounding);
    sketch.graph->output =
        resize(x, c->count, c->sizes[0] == 0 ? c->scales : NULL, c->sizes, false);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, c->code, c->message);
}
END_TEST

/* Law: once read, the node says what it resizes, and to what, without its constants. */
START_TEST(lists_are_kept_about_the_axes_that_change)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    int moved = sketch_channels_last(&sketch, "moved", x, 2);
    struct graph *graph =
        sketch_finish(&sketch, resize(moved, 4, (const float[]){1, 1, 1, 0.5F}, NULL, false));
    const struct node *node = &graph->nodes[graph_find_node(graph, "y")];
    const struct attribute *axes = node_attribute(node, "axes");
    const struct attribute *scales = node_attribute(node, "scales");
    ck_assert_int_eq(node->input_count, 1);
    ck_assert_int_eq(graph_find_tensor(graph, "scales"), -1);
    ck_assert_uint_eq(axes->count, 1);
    ck_assert_int_eq(axes->integers[0], 2); /* the width, channels-last */
    ck_assert_uint_eq(scales->count, 1);
    ck_assert(scales->reals[0] == 0.5F);
}
END_TEST

START_TEST(one_constant_of_scales_and_sizes_is_needed)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 4));
    int scales = reals("scales", 3, (const float[]){1, 1, 2});
    int sizes = sketch_integers(&sketch, "sizes", SKETCH(1, 1, 8));
    sketch.graph->output =
        sketch_node(&sketch, "Resize", "y", x, NODE_ABSENT, scales, sizes, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID,
                    "both scales and sizes are given; one of them must be");
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 1, 4));
    sketch.graph->output = sketch_node(&sketch, "Resize", "y", x, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID,
                    "neither float32 scales nor int64 sizes are given; one of them must be");
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 1, 4));
    sketch.graph->output = sketch_node(&sketch, "Resize", "y", x, NODE_ABSENT, x, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_UNSUPPORTED,
                    "scales 'x' is computed; it must be a constant");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_resize");
    TCase *tcase = tcase_create("values");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, elements_come_from_the_places_that_the_mode_says, 0,
                        COUNT(axis_cases));
    tcase_add_test(tcase, two_axes_are_resized_one_after_the_other);
    tcase_add_test(tcase, only_the_named_axes_are_resized);
    tcase_add_test(tcase, nearest_keeps_the_grid_and_linear_does_not);
    tcase_add_loop_test(tcase, what_has_no_meaning_or_no_runtime_is_refused, 0, COUNT(refusals));
    tcase_add_test(tcase, lists_are_kept_about_the_axes_that_change);
    tcase_add_test(tcase, one_constant_of_scales_and_sizes_is_needed);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
