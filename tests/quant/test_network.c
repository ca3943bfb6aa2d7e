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
    tcase_add_test(tcase, asymmetric_weights_have_signed_codes);
    tcase_add_test(tcase, a_calibrated_activation_is_on_its_grid);
    tcase_add_test(tcase, parts_of_a_quantized_tensor_are_on_its_grid);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
