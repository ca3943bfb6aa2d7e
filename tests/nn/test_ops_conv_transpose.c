/* ConvTranspose against its definition in the file's order of axes: every element of the input
 * lays the filter, multiplied with it, onto the output. Sizes and pads worked out by hand, what it
 * counts, and what it refuses. */

#include "node_case.h"
#include "ptqd/nn/conv_node.h"
#include "support.h"

#include <math.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Sums of a few hundred products of values around 1. */
static const double CLOSE = 2e-4;

static const struct transposed_case {
    struct node_spec spec;
    struct shape output; /* in the file's order */
    int64_t macs;
    int64_t pad_top, pad_left; /* cut off in front */
} cases[] = {
    /* 2 · (5 − 1) + 3 = 11 */
    {{.op = "ConvTranspose",
      .input = {4, {1, 3, 5, 6}},
      .constants = {{4, {3, 4, 3, 3}}, {1, {4}}},
      .constant_count = 2,
      .attributes = {NODE_INTS("strides", 2, 1)}},
     {4, {1, 4, 11, 8}},
     5 * 6 * 3 * 4 * 9,
     0,
     0},
    /* 1 · 2 + 3 − 1 − 0 + 0, 3 · 3 + 2 − 0 − 1 + 2 */
    {{.op = "ConvTranspose",
      .input = {4, {1, 4, 3, 4}},
      .constants = {{4, {4, 3, 3, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INT("group", 2), NODE_INTS("strides", 1, 3),
                     NODE_INTS("pads", 1, 0, 0, 1), NODE_INTS("output_padding", 0, 2),
                     NODE_INTS("kernel_shape", 3, 2)}},
     {4, {1, 6, 4, 12}},
     3 * 4 * 4 * 3 * 6,
     1,
     0},
    /* 2 · (4 − 1) + 2 · 2 + 1, 1 · 2 + 3 · 1 + 1 − 1 − 2 */
    {{.op = "ConvTranspose",
      .input = {4, {1, 5, 4, 3}},
      .constants = {{4, {5, 1, 3, 2}}, {1, {5}}},
      .constant_count = 2,
      .attributes = {NODE_INT("group", 5), NODE_INTS("strides", 2, 1), NODE_INTS("dilations", 2, 3),
                     NODE_INTS("pads", 0, 1, 0, 2)}},
     {4, {1, 5, 11, 3}},
     4 * 3 * 5 * 6,
     0,
     1},
    /* 4 · 2 of 9, one cut: behind with UPPER, in front with LOWER */
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 3, 3, 2}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME_UPPER"), NODE_INTS("strides", 2, 2)}},
     {4, {1, 3, 8, 8}},
     16 * 2 * 3 * 6,
     0,
     0},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 3, 3, 2}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME_LOWER"), NODE_INTS("strides", 2, 2)}},
     {4, {1, 3, 8, 8}},
     16 * 2 * 3 * 6,
     1,
     0},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 3, 3, 2}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "VALID"), NODE_INTS("pads", 1, 1, 1, 1)}},
     {4, {1, 3, 6, 5}},
     16 * 2 * 3 * 6,
     0,
     0},
    /* 8 of 11, three cut: two in front; 10 where 9 are reached */
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 3, 4}},
      .constants = {{4, {2, 2, 5, 3}}, {1, {2}}},
      .constant_count = 2,
      .attributes = {NODE_INTS("strides", 3, 2), NODE_INTS("output_shape", 8, 10),
                     NODE_INTS("pads", 4, 4, 4, 4)}},
     {4, {1, 2, 8, 10}},
     12 * 2 * 2 * 15,
     2,
     0},
    {{.op = "ConvTranspose",
      .input = {3, {1, 3, 6}},
      .constants = {{3, {3, 4, 4}}, {1, {4}}},
      .constant_count = 2,
      .attributes = {NODE_INTS("pads", 1, 1), NODE_INTS("strides", 2)}},
     {3, {1, 4, 12}},
     6 * 3 * 4 * 4,
     0,
     1},
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

/* Weights (C, K/G, R, S) as the file has them. */
static float *file_weights(struct node_case *at, const struct deconv_shape *shape)
{
    struct error err;
    const float *moved = at->graph->tensors[at->node->inputs[1]].values;
    int64_t inputs = shape->C / shape->G, outputs = shape->K / shape->G;
    int64_t taps = shape->R * shape->S;
    float *weights = ARENA_ARRAY(at->arena, float, shape->C *outputs *taps, &err);
    ck_assert_ptr_nonnull(weights);
    for (int64_t c = 0; c < shape->C; c++)
        for (int64_t k = 0; k < outputs; k++)
            for (int64_t tap = 0; tap < taps; tap++)
                weights[(c * outputs + k) * taps + tap] =
                    moved[((c / inputs * outputs + k) * taps + taps - 1 - tap) * inputs +
                          c % inputs];
    return weights;
}

/* Adds one element of the input, multiplied with its filters, to the output. */
static void lay(const struct deconv_shape *shape, struct view out, const float *weights, double x,
                int64_t n, int64_t c, int64_t h, int64_t w, double *y)
{
    int64_t outputs = shape->K / shape->G, group = c / (shape->C / shape->G);
    for (int64_t k = 0; k < outputs; k++)
        for (int64_t r = 0; r < shape->R; r++)
            for (int64_t s = 0; s < shape->S; s++) {
                int64_t oh = h * shape->stride_h + r * shape->dilation_h - shape->pad_top;
                int64_t ow = w * shape->stride_w + s * shape->dilation_w - shape->pad_left;
                if (oh < 0 || oh >= out.H || ow < 0 || ow >= out.W)
                    continue;
                y[((n * out.C + group * outputs + k) * out.H + oh) * out.W + ow] +=
                    x * (double)weights[((c * outputs + k) * shape->R + r) * shape->S + s];
            }
}

static double *expected_output(struct node_case *at, const struct deconv_shape *shape,
                               const float *x, struct view in, struct view out)
{
    struct error err;
    const float *weights = file_weights(at, shape);
    int64_t map = out.H * out.W;
    double *y = ARENA_ARRAY(at->arena, double, out.N *out.C *map, &err);
    ck_assert_ptr_nonnull(y);
    for (int64_t i = 0; at->node->input_count > 2 && i < out.N * out.C * map; i++)
        y[i] = (double)at->graph->tensors[at->node->inputs[2]].values[i / map % out.C];
    for (int64_t n = 0; n < in.N; n++)
        for (int64_t c = 0; c < in.C; c++)
            for (int64_t h = 0; h < in.H; h++)
                for (int64_t w = 0; w < in.W; w++)
                    lay(shape, out, weights, (double)x[((n * in.C + c) * in.H + h) * in.W + w], n,
                        c, h, w, y);
    return y;
}

START_TEST(every_element_lays_the_filter_onto_the_output)
{
    struct error err;
    struct node_case at;
    enum { SAMPLES = 3 };
    const struct transposed_case *test = &cases[_i];
    ck_assert_ok(node_case_init(&at, &test->spec, 1, &err), &err);
    node_case_check_output(&at, &test->output);
    struct deconv_shape shape = conv_transpose_node_shape(at.graph, at.node, SAMPLES);
    ck_assert_int_eq(shape.pad_top, test->pad_top);
    ck_assert_int_eq(shape.pad_left, test->pad_left);
    ck_assert_int_eq(at.node->op->macs(at.graph, at.node), test->macs);

    struct shape x_shape = test->spec.input, y_shape = test->output;
    x_shape.dim[0] = y_shape.dim[0] = SAMPLES;
    float *x = node_case_input(&at, SAMPLES); /* in the file's order from here on */
    float *y = node_case_run(&at, node_case_channels_last(&at, x, &x_shape), SAMPLES);
    struct shape moved = at.graph->tensors[at.node->outputs[0]].shape;
    moved.dim[0] = SAMPLES;
    y = node_case_file_order(&at, y, &moved);
    const double *expected = expected_output(&at, &shape, x, view_of(&x_shape), view_of(&y_shape));
    for (int64_t i = 0; i < shape_elements(&y_shape); i++)
        ck_assert_msg(fabs((double)y[i] - expected[i]) <= CLOSE, "element %lld is %g, expected %g",
                      (long long)i, (double)y[i], expected[i]);
    node_case_finish(&at);
}
END_TEST

/* 1 2 3, each laid down as 10 100, two apart; the first element cut, and 5 added. */
START_TEST(a_small_case_is_what_it_is_by_hand)
{
    struct error err;
    struct node_case at;
    const float weights[] = {10, 100, 1000}, bias[] = {5}, x[] = {1, 2, 3};
    const float expected[] = {105, 1025, 205, 2035, 305, 3005, 5};
    const struct node_spec spec = {.op = "ConvTranspose",
                                   .input = {3, {1, 1, 3}},
                                   .constants = {{3, {1, 1, 3}}, {1, {1}}},
                                   .values = {weights, bias},
                                   .constant_count = 2,
                                   .attributes = {NODE_INTS("strides", 2), NODE_INTS("pads", 1, 0),
                                                  NODE_INTS("output_padding", 1)}};
    ck_assert_ok(node_case_init(&at, &spec, 1, &err), &err);
    const float *y = node_case_run(&at, x, 1);
    for (int i = 0; i < COUNT(expected); i++)
        ck_assert_double_eq((double)y[i], (double)expected[i]);
    node_case_finish(&at);
}
END_TEST

static const struct refusal {
    struct node_spec spec;
    enum error_code code;
    const char *message;
} refusals[] = {
    {{.op = "ConvTranspose",
      .input = {4, {1, 3, 4, 4}},
      .constants = {{4, {2, 3, 2, 2}}},
      .constant_count = 1},
     E_INVALID,
     "the weights are for 2 channels; the input has 3"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 3, 4, 4}},
      .constants = {{4, {3, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INT("group", 2)}},
     E_INVALID,
     "group is 2; it must divide 3 input channels"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 2, 2, 2}}, {1, {3}}},
      .constant_count = 2},
     E_INVALID,
     "it must have one for each of 2 output channels"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("pads", 2, 0, 0, 0)}},
     E_UNSUPPORTED,
     "axis 0 is cut by 2 and 0 elements; a filter of 2 cells, 1 apart, allows at most 1"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("output_padding", 0, 1)}},
     E_UNSUPPORTED,
     "the last 1 elements of axis 1 are beyond the reach of the input; fewer than the stride 1"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_STRING("auto_pad", "SAME_UPPER"), NODE_INTS("strides", 3, 3)}},
     E_UNSUPPORTED,
     "auto_pad wants 12 elements on axis 0, of which a filter of 2 with stride 3 reaches 11"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 1, 1}},
      .constants = {{4, {2, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("pads", 1, 0, 1, 0)}},
     E_INVALID,
     "pads of axis 0 cut 1 and 1 elements from the 2 that are reached; nothing is left"},
    {{.op = "ConvTranspose",
      .input = {4, {1, 2, 4, 4}},
      .constants = {{4, {2, 2, 2, 2}}},
      .constant_count = 1,
      .attributes = {NODE_INTS("output_padding", 0, -1)}},
     E_INVALID,
     "output_padding has -1; 0 to 2^30 are possible"},
    {{.op = "ConvTranspose", .input = {2, {1, 2}}, .constants = {{2, {2, 2}}}, .constant_count = 1},
     E_UNSUPPORTED,
     "maps in one and two dimensions"},
};

START_TEST(what_can_not_be_executed_is_refused)
{
    struct error err;
    struct node_case at;
    ck_assert_fails(node_case_init(&at, &refusals[_i].spec, 1, &err), &err, refusals[_i].code,
                    refusals[_i].message);
    node_case_finish(&at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_conv_transpose");
    TCase *tcase = tcase_create("values");
    tcase_add_loop_test(tcase, every_element_lays_the_filter_onto_the_output, 0, COUNT(cases));
    tcase_add_test(tcase, a_small_case_is_what_it_is_by_hand);
    tcase_add_loop_test(tcase, what_can_not_be_executed_is_refused, 0, COUNT(refusals));
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
