/* Laws of int32 biases. */

#include "ptqd/quant/bias.h"

#include "sketch.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { K = 5 };

static struct arena *arena;
static struct error err;
static struct quant_network *network;
static struct quant_layer *layer;

/* One convolution. */
static void make(int weight_bits, int activation_bits)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    struct graph *folded =
        sketch_finish(&sketch, sketch_conv(&sketch, "conv", x, K, 2, SKETCH(1, 1)));
    struct quant_options options = {.weights = {.bits = weight_bits, .symmetric = true},
                                    .activations = {.bits = activation_bits},
                                    .input_bits = 8,
                                    .per_channel = true};
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    layer = &network->layers[0];
}

/* s_x = 0.1, s_w[k] = 0.01 · (k + 1) */
static void setup(void)
{
    arena = arena_create(0);
    make(4, 4);
    network->activations[0].quantizer.scales[0] = 0.1f;
    for (int k = 0; k < K; k++)
        layer->quantizer.scales[k] = 0.01f * (float)(k + 1);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Law: |decode(encode(b)) − b| ≤ s_x · s_w / 2. */
START_TEST(a_code_is_the_nearest)
{
    int32_t codes[K];
    ck_assert_ok(quant_bias_encode(network, layer, codes, &err), &err);
    for (int k = 0; k < K; k++) {
        double scale = (double)quant_bias_scale(network, layer, k);
        ck_assert_double_eq_tol(scale, 0.001 * (k + 1), 1e-9);
        ck_assert_double_le(fabs(codes[k] * scale - (double)layer->bias_values[k]),
                            0.5000001 * scale);
    }
}
END_TEST

/* Law: rounding twice is rounding once. */
START_TEST(rounded_biases_stay)
{
    float once[K];
    ck_assert_ok(quant_network_round_biases(network, &err), &err);
    memcpy(once, layer->bias_values, sizeof(once));
    ck_assert_ok(quant_network_round_biases(network, &err), &err);
    ck_assert_mem_eq(layer->bias_values, once, sizeof(once));
}
END_TEST

START_TEST(a_bias_without_a_code_leaves_the_network_as_it_was)
{
    float before[K];
    layer->bias_values[K - 1] = 1.1e7f; /* · 200 > 2^31 */
    memcpy(before, layer->bias_values, sizeof(before));
    ck_assert_fails(quant_network_round_biases(network, &err), &err, E_INVALID,
                    "layer 'conv': the bias of channel 4 is 1.1e+07");
    ck_assert_mem_eq(layer->bias_values, before, sizeof(before));
}
END_TEST

START_TEST(a_product_of_scales_that_underflows_has_a_code_for_zero_only)
{
    int32_t codes[K];
    network->activations[0].quantizer.scales[0] = 1e-30f;
    layer->quantizer.scales[2] = 1e-30f;
    memset(layer->bias_values, 0, K * sizeof(float));
    ck_assert_ok(quant_bias_encode(network, layer, codes, &err), &err);
    ck_assert_int_eq(codes[2], 0);
    layer->bias_values[2] = 1.0f;
    ck_assert_fails(quant_bias_encode(network, layer, codes, &err), &err, E_INVALID, "channel 2");
}
END_TEST

/* Law: what is nearest to a bias has a code, however large the bias is. */
START_TEST(the_nearest_value_has_a_code)
{
    static const float scales[] = {1e-3f, 3e-12f, 7e-25f, 1e-38f};
    static const float biases[] = {0.0f, 1e-30f, -1e-4f, 0.3f, -1e30f};
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        layer->quantizer.scales[2] = scales[i];
        network->activations[0].quantizer.scales[0] = i == 3 ? 1e-30f : 0.1f;
        for (size_t j = 0; j < sizeof(biases) / sizeof(biases[0]); j++) {
            int32_t codes[K];
            memset(layer->bias_values, 0, K * sizeof(float));
            layer->bias_values[2] = quant_bias_nearest(network, layer, 2, biases[j]);
            ck_assert_ok(quant_bias_encode(network, layer, codes, &err), &err);
            float decoded = (float)codes[2] * quant_bias_scale(network, layer, 2);
            ck_assert(decoded == layer->bias_values[2]);
        }
    }
}
END_TEST

/* Law: where weights or input have no scale, a bias stays what it is. */
START_TEST(without_a_scale_biases_stay_in_float)
{
    static const int widths[][2] = {{32, 32}, {32, 4}, {4, 32}};
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        make(widths[i][0], widths[i][1]);
        ck_assert(!quant_bias_has_codes(layer));
        ck_assert_ok(quant_network_round_biases(network, &err), &err);
        ck_assert_mem_eq(layer->bias_values, layer->float_bias, K * sizeof(float));
        ck_assert(quant_bias_nearest(network, layer, 1, 0.12345f) == 0.12345f);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bias");
    TCase *tests = tcase_create("bias");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_code_is_the_nearest);
    tcase_add_test(tests, rounded_biases_stay);
    tcase_add_test(tests, a_bias_without_a_code_leaves_the_network_as_it_was);
    tcase_add_test(tests, a_product_of_scales_that_underflows_has_a_code_for_zero_only);
    tcase_add_test(tests, the_nearest_value_has_a_code);
    tcase_add_test(tests, without_a_scale_biases_stay_in_float);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
