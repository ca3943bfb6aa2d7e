/* What graph_finish makes of what a file says, and what it refuses. */

#include "ptqd/nn/graph.h"
#include "ptqd/nn/op.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* A tensor that nothing writes yet. */
static int add_name(const char *name)
{
    int index = -1;
    struct tensor tensor = {.name = name};
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &index, &err), &err);
    return index;
}

static void add_unary(const char *op_type, const char *name, int input, int output)
{
    int index;
    struct node node = {.name = name,
                        .op_type = op_type,
                        .inputs = &input,
                        .outputs = &output,
                        .input_count = 1,
                        .output_count = 1};
    ck_assert_ok(graph_add_node(sketch.graph, &node, &index, &err), &err);
}

static void finish_fails(int output, enum error_code code, const char *message)
{
    sketch.graph->output = output;
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, code, message);
}

START_TEST(nodes_are_put_into_an_order_of_execution)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = add_name("a"), b = add_name("b"), c = add_name("c");
    add_unary("Relu", "third", b, c);
    add_unary("Tanh", "second", a, b);
    add_unary("Sigmoid", "first", x, a);
    struct graph *graph = sketch_finish(&sketch, c);
    ck_assert_int_eq(graph->node_count, 3);
    ck_assert_str_eq(graph->nodes[0].name, "first");
    ck_assert_str_eq(graph->nodes[1].name, "second");
    ck_assert_str_eq(graph->nodes[2].name, "third");
    ck_assert_int_eq(graph->tensors[graph->output].producer, 2);
}
END_TEST

START_TEST(a_list_in_order_stays_as_it_is)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = sketch_node(&sketch, "Relu", "a", x, SKETCH_END);
    int b = sketch_node(&sketch, "Tanh", "b", x, SKETCH_END);
    int c = sketch_node(&sketch, "Add", "c", b, a, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, c);
    ck_assert_str_eq(graph->nodes[0].name, "a");
    ck_assert_str_eq(graph->nodes[1].name, "b");
}
END_TEST

START_TEST(a_cycle_is_refused_with_a_node_on_it)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = add_name("a"), b = add_name("b"), c = add_name("c");
    int inputs[2] = {x, c}, index;
    struct node add = {.name = "add",
                       .op_type = "Add",
                       .inputs = inputs,
                       .outputs = &a,
                       .input_count = 2,
                       .output_count = 1};
    ck_assert_ok(graph_add_node(sketch.graph, &add, &index, &err), &err);
    add_unary("Relu", "relu", a, b);
    add_unary("Tanh", "tanh", b, c);
    finish_fails(c, E_INVALID,
                 "node 'add' (Add) depends on its own output through 'a': the graph has a cycle");
}
END_TEST

START_TEST(a_node_that_reads_its_own_output_is_a_cycle)
{
    sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = add_name("a");
    add_unary("Relu", "relu", a, a);
    finish_fails(a, E_INVALID, "node 'relu' (Relu) depends on its own output");
}
END_TEST

START_TEST(a_tensor_that_nothing_provides_is_refused_with_its_reader)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 8, 8));
    int y = sketch_node(&sketch, "Conv", "conv", x, add_name("w"), SKETCH_END);
    finish_fails(y, E_INVALID,
                 "node 'conv' (Conv) reads 'w', which no node, input or initializer provides");
}
END_TEST

START_TEST(all_unsupported_operators_are_reported_at_once)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = sketch_node(&sketch, "Einsum", "e", x, SKETCH_END);
    int b = sketch_node(&sketch, "Relu", "r", a, SKETCH_END);
    int c = sketch_node(&sketch, "LSTM", "l", b, SKETCH_END);
    finish_fails(c, E_UNSUPPORTED,
                 "2 nodes with an operator that is not supported: 'e' (Einsum), 'l' (LSTM)");
}
END_TEST

START_TEST(a_long_list_of_unsupported_operators_ends_in_a_count)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    for (int i = 0; i < 200; i++)
        x = sketch_node(&sketch, "Mystery", "a name of some length", x, SKETCH_END);
    finish_fails(x, E_UNSUPPORTED, "200 nodes with an operator");
    ck_assert_msg(support_contains(err.message, " more"), "%s", err.message);
}
END_TEST

START_TEST(an_unsupported_operator_off_the_way_to_the_output_does_not_matter)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = sketch_node(&sketch, "Relu", "a", x, SKETCH_END);
    (void)sketch_node(&sketch, "Mystery", "m", x, SKETCH_END); /* nothing reads it */
    struct graph *graph = sketch_finish(&sketch, a);
    ck_assert_int_eq(graph->node_count, 1);
    ck_assert_int_eq(graph_find_tensor(graph, "m"), -1);
}
END_TEST

START_TEST(two_producers_of_a_tensor_are_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = add_name("a"), index;
    add_unary("Relu", "one", x, a);
    struct node two = {.name = "two",
                       .op_type = "Tanh",
                       .inputs = &x,
                       .outputs = &a,
                       .input_count = 1,
                       .output_count = 1};
    ck_assert_fails(graph_add_node(sketch.graph, &two, &index, &err), &err, E_INVALID,
                    "node 'two' (Tanh) writes 'a', which node 'one' writes already");
}
END_TEST

START_TEST(a_node_must_not_write_a_constant)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int w = sketch_constant(&sketch, "w", SKETCH(4)), index;
    struct node node = {.name = "n",
                        .op_type = "Relu",
                        .inputs = &x,
                        .outputs = &w,
                        .input_count = 1,
                        .output_count = 1};
    ck_assert_fails(graph_add_node(sketch.graph, &node, &index, &err), &err, E_INVALID,
                    "writes 'w', which is a constant");
}
END_TEST

START_TEST(an_input_with_an_extent_of_zero_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 0, 8, 8));
    int y = sketch_node(&sketch, "Relu", "y", x, SKETCH_END);
    finish_fails(y, E_INVALID, "'x' is 1x0x8x8: axis 1 has extent 0; extents start at 1");
}
END_TEST

START_TEST(an_input_of_overflowing_shape_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, INT64_MAX / 2, INT64_MAX / 2));
    int y = sketch_node(&sketch, "Relu", "y", x, SKETCH_END);
    finish_fails(y, E_INVALID, "more than 2^40 elements");
}
END_TEST

START_TEST(an_output_of_overflowing_shape_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1 << 20));
    sketch_ints(&sketch, "pads", SKETCH(0, 1 << 24, 0, 0));
    int y = sketch_node(&sketch, "Pad", "pad", x, SKETCH_END);
    for (int i = 0; i < 10; i++) {
        sketch_int(&sketch, "axis", 1);
        y = sketch_node(&sketch, "Concat", "cat", y, y, y, y, y, y, y, y, SKETCH_END);
    }
    finish_fails(y, E_INVALID, "more than 2^40 elements");
}
END_TEST

/* 2^40 outputs under 2^20 weights: eight of these layers have 2^63 products, seven can be counted.
 */
START_TEST(more_products_than_can_be_counted_are_refused)
{
    enum { SIDE = 1 << 20, FILTER = 1 << 10, LAYERS = 7 };
    for (int more = 0; more <= 1; more++) {
        struct arena *own = arena_create(0);
        sketch_init(&sketch, own, 13);
        int y = sketch_input(&sketch, "x", SKETCH(1, 1, SIDE, SIDE));
        int weights = sketch_constant(&sketch, "w", SKETCH(1, 1, FILTER, FILTER));
        for (int i = 0; i < LAYERS + more; i++) {
            sketch_text(&sketch, "auto_pad", "SAME_UPPER");
            y = sketch_node(&sketch, "Conv", "y", y, weights, SKETCH_END);
        }
        sketch.graph->output = y;
        if (more == 0)
            ck_assert_ok(graph_finish(sketch.graph, &err), &err);
        else
            finish_fails(y, E_INVALID, "more than 2^63 multiply-accumulates");
        arena_destroy(own);
    }
}
END_TEST

/* The same for one layer, of which a file may ask for many samples at once. */
START_TEST(samples_count_for_the_products_of_a_layer)
{
    enum { SAMPLES = 1 << 10, SIDE = 1 << 15, ROWS = 1 << 12, COLUMNS = 1 << 11 };
    static const char *const types[] = {"Conv", "ConvTranspose"};
    for (int t = 0; t < 2; t++) {
        struct arena *own = arena_create(0);
        sketch_init(&sketch, own, 13);
        int x = sketch_input(&sketch, "x", SKETCH(SAMPLES, 1, SIDE, SIDE));
        int weights = sketch_constant(&sketch, "w", SKETCH(1, 1, ROWS, COLUMNS));
        sketch_text(&sketch, "auto_pad", "SAME_UPPER");
        int y = sketch_node(&sketch, types[t], "y", x, weights, SKETCH_END);
        finish_fails(y, E_INVALID, "more than 2^63 multiply-accumulates");
        arena_destroy(own);
    }
}
END_TEST

START_TEST(a_weight_that_is_not_finite_is_refused_with_its_place)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4)), w = -1;
    float values[4] = {1, 2, NAN, 4};
    struct tensor tensor = {.name = "w", .shape = SKETCH(4), .values = values};
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &w, &err), &err);
    int y = sketch_node(&sketch, "Mul", "scale", x, w, SKETCH_END);
    finish_fails(y, E_INVALID, "node 'scale' (Mul): element 2 of 'w' is nan");

    values[2] = -INFINITY;
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 4));
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &w, &err), &err);
    y = sketch_node(&sketch, "Mul", "scale", x, w, SKETCH_END);
    finish_fails(y, E_INVALID, "element 2 of 'w' is -inf; weights must be finite");
}
END_TEST

START_TEST(a_network_without_nodes_input_or_output_is_refused)
{
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID, "no input");
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID, "no output");
    finish_fails(x, E_INVALID, "no nodes");
}
END_TEST

START_TEST(an_output_that_does_not_depend_on_the_input_is_refused)
{
    sketch_input(&sketch, "x", SKETCH(1, 4));
    int w = sketch_constant(&sketch, "w", SKETCH(4));
    int y = sketch_node(&sketch, "Relu", "y", w, SKETCH_END);
    finish_fails(y, E_INVALID, "output 'y' does not depend on input 'x'");
}
END_TEST

START_TEST(an_error_of_an_operator_names_the_node)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int w = sketch_constant(&sketch, "w", SKETCH(3));
    int y = sketch_node(&sketch, "Add", "sum", x, w, SKETCH_END);
    finish_fails(y, E_INVALID,
                 "node 'sum' (Add): 'x' is 1x4, 'w' is 3: axis 1 has extents 4 and 3, which must "
                 "be equal or 1");
}
END_TEST

START_TEST(an_integer_tensor_where_data_is_needed_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int w = sketch_integers(&sketch, "w", SKETCH(1, 2, 3, 4));
    int y = sketch_node(&sketch, "Add", "sum", x, w, SKETCH_END);
    finish_fails(y, E_UNSUPPORTED, "input 1 'w' is int64; only float32 is supported");
}
END_TEST

START_TEST(constant_nodes_become_constants)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    sketch_ints(&sketch, "value_ints", SKETCH(1, 2, 2));
    int shape = sketch_node(&sketch, "Constant", "shape", SKETCH_END);
    sketch_real(&sketch, "value_float", 0.5);
    int half = sketch_node(&sketch, "Constant", "half", SKETCH_END);
    int scaled = sketch_node(&sketch, "Mul", "scaled", x, half, SKETCH_END);
    int y = sketch_node(&sketch, "Reshape", "y", scaled, shape, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph->node_count, 2);
    const float input[4] = {1, 2, 3, 4}, expected[4] = {0.5F, 1, 1.5F, 2};
    graph_run_compare(graph_run(arena, graph, input, 1), expected, 4, 0);
}
END_TEST

START_TEST(nodes_of_constants_alone_are_evaluated)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2));
    int w = sketch_constant(&sketch, "w", SKETCH(3, 2));
    int moved = sketch_node(&sketch, "Transpose", "w:transposed", w, SKETCH_END);
    int named = sketch_node(&sketch, "Identity", "w:again", moved, SKETCH_END);
    int y = sketch_node(&sketch, "MatMul", "y", x, named, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph->node_count, 1);
    const struct tensor *constant = &graph->tensors[graph->nodes[0].inputs[1]];
    ck_assert_int_eq(constant->shape.dim[0], 2);
    ck_assert_ptr_nonnull(constant->values);
}
END_TEST

START_TEST(a_small_file_cannot_ask_for_a_huge_constant)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int w = sketch_constant(&sketch, "w", SKETCH(4, 4));
    int pads = sketch_integers(&sketch, "pads", SKETCH(1 << 14, 0, 0, 1 << 14));
    int large = sketch_node(&sketch, "Pad", "large", w, pads, SKETCH_END);
    int y = sketch_node(&sketch, "MatMul", "y", x, large, SKETCH_END);
    finish_fails(y, E_TOO_LARGE,
                 "node 'large' (Pad): makes a constant of 268566544 elements; at most 67108864");
}
END_TEST

START_TEST(unused_outputs_at_the_end_are_dropped_and_used_ones_refused)
{
    for (int used = 0; used < 2; used++) {
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 4)), index;
        int outputs[2] = {add_name("y"), add_name("mask")};
        struct node node = {.name = "drop",
                            .op_type = "Dropout",
                            .inputs = &x,
                            .outputs = outputs,
                            .input_count = 1,
                            .output_count = 2};
        ck_assert_ok(graph_add_node(sketch.graph, &node, &index, &err), &err);
        if (used == 0) {
            struct graph *graph = sketch_finish(&sketch, outputs[0]);
            ck_assert_int_eq(graph->nodes[0].output_count, 1);
            continue;
        }
        int y = sketch_node(&sketch, "Add", "sum", outputs[0], outputs[1], SKETCH_END);
        finish_fails(y, E_UNSUPPORTED, "node 'drop' (Dropout): 2 outputs are used");
    }
}
END_TEST

/* Which graphs may execute several samples at once. */
struct batch_case {
    const char *what;
    int (*build)(int x);
    struct shape input;
    bool batchable;
};

static int softmax_over_samples(int x)
{
    sketch_int(&sketch, "axis", 0);
    return sketch_node(&sketch, "Softmax", "y", x, SKETCH_END);
}

static int softmax_over_classes(int x)
{
    return sketch_node(&sketch, "Softmax", "y", x, SKETCH_END);
}

static int transpose_of_samples(int x)
{
    return sketch_node(&sketch, "Transpose", "y", x, SKETCH_END);
}

static int mean_over_samples(int x)
{
    sketch_ints(&sketch, "axes", SKETCH(0));
    return sketch_node(&sketch, "ReduceMean", "y", x, SKETCH_END);
}

static int concat_of_samples(int x)
{
    sketch_int(&sketch, "axis", 0);
    return sketch_node(&sketch, "Concat", "y", x, x, SKETCH_END);
}

static int reshape_to_rows(int x)
{
    int shape = sketch_integers(&sketch, "s", SKETCH(-1, 2));
    return sketch_node(&sketch, "Reshape", "y", x, shape, SKETCH_END);
}

static int reshape_of_features(int x)
{
    int shape = sketch_integers(&sketch, "s", SKETCH(-1, 4, 2));
    return sketch_node(&sketch, "Reshape", "y", x, shape, SKETCH_END);
}

static int sum_with_more_axes(int x)
{
    int w = sketch_constant(&sketch, "w", SKETCH(1, 3, 8));
    return sketch_node(&sketch, "Add", "y", x, w, SKETCH_END);
}

static const struct batch_case batch_cases[] = {
    {"softmax over axis 0", softmax_over_samples, {2, {1, 8}}, false},
    {"softmax over the last axis", softmax_over_classes, {2, {1, 8}}, true},
    {"transpose of axis 0", transpose_of_samples, {2, {1, 8}}, false},
    {"mean over axis 0", mean_over_samples, {2, {1, 8}}, false},
    {"concat along axis 0", concat_of_samples, {2, {1, 8}}, false},
    {"reshape to several rows", reshape_to_rows, {2, {1, 8}}, false},
    {"reshape that keeps axis 0", reshape_of_features, {2, {1, 8}}, true},
    {"sum with a constant of more axes", sum_with_more_axes, {2, {1, 8}}, false},
    {"several samples in the file", softmax_over_classes, {2, {4, 8}}, false},
};

START_TEST(graphs_that_mix_samples_are_not_batchable)
{
    const struct batch_case *c = &batch_cases[_i];
    int y = c->build(sketch_input(&sketch, "x", c->input));
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_msg(graph->batchable == c->batchable, "%s", c->what);
}
END_TEST

START_TEST(a_rewritten_copy_keeps_its_tensor_numbers)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    (void)sketch_constant(&sketch, "unused", SKETCH(4));
    int w = sketch_constant(&sketch, "w", SKETCH(4));
    int y = sketch_node(&sketch, "Add", "y", x, w, SKETCH_END);
    sketch.graph->output = y;
    ck_assert_ok(graph_refinish(sketch.graph, &err), &err);
    ck_assert_str_eq(sketch.graph->tensors[w].name, "w");
    ck_assert_int_eq(sketch.graph->output, y);
    ck_assert(sketch.graph->finished);
}
END_TEST

START_TEST(readers_are_counted_with_the_output)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int a = sketch_node(&sketch, "Relu", "a", x, SKETCH_END);
    int y = sketch_node(&sketch, "Add", "y", a, a, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph_reader_count(graph, graph_find_tensor(graph, "a")), 1);
    ck_assert_int_eq(graph_only_reader(graph, graph_find_tensor(graph, "a")), 1);
    ck_assert_int_eq(graph_reader_count(graph, graph->output), 1);
    ck_assert_int_eq(graph_only_reader(graph, graph->output), -1);
}
END_TEST

START_TEST(operators_are_a_sorted_table_without_holes)
{
    const struct op *const *table = op_table();
    for (size_t i = 0; table[i] != NULL; i++) {
        ck_assert_ptr_eq(op_find(table[i]->name), table[i]);
        ck_assert(table[i]->infer != NULL);
        ck_assert(i == 0 || strcmp(table[i - 1]->name, table[i]->name) < 0);
    }
    ck_assert_ptr_null(op_find("Mystery"));
}
END_TEST

/* Conv, constants to move and an operator that keeps a detail; in a fresh arena. */
static bool build_and_finish(struct arena *fresh, void *context, struct error *error)
{
    (void)context;
    struct graph *graph;
    int x, w, y, index;
    float weights[2 * 3] = {1, 2, 3, 4, 5, 6};
    struct tensor input = {.name = "x", .shape = SKETCH(1, 3, 2, 2)};
    struct tensor constant = {.name = "w", .shape = SKETCH(2, 3, 1, 1), .values = weights};
    struct tensor output = {.name = "y"};
    if (!graph_create(fresh, &graph, error) || !graph_add_tensor(graph, &input, true, &x, error) ||
        !graph_add_tensor(graph, &constant, true, &w, error) ||
        !graph_add_tensor(graph, &output, true, &y, error))
        return false;
    struct node conv = {.op_type = "Conv",
                        .inputs = (int[]){x, w},
                        .outputs = &y,
                        .input_count = 2,
                        .output_count = 1};
    graph->input = x;
    graph->output = y;
    return graph_add_node(graph, &conv, &index, error) && graph_finish(graph, error);
}

START_TEST(running_out_of_memory_is_an_error_at_every_step)
{
    ck_assert_uint_gt(support_fail_each_allocation(build_and_finish, NULL), 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph");
    TCase *tcase = tcase_create("finish");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nodes_are_put_into_an_order_of_execution);
    tcase_add_test(tcase, a_list_in_order_stays_as_it_is);
    tcase_add_test(tcase, a_cycle_is_refused_with_a_node_on_it);
    tcase_add_test(tcase, a_node_that_reads_its_own_output_is_a_cycle);
    tcase_add_test(tcase, a_tensor_that_nothing_provides_is_refused_with_its_reader);
    tcase_add_test(tcase, all_unsupported_operators_are_reported_at_once);
    tcase_add_test(tcase, a_long_list_of_unsupported_operators_ends_in_a_count);
    tcase_add_test(tcase, an_unsupported_operator_off_the_way_to_the_output_does_not_matter);
    tcase_add_test(tcase, two_producers_of_a_tensor_are_refused);
    tcase_add_test(tcase, a_node_must_not_write_a_constant);
    tcase_add_test(tcase, an_input_with_an_extent_of_zero_is_refused);
    tcase_add_test(tcase, an_input_of_overflowing_shape_is_refused);
    tcase_add_test(tcase, an_output_of_overflowing_shape_is_refused);
    tcase_add_test(tcase, more_products_than_can_be_counted_are_refused);
    tcase_add_test(tcase, samples_count_for_the_products_of_a_layer);
    tcase_add_test(tcase, a_weight_that_is_not_finite_is_refused_with_its_place);
    tcase_add_test(tcase, a_network_without_nodes_input_or_output_is_refused);
    tcase_add_test(tcase, an_output_that_does_not_depend_on_the_input_is_refused);
    tcase_add_test(tcase, an_error_of_an_operator_names_the_node);
    tcase_add_test(tcase, an_integer_tensor_where_data_is_needed_is_refused);
    tcase_add_test(tcase, constant_nodes_become_constants);
    tcase_add_test(tcase, nodes_of_constants_alone_are_evaluated);
    tcase_add_test(tcase, a_small_file_cannot_ask_for_a_huge_constant);
    tcase_add_test(tcase, unused_outputs_at_the_end_are_dropped_and_used_ones_refused);
    tcase_add_loop_test(tcase, graphs_that_mix_samples_are_not_batchable, 0,
                        sizeof(batch_cases) / sizeof(batch_cases[0]));
    tcase_add_test(tcase, a_rewritten_copy_keeps_its_tensor_numbers);
    tcase_add_test(tcase, readers_are_counted_with_the_output);
    tcase_add_test(tcase, operators_are_a_sorted_table_without_holes);
    tcase_add_test(tcase, running_out_of_memory_is_an_error_at_every_step);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
