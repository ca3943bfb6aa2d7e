#include "ptqd/quant/network.h"

#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/op.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct graph *folded;
static struct quant_network *network;

static const struct quant_options usual = {
    .weights = {.bits = 4, .symmetric = true},
    .activations = {.bits = 3},
    .input_bits = 8,
    .sum_bits = 5,
    .per_channel = true,
};

static void make(const struct quant_options *options)
{
    ck_assert_ok(quant_network_create(arena, folded, options, &network, &err), &err);
}

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct graph *graph = small_network_create(arena, 1);
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    make(&usual);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void run(const struct graph *graph, const float *input, float *output)
{
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    memcpy(output, exec_values(exec, graph->output), SMALL_NETWORK_CLASSES * sizeof(float));
    exec_destroy(exec);
}

/* Law: until something is calibrated, the network computes what the float one computes. */
START_TEST(it_starts_as_the_float_network)
{
    float input[SMALL_NETWORK_INPUTS], real[SMALL_NETWORK_CLASSES],
        quantized[SMALL_NETWORK_CLASSES];
    dataset_read(small_network_data(arena, folded, 1, false, 2), 0, input);
    run(folded, input, real);
    run(network->graph, input, quantized);
    ck_assert_mem_eq(real, quantized, sizeof(real));
}
END_TEST

START_TEST(every_product_is_a_layer_with_its_weights_as_a_matrix)
{
    static const struct {
        const char *name;
        int64_t K, D, G;
    } expected[] = {
        {"stem", 8, 27, 1}, {"depthwise", 8, 9, 8}, {"pointwise", 8, 8, 1}, {"dense", 5, 8, 1}};
    ck_assert_int_eq(network->layer_count, 4);
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        const struct node *node = &network->graph->nodes[layer->node];
        ck_assert_str_eq(layer->name, expected[i].name);
        ck_assert_str_eq(node->name, expected[i].name);
        ck_assert_int_eq(layer->K, expected[i].K);
        ck_assert_int_eq(layer->D, expected[i].D);
        ck_assert_int_eq(layer->G, expected[i].G);
        ck_assert_int_eq(layer->quantizer.channels, layer->K);
        ck_assert_ptr_eq(network->graph->tensors[layer->weights].values, layer->weight_values);
        ck_assert_ptr_eq(network->graph->tensors[layer->bias].values, layer->bias_values);
    }
}
END_TEST

/* The input at its own width, the input of every product, both inputs of Add; a tensor with two
 * such readers once. */
START_TEST(what_products_and_sums_read_is_quantized_once)
{
    static const char *const expected[] = {"input", "stem_relu", "depthwise_relu", "pointwise",
                                           "flatten"};
    ck_assert_int_eq(network->activation_count, 5);
    for (int i = 0; i < network->activation_count; i++) {
        const struct quant_activation *activation = &network->activations[i];
        ck_assert_msg(strstr(activation->name, expected[i]) == activation->name, "%s, not %s",
                      activation->name, expected[i]);
        bool only_added = i == 3;
        ck_assert_int_eq(activation->quantizer.format.bits, i == 0 ? 8 : only_added ? 5 : 3);
        ck_assert_ptr_eq(network->graph->nodes[activation->node].op, &op_fake_quantize);
        ck_assert_ptr_eq(network->graph->nodes[activation->node].detail, &activation->quantizer);
    }
    ck_assert_int_eq(network->layers[0].activation, 0);
    ck_assert_int_eq(network->layers[1].activation, 1);
    ck_assert_int_eq(network->layers[2].activation, 2);
    ck_assert_int_eq(network->layers[3].activation, 4);
}
END_TEST

START_TEST(activations_in_float_have_no_nodes)
{
    struct quant_options options = usual;
    options.activations.bits = QUANTIZER_BITS_FLOAT;
    make(&options);
    ck_assert_int_eq(network->activation_count, 0);
    ck_assert_int_eq(network->graph->node_count, folded->node_count);
    for (int i = 0; i < network->layer_count; i++)
        ck_assert_int_eq(network->layers[i].activation, -1);
}
END_TEST

/* Law: weights in float are the float network's, whatever is asked of them. */
START_TEST(weights_in_float_have_no_codes)
{
    struct quant_options options = usual;
    options.weights.bits = QUANTIZER_BITS_FLOAT;
    make(&options);
    ck_assert_int_eq(network->activation_count, 5);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        ck_assert(quant_layer_is_float(layer));
        ck_assert_ptr_null(layer->codes);
        quant_layer_round(layer);
        quant_layer_decode(layer);
        ck_assert_mem_eq(layer->weight_values, layer->float_weights,
                         (size_t)(layer->K * layer->D) * sizeof(float));
    }
}
END_TEST

START_TEST(rounding_gives_the_nearest_codes)
{
    struct quant_layer *layer = &network->layers[0];
    for (int64_t k = 0; k < layer->K; k++)
        ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -1.0, 1.0, &err), &err);
    quant_layer_round(layer);
    for (int64_t i = 0; i < layer->K * layer->D; i++) {
        float scale = layer->quantizer.scales[i / layer->D];
        ck_assert(layer->weight_values[i] == scale * (float)layer->codes[i]);
        float w = fminf(fmaxf(layer->float_weights[i], -8.0f * scale), 7.0f * scale);
        ck_assert(fabsf(layer->weight_values[i] - w) <= 0.5001f * scale);
    }
}
END_TEST

/* Law: asymmetric weights have one zero point per scale, codes of int8, and zero among the values.
 */
START_TEST(asymmetric_weights_have_signed_codes)
{
    struct quant_options options = usual;
    options.weights = (struct quantizer_format){.bits = 8};
    make(&options);
    struct quant_layer *layer = &network->layers[0];
    ck_assert_int_eq(layer->quantizer.low, -128);
    for (int64_t k = 0; k < layer->K; k++)
        ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -0.1 * (double)k, 1.0, &err), &err);
    quant_layer_round(layer);
    ck_assert_int_eq(layer->quantizer.zero_points[0], -128);
    ck_assert_int_eq(layer->quantizer.zero_points[1], -105); /* -128 + 0.1 / (1.1 / 255) */
    for (int64_t i = 0; i < layer->K * layer->D; i++) {
        float scale = layer->quantizer.scales[i / layer->D];
        int32_t zero_point = layer->quantizer.zero_points[i / layer->D];
        ck_assert(layer->weight_values[i] == scale * (float)(layer->codes[i] - zero_point));
        float low = scale * (float)(-128 - zero_point), high = scale * (float)(127 - zero_point);
        float w = fminf(fmaxf(layer->float_weights[i], low), high);
        ck_assert(fabsf(layer->weight_values[i] - w) <= 0.5001f * scale);
    }
}
END_TEST

static struct quant_layer_format layers[4]; /* stem, depthwise, pointwise, dense */

/* The usual options, with formats of the layers' own to be changed. */
static struct quant_options usual_by_layer(void)
{
    struct quant_options options = usual;
    for (int i = 0; i < 4; i++)
        layers[i] = quant_options_layer(&usual, i);
    options.layers = layers;
    return options;
}

static int activation_bits(int layer)
{
    int activation = network->layers[layer].activation;
    return activation < 0 ? 32 : network->activations[activation].quantizer.format.bits;
}

/* Law: formats by layer that say the same as the options make the same network. */
START_TEST(layers_that_want_nothing_else_are_as_all)
{
    struct quant_options options = usual_by_layer();
    struct quant_network *all = network;
    make(&options);
    ck_assert_int_eq(network->activation_count, all->activation_count);
    for (int i = 0; i < all->activation_count; i++) {
        ck_assert_str_eq(network->activations[i].name, all->activations[i].name);
        ck_assert_int_eq(network->activations[i].quantizer.format.bits,
                         all->activations[i].quantizer.format.bits);
        ck_assert(network->activations[i].of_input == (i == 0));
    }
    for (int i = 0; i < all->layer_count; i++)
        ck_assert_int_eq(network->layers[i].activation, all->layers[i].activation);
}
END_TEST

START_TEST(layers_have_formats_of_their_own)
{
    struct quant_options options = usual_by_layer();
    layers[0].weights = (struct quantizer_format){.bits = 8};
    layers[0].input.bits = 6;
    layers[1].per_channel = false;
    layers[3].weights.bits = 32;
    layers[3].input.symmetric = true;
    make(&options);
    ck_assert_int_eq(network->layers[0].quantizer.low, -128);
    ck_assert(!network->layers[0].quantizer.format.symmetric);
    ck_assert_int_eq(network->layers[1].quantizer.channels, 1);
    ck_assert_int_eq(network->layers[2].quantizer.format.bits, 4);
    ck_assert(quant_layer_is_float(&network->layers[3]));
    ck_assert_int_eq(activation_bits(0), 6); /* in place of input_bits */
    ck_assert_int_eq(activation_bits(1), 3);
    ck_assert_int_eq(activation_bits(3), 3);
    ck_assert(network->activations[network->layers[3].activation].quantizer.format.symmetric);
}
END_TEST

/* Law: what a layer leaves in float it reads in float, whatever others want of the tensor. */
START_TEST(a_layer_in_float_reads_what_others_read_quantized)
{
    struct quant_options options = usual_by_layer();
    layers[1].weights.bits = layers[1].input.bits = 32;
    make(&options);
    const struct graph *graph = network->graph;
    const struct node *depthwise = &graph->nodes[network->layers[1].node];
    const struct node *sum = &graph->nodes[graph_find_node(graph, "sum")];
    ck_assert_int_eq(activation_bits(1), 32);
    ck_assert_str_eq(graph->tensors[depthwise->inputs[0]].name, "stem_relu");
    for (int i = 0; i < 2; i++) /* what only the sum reads has its width */
        ck_assert(strstr(graph->tensors[sum->inputs[i]].name, ":quantized") != NULL);
    ck_assert_int_eq(network->activation_count, 5);
    ck_assert_str_eq(network->activations[3].name, "stem_relu");
    ck_assert_int_eq(network->activations[3].quantizer.format.bits, 5);
}
END_TEST

/* The file's input goes through a change of layout to the first layer. */
START_TEST(a_first_layer_in_float_leaves_the_input_in_float)
{
    struct quant_options options = usual_by_layer();
    layers[0].input.bits = 32;
    make(&options);
    ck_assert_int_eq(activation_bits(0), 32);
    ck_assert_int_eq(network->activation_count, 4);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert(!network->activations[i].of_input);
    float input[SMALL_NETWORK_INPUTS], real[SMALL_NETWORK_CLASSES],
        quantized[SMALL_NETWORK_CLASSES];
    dataset_read(small_network_data(arena, folded, 1, false, 2), 0, input);
    run(folded, input, real);
    run(network->graph, input, quantized);
    ck_assert_mem_eq(real, quantized, sizeof(real));
}
END_TEST

/* Two layers on one input, behind a change of layout: where one wants it in float, the other
 * quantizes what it reads; where both want it quantized, the wider format wins at the entry. */
START_TEST(readers_of_the_input_agree_or_quantize_for_themselves)
{
    static const int widths[][3] = {{4, 6, 6}, {6, 4, 6}, {32, 4, 4}, {4, 32, 4}, {0, 0, 8}};
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        struct sketch sketch;
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 6));
        int a = sketch_conv(&sketch, "a", x, 2, 3, SKETCH(3, 3));
        int b = sketch_conv(&sketch, "b", x, 2, 3, SKETCH(1, 1));
        folded = sketch_finish(&sketch, sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END));
        struct quant_options options = usual_by_layer();
        layers[0].input.bits = widths[i][0];
        layers[1].input.bits = widths[i][1];
        make(&options);
        bool float_a = widths[i][0] == 32, float_b = widths[i][1] == 32;
        ck_assert_int_eq(activation_bits(0), float_a ? 32 : widths[i][2]);
        ck_assert_int_eq(activation_bits(1), float_b ? 32 : widths[i][2]);
        ck_assert(network->activations[0].of_input);
        bool at_the_entry = strcmp(network->activations[0].name, "x") == 0;
        ck_assert(at_the_entry == (!float_a && !float_b));
    }
}
END_TEST

/* The first of equals in width decides the rest of the format. */
START_TEST(of_two_wishes_for_one_tensor_the_wider_wins)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 6));
    int stem = sketch_conv(&sketch, "stem", x, 4, 3, SKETCH(1, 1));
    int a = sketch_conv(&sketch, "a", stem, 2, 4, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", stem, 2, 4, SKETCH(1, 1));
    folded = sketch_finish(&sketch, sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END));
    static const struct {
        int bits[2];
        bool symmetric[2], winner; /* symmetric */
    } cases[] = {
        {{4, 6}, {false, true}, true},
        {{6, 4}, {false, true}, false},
        {{6, 6}, {true, false}, true},
        {{6, 6}, {false, true}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quant_options options = usual_by_layer();
        for (int j = 0; j < 2; j++) {
            layers[1 + j].input.bits = cases[i].bits[j];
            layers[1 + j].input.symmetric = cases[i].symmetric[j];
        }
        make(&options);
        ck_assert_int_eq(network->layers[1].activation, network->layers[2].activation);
        ck_assert_int_eq(activation_bits(1), 6);
        ck_assert(network->activations[network->layers[1].activation].quantizer.format.symmetric ==
                  cases[i].winner);
    }
}
END_TEST

/* Law: what a layer reads as quantized is what a quantizer gave: values that only a branch of their
 * own selects from a quantized tensor are quantized again. */
START_TEST(a_selection_beside_a_layer_is_quantized_by_its_own_reader)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 6));
    int stem = sketch_conv(&sketch, "stem", x, 4, 3, SKETCH(1, 1));
    int a = sketch_conv(&sketch, "a", stem, 2, 4, SKETCH(1, 1));
    sketch_ints(&sketch, "kernel_shape", SKETCH(1, 1));
    int pool = sketch_node(&sketch, "MaxPool", "pool", stem, SKETCH_END);
    int b = sketch_conv(&sketch, "b", pool, 2, 4, SKETCH(1, 1));
    folded = sketch_finish(&sketch, sketch_node(&sketch, "Add", "sum", a, b, SKETCH_END));
    make(&usual);
    for (int i = 0; i < network->layer_count; i++) {
        const struct node *node = &network->graph->nodes[network->layers[i].node];
        const struct quant_activation *activation =
            &network->activations[network->layers[i].activation];
        ck_assert_msg(activation->of_input || activation->output == node->inputs[0], "%s",
                      node->name);
    }
}
END_TEST

/* Law: with a calibrated quantizer the node's values are on its grid. */
START_TEST(a_calibrated_activation_is_on_its_grid)
{
    float input[SMALL_NETWORK_INPUTS], output[SMALL_NETWORK_INPUTS];
    struct quant_activation *activation = &network->activations[0];
    ck_assert_ok(quantizer_set_range(&activation->quantizer, 0, -2.0, 3.0, &err), &err);
    dataset_read(small_network_data(arena, folded, 1, false, 2), 0, input);
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    ck_assert_ok(exec_create(network->graph, &options, &exec, &err), &err);
    const float *in[] = {input};
    float *out[] = {output};
    ck_assert_ok(exec_node(exec, activation->node, 1, in, out, &err), &err);
    exec_destroy(exec);
    for (int i = 0; i < SMALL_NETWORK_INPUTS; i++) {
        float again;
        quantizer_apply(&activation->quantizer, 0, &input[i], 1, &again);
        ck_assert(output[i] == again);
    }
}
END_TEST

/* Law: all parts of a quantized tensor are on its grid: products of them need no other quantizer.
 */
START_TEST(parts_of_a_quantized_tensor_are_on_its_grid)
{
    struct sketch sketch;
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 3},
                                    .input_bits = 8};
    int parts[2];
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 3, 3));
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, "Split", "parts", x, NODE_ABSENT, parts, 2);
    int a = sketch_conv(&sketch, "a", parts[0], 2, 2, SKETCH(1, 1));
    int b = sketch_conv(&sketch, "b", parts[1], 2, 2, SKETCH(1, 1));
    sketch_int(&sketch, "axis", 1);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Concat", "y", a, b, SKETCH_END));
    ck_assert_ok(quant_network_create(arena, graph, &options, &network, &err), &err);
    ck_assert_int_eq(network->activation_count, 1);
    ck_assert_int_eq(network->layers[0].activation, 0);
    ck_assert_int_eq(network->layers[1].activation, 0);
}
END_TEST

/* Also where it is the constant that stands first, and the network's input that it multiplies. */
START_TEST(a_product_that_is_no_layer_is_named)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 4));
    int matrix = sketch_constant(&sketch, "matrix", SKETCH(2, 3));
    int mixed = sketch_node(&sketch, "MatMul", "mixed", matrix, x, SKETCH_END);
    int y = sketch_conv(&sketch, "y", mixed, 2, 2, SKETCH(3));
    ck_assert_ok(graph_fold(sketch_finish(&sketch, y), arena, &folded, &err), &err);
    ck_assert_fails(quant_network_create(arena, folded, &usual, &network, &err), &err,
                    E_UNSUPPORTED,
                    "quantized network: node 'mixed' (MatMul): only products with constant weights "
                    "[K][D] and a bias [K] are quantized; this one multiplies activations, or has "
                    "inputs of rank 3 or more");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_starts_as_the_float_network);
    tcase_add_test(tcase, every_product_is_a_layer_with_its_weights_as_a_matrix);
    tcase_add_test(tcase, what_products_and_sums_read_is_quantized_once);
    tcase_add_test(tcase, activations_in_float_have_no_nodes);
    tcase_add_test(tcase, weights_in_float_have_no_codes);
    tcase_add_test(tcase, rounding_gives_the_nearest_codes);
    tcase_add_test(tcase, layers_that_want_nothing_else_are_as_all);
    tcase_add_test(tcase, layers_have_formats_of_their_own);
    tcase_add_test(tcase, a_layer_in_float_reads_what_others_read_quantized);
    tcase_add_test(tcase, a_first_layer_in_float_leaves_the_input_in_float);
    tcase_add_test(tcase, readers_of_the_input_agree_or_quantize_for_themselves);
    tcase_add_test(tcase, of_two_wishes_for_one_tensor_the_wider_wins);
    tcase_add_test(tcase, a_selection_beside_a_layer_is_quantized_by_its_own_reader);
    tcase_add_test(tcase, asymmetric_weights_have_signed_codes);
    tcase_add_test(tcase, a_calibrated_activation_is_on_its_grid);
    tcase_add_test(tcase, a_product_that_is_no_layer_is_named);
    tcase_add_test(tcase, parts_of_a_quantized_tensor_are_on_its_grid);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
