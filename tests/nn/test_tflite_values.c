#include "support.h"
#include "tflite_build.h"
#include "tflite_run.h"

#include <math.h>
#include <string.h>

/* What operators from TFLite files compute, against values worked out by hand. */

enum {
    ADD = 0,
    CONCATENATION = 2,
    CONV = 3,
    DEQUANTIZE = 6,
    DENSE = 9,
    LOGISTIC = 14,
    MUL = 18,
    RELU = 19,
    RELU_N1_TO_1 = 20,
    RELU6 = 21,
    RESHAPE = 22,
    SOFTMAX = 25,
    TANH = 28,
    PAD = 34,
    TRANSPOSE = 39,
    MEAN = 40,
    SUB = 41,
    DIV = 42,
    SQUEEZE = 43,
    LOG_SOFTMAX = 50,
    PADV2 = 60,
    EXPAND_DIMS = 70,
    SHAPE = 77,
    LEAKY_RELU = 98,
    ELU = 111,
    HARD_SWISH = 117,
    RELU_0_TO_1 = 152,
};

static struct build_model model;

static void setup(void)
{
    model = (struct build_model){.tensor_count = 0};
}

static const float X[] = {-4, -0.5F, 0.25F, 7};

static struct build_operator *unary(int code)
{
    int x = build_activation(&model, SHAPE_OF(1, 4));
    return build_add_operator(&model, code, build_activation(&model, SHAPE_OF(1, 4)), x,
                              BUILD_NO_INPUT, BUILD_NO_INPUT);
}

START_TEST(rectifiers_cut)
{
    (void)unary(RELU);
    CHECK(&model, X, 0, 0, 0.25, 7);
    model = (struct build_model){.tensor_count = 0};
    (void)unary(RELU6);
    CHECK(&model, X, 0, 0, 0.25, 6);
    model = (struct build_model){.tensor_count = 0};
    (void)unary(RELU_N1_TO_1);
    CHECK(&model, X, -1, -0.5, 0.25, 1);
    model = (struct build_model){.tensor_count = 0};
    (void)unary(RELU_0_TO_1);
    CHECK(&model, X, 0, 0, 0.25, 1);
    model = (struct build_model){.tensor_count = 0};
    build_set_real(unary(LEAKY_RELU), 75, 0, 0.25F);
    CHECK(&model, X, -1, -0.125, 0.25, 7);
}
END_TEST

START_TEST(smooth_functions_have_their_values)
{
    (void)unary(LOGISTIC);
    CHECK(&model, X, 1 / (1 + exp(4)), 1 / (1 + exp(0.5)), 1 / (1 + exp(-0.25)), 1 / (1 + exp(-7)));
    model = (struct build_model){.tensor_count = 0};
    (void)unary(TANH);
    CHECK(&model, X, tanh(-4), tanh(-0.5), tanh(0.25), tanh(7));
    model = (struct build_model){.tensor_count = 0};
    (void)unary(ELU);
    CHECK(&model, X, expm1(-4), expm1(-0.5), 0.25, 7);
    model = (struct build_model){.tensor_count = 0};
    (void)unary(HARD_SWISH); /* x · min(max(x + 3, 0), 6) / 6 */
    CHECK(&model, X, 0, -0.5 * 2.5 / 6, 0.25 * 3.25 / 6, 7);
}
END_TEST

START_TEST(softmax_multiplies_by_beta)
{
    static const float input[] = {0, 1, -1};
    double sum = 1 + exp(2) + exp(-2);
    int x = build_activation(&model, SHAPE_OF(1, 3));
    build_set_real(build_add_operator(&model, SOFTMAX, build_activation(&model, SHAPE_OF(1, 3)), x,
                                      BUILD_NO_INPUT, BUILD_NO_INPUT),
                   9, 0, 2);
    CHECK(&model, input, 1 / sum, exp(2) / sum, exp(-2) / sum);
    model = (struct build_model){.tensor_count = 0};
    sum = 1 + exp(1) + exp(-1);
    x = build_activation(&model, SHAPE_OF(1, 3));
    (void)build_add_operator(&model, LOG_SOFTMAX, build_activation(&model, SHAPE_OF(1, 3)), x,
                             BUILD_NO_INPUT, BUILD_NO_INPUT);
    CHECK(&model, input, -log(sum), 1 - log(sum), -1 - log(sum));
}
END_TEST

/* A 1x1 convolution that doubles, so that what follows sees an image with channels second. */
static int doubled(int x, int32_t h, int32_t w)
{
    static const float filter[] = {2, 0, 0, 2};
    int weights = build_constant(&model, SHAPE_OF(2, 1, 1, 2), filter);
    int out = build_activation(&model, SHAPE_OF(1, h, w, 2));
    struct build_operator *conv = build_add_operator(&model, CONV, out, x, weights, BUILD_NO_INPUT);
    build_set_integer(conv, 1, 1, 4, 1);
    build_set_integer(conv, 1, 2, 4, 1);
    return out;
}

static const float IMAGE[] = {1, 10, 2, 20, 3, 30, 4, 40}; /* 2x2x2: each pixel is (n, 10 n) */

/* Law: a constant meets the image's last axis (channels), whatever the order inside. */
START_TEST(constants_broadcast_along_channels)
{
    static const float offset[] = {100, 200}, factor[] = {1, -1};
    int x = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    if (_i == 1)
        x = doubled(x, 2, 2);
    int b = build_constant(&model, SHAPE_OF(2), offset),
        f = build_constant(&model, SHAPE_OF(1, 1, 1, 2), factor);
    int sum = build_activation(&model, SHAPE_OF(1, 2, 2, 2)),
        product = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    (void)build_add_operator(&model, ADD, sum, x, b, BUILD_NO_INPUT);
    (void)build_add_operator(&model, MUL, product, sum, f, BUILD_NO_INPUT);
    if (_i == 1)
        CHECK(&model, IMAGE, 102, -220, 104, -240, 106, -260, 108, -280);
    else
        CHECK(&model, IMAGE, 101, -210, 102, -220, 103, -230, 104, -240);
}
END_TEST

START_TEST(differences_keep_their_order_and_fused_activation)
{
    static const float one[] = {1};
    int x = build_activation(&model, SHAPE_OF(1, 4));
    int scalar = build_add_tensor(&model, BUILD_F32, 0, NULL, one, sizeof(one));
    struct build_operator *sub =
        build_add_operator(&model, SUB, build_activation(&model, SHAPE_OF(1, 4)), scalar, x,
                           BUILD_NO_INPUT);
    build_set_integer(sub, 28, 0, 1, 2); /* RELU_N1_TO_1 */
    CHECK(&model, X, 1, 1, 0.75, -1);
}
END_TEST

/* x / 0.25, cut to between −1 and 1. */
START_TEST(quotients_keep_their_order_and_fused_activation)
{
    static const float quarter[] = {0.25f};
    int x = build_activation(&model, SHAPE_OF(1, 4));
    int scalar = build_add_tensor(&model, BUILD_F32, 0, NULL, quarter, sizeof(quarter));
    struct build_operator *div =
        build_add_operator(&model, DIV, build_activation(&model, SHAPE_OF(1, 4)), x, scalar,
                           BUILD_NO_INPUT);
    build_set_integer(div, 29, 0, 1, 2); /* RELU_N1_TO_1 */
    CHECK(&model, X, -1, -1, 1, 1);
}
END_TEST

START_TEST(residual_sums_meet_in_one_order)
{
    int x = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    int y = doubled(x, 2, 2);
    (void)build_add_operator(&model, ADD, build_activation(&model, SHAPE_OF(1, 2, 2, 2)), x, y,
                             BUILD_NO_INPUT);
    CHECK(&model, IMAGE, 3, 30, 6, 60, 9, 90, 12, 120);
}
END_TEST

/* After a convolution, and right at the input: axes count as they do in the file. */
START_TEST(images_are_joined_along_the_files_axis)
{
    int x = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    int y = doubled(x, 2, 2);
    build_set_integer(build_add_operator(&model, CONCATENATION,
                                         build_activation(&model, SHAPE_OF(1, 2, 2, 4)), x, y,
                                         BUILD_NO_INPUT),
                      10, 0, 4, -1);
    CHECK(&model, IMAGE, 1, 10, 2, 20, 2, 20, 4, 40, 3, 30, 6, 60, 4, 40, 8, 80);
    model = (struct build_model){.tensor_count = 0};
    x = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    y = doubled(x, 2, 2);
    build_set_integer(build_add_operator(&model, CONCATENATION,
                                         build_activation(&model, SHAPE_OF(1, 4, 2, 2)), y, x,
                                         BUILD_NO_INPUT),
                      10, 0, 4, 1);
    CHECK(&model, IMAGE, 2, 20, 4, 40, 6, 60, 8, 80, 1, 10, 2, 20, 3, 30, 4, 40);
}
END_TEST

START_TEST(padding_goes_where_the_file_says)
{
    static const int32_t pads[] = {0, 0, 1, 0, 0, 1, 0, 0};
    static const float nine[] = {9};
    const int32_t pairs[] = {4, 2};
    int x = build_activation(&model, SHAPE_OF(1, 2, 2, 2));
    int where = build_add_tensor(&model, BUILD_I32, 2, pairs, pads, sizeof(pads));
    (void)build_add_operator(&model, PAD, build_activation(&model, SHAPE_OF(1, 3, 3, 2)), x, where,
                             BUILD_NO_INPUT);
    CHECK(&model, IMAGE, 0, 0, 0, 0, 0, 0, 1, 10, 2, 20, 0, 0, 3, 30, 4, 40, 0, 0);
    model = (struct build_model){.tensor_count = 0};
    x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
    where = build_add_tensor(&model, BUILD_I32, 2, pairs, pads, sizeof(pads));
    int what = build_add_tensor(&model, BUILD_F32, 0, NULL, nine, sizeof(nine));
    (void)build_add_operator(&model, PADV2, build_activation(&model, SHAPE_OF(1, 3, 3, 2)), x,
                             where, what);
    CHECK(&model, IMAGE, 9, 9, 9, 9, 9, 9, 2, 20, 4, 40, 9, 9, 6, 60, 8, 80, 9, 9);
}
END_TEST

/* Means over each set of axes, with and without keeping them; the image is the doubled one. */
START_TEST(means_are_over_the_files_axes)
{
    static const struct {
        int axis_count, keep_dims, rank;
        int32_t axes[3], dim[4];
        int count;
        double values[4];
    } cases[] = {
        {2, 0, 2, {1, 2}, {1, 2}, 2, {5, 50}},
        {2, 1, 4, {1, 2}, {1, 1, 1, 2}, 2, {5, 50}},
        {1, 0, 3, {3}, {1, 2, 2}, 4, {11, 22, 33, 44}},
        {1, 1, 4, {-1}, {1, 2, 2, 1}, 4, {11, 22, 33, 44}},
        {1, 0, 3, {1}, {1, 2, 2}, 4, {4, 40, 6, 60}},
        {1, 1, 4, {2}, {1, 2, 1, 2}, 4, {3, 30, 7, 70}},
        {2, 0, 2, {2, 3}, {1, 2}, 2, {16.5, 38.5}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        model = (struct build_model){.tensor_count = 0};
        int x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
        int axes = build_integers(&model, cases[i].axis_count, cases[i].axes);
        int y = build_activation(&model, cases[i].rank, cases[i].dim);
        build_set_integer(build_add_operator(&model, MEAN, y, x, axes, BUILD_NO_INPUT), 27, 0, 1,
                          cases[i].keep_dims);
        tflite_check(&model, IMAGE, 8, cases[i].values, cases[i].count);
    }
}
END_TEST

/* Law: axes that move are the file's: N H W C. */
START_TEST(shapes_change_in_the_files_order)
{
    static const int32_t rows[] = {-1, 8}, perm[] = {0, 2, 3, 1}, axis[] = {1};
    int x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
    int shape = build_integers(&model, 2, rows);
    (void)build_add_operator(&model, RESHAPE, build_activation(&model, SHAPE_OF(1, 8)), x, shape,
                             BUILD_NO_INPUT);
    CHECK(&model, IMAGE, 2, 20, 4, 40, 6, 60, 8, 80);
    model = (struct build_model){.tensor_count = 0};
    x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
    int order = build_integers(&model, 4, perm);
    (void)build_add_operator(&model, TRANSPOSE, build_activation(&model, SHAPE_OF(1, 2, 2, 2)), x,
                             order, BUILD_NO_INPUT);
    CHECK(&model, IMAGE, 2, 6, 20, 60, 4, 8, 40, 80);
    model = (struct build_model){.tensor_count = 0};
    x = build_activation(&model, SHAPE_OF(1, 4));
    int where = build_integers(&model, 1, axis);
    int wide = build_activation(&model, SHAPE_OF(1, 1, 4));
    (void)build_add_operator(&model, EXPAND_DIMS, wide, x, where, BUILD_NO_INPUT);
    build_set_list(build_add_operator(&model, SQUEEZE, build_activation(&model, SHAPE_OF(1, 4)),
                                      wide, BUILD_NO_INPUT, BUILD_NO_INPUT),
                   30, 0, 1, axis);
    CHECK(&model, X, -4, -0.5, 0.25, 7);
}
END_TEST

/* The shape comes from an option, or from SHAPE and the like, whose result the file has too. */
START_TEST(a_new_shape_may_be_an_option_or_computed)
{
    int x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
    build_set_list(build_add_operator(&model, RESHAPE, build_activation(&model, SHAPE_OF(1, 2, 4)),
                                      x, BUILD_NO_INPUT, BUILD_NO_INPUT),
                   17, 0, 3, (const int32_t[]){-1, 2, 4});
    CHECK(&model, IMAGE, 2, 20, 4, 40, 6, 60, 8, 80);
    model = (struct build_model){.tensor_count = 0};
    x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
    int shape = build_add_tensor(&model, BUILD_I32, 1, (const int32_t[]){4}, NULL, 0);
    (void)build_add_operator(&model, SHAPE, shape, x, BUILD_NO_INPUT, BUILD_NO_INPUT);
    (void)build_add_operator(&model, RESHAPE, build_activation(&model, SHAPE_OF(1, 8)), x, shape,
                             BUILD_NO_INPUT);
    CHECK(&model, IMAGE, 2, 20, 4, 40, 6, 60, 8, 80);
}
END_TEST

/* Rows of an image, of a matrix, and rows that stay rows (keep_num_dims). */
START_TEST(dense_layers_multiply_the_last_values)
{
    static const float weights[] = {1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0};
    static const float bias[] = {0.5F, -1000};
    int x = doubled(build_activation(&model, SHAPE_OF(1, 2, 2, 2)), 2, 2);
    int w = build_constant(&model, SHAPE_OF(2, 8), weights),
        b = build_constant(&model, SHAPE_OF(2), bias);
    struct build_operator *dense =
        build_add_operator(&model, DENSE, build_activation(&model, SHAPE_OF(1, 2)), x, w, b);
    build_set_integer(dense, 8, 0, 1, 1); /* RELU */
    CHECK(&model, IMAGE, 2 + 80 + 0.5, 0);
    model = (struct build_model){.tensor_count = 0};
    x = build_activation(&model, SHAPE_OF(1, 2, 4));
    w = build_constant(&model, SHAPE_OF(2, 4), weights + 4);
    b = build_constant(&model, SHAPE_OF(2), bias);
    dense = build_add_operator(&model, DENSE, build_activation(&model, SHAPE_OF(1, 2, 2)), x, w, b);
    build_set_integer(dense, 8, 2, 1, 1);
    CHECK(&model, IMAGE, 20.5, 30 - 1000, 40.5, 70 - 1000);
    model = (struct build_model){.tensor_count = 0};
    x = build_activation(&model, SHAPE_OF(1, 2, 4));
    w = build_constant(&model, SHAPE_OF(2, 4), weights + 4);
    dense = build_add_operator(&model, DENSE, build_activation(&model, SHAPE_OF(1, 2, 2)), x, w,
                               BUILD_NO_INPUT);
    build_set_integer(dense, 8, 2, 1, 1);
    CHECK(&model, IMAGE, 20, 30, 40, 70);
}
END_TEST

/* Law: (stored − zero point) · scale, with one scale for all, or one per index of an axis. */
START_TEST(quantized_weights_are_dequantized)
{
    static const int8_t codes[] = {-128, 127, 0, 1};
    static const uint8_t unsigned_codes[] = {0, 255, 128, 129};
    static const float input[] = {1, 1000};
    const int32_t square[] = {2, 2};
    int x = build_activation(&model, SHAPE_OF(1, 2));
    int w = build_add_tensor(&model, BUILD_I8, 2, square, codes, sizeof(codes));
    model.tensors[w].scale_count = 1;
    model.tensors[w].scales[0] = 0.5F;
    (void)build_add_operator(&model, DENSE, build_activation(&model, SHAPE_OF(1, 2)), x, w,
                             BUILD_NO_INPUT);
    CHECK(&model, input, -64 + 63500, 500);
    for (int axis = 0; axis < 2; axis++) {
        model = (struct build_model){.tensor_count = 0};
        x = build_activation(&model, SHAPE_OF(1, 2));
        w = build_add_tensor(&model, BUILD_U8, 2, square, unsigned_codes, sizeof(unsigned_codes));
        model.tensors[w].scale_count = model.tensors[w].zero_point_count = 2;
        model.tensors[w].scale_axis = axis;
        memcpy(model.tensors[w].scales, (const float[]){0.5F, 2}, 2 * sizeof(float));
        memcpy(model.tensors[w].zero_points, (const int64_t[]){128, 0}, 2 * sizeof(int64_t));
        (void)build_add_operator(&model, DENSE, build_activation(&model, SHAPE_OF(1, 2)), x, w,
                                 BUILD_NO_INPUT);
        if (axis == 0)
            CHECK(&model, input, -64 + 63500, 256 + 258000);
        else
            CHECK(&model, input, -64 + 510000, 0 + 258000);
    }
}
END_TEST

/* As converters write float16 models: the constant, DEQUANTIZE, the entry. */
START_TEST(half_precision_weights_are_widened)
{
    static const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff}; /* 1, −2, 2^−24, 65504 */
    static const float input[] = {1, 2};
    int x = build_activation(&model, SHAPE_OF(1, 2));
    int w = build_add_tensor(&model, BUILD_F16, 2, (const int32_t[]){2, 2}, halves, sizeof(halves));
    int wide = build_activation(&model, SHAPE_OF(2, 2));
    (void)build_add_operator(&model, DEQUANTIZE, wide, w, BUILD_NO_INPUT, BUILD_NO_INPUT);
    (void)build_add_operator(&model, DENSE, build_activation(&model, SHAPE_OF(1, 2)), x, wide,
                             BUILD_NO_INPUT);
    CHECK(&model, input, -3, 131008 + 0x1p-24);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("tflite_values");
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, rectifiers_cut);
    tcase_add_test(cases, smooth_functions_have_their_values);
    tcase_add_test(cases, softmax_multiplies_by_beta);
    tcase_add_loop_test(cases, constants_broadcast_along_channels, 0, 2);
    tcase_add_test(cases, differences_keep_their_order_and_fused_activation);
    tcase_add_test(cases, quotients_keep_their_order_and_fused_activation);
    tcase_add_test(cases, residual_sums_meet_in_one_order);
    tcase_add_test(cases, images_are_joined_along_the_files_axis);
    tcase_add_test(cases, padding_goes_where_the_file_says);
    tcase_add_test(cases, means_are_over_the_files_axes);
    tcase_add_test(cases, shapes_change_in_the_files_order);
    tcase_add_test(cases, a_new_shape_may_be_an_option_or_computed);
    tcase_add_test(cases, dense_layers_multiply_the_last_values);
    tcase_add_test(cases, quantized_weights_are_dequantized);
    tcase_add_test(cases, half_precision_weights_are_widened);
    Suite *suite = suite_create("tflite_values");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
