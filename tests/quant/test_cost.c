/* Costs of hand-made graphs against numbers counted by hand. */

#include "ptqd/quant/cost.h"
#include "ptqd/quant/lifetime.h"

#include "sketch.h"
#include "support.h"

#include <math.h>

static struct arena *arena;
static struct sketch sketch;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static struct cost float_cost(int output)
{
    struct cost cost;
    ck_assert_ok(cost_of_graph(arena, sketch_finish(&sketch, output), &cost, &err), &err);
    return cost;
}

static struct cost cost_with(const struct graph *folded, const struct quant_options *options)
{
    struct quant_network *network;
    struct cost cost;
    ck_assert_ok(quant_network_create(arena, folded, options, &network, &err), &err);
    ck_assert_ok(cost_of_network(arena, network, &cost, &err), &err);
    return cost;
}

static struct cost cost_at(const struct graph *folded, int weight_bits, int activation_bits)
{
    struct quant_options options = {
        .weights = {.bits = weight_bits, .symmetric = true},
        .activations = {.bits = activation_bits},
        .input_bits = 8,
        .per_channel = true,
    };
    return cost_with(folded, &options);
}

static struct cost quantized_cost(int output, int weight_bits, int activation_bits)
{
    return cost_at(sketch_finish(&sketch, output), weight_bits, activation_bits);
}

/* Law: MACs = outputs · D, D = C · R · S; biases one per output channel. */
START_TEST(a_convolution_costs_its_products)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 8, 8));
    struct cost cost = float_cost(sketch_conv(&sketch, "conv", x, 4, 3, SKETCH(3, 3)));
    ck_assert_int_eq(cost.layer_count, 1);
    ck_assert_str_eq(cost.layers[0].name, "conv");
    ck_assert_str_eq(cost.layers[0].op, "Conv");
    ck_assert_int_eq(cost.macs, 4 * 8 * 8 * 27);
    ck_assert_int_eq(cost.weights, 108);
    ck_assert_int_eq(cost.biases, 4);
    ck_assert_int_eq(cost.weight_bytes, 4 * 112);
    ck_assert_int_eq(cost.flash_bytes, cost.weight_bytes);
    ck_assert_double_eq(cost.bops, 6912.0 * 32 * 32);
    ck_assert_int_eq(cost.peak_elements, 3 * 64 + 4 * 64);
    ck_assert_int_eq(cost.peak_activation_bytes, 4 * 448);
    ck_assert_int_eq(cost.peak_bytes, cost.weight_bytes + cost.peak_activation_bytes);
}
END_TEST

/* Law: MACs · (p·b_a·b_w + b_a + b_w + log2(D)), with p = 1 for weights that are not zero. */
START_TEST(the_extended_bit_operations_add_the_accumulator)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    struct cost cost = float_cost(sketch_conv(&sketch, "conv", x, 2, 2, SKETCH(1, 2)));
    double macs = 2 * 16 * 4;
    ck_assert_double_eq_tol(cost.bops_extended, macs * (32 * 32 + 32 + 32 + 2), 1e-6);
}
END_TEST

START_TEST(a_skip_connection_is_alive_until_its_addition)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", a, 4, 4, SKETCH(3, 3));
    int c = sketch_conv(&sketch, "c", b, 4, 4, SKETCH(3, 3));
    struct cost cost = float_cost(sketch_node(&sketch, "Add", "sum", a, c, SKETCH_END));
    ck_assert_int_eq(cost.max_tensor_elements, 256);
    ck_assert_int_eq(cost.peak_elements, 3 * 256);
    ck_assert_str_eq(cost.peak_layer, "c"); /* the addition needs as much, but comes later */
    ck_assert_int_eq(cost.layers[0].live_bytes, 4 * (64 + 256));
    ck_assert_int_eq(cost.layers[1].live_bytes, 4 * 2 * 256);
}
END_TEST

START_TEST(an_activation_function_works_in_place)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    int relu = sketch_node(&sketch, "Relu", "relu", a, SKETCH_END);
    struct cost cost = float_cost(sketch_node(&sketch, "Sigmoid", "sigmoid", relu, SKETCH_END));
    ck_assert_int_eq(cost.peak_elements, 64 + 256);
}
END_TEST

START_TEST(an_activation_function_whose_input_is_read_again_does_not)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    int gate = sketch_node(&sketch, "Sigmoid", "gate", a, SKETCH_END);
    struct cost cost = float_cost(sketch_node(&sketch, "Mul", "product", a, gate, SKETCH_END));
    ck_assert_int_eq(cost.peak_elements, 3 * 256);
    ck_assert_str_eq(cost.peak_layer, "product");
}
END_TEST

/* The spatial extents make the change of layout before Flatten a real movement of values in this
 * program; on a device it is none. */
START_TEST(views_and_changes_of_layout_need_no_memory)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    int a = sketch_conv(&sketch, "a", x, 4, 2, SKETCH(3, 3));
    int flat = sketch_node(&sketch, "Flatten", "flat", a, SKETCH_END);
    int weight = sketch_constant(&sketch, "fc.weight", SKETCH(10, 64));
    int bias = sketch_constant(&sketch, "fc.bias", SKETCH(10));
    sketch_int(&sketch, "transB", 1);
    struct cost cost =
        float_cost(sketch_node(&sketch, "Gemm", "fc", flat, weight, bias, SKETCH_END));
    ck_assert_int_eq(cost.layer_count, 2);
    ck_assert_int_eq(cost.layers[1].live_bytes, 4 * (64 + 10));
    ck_assert_int_eq(cost.peak_elements, 32 + 64);
}
END_TEST

START_TEST(a_transpose_of_the_model_needs_memory)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 6, 10));
    sketch_ints(&sketch, "perm", SKETCH(0, 2, 1));
    struct cost cost = float_cost(sketch_node(&sketch, "Transpose", "turned", x, SKETCH_END));
    ck_assert_int_eq(cost.peak_elements, 2 * 60);
    ck_assert_str_eq(cost.peak_layer, "turned");
}
END_TEST

START_TEST(pooling_holds_input_and_output)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    sketch_ints(&sketch, "kernel_shape", SKETCH(2, 2));
    sketch_ints(&sketch, "strides", SKETCH(2, 2));
    int pool = sketch_node(&sketch, "MaxPool", "pool", a, SKETCH_END);
    struct cost cost = float_cost(sketch_conv(&sketch, "b", pool, 8, 4, SKETCH(1, 1)));
    ck_assert_int_eq(cost.peak_elements, 256 + 64);
    ck_assert_int_eq(cost.layers[1].live_bytes, 4 * (64 + 128));
}
END_TEST

START_TEST(constants_of_other_nodes_are_weight_bytes_unless_they_are_single_numbers)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(1, 1));
    int gain = sketch_constant(&sketch, "gain", SKETCH(1, 4, 1, 1));
    int b = sketch_node(&sketch, "Mul", "scaled", a, gain, SKETCH_END);
    int two = sketch_scalar(&sketch, "two", 2.0f);
    struct cost cost = float_cost(sketch_node(&sketch, "Mul", "doubled", b, two, SKETCH_END));
    ck_assert_int_eq(cost.weights, 4);
    ck_assert_int_eq(cost.weight_bytes, 4 * (4 + 4) + 4 * 4);
}
END_TEST

/* 8-bit input, 3-bit weights, 4-bit activations; the pooled values between two layers have no
 * quantizer of their own. */
START_TEST(a_quantized_network_is_packed)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 6, 6));
    int a = sketch_conv(&sketch, "a", x, 5, 1, SKETCH(3, 3));
    int relu = sketch_node(&sketch, "Relu", "relu", a, SKETCH_END);
    sketch_ints(&sketch, "kernel_shape", SKETCH(2, 2));
    sketch_ints(&sketch, "strides", SKETCH(2, 2));
    int pool = sketch_node(&sketch, "AveragePool", "pool", relu, SKETCH_END);
    struct cost cost = quantized_cost(sketch_conv(&sketch, "b", pool, 2, 5, SKETCH(1, 1)), 3, 4);

    ck_assert_int_eq(cost.layer_count, 2);
    ck_assert_int_eq(cost.layers[0].weight_bits, 3);
    ck_assert_int_eq(cost.layers[0].input_bits, 8);
    ck_assert_int_eq(cost.layers[1].input_bits, 4);
    ck_assert_double_eq(cost.bops, 36.0 * 45 * 3 * 8 + 9.0 * 10 * 3 * 4);
    /* ⌈45 · 3 / 8⌉ + 5 · 4 and ⌈10 · 3 / 8⌉ + 2 · 4 */
    ck_assert_int_eq(cost.weight_bytes, 17 + 20 + 4 + 8);
    /* 7 scales of weights; two activation quantizers with a scale and a zero point */
    ck_assert_int_eq(cost.flash_bytes, cost.weight_bytes + 7 * 4 + 2 * 5);
    /* conv a: the 8-bit input and 180 values of 4 bits; conv b: 45 and 18 values of 4 bits */
    ck_assert_int_eq(cost.layers[0].live_bytes, 36 + 90);
    ck_assert_int_eq(cost.layers[1].live_bytes, 23 + 9);
    ck_assert_int_eq(cost.peak_activation_bytes, 36 + 90);
    ck_assert_int_eq(cost.peak_elements, 36 + 180);
    ck_assert_str_eq(cost.peak_layer, "a");
}
END_TEST

START_TEST(values_behind_a_selection_keep_the_bits_they_came_with)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", a, 4, 4, SKETCH(3, 3));
    int sum = sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END);
    int c = sketch_conv(&sketch, "c", sum, 2, 4, SKETCH(1, 1));
    sketch_ints(&sketch, "kernel_shape", SKETCH(2, 2));
    struct cost cost = quantized_cost(sketch_node(&sketch, "MaxPool", "pool", c, SKETCH_END), 4, 4);
    ck_assert_int_eq(cost.layers[2].input_bits, 4);
    ck_assert_int_eq(cost.layers[2].live_bytes, (256 + 128) / 2);
    ck_assert_int_eq(cost.peak_activation_bytes, 3 * 256 / 2);
    ck_assert_str_eq(cost.peak_layer, "sum");
}
END_TEST

/* Law: a buffer keeps the bits of its own quantizer, though its values go to a wider one later. */
START_TEST(a_wider_quantizer_behind_does_not_widen_what_has_its_own)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 8, 8));
    sketch_ints(&sketch, "strides", SKETCH(2, 2));
    int a = sketch_conv(&sketch, "a", x, 4, 2, SKETCH(2, 2));
    sketch_ints(&sketch, "kernel_shape", SKETCH(2, 2));
    sketch_ints(&sketch, "strides", SKETCH(2, 2));
    int pooled = sketch_node(&sketch, "AveragePool", "pooled", x, SKETCH_END);
    int b = sketch_conv(&sketch, "b", pooled, 4, 2, SKETCH(1, 1));
    int sum = sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END);
    struct quant_options options = {
        .weights = {.bits = 8, .symmetric = true},
        .activations = {.bits = 8},
        .input_bits = 4,
    };
    struct quant_network *network;
    struct lifetime lifetime;
    ck_assert_ok(quant_network_create(arena, sketch_finish(&sketch, sum), &options, &network, &err),
                 &err);
    ck_assert_ok(lifetime_plan(arena, network->graph, &lifetime, &err), &err);
    ck_assert_int_eq(lifetime.buffers[lifetime.buffer_of[network->graph->input]].bits, 4);
}
END_TEST

/* Law: what stays in float counts 32 bits, and has no scales. */
START_TEST(what_stays_in_float_counts_32_bits)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 6, 6));
    int a = sketch_conv(&sketch, "a", x, 5, 1, SKETCH(3, 3));
    struct graph *folded = sketch_finish(&sketch, sketch_conv(&sketch, "b", a, 2, 5, SKETCH(1, 1)));
    double macs = 36.0 * 45 + 36.0 * 10;
    struct cost cost = cost_at(folded, 3, 32);
    ck_assert_double_eq(cost.bops, macs * 3 * 32);
    ck_assert_int_eq(cost.flash_bytes, cost.weight_bytes + 7 * 4);
    ck_assert_int_eq(cost.peak_activation_bytes, 4 * (180 + 72));

    cost = cost_at(folded, 32, 4);
    ck_assert_double_eq(cost.bops, 36.0 * 45 * 32 * 8 + 36.0 * 10 * 32 * 4);
    ck_assert_int_eq(cost.weight_bytes, 4 * (45 + 5 + 10 + 2));
    ck_assert_int_eq(cost.flash_bytes, cost.weight_bytes + 2 * 5);

    struct cost real;
    cost = cost_at(folded, 32, 32);
    ck_assert_ok(cost_of_graph(arena, folded, &real, &err), &err);
    ck_assert_double_eq(cost.bops, real.bops);
    ck_assert_int_eq(cost.flash_bytes, real.flash_bytes);
    ck_assert_int_eq(cost.peak_bytes, real.peak_bytes);
}
END_TEST

/* Law: a byte of flash for every zero point of the weights, and nothing else. */
START_TEST(asymmetric_weights_need_zero_points)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 6, 6));
    struct graph *folded = sketch_finish(&sketch, sketch_conv(&sketch, "a", x, 5, 1, SKETCH(3, 3)));
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 4},
                                    .input_bits = 8};
    for (int per_channel = 0; per_channel < 2; per_channel++) {
        options.per_channel = per_channel;
        options.weights.symmetric = true;
        struct cost symmetric = cost_with(folded, &options);
        options.weights.symmetric = false;
        struct cost asymmetric = cost_with(folded, &options);
        ck_assert_int_eq(asymmetric.flash_bytes - symmetric.flash_bytes, per_channel ? 5 : 1);
        ck_assert_int_eq(asymmetric.weight_bytes, symmetric.weight_bytes);
        ck_assert_double_eq(asymmetric.bops, symmetric.bops);
    }
}
END_TEST

/* Law: a tensor that one layer reads in float is alive in float, whatever width others read. */
START_TEST(a_layer_in_float_counts_and_keeps_32_bits)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 6, 6));
    int stem = sketch_conv(&sketch, "stem", x, 4, 1, SKETCH(1, 1));
    int a = sketch_conv(&sketch, "a", stem, 2, 4, SKETCH(1, 1));
    int b = sketch_conv(&sketch, "b", stem, 2, 4, SKETCH(1, 1));
    struct graph *folded =
        sketch_finish(&sketch, sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END));
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 4},
                                    .input_bits = 8,
                                    .per_channel = true};
    struct quant_layer_format layers[3];
    for (int i = 0; i < 3; i++)
        layers[i] = quant_options_layer(&options, i);
    options.layers = layers;
    layers[2].weights.bits = layers[2].input.bits = 32; /* b */
    struct cost cost = cost_with(folded, &options);
    ck_assert_int_eq(cost.layers[1].input_bits, 4);
    ck_assert_int_eq(cost.layers[2].input_bits, 32);
    ck_assert_int_eq(cost.layers[2].weight_bits, 32);
    ck_assert_double_eq(cost.layers[2].bops, 36.0 * 8 * 32 * 32);
    ck_assert_int_eq(cost.layers[2].flash_bytes, 4 * (8 + 2));
    /* while a runs: 144 values in float, 72 of 4 bits; while b does: the same and 72 more */
    ck_assert_int_eq(cost.layers[1].live_bytes, 4 * 144 + 36);
    ck_assert_int_eq(cost.layers[2].live_bytes, 4 * 144 + 2 * 36);
}
END_TEST

/* All parts are written while the whole is still there, the one that nobody reads as well. */
START_TEST(a_split_holds_the_whole_and_its_parts)
{
    int parts[3];
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 4, 4));
    int a = sketch_conv(&sketch, "a", x, 6, 1, SKETCH(1, 1));
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, "Split", "parts", a, NODE_ABSENT, parts, 3);
    struct cost cost = float_cost(sketch_node(&sketch, "Sub", "y", parts[2], parts[0], SKETCH_END));
    ck_assert_int_eq(cost.max_tensor_elements, 6 * 16);
    ck_assert_int_eq(cost.peak_elements, 6 * 16 + 3 * 2 * 16);
    ck_assert_str_eq(cost.peak_layer, "parts");
}
END_TEST

/* H·W·C·K·R·S products, on a map of (H − 1) · 2 + 2; what is resized has no products, and the
 * sizes it is resized to are no data. */
START_TEST(a_transposed_convolution_costs_its_products)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 4, 5));
    int weight = sketch_constant(&sketch, "weight", SKETCH(3, 2, 2, 2));
    int bias = sketch_constant(&sketch, "bias", SKETCH(2));
    sketch_ints(&sketch, "strides", SKETCH(2, 2));
    int up = sketch_node(&sketch, "ConvTranspose", "up", x, weight, bias, SKETCH_END);
    float values[] = {1, 1, 0.5F, 0.5F};
    struct tensor tensor = {.name = "scales", .shape = SKETCH(4), .values = values};
    int scales;
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &scales, &err), &err);
    int down = sketch_node(&sketch, "Resize", "down", up, NODE_ABSENT, scales, SKETCH_END);
    struct cost cost = quantized_cost(down, 4, 8);
    ck_assert_int_eq(cost.layer_count, 1);
    ck_assert_str_eq(cost.layers[0].op, "ConvTranspose");
    ck_assert_int_eq(cost.macs, 4 * 5 * 3 * 2 * 4);
    ck_assert_double_eq(cost.bops, 480.0 * 4 * 8);
    ck_assert_int_eq(cost.weights, 24);
    ck_assert_int_eq(cost.weight_bytes, 24 / 2 + 4 * 2);
    ck_assert_int_eq(cost.peak_elements, 3 * 20 + 2 * 80);
}
END_TEST

START_TEST(quantizers_take_no_memory)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", a, 4, 4, SKETCH(3, 3));
    struct cost cost = quantized_cost(sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END), 8, 8);
    ck_assert_int_eq(cost.peak_activation_bytes, 3 * 256);
    ck_assert_str_eq(cost.peak_layer, "sum");
}
END_TEST

static bool cost_of_small_graph(struct arena *failing, void *context, struct error *error)
{
    struct cost cost;
    return cost_of_graph(failing, context, &cost, error);
}

START_TEST(running_out_of_memory_is_reported)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 8, 8));
    struct graph *graph = sketch_finish(&sketch, sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3)));
    ck_assert_uint_gt(support_fail_each_allocation(cost_of_small_graph, graph), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cost");
    TCase *tests = tcase_create("cost");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_convolution_costs_its_products);
    tcase_add_test(tests, the_extended_bit_operations_add_the_accumulator);
    tcase_add_test(tests, a_skip_connection_is_alive_until_its_addition);
    tcase_add_test(tests, an_activation_function_works_in_place);
    tcase_add_test(tests, an_activation_function_whose_input_is_read_again_does_not);
    tcase_add_test(tests, views_and_changes_of_layout_need_no_memory);
    tcase_add_test(tests, a_transpose_of_the_model_needs_memory);
    tcase_add_test(tests, pooling_holds_input_and_output);
    tcase_add_test(tests, constants_of_other_nodes_are_weight_bytes_unless_they_are_single_numbers);
    tcase_add_test(tests, a_quantized_network_is_packed);
    tcase_add_test(tests, values_behind_a_selection_keep_the_bits_they_came_with);
    tcase_add_test(tests, a_wider_quantizer_behind_does_not_widen_what_has_its_own);
    tcase_add_test(tests, what_stays_in_float_counts_32_bits);
    tcase_add_test(tests, asymmetric_weights_need_zero_points);
    tcase_add_test(tests, a_layer_in_float_counts_and_keeps_32_bits);
    tcase_add_test(tests, a_split_holds_the_whole_and_its_parts);
    tcase_add_test(tests, a_transposed_convolution_costs_its_products);
    tcase_add_test(tests, quantizers_take_no_memory);
    tcase_add_test(tests, running_out_of_memory_is_reported);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
