/* Pooling operators: small cases by hand, gradients against differences, and what is refused. The
 * windows themselves are tested with the kernels. */

#include "node_case.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* One channel, so that the order of axes doesn't matter: 1, 2, 3 … in row order. */
static const struct pool_case {
    struct node_spec spec;
    struct shape output; /* in the file's order */
    float values[16];
} pool_cases[] = {
    {{.op = "MaxPool", .input = {4, {1, 1, 4, 4}}, .attributes = {NODE_INTS("kernel_shape", 2, 2)}},
     {4, {1, 1, 3, 3}},
     {6, 7, 8, 10, 11, 12, 14, 15, 16}},
    /* test_maxpool_2d_ceil of the ONNX backend tests */
    {{.op = "MaxPool",
      .input = {4, {1, 1, 4, 4}},
      .attributes = {NODE_INTS("kernel_shape", 3, 3), NODE_INTS("strides", 2, 2),
                     NODE_INT("ceil_mode", 1)}},
     {4, {1, 1, 2, 2}},
     {11, 12, 15, 16}},
    {{.op = "MaxPool",
      .input = {4, {1, 1, 4, 4}},
      .attributes = {NODE_INTS("kernel_shape", 2, 2), NODE_INTS("dilations", 2, 2)}},
     {4, {1, 1, 2, 2}},
     {11, 12, 15, 16}},
    {{.op = "MaxPool",
      .input = {3, {1, 1, 5}},
      .attributes = {NODE_INTS("kernel_shape", 3), NODE_INTS("strides", 2),
                     NODE_INTS("pads", 1, 1)}},
     {3, {1, 1, 3}},
     {2, 4, 5}},
    /* 5 cells, stride 3: two windows of 3 need one cell of padding, after the map for UPPER */
    {{.op = "MaxPool",
      .input = {3, {1, 1, 5}},
      .attributes = {NODE_INTS("kernel_shape", 3), NODE_INTS("strides", 3),
                     NODE_STRING("auto_pad", "SAME_UPPER"), NODE_INT("storage_order", 1)}},
     {3, {1, 1, 2}},
     {3, 5}},
    {{.op = "MaxPool",
      .input = {3, {1, 1, 5}},
      .attributes = {NODE_INTS("kernel_shape", 3), NODE_INTS("strides", 3),
                     NODE_STRING("auto_pad", "SAME_LOWER")}},
     {3, {1, 1, 2}},
     {2, 5}},
    {{.op = "AveragePool",
      .input = {4, {1, 1, 2, 4}},
      .attributes = {NODE_INTS("kernel_shape", 2, 2), NODE_INTS("strides", 1, 2)}},
     {4, {1, 1, 1, 2}},
     {3.5f, 5.5f}},
    {{.op = "AveragePool",
      .input = {3, {1, 1, 3}},
      .attributes = {NODE_INTS("kernel_shape", 3), NODE_INTS("pads", 1, 1)}},
     {3, {1, 1, 3}},
     {1.5f, 2, 2.5f}},
    {{.op = "AveragePool",
      .input = {3, {1, 1, 3}},
      .attributes = {NODE_INTS("kernel_shape", 3), NODE_INTS("pads", 1, 1),
                     NODE_INT("count_include_pad", 1)}},
     {3, {1, 1, 3}},
     {1, 2, 5.0f / 3}},
    /* test_averagepool_2d_ceil of the ONNX backend tests */
    {{.op = "AveragePool",
      .input = {4, {1, 1, 4, 4}},
      .attributes = {NODE_INTS("kernel_shape", 3, 3), NODE_INTS("strides", 2, 2),
                     NODE_INT("ceil_mode", 1)}},
     {4, {1, 1, 2, 2}},
     {6, 7.5f, 12, 13.5f}},
    {{.op = "GlobalAveragePool", .input = {4, {1, 1, 2, 3}}}, {4, {1, 1, 1, 1}}, {3.5f}},
    {{.op = "GlobalAveragePool", .input = {3, {1, 1, 4}}}, {3, {1, 1, 1}}, {2.5f}},
    {{.op = "GlobalMaxPool", .input = {4, {1, 1, 2, 3}}}, {4, {1, 1, 1, 1}}, {6}},
};

START_TEST(pooling_is_what_it_is_by_hand)
{
    struct error err;
    struct node_case at;
    const struct pool_case *test = &pool_cases[_i];
    ck_assert_ok(node_case_init(&at, &test->spec, 1, &err), &err);
    node_case_check_output(&at, &test->output);
    enum { SAMPLES = 2 };
    float *x = node_case_input(&at, SAMPLES);
    int64_t inputs = node_case_inputs(&at, 1), outputs = node_case_outputs(&at, 1);
    for (int64_t i = 0; i < SAMPLES * inputs; i++)
        x[i] = (float)(i < inputs ? 1 + i : -(1 + i - inputs)); /* the second sample: negated */
    const float *y = node_case_run(&at, x, SAMPLES);
    for (int64_t i = 0; i < outputs; i++)
        ck_assert_double_eq_tol((double)y[i], (double)test->values[i], 1e-6);
    if (support_contains(test->spec.op, "Average"))
        for (int64_t i = 0; i < outputs; i++)
            ck_assert_double_eq_tol((double)y[outputs + i], -(double)test->values[i], 1e-6);
    node_case_finish(&at);
}
END_TEST

/* Channels next to each other don't mix: one with the others' values shifted is shifted. */
START_TEST(channels_are_pooled_each_by_itself)
{
    struct error err;
    struct node_case at;
    struct node_spec spec = pool_cases[_i].spec;
    enum { CHANNELS = 3 };
    spec.input.dim[1] = CHANNELS;
    ck_assert_ok(node_case_init(&at, &spec, 2, &err), &err);
    float *x = node_case_input(&at, 1);
    for (int64_t i = 0; i < node_case_inputs(&at, 1); i++)
        x[i] = (float)(1 + i / CHANNELS + 100 * (i % CHANNELS));
    const float *y = node_case_run(&at, x, 1);
    bool with_padding = node_attribute(at.node, "count_include_pad") != NULL;
    for (int64_t i = 0; i < node_case_outputs(&at, 1); i++) {
        double expected = (double)pool_cases[_i].values[i / CHANNELS];
        if (!with_padding || i % CHANNELS == 0)
            ck_assert_double_eq_tol((double)y[i], expected + 100 * (double)(i % CHANNELS), 1e-4);
    }
    node_case_finish(&at);
}
END_TEST

/* Piecewise linear: with a step far below the distances of random values no maximum changes. */
START_TEST(gradients_of_pooling_are_those_of_differences)
{
    struct error err;
    struct node_case at;
    struct node_spec spec = pool_cases[_i].spec;
    spec.input.dim[1] = 2;
    ck_assert_ok(node_case_init(&at, &spec, 3, &err), &err);
    node_case_check_gradients(&at, 2, 1e-3f, 2e-3);
    node_case_finish(&at);
}
END_TEST

static const struct refusal {
    struct node_spec spec;
    enum error_code code;
    const char *fragment;
} refusals[] = {
    {{.op = "MaxPool", .input = {4, {1, 1, 4, 4}}}, E_INVALID, "kernel_shape is not given"},
    {{.op = "MaxPool",
      .input = {5, {1, 1, 4, 4, 4}},
      .attributes = {NODE_INTS("kernel_shape", 2, 2, 2)}},
     E_UNSUPPORTED,
     "has 5 axes"},
    {{.op = "AveragePool",
      .input = {4, {1, 1, 4, 4}},
      .attributes = {NODE_INTS("kernel_shape", 2)}},
     E_INVALID,
     "kernel_shape has 1 values; the map has 2 axes"},
    {{.op = "AveragePool", .input = {3, {1, 1, 4}}, .attributes = {NODE_INTS("kernel_shape", 5)}},
     E_INVALID,
     "a window of 5 cells"},
    {{.op = "GlobalAveragePool", .input = {2, {1, 4}}}, E_UNSUPPORTED, "has 2 axes"},
};

START_TEST(what_is_refused_is_named)
{
    struct error err;
    struct node_case at;
    ck_assert_fails(node_case_init(&at, &refusals[_i].spec, 4, &err), &err, refusals[_i].code,
                    refusals[_i].fragment);
    node_case_finish(&at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_pool");
    TCase *laws = tcase_create("laws");
    tcase_add_loop_test(laws, pooling_is_what_it_is_by_hand, 0, COUNT(pool_cases));
    tcase_add_loop_test(laws, channels_are_pooled_each_by_itself, 0, COUNT(pool_cases));
    tcase_add_loop_test(laws, gradients_of_pooling_are_those_of_differences, 0, COUNT(pool_cases));
    tcase_add_loop_test(laws, what_is_refused_is_named, 0, COUNT(refusals));
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
