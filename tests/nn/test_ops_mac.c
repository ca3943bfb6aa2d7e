/* Conv and BatchNormalization: against their definitions in the file's order of axes, their
 * gradients against differences, what they count and what they refuse. */

#include "node_case.h"
#include "ptqd/nn/conv_node.h"
#include "support.h"

#include <math.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Sums of a few hundred products of values around 1. */
static const double CLOSE = 2e-4;

static const struct conv_case {
    struct node_spec spec;
    struct shape output; /* in the file's order */
    int64_t macs;
} conv_cases[] = {
    {{.op = "Conv",
      .input = {4, {1, 3, 5, 6}},
      .constants = {{4, {4, 3, 3, 3}}, {1, {4}}},
      .constant_count = 2},
     {4, {1, 4, 3, 4}},
     4 * 27 * 12},
    {{.op = "Conv",
      .input = {4, {1, 4, 5, 6}},
      .constants = {{4, {6, 2, 3, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INT("group", 2), NODE_INTS("strides", 2, 1),
                     NODE_INTS("pads", 0, 1, 2, 0), NODE_INTS("kernel_shape", 3, 2)}},
     {4, {1, 6, 3, 6}},
     6 * 12 * 18},
    {{.op = "Conv",
      .input = {4, {1, 5, 7, 7}},
      .constants = {{4, {5, 1, 3, 3}}, {1, {5}}},
      .constant_count = 2,
      .attributes = {NODE_INT("group", 5), NODE_INTS("dilations", 2, 3),
                     NODE_INTS("pads", 1, 2, 1, 2)}},
     {4, {1, 5, 5, 5}},
     5 * 9 * 25},
    {{.op = "Conv",
      .input = {4, {1, 2, 5, 5}},
      .constants = {{4, {3, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME_UPPER"), NODE_INTS("strides", 2, 2)}},
     {4, {1, 3, 3, 3}},
     3 * 8 * 9},
    {{.op = "Conv",
      .input = {4, {1, 2, 4, 5}},
      .constants = {{4, {3, 2, 2, 4}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME_LOWER")}},
     {4, {1, 3, 4, 5}},
     3 * 16 * 20},
    {{.op = "Conv",
      .input = {4, {1, 2, 4, 5}},
      .constants = {{4, {3, 2, 2, 4}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "VALID"), NODE_INTS("pads", 7, 7, 7, 7)}},
     {4, {1, 3, 3, 2}},
     3 * 16 * 6},
    {{.op = "Conv",
      .input = {3, {1, 3, 9}},
      .constants = {{3, {4, 3, 3}}, {1, {4}}},
      .constant_count = 2,
      .attributes = {NODE_INTS("pads", 2, 0), NODE_INTS("strides", 2), NODE_INTS("dilations", 2)}},
     {3, {1, 4, 4}},
     4 * 9 * 4},
};

/* A (N, C, H, W) view of 3 or 4 axes. */
struct view {
    int64_t N, C, H, W;
};

static struct view view_of(const struct shape *shape)
{
    if (shape->rank == 3)
        return (struct view){shape->dim[0], shape->dim[1], 1, shape->dim[2]};
    return (struct view){shape->dim[0], shape->dim[1], shape->dim[2], shape->dim[3]};
}

/* The definition (ONNX operator specification, Conv), in the file's order; padding before each axis
 * from the node's geometry, everything else from the shapes. */
static double conv_at(const struct conv_shape *shape, struct view in, const float *x,
                      const float *w, int64_t n, int64_t k, int64_t oh, int64_t ow)
{
    double sum = 0;
    int64_t channels = in.C / shape->G;
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t r = 0; r < shape->R; r++) {
            for (int64_t s = 0; s < shape->S; s++) {
                int64_t h = oh * shape->stride_h + r * shape->dilation_h - shape->pad_top;
                int64_t v = ow * shape->stride_w + s * shape->dilation_w - shape->pad_left;
                if (h < 0 || h >= in.H || v < 0 || v >= in.W)
                    continue;
                int64_t channel = k / (shape->K / shape->G) * channels + c;
                sum += (double)x[((n * in.C + channel) * in.H + h) * in.W + v] *
                       (double)w[((k * channels + c) * shape->R + r) * shape->S + s];
            }
        }
    }
    return sum;
}

START_TEST(convolution_is_that_of_the_definition)
{
    struct error err;
    struct node_case at;
    const struct conv_case *test = &conv_cases[_i];
    enum { SAMPLES = 3 };
    ck_assert_ok(node_case_init(&at, &test->spec, 1, &err), &err);
    node_case_check_output(&at, &test->output);
    struct shape x_shape = test->spec.input, y_shape = test->output;
    x_shape.dim[0] = y_shape.dim[0] = SAMPLES;
    float *x = node_case_input(&at, SAMPLES);
    const struct tensor *weights = &at.graph->tensors[at.node->inputs[1]];
    struct shape moved = at.graph->tensors[at.node->inputs[0]].shape;
    moved.dim[0] = SAMPLES;
    const float *x_file = node_case_file_order(&at, x, &moved);
    const float *w_file = node_case_file_order(&at, weights->values, &weights->shape);
    const float *y = node_case_run(&at, x, SAMPLES);
    moved = at.graph->tensors[at.node->outputs[0]].shape;
    moved.dim[0] = SAMPLES;
    const float *y_file = node_case_file_order(&at, y, &moved);

    struct conv_shape shape = conv_node_shape(at.graph, at.node, SAMPLES);
    struct view in = view_of(&x_shape), out = view_of(&y_shape);
    const float *bias =
        at.node->input_count > 2 ? at.graph->tensors[at.node->inputs[2]].values : NULL;
    for (int64_t i = 0; i < shape_elements(&y_shape); i++) {
        int64_t ow = i % out.W, oh = i / out.W % out.H, k = i / (out.W * out.H) % out.C;
        double expected =
            conv_at(&shape, in, x_file, w_file, i / (out.W * out.H * out.C), k, oh, ow) +
            (bias != NULL ? (double)bias[k] : 0);
        ck_assert_double_eq_tol((double)y_file[i], expected, CLOSE);
    }
    node_case_finish(&at);
}
END_TEST

/* Linear in each operand: a wide step is exact but for rounding. */
START_TEST(gradients_of_convolution_are_those_of_differences)
{
    struct error err;
    struct node_case at;
    ck_assert_ok(node_case_init(&at, &conv_cases[_i].spec, 2, &err), &err);
    node_case_check_gradients(&at, 2, 1.0f, CLOSE);
    node_case_finish(&at);
}
END_TEST

START_TEST(multiply_accumulates_of_convolution_are_counted)
{
    struct error err;
    struct node_case at;
    ck_assert_ok(node_case_init(&at, &conv_cases[_i].spec, 3, &err), &err);
    ck_assert_int_eq(at.node->op->macs(at.graph, at.node), conv_cases[_i].macs);
    node_case_finish(&at);
}
END_TEST

/* An odd cell of SAME goes after the map for UPPER, before it for LOWER. */
START_TEST(same_padding_is_uneven_on_the_side_of_its_name)
{
    struct error err;
    struct node_case at;
    struct node_spec spec = conv_cases[4].spec;
    ck_assert_ok(node_case_init(&at, &spec, 4, &err), &err);
    struct conv_shape shape = conv_node_shape(at.graph, at.node, 1);
    ck_assert_int_eq(shape.pad_top, 1);
    ck_assert_int_eq(shape.pad_bottom, 0);
    ck_assert_int_eq(shape.pad_left, 2);
    ck_assert_int_eq(shape.pad_right, 1);
    node_case_finish(&at);
    spec.attributes[0].string = "SAME_UPPER";
    ck_assert_ok(node_case_init(&at, &spec, 4, &err), &err);
    shape = conv_node_shape(at.graph, at.node, 1);
    ck_assert_int_eq(shape.pad_top, 0);
    ck_assert_int_eq(shape.pad_bottom, 1);
    ck_assert_int_eq(shape.pad_left, 1);
    ck_assert_int_eq(shape.pad_right, 2);
    node_case_finish(&at);
}
END_TEST

#define NORMALIZATION(rank_, ...)                                                                  \
    .op = "BatchNormalization", .input = {rank_, {__VA_ARGS__}},                                   \
    .constants = {{1, {3}}, {1, {3}}, {1, {3}}, {1, {3}}}, .constant_count = 4

static const struct node_spec normalization_cases[] = {
    {NORMALIZATION(2, 1, 3)},
    {NORMALIZATION(3, 1, 3, 5), .attributes = {NODE_REAL("epsilon", 0.1)}},
    {NORMALIZATION(4, 1, 3, 4, 2), .opset = 7},
    {NORMALIZATION(5, 1, 3, 2, 2, 2), .opset = 15, .attributes = {NODE_INT("training_mode", 0)}},
};

START_TEST(batch_normalization_is_that_of_the_definition)
{
    struct error err;
    struct node_case at;
    enum { SAMPLES = 2 };
    ck_assert_ok(node_case_init(&at, &normalization_cases[_i], 9, &err), &err);
    const float *x = node_case_input(&at, SAMPLES), *y = node_case_run(&at, x, SAMPLES);
    const float *parameter[5];
    for (int i = 1; i < 5; i++)
        parameter[i] = at.graph->tensors[at.node->inputs[i]].values;
    const struct tensor *tensor = &at.graph->tensors[at.node->inputs[0]];
    int channel = tensor->channels_last ? tensor->shape.rank - 1 : 1;
    int64_t inner = 1;
    for (int i = channel + 1; i < tensor->shape.rank; i++)
        inner *= tensor->shape.dim[i];
    const struct attribute *epsilon = node_attribute(at.node, "epsilon");
    for (int64_t i = 0; i < node_case_outputs(&at, SAMPLES); i++) {
        int64_t c = i / inner % 3;
        double deviation = sqrt((double)parameter[4][c] + (epsilon != NULL ? epsilon->real : 1e-5));
        double expected =
            ((double)x[i] - (double)parameter[3][c]) / deviation * (double)parameter[1][c] +
            (double)parameter[2][c];
        ck_assert_double_eq_tol((double)y[i], expected, 1e-6);
    }
    node_case_finish(&at);
}
END_TEST

/* The variance is the only operand it isn't linear in: a small step, float32's rounding over it. */
START_TEST(gradients_of_batch_normalization_are_those_of_differences)
{
    struct error err;
    struct node_case at;
    ck_assert_ok(node_case_init(&at, &normalization_cases[_i], 10, &err), &err);
    node_case_check_gradients(&at, 2, 0.01f, 2e-3);
    node_case_finish(&at);
}
END_TEST

static const float negative_variance[] = {1, -2, 1};

static const struct refusal {
    struct node_spec spec;
    enum error_code code;
    const char *fragment;
} refusals[] = {
    {{.op = "Conv",
      .input = {5, {1, 2, 4, 4, 4}},
      .constants = {{5, {3, 2, 2, 2, 2}}},
      .constant_count = 1},
     E_UNSUPPORTED,
     "has 5 axes"},
    {{.op = "Conv",
      .input = {4, {1, 4, 5, 5}},
      .constants = {{4, {6, 3, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INT("group", 2)}},
     E_INVALID,
     "2 groups of 3 channels; the input has 4 channels"},
    {{.op = "Conv",
      .input = {4, {1, 4, 5, 5}},
      .constants = {{4, {5, 2, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INT("group", 2)}},
     E_INVALID,
     "group is 2; it must divide 5 output channels"},
    {{.op = "Conv",
      .input = {4, {1, 4, 5, 5}},
      .constants = {{4, {5, 4, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INT("group", 0)}},
     E_INVALID,
     "group is 0"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("kernel_shape", 3, 2)}},
     E_INVALID,
     "kernel_shape has 2 on axis 1, where the weights have 3"},
    {{.op = "Conv",
      .input = {4, {1, 1, 2, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1},
     E_INVALID,
     "a window of 3 cells"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("strides", 0, 1)}},
     E_INVALID,
     "strides has 0; 1 to 2^30"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("dilations", 1, INT64_MAX)}},
     E_INVALID,
     "dilations has 9223372036854775807"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("pads", -1, 0, 0, 0)}},
     E_INVALID,
     "pads has -1"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("pads", 1, 1)}},
     E_INVALID,
     "pads has 2 values; a map of 2 axes needs 4"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("pads", 0, 0, 0, 65537)}},
     E_UNSUPPORTED,
     "65537 cells of padding on one side; up to 65536 are supported"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME_UPPER"), NODE_INTS("dilations", 1, 1 << 20)}},
     E_UNSUPPORTED,
     "1048576 cells of padding on one side"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {1, 1, 3, 3}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME")}},
     E_INVALID,
     "auto_pad is 'SAME'"},
    {{.op = "Conv",
      .input = {4, {1, 1, 5, 5}},
      .constants = {{4, {2, 1, 3, 3}}, {1, {3}}},
      .constant_count = 2},
     E_INVALID,
     "bias 'c2' has 3 elements"},
    {{.op = "Conv", .input = {4, {1, 1, 5, 5}}, .constants = {{3, {2, 1, 3}}}, .constant_count = 1},
     E_INVALID,
     "weights 'c1' have 3 axes"},
    {{NORMALIZATION(4, 1, 3, 2, 2), .attributes = {NODE_INT("training_mode", 1)}},
     E_UNSUPPORTED,
     "training_mode is 1"},
    {{NORMALIZATION(4, 1, 3, 2, 2), .attributes = {NODE_INT("spatial", 0)}, .opset = 7},
     E_UNSUPPORTED,
     "spatial is 0"},
    {{NORMALIZATION(4, 1, 3, 2, 2), .opset = 6}, E_UNSUPPORTED, "is_test is 0"},
    {{NORMALIZATION(4, 1, 4, 2, 2)}, E_INVALID, "one for each of 4 channels"},
    {{NORMALIZATION(4, 1, 3, 2, 2), .values = {[3] = negative_variance}},
     E_INVALID,
     "variance 1 of 'c4' is -2"},
};

START_TEST(what_is_refused_is_named)
{
    struct error err;
    struct node_case at;
    ck_assert_fails(node_case_init(&at, &refusals[_i].spec, 11, &err), &err, refusals[_i].code,
                    refusals[_i].fragment);
    node_case_finish(&at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_mac");
    TCase *conv = tcase_create("conv");
    tcase_add_loop_test(conv, convolution_is_that_of_the_definition, 0, COUNT(conv_cases));
    tcase_add_loop_test(conv, gradients_of_convolution_are_those_of_differences, 0,
                        COUNT(conv_cases));
    tcase_add_loop_test(conv, multiply_accumulates_of_convolution_are_counted, 0,
                        COUNT(conv_cases));
    tcase_add_test(conv, same_padding_is_uneven_on_the_side_of_its_name);
    suite_add_tcase(suite, conv);
    TCase *normalization = tcase_create("normalization");
    tcase_add_loop_test(normalization, batch_normalization_is_that_of_the_definition, 0,
                        COUNT(normalization_cases));
    tcase_add_loop_test(normalization, gradients_of_batch_normalization_are_those_of_differences, 0,
                        COUNT(normalization_cases));
    suite_add_tcase(suite, normalization);
    TCase *errors = tcase_create("errors");
    tcase_add_loop_test(errors, what_is_refused_is_named, 0, COUNT(refusals));
    suite_add_tcase(suite, errors);
    return support_run(suite);
}
