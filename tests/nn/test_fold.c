/* Folding keeps what the network computes, and gives layers the form that quantization needs. */

#include "ptqd/nn/fold.h"
#include "ptqd/nn/infer.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* Folded weights are rounded once; sums of at most 40 products of numbers of size 10. */
static const double fold_tolerance = 1e-4;

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

static int variance(const char *name, int64_t C)
{
    int index = -1;
    float values[16];
    for (int64_t i = 0; i < C; i++)
        values[i] = 0.05F + 0.3F * (float)i;
    struct tensor tensor = {.name = name, .shape = SKETCH(C), .values = values};
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &index, &err), &err);
    return index;
}

/* BatchNormalization `name` with constants of its own. */
static int normalize(const char *name, int x, int64_t C)
{
    int scale = sketch_constant(&sketch, arena_printf(arena, &err, "%s.scale", name), SKETCH(C));
    int bias = sketch_constant(&sketch, arena_printf(arena, &err, "%s.offset", name), SKETCH(C));
    int mean = sketch_constant(&sketch, arena_printf(arena, &err, "%s.mean", name), SKETCH(C));
    int spread = variance(arena_printf(arena, &err, "%s.variance", name), C);
    sketch_real(&sketch, "epsilon", 0.001);
    return sketch_node(&sketch, "BatchNormalization", name, x, scale, bias, mean, spread,
                       SKETCH_END);
}

/* Finishes and folds; the outputs must agree. */
static struct graph *fold(int output)
{
    struct graph *graph = sketch_finish(&sketch, output), *folded = NULL;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    int64_t inputs = shape_elements(&graph->tensors[graph->input].shape);
    int64_t outputs = shape_elements(&graph->tensors[graph->output].shape);
    float *input = graph_run_values(arena, 2 * inputs, 9);
    graph_run_compare(graph_run(arena, folded, input, 2), graph_run(arena, graph, input, 2),
                      2 * outputs, fold_tolerance);
    ck_assert_str_eq(folded->tensors[folded->output].name, graph->tensors[graph->output].name);
    return folded;
}

/* The layer `name` has [K][…] weights and a bias [K], and nothing else to it. */
static const struct node *check_layer(const struct graph *graph, const char *name,
                                      const char *op_type, int64_t K)
{
    const struct node *node = &graph->nodes[graph_find_node(graph, name)];
    ck_assert_str_eq(node->op_type, op_type);
    ck_assert_int_eq(node->input_count, 3);
    ck_assert_int_eq(graph->tensors[node->inputs[1]].shape.dim[0], K);
    ck_assert_int_eq(graph->tensors[node->inputs[2]].shape.rank, 1);
    ck_assert_int_eq(graph->tensors[node->inputs[2]].shape.dim[0], K);
    if (strcmp(op_type, "Gemm") == 0) {
        int64_t transpose_b = 0;
        ck_assert_ok(attribute_int(node, "transB", 0, &transpose_b, &err), &err);
        ck_assert_int_eq(transpose_b, 1);
        ck_assert_ptr_null(node_attribute(node, "alpha"));
        ck_assert_ptr_null(node_attribute(node, "beta"));
    }
    return node;
}

START_TEST(batch_normalization_goes_into_the_convolution)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    int b = normalize("bn", a, 4);
    int y = sketch_node(&sketch, "Relu", "y", b, SKETCH_END);
    struct graph *folded = fold(y);
    ck_assert_int_eq(graph_run_count(folded, "BatchNormalization"), 0);
    const struct node *conv = check_layer(folded, "conv", "Conv", 4);
    ck_assert_str_eq(folded->tensors[conv->outputs[0]].name, "bn");
    ck_assert_str_eq(folded->tensors[conv->inputs[1]].name, "conv.weight");
    ck_assert_str_eq(folded->tensors[conv->inputs[2]].name, "conv.bias");
}
END_TEST

START_TEST(batch_normalization_goes_into_depthwise_convolutions_without_bias)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 6, 5));
    int w = sketch_constant(&sketch, "w", SKETCH(4, 1, 3, 3));
    sketch_int(&sketch, "group", 4);
    int a = sketch_node(&sketch, "Conv", "conv", x, w, SKETCH_END);
    struct graph *folded = fold(normalize("bn", a, 4));
    const struct node *conv = check_layer(folded, "conv", "Conv", 4);
    ck_assert_str_eq(folded->tensors[conv->inputs[2]].name, "conv.bias");
    ck_assert_int_eq(graph_run_count(folded, "BatchNormalization"), 0);
}
END_TEST

START_TEST(batch_normalization_goes_into_transposed_convolutions)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 3, 5));
    int w = sketch_constant(&sketch, "w", SKETCH(4, 3, 3, 2));
    sketch_int(&sketch, "group", 2);
    sketch_ints(&sketch, "strides", SKETCH(2, 2));
    int a = sketch_node(&sketch, "ConvTranspose", "up", x, w, SKETCH_END);
    struct graph *folded = fold(normalize("bn", a, 6));
    const struct node *up = check_layer(folded, "up", "ConvTranspose", 6);
    ck_assert_int_eq(shape_elements(&folded->tensors[up->inputs[1]].shape), 6 * 3 * 2 * 2);
    ck_assert_int_eq(graph_run_count(folded, "BatchNormalization"), 0);
}
END_TEST

START_TEST(batch_normalization_goes_into_dense_layers)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    int w = sketch_constant(&sketch, "w", SKETCH(6, 4));
    int a = sketch_node(&sketch, "Gemm", "dense", x, w, SKETCH_END);
    struct graph *folded = fold(normalize("bn", a, 4));
    check_layer(folded, "dense", "Gemm", 4);
    ck_assert_int_eq(folded->node_count, 1);
}
END_TEST

START_TEST(batch_normalization_stays_where_others_read_the_convolution)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    int b = normalize("bn", a, 4);
    int y = sketch_node(&sketch, "Add", "y", a, b, SKETCH_END);
    struct graph *folded = fold(y);
    ck_assert_int_eq(graph_run_count(folded, "BatchNormalization"), 1);
    check_layer(folded, "conv", "Conv", 4);
}
END_TEST

START_TEST(batch_normalization_behind_something_else_stays)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    struct graph *folded = fold(normalize("bn", x, 3));
    ck_assert_int_eq(graph_run_count(folded, "BatchNormalization"), 1);
}
END_TEST

START_TEST(a_product_and_a_sum_become_a_dense_layer)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    int w = sketch_constant(&sketch, "w", SKETCH(6, 4));
    int b = sketch_constant(&sketch, "b", SKETCH(1, 4));
    int a = sketch_node(&sketch, "MatMul", "dense", x, w, SKETCH_END);
    int y = sketch_node(&sketch, "Add", "y", b, a, SKETCH_END);
    struct graph *folded = fold(y);
    const struct node *dense = check_layer(folded, "dense", "Gemm", 4);
    ck_assert_int_eq(folded->node_count, 1);
    ck_assert_str_eq(folded->tensors[dense->inputs[1]].name, "w");
    ck_assert_str_eq(folded->tensors[dense->inputs[2]].name, "b");
}
END_TEST

START_TEST(a_product_with_more_axes_stays_a_product)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6));
    int w = sketch_constant(&sketch, "w", SKETCH(6, 4));
    struct graph *folded = fold(sketch_node(&sketch, "MatMul", "y", x, w, SKETCH_END));
    ck_assert_int_eq(graph_run_count(folded, "MatMul"), 1);
}
END_TEST

/* transB, alpha, beta; shape of C. */
struct gemm_case {
    int64_t transpose_b;
    double alpha, beta;
    struct shape addend;
};

static const struct gemm_case gemm_cases[] = {
    {0, 1, 1, {1, {4}}},     {1, 1, 1, {1, {4}}}, {0, 0.5, 1, {1, {4}}}, {1, 2, 0.25, {2, {1, 4}}},
    {1, 1, -1, {2, {1, 1}}}, {0, 1, 0, {1, {1}}}, {0, -2, 3, {0, {0}}},
};

START_TEST(factors_and_order_of_a_dense_layer_go_into_its_weights)
{
    const struct gemm_case *c = &gemm_cases[_i];
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    struct shape weight_shape = c->transpose_b != 0 ? SKETCH(4, 6) : SKETCH(6, 4);
    int w = sketch_constant(&sketch, "w", weight_shape);
    int b = sketch_constant(&sketch, "b", c->addend);
    sketch_int(&sketch, "transB", c->transpose_b);
    sketch_real(&sketch, "alpha", c->alpha);
    sketch_real(&sketch, "beta", c->beta);
    struct graph *folded = fold(sketch_node(&sketch, "Gemm", "dense", x, w, b, SKETCH_END));
    check_layer(folded, "dense", "Gemm", 4);
}
END_TEST

START_TEST(constant_factors_and_sums_behind_a_convolution_are_folded)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    int scale = sketch_constant(&sketch, "scale", SKETCH(1, 4, 1, 1));
    int shift = sketch_constant(&sketch, "shift", SKETCH(4, 1, 1));
    int b = sketch_node(&sketch, "Mul", "b", a, scale, SKETCH_END);
    struct graph *folded = fold(sketch_node(&sketch, "Add", "y", shift, b, SKETCH_END));
    ck_assert_int_eq(graph_run_count(folded, "Mul") + graph_run_count(folded, "Add"), 0);
    check_layer(folded, "conv", "Conv", 4);
}
END_TEST

START_TEST(constant_differences_and_quotients_behind_a_layer_are_folded)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    int scale = sketch_constant(&sketch, "scale", SKETCH(1, 4, 1, 1));
    int shift = sketch_constant(&sketch, "shift", SKETCH(4, 1, 1));
    int b = sketch_node(&sketch, "Sub", "b", a, shift, SKETCH_END);
    struct graph *folded = fold(sketch_node(&sketch, "Div", "y", b, scale, SKETCH_END));
    ck_assert_int_eq(graph_run_count(folded, "Sub") + graph_run_count(folded, "Div"), 0);
    check_layer(folded, "conv", "Conv", 4);
}
END_TEST

START_TEST(what_a_layer_is_taken_from_or_divides_stays)
{
    static const char *const op_types[] = {"Sub", "Div"};
    for (int i = 0; i < 2; i++) {
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 6));
        int a = sketch_constant(&sketch, "w", SKETCH(6, 4));
        int y = sketch_node(&sketch, "MatMul", "dense", x, a, SKETCH_END);
        int one = sketch_scalar(&sketch, "one", 1.0f);
        struct graph *folded = fold(sketch_node(&sketch, op_types[i], "y", one, y, SKETCH_END));
        ck_assert_int_eq(graph_run_count(folded, op_types[i]), 1);
    }
}
END_TEST

START_TEST(a_quotient_by_zero_stays)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    int w = sketch_constant(&sketch, "w", SKETCH(6, 4));
    int a = sketch_node(&sketch, "MatMul", "dense", x, w, SKETCH_END);
    int zero = sketch_scalar(&sketch, "zero", 0.0f);
    int y = sketch_node(&sketch, "Div", "y", a, zero, SKETCH_END);
    struct graph *folded;
    ck_assert_ok(graph_fold(sketch_finish(&sketch, y), arena, &folded, &err), &err);
    ck_assert_int_eq(graph_run_count(folded, "Div"), 1);
}
END_TEST

START_TEST(a_sum_with_a_map_of_constants_stays)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 5, 3, SKETCH(3, 3));
    int map = sketch_constant(&sketch, "map", SKETCH(5)); /* along W, which is 5 as well */
    struct graph *folded = fold(sketch_node(&sketch, "Add", "y", a, map, SKETCH_END));
    ck_assert_int_eq(graph_run_count(folded, "Add"), 1);
}
END_TEST

START_TEST(identity_and_dropout_go_but_in_front_of_the_output)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    int a = sketch_node(&sketch, "Identity", "a", x, SKETCH_END);
    int b = sketch_node(&sketch, "Relu", "b", a, SKETCH_END);
    int c = sketch_node(&sketch, "Dropout", "c", b, SKETCH_END);
    int d = sketch_node(&sketch, "Tanh", "d", c, SKETCH_END);
    struct graph *folded = fold(sketch_node(&sketch, "Identity", "y", d, SKETCH_END));
    ck_assert_int_eq(graph_run_count(folded, "Dropout"), 0);
    ck_assert_int_eq(graph_run_count(folded, "Identity"), 1);
    ck_assert_int_eq(folded->node_count, 3);
}
END_TEST

START_TEST(a_dropout_does_not_keep_things_from_folding)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    int b = sketch_node(&sketch, "Dropout", "b", a, SKETCH_END);
    struct graph *folded = fold(normalize("bn", b, 4));
    ck_assert_int_eq(graph_run_count(folded, "BatchNormalization"), 0);
    ck_assert_int_eq(graph_run_count(folded, "Dropout"), 0);
}
END_TEST

START_TEST(shared_weights_are_folded_for_each_layer)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int w = sketch_constant(&sketch, "w", SKETCH(4, 4));
    int a = sketch_node(&sketch, "Gemm", "first", x, w, SKETCH_END);
    int b = normalize("bn", a, 4);
    int y = sketch_node(&sketch, "Gemm", "second", b, w, SKETCH_END);
    struct graph *folded = fold(y);
    const struct node *first = check_layer(folded, "first", "Gemm", 4);
    const struct node *second = check_layer(folded, "second", "Gemm", 4);
    ck_assert_str_eq(folded->tensors[first->inputs[1]].name, "w:first");
    ck_assert_str_eq(folded->tensors[second->inputs[1]].name, "w:second");
}
END_TEST

START_TEST(folding_twice_changes_nothing)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    struct graph *once = fold(normalize("bn", a, 4)), *twice = NULL;
    ck_assert_ok(graph_fold(once, arena, &twice, &err), &err);
    ck_assert_int_eq(once->node_count, twice->node_count);
    ck_assert_int_eq(once->tensor_count, twice->tensor_count);
    float *input = graph_run_values(arena, 90, 9);
    ck_assert_mem_eq(graph_run(arena, once, input, 1), graph_run(arena, twice, input, 1),
                     4 * 6 * 5 * sizeof(float));
}
END_TEST

static bool fold_again(struct arena *fresh, void *context, struct error *error)
{
    struct graph *folded;
    return graph_fold(context, fresh, &folded, error);
}

START_TEST(running_out_of_memory_is_an_error_at_every_step)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int a = sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3));
    struct graph *graph = sketch_finish(&sketch, normalize("bn", a, 4));
    ck_assert_uint_gt(support_fail_each_allocation(fold_again, graph), 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold");
    TCase *tcase = tcase_create("folding");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, batch_normalization_goes_into_the_convolution);
    tcase_add_test(tcase, batch_normalization_goes_into_depthwise_convolutions_without_bias);
    tcase_add_test(tcase, batch_normalization_goes_into_transposed_convolutions);
    tcase_add_test(tcase, batch_normalization_goes_into_dense_layers);
    tcase_add_test(tcase, batch_normalization_stays_where_others_read_the_convolution);
    tcase_add_test(tcase, batch_normalization_behind_something_else_stays);
    tcase_add_test(tcase, a_product_and_a_sum_become_a_dense_layer);
    tcase_add_test(tcase, a_product_with_more_axes_stays_a_product);
    tcase_add_loop_test(tcase, factors_and_order_of_a_dense_layer_go_into_its_weights, 0,
                        sizeof(gemm_cases) / sizeof(gemm_cases[0]));
    tcase_add_test(tcase, constant_factors_and_sums_behind_a_convolution_are_folded);
    tcase_add_test(tcase, constant_differences_and_quotients_behind_a_layer_are_folded);
    tcase_add_test(tcase, what_a_layer_is_taken_from_or_divides_stays);
    tcase_add_test(tcase, a_quotient_by_zero_stays);
    tcase_add_test(tcase, a_sum_with_a_map_of_constants_stays);
    tcase_add_test(tcase, identity_and_dropout_go_but_in_front_of_the_output);
    tcase_add_test(tcase, a_dropout_does_not_keep_things_from_folding);
    tcase_add_test(tcase, shared_weights_are_folded_for_each_layer);
    tcase_add_test(tcase, folding_twice_changes_nothing);
    tcase_add_test(tcase, running_out_of_memory_is_an_error_at_every_step);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
