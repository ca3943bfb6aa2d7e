#include "support.h"
#include "tflite_build.h"
#include "tflite_run.h"

#include "ptqd/nn/model.h"

/* Operators from TFLite files that cut maps or make them larger, and PRELU, against values worked
 * out by hand. Each runs on the file's order and behind a convolution, which leaves the image with
 * channels second: law, that makes no difference. */

enum {
    CONCATENATION = 2,
    CONV = 3,
    RESIZE_BILINEAR = 23,
    STRIDED_SLICE = 45,
    SPLIT = 49,
    PRELU = 54,
    SLICE = 65,
    TRANSPOSE_CONV = 67,
    RESIZE_NEAREST = 97,
    SPLIT_V = 102,
};

/* Kinds of options. */
enum { OF_BILINEAR = 15, OF_STRIDED = 32, OF_SPLIT = 35, OF_TRANSPOSE_CONV = 49, OF_NEAREST = 74 };

static struct build_model model;

static void setup(void)
{
    model = (struct build_model){.tensor_count = 0};
}

/* 1x2x2x2: each pixel is (n, 10 n), n of both signs. */
static const float IMAGE[] = {1, 10, -2, -20, 3, 30, -4, -40};

/* The input 1 H W C; with `moved` behind a convolution that changes nothing. */
static int image(bool moved, int32_t H, int32_t W, int32_t C)
{
    static const float filters[] = {1, 0, 0, 1};
    setup();
    int x = build_activation(&model, SHAPE_OF(1, H, W, C));
    if (!moved)
        return x;
    int weights = build_constant(&model, SHAPE_OF(C, 1, 1, C), filters);
    int out = build_activation(&model, SHAPE_OF(1, H, W, C));
    struct build_operator *conv = build_add_operator(&model, CONV, out, x, weights, BUILD_NO_INPUT);
    build_set_integer(conv, 1, 1, 4, 1);
    build_set_integer(conv, 1, 2, 4, 1);
    return out;
}

START_TEST(prelu_has_a_slope_per_channel)
{
    static const float slopes[] = {0.5F, -1};
    int x = image(_i == 1, 2, 2, 2), slope = build_constant(&model, SHAPE_OF(1, 1, 2), slopes);
    int y = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    (void)build_add_operator(&model, PRELU, y, x, slope, BUILD_NO_INPUT);
    CHECK(&model, IMAGE, 1, 10, -1, 20, 3, 30, -2, 40);
}
END_TEST

START_TEST(a_slice_has_beginnings_and_sizes)
{
    static const int32_t begin[] = {0, 1, 0, 1}, size[] = {1, -1, 2, 1};
    int x = image(_i == 1, 2, 2, 2);
    int from = build_integers(&model, 4, begin), count = build_integers(&model, 4, size);
    (void)build_add_operator(&model, SLICE, build_activation(&model, SHAPE_OF(1, 1, 2, 1)), x, from,
                             count);
    CHECK(&model, IMAGE, 30, -40);
}
END_TEST

START_TEST(a_slice_of_everything_changes_nothing)
{
    static const int32_t begin[] = {0, 0, 0, 0}, size[] = {1, 2, -1, 2};
    int x = image(_i == 1, 2, 2, 2);
    int from = build_integers(&model, 4, begin), count = build_integers(&model, 4, size);
    (void)build_add_operator(&model, SLICE, build_activation(&model, SHAPE_OF(1, 2, 2, 2)), x, from,
                             count);
    CHECK(&model, IMAGE, 1, 10, -2, -20, 3, 30, -4, -40);
}
END_TEST

/* x[begin:end:stride] of an image; masks are of begin, end and shrink_axis. */
static void strided(int x, int output, const int32_t begin[4], const int32_t end[4],
                    const int32_t stride[4], const int masks[3])
{
    static const int fields[] = {0, 1, 4};
    int from = build_integers(&model, 4, begin), to = build_integers(&model, 4, end);
    int step = build_integers(&model, 4, stride);
    struct build_operator *entry = build_add_operator(&model, STRIDED_SLICE, output, x, from, to);
    entry->inputs[entry->input_count++] = step;
    model.output = output;
    for (int i = 0; i < 3; i++)
        build_set_integer(entry, OF_STRIDED, fields[i], 4, masks[i]);
}

START_TEST(masks_of_a_strided_slice_stand_for_the_ends_of_axes)
{
    /* x[:, ::-1, 1:, -1:] */
    int x = image(_i == 1, 2, 2, 2), y = build_activation(&model, SHAPE_OF(1, 2, 1, 1));
    strided(x, y, (const int32_t[]){9, 9, 1, -1}, (const int32_t[]){0, 0, 2, 9},
            (const int32_t[]){1, -1, 1, 1}, (const int[]){3, 11, 0});
    CHECK(&model, IMAGE, -40, -20);
}
END_TEST

START_TEST(a_shrunk_axis_of_a_strided_slice_is_gone)
{
    /* x[:, -1, :, 1] */
    int x = image(_i == 1, 2, 2, 2), y = build_activation(&model, SHAPE_OF(1, 2));
    strided(x, y, (const int32_t[]){0, -1, 0, 1}, (const int32_t[]){0, 0, 0, 0},
            (const int32_t[]){1, 1, 1, 1}, (const int[]){5, 5, 10});
    CHECK(&model, IMAGE, 30, -40);
}
END_TEST

/* The second part before the first, along the channels. */
static void join_backwards(int first, int second)
{
    int y = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    struct build_operator *concat =
        build_add_operator(&model, CONCATENATION, y, second, first, BUILD_NO_INPUT);
    build_set_integer(concat, 10, 0, 4, 3);
    model.output = y;
}

START_TEST(a_split_has_equal_parts)
{
    static const int32_t axis[] = {-1};
    int x = image(_i == 1, 2, 2, 2), last = build_integers(&model, 1, axis);
    int a = build_activation(&model, SHAPE_OF(1, 2, 2, 1));
    int b = build_activation(&model, SHAPE_OF(1, 2, 2, 1));
    struct build_operator *split = build_add_operator(&model, SPLIT, a, last, x, BUILD_NO_INPUT);
    split->outputs[1] = b;
    split->output_count = 2;
    build_set_integer(split, OF_SPLIT, 0, 4, 2);
    join_backwards(a, b);
    CHECK(&model, IMAGE, 10, 1, -20, -2, 30, 3, -40, -4);
}
END_TEST

/* A length of −1 is what is left; 3 = 1 + 2 columns, of which the second part is read. */
START_TEST(a_split_may_have_lengths)
{
    static const int32_t lengths[] = {1, -1}, axis[] = {2};
    static const float input[] = {1, 2, 3, 4, 5, 6};
    int x = image(false, 2, 3, 1), parts = build_integers(&model, 2, lengths);
    int columns = build_integers(&model, 1, axis);
    int a = build_activation(&model, SHAPE_OF(1, 2, 1, 1));
    int b = build_activation(&model, SHAPE_OF(1, 2, 2, 1));
    struct build_operator *split = build_add_operator(&model, SPLIT_V, a, x, parts, columns);
    split->outputs[1] = b;
    split->output_count = 2;
    CHECK(&model, input, 2, 3, 5, 6);
}
END_TEST

/* A row of W elements to another width. */
struct resize_case {
    int code;
    bool align_corners, half_pixel;
    int32_t from, to;
    double expected[6];
};

static const float ROW[] = {0, 30, 60, 90};

static const struct resize_case resize_cases[] = {
    {RESIZE_BILINEAR, false, false, 2, 4, {0, 15, 30, 30}},
    {RESIZE_BILINEAR, false, true, 2, 4, {0, 7.5, 22.5, 30}},
    {RESIZE_BILINEAR, true, false, 2, 4, {0, 10, 20, 30}},
    {RESIZE_BILINEAR, false, true, 4, 2, {15, 75}},
    {RESIZE_BILINEAR, true, false, 4, 1, {0}},
    {RESIZE_NEAREST, false, false, 4, 2, {0, 60}},
    {RESIZE_NEAREST, false, true, 4, 2, {30, 90}},
    {RESIZE_NEAREST, true, false, 4, 2, {0, 90}},
    {RESIZE_NEAREST, true, false, 4, 3, {0, 60, 90}},
    {RESIZE_NEAREST, false, false, 2, 5, {0, 0, 0, 30, 30}},
};

START_TEST(a_resized_row_has_the_elements_that_the_options_say)
{
    const struct resize_case *c = &resize_cases[_i];
    bool bilinear = c->code == RESIZE_BILINEAR;
    int kind = bilinear ? OF_BILINEAR : OF_NEAREST, first = bilinear ? 2 : 0;
    for (int moved = 0; moved < 2; moved++) {
        int x = image(moved == 1, 1, c->from, 1);
        int size = build_integers(&model, 2, (const int32_t[]){1, c->to});
        int y = build_activation(&model, SHAPE_OF(1, 1, c->to, 1));
        struct build_operator *entry =
            build_add_operator(&model, c->code, y, x, size, BUILD_NO_INPUT);
        build_set_integer(entry, kind, first, 1, c->align_corners);
        build_set_integer(entry, kind, first + 1, 1, c->half_pixel);
        tflite_check(&model, ROW, c->from, c->expected, c->to);
    }
}
END_TEST

/* 1 2 under a filter 1 10 100, two apart, of another length each time. */
static const struct transposed_case {
    int padding; /* 0 SAME, 1 VALID */
    int32_t width;
    double expected[6];
} transposed_cases[] = {
    {1, 5, {1, 10, 102, 20, 200}},
    {1, 6, {1, 10, 102, 20, 200, 0}},
    {0, 4, {1, 10, 102, 20}},
    {0, 3, {10, 102, 20}},
};

static struct build_operator *transpose_conv(int x, int shape, int filter, int output, int padding)
{
    struct build_operator *entry =
        build_add_operator(&model, TRANSPOSE_CONV, output, shape, filter, x);
    build_set_integer(entry, OF_TRANSPOSE_CONV, 0, 1, padding);
    build_set_integer(entry, OF_TRANSPOSE_CONV, 1, 4, 2);
    build_set_integer(entry, OF_TRANSPOSE_CONV, 2, 4, 1);
    return entry;
}

START_TEST(a_transposed_convolution_is_placed_by_its_output)
{
    static const float input[] = {1, 2}, taps[] = {1, 10, 100};
    const struct transposed_case *c = &transposed_cases[_i];
    int x = image(false, 1, 2, 1);
    int shape = build_integers(&model, 4, (const int32_t[]){1, 1, c->width, 1});
    int filter = build_constant(&model, SHAPE_OF(1, 1, 3, 1), taps);
    int y = build_activation(&model, SHAPE_OF(1, 1, c->width, 1));
    (void)transpose_conv(x, shape, filter, y, c->padding);
    tflite_check(&model, input, 2, c->expected, c->width);
}
END_TEST

/* Filters K R S C: three channels from two; a bias, and a fused RELU. */
START_TEST(a_transposed_convolution_has_channels_bias_and_activation)
{
    static const float taps[] = {1, 2, 3, 4, -1, -1}, offsets[] = {0.5F, 0, 50};
    static const float input[] = {1, 10};
    int x = image(_i == 1, 1, 1, 2);
    int shape = build_integers(&model, 4, (const int32_t[]){1, 1, 2, 3});
    int filter = build_constant(&model, SHAPE_OF(3, 1, 1, 2), taps);
    int bias = build_constant(&model, SHAPE_OF(3), offsets);
    int y = build_activation(&model, SHAPE_OF(1, 1, 2, 3));
    struct build_operator *entry = transpose_conv(x, shape, filter, y, 1);
    entry->inputs[entry->input_count++] = bias;
    build_set_integer(entry, OF_TRANSPOSE_CONV, 3, 1, 1);
    CHECK(&model, input, 21.5, 43, 39, 0.5, 0, 50);
}
END_TEST

/* Models that are refused, each from one with a single operator on an image of 2x2x2. */

static void strided_with_ellipsis(int x)
{
    static const int32_t zeros[] = {0, 0, 0, 0}, ones[] = {1, 1, 1, 1};
    strided(x, build_activation(&model, SHAPE_OF(1, 2, 2, 2)), zeros, ones, ones,
            (const int[]){15, 15, 0});
    build_set_integer(&model.operators[0], OF_STRIDED, 2, 4, 1);
}

static void slice_beyond(int x)
{
    static const int32_t begin[] = {0, 1, 0, 0}, size[] = {1, 2, 2, 2};
    int from = build_integers(&model, 4, begin), count = build_integers(&model, 4, size);
    (void)build_add_operator(&model, SLICE, build_activation(&model, SHAPE_OF(1, 2, 2, 2)), x, from,
                             count);
}

static void split_into_another_number(int x)
{
    static const int32_t axis[] = {3};
    int channels = build_integers(&model, 1, axis);
    struct build_operator *split =
        build_add_operator(&model, SPLIT, build_activation(&model, SHAPE_OF(1, 2, 2, 1)), channels,
                           x, BUILD_NO_INPUT);
    build_set_integer(split, OF_SPLIT, 0, 4, 2);
}

static void resize_both_ways(int x)
{
    static const int32_t extents[] = {4, 4};
    int size = build_integers(&model, 2, extents);
    struct build_operator *entry =
        build_add_operator(&model, RESIZE_BILINEAR, build_activation(&model, SHAPE_OF(1, 4, 4, 2)),
                           x, size, BUILD_NO_INPUT);
    build_set_integer(entry, OF_BILINEAR, 2, 1, 1);
    build_set_integer(entry, OF_BILINEAR, 3, 1, 1);
}

static void transpose_to_another_shape(int x)
{
    static const float taps[4] = {1, 1, 1, 1};
    static const int32_t extents[] = {1, 2, 5, 2};
    int shape = build_integers(&model, 4, extents);
    int filter = build_constant(&model, SHAPE_OF(2, 1, 1, 2), taps);
    (void)transpose_conv(x, shape, filter, build_activation(&model, SHAPE_OF(1, 2, 4, 2)), 0);
}

static const struct refusal {
    void (*build)(int x);
    enum error_code code;
    const char *message;
} refusals[] = {
    {strided_with_ellipsis, E_UNSUPPORTED, "only begin_mask, end_mask and shrink_axis_mask"},
    {slice_beyond, E_INVALID, "2 elements from 1 on of axis 1, which has 2"},
    {split_into_another_number, E_INVALID, "2 parts for 1 outputs"},
    {resize_both_ways, E_INVALID, "align_corners and half_pixel_centers are both set"},
    {transpose_to_another_shape, E_INVALID, "is another shape than that of the output"},
};

START_TEST(what_makes_no_sense_is_refused)
{
    static uint8_t file[BUILD_BYTES];
    struct error err;
    struct graph *graph;
    struct arena *arena = arena_create(0);
    refusals[_i].build(image(false, 2, 2, 2));
    model.output = model.tensor_count - 1;
    ck_assert_fails(model_import(arena, file, tflite_build(&model, file), &graph, NULL, &err), &err,
                    refusals[_i].code, refusals[_i].message);
    arena_destroy(arena);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("tflite_maps");
    TCase *tests = tcase_create("values");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_loop_test(tests, prelu_has_a_slope_per_channel, 0, 2);
    tcase_add_loop_test(tests, a_slice_has_beginnings_and_sizes, 0, 2);
    tcase_add_loop_test(tests, a_slice_of_everything_changes_nothing, 0, 2);
    tcase_add_loop_test(tests, masks_of_a_strided_slice_stand_for_the_ends_of_axes, 0, 2);
    tcase_add_loop_test(tests, a_shrunk_axis_of_a_strided_slice_is_gone, 0, 2);
    tcase_add_loop_test(tests, a_split_has_equal_parts, 0, 2);
    tcase_add_test(tests, a_split_may_have_lengths);
    tcase_add_loop_test(tests, a_resized_row_has_the_elements_that_the_options_say, 0,
                        COUNT(resize_cases));
    tcase_add_loop_test(tests, a_transposed_convolution_is_placed_by_its_output, 0,
                        COUNT(transposed_cases));
    tcase_add_loop_test(tests, a_transposed_convolution_has_channels_bias_and_activation, 0, 2);
    tcase_add_loop_test(tests, what_makes_no_sense_is_refused, 0, COUNT(refusals));
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
