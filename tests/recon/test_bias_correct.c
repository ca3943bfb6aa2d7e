#include "ptqd/recon/bias_correct.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/nn/fold.h"
#include "ptqd/quant/bias.h"
#include "ptqd/recon/walk.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 48, LAYERS = 4, CHANNELS_MAX = 8 };

static struct arena *arena;
static struct error err;
static struct quant_network *network;
static struct samples samples;
static struct walk_options all;
static const struct recon_monitor nobody;

/* 3 bits, whole ranges, rounded to nearest, and a range of activations that clips: means move. */
static void setup(void)
{
    struct quant_options format = {.weights = {.bits = 3, .symmetric = true},
                                   .activations = {.bits = 4},
                                   .input_bits = 8,
                                   .per_channel = true};
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct graph *graph = small_network_create(arena, 1), *folded;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &network, &err), &err);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -2.0, 2.0, &err),
                     &err);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        for (int64_t k = 0; k < layer->K; k++) {
            double reach = 0.0;
            for (int64_t d = 0; d < layer->D; d++)
                reach = fmax(reach, fabs((double)layer->float_weights[k * layer->D + d]));
            ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -reach, reach, &err), &err);
        }
        quant_layer_round(layer);
    }
    ck_assert_int_eq(network->layer_count, LAYERS);
    struct dataset *data = small_network_data(arena, graph, SAMPLES, false, 2);
    ck_assert_ok(samples_draw(arena, data, 0, NULL, &samples, &err), &err);
    all = (struct walk_options){.samples = &samples,
                                .count = samples.count,
                                .memory_bytes = SIZE_MAX};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Means over samples and positions of a tensor's channels. */
static void channel_means(const float *values, int64_t positions, int64_t K, double *out_means)
{
    for (int64_t k = 0; k < K; k++) {
        double sum = 0.0;
        for (int64_t i = 0; i < positions; i++)
            sum += (double)values[i * K + k];
        out_means[k] = sum / (double)positions;
    }
}

struct means {
    double real[LAYERS][CHANNELS_MAX], quantized[LAYERS][CHANNELS_MAX];
    double squared_error[LAYERS]; /* of the linear output */
};

static void measure(struct means *out)
{
    const struct graph *graph = network->graph;
    struct walk *walk;
    ck_assert_ok(walk_create(network, &all, &walk, &err), &err);
    for (int i = 0; i < LAYERS; i++)
        walk_keep(walk, graph->nodes[network->layers[i].node].outputs[0]);
    for (int node = 0; node < graph->node_count; node++) {
        ck_assert_ok(walk_node_float(walk, node, &nobody, &err), &err);
        ck_assert_ok(walk_node_quantized(walk, node, &nobody, &err), &err);
    }
    for (int i = 0; i < LAYERS; i++) {
        int tensor = graph->nodes[network->layers[i].node].outputs[0];
        int64_t count = tensor_elements(&graph->tensors[tensor], SAMPLES), K = network->layers[i].K;
        const float *real = walk_float(walk, tensor)->values;
        const float *quantized = walk_quantized(walk, tensor)->values;
        channel_means(real, count / K, K, out->real[i]);
        channel_means(quantized, count / K, K, out->quantized[i]);
        out->squared_error[i] = 0.0;
        for (int64_t j = 0; j < count; j++)
            out->squared_error[i] += pow((double)real[j] - (double)quantized[j], 2.0);
    }
    walk_destroy(walk);
}

static void correct(double *before, double *after)
{
    ck_assert_ok(bias_correct(network, &all, &nobody, arena, before, after, &err), &err);
}

/* Law: in the corrected network the mean of every channel's linear output is the float network's,
 * to half a step of the bias (and 1e-5 for sums in float32). */
START_TEST(means_become_those_of_the_float_network)
{
    struct means before, after;
    measure(&before);
    correct(NULL, NULL);
    measure(&after);
    double largest = 0.0;
    for (int i = 0; i < LAYERS; i++)
        for (int64_t k = 0; k < network->layers[i].K; k++) {
            double step = (double)quant_bias_scale(network, &network->layers[i], k);
            double left = fabs(after.quantized[i][k] - after.real[i][k]);
            largest = fmax(largest, fabs(before.quantized[i][k] - before.real[i][k]) / step);
            ck_assert_msg(left <= 0.5 * step + 1e-5, "layer %d, channel %d: %g, step %g", i, (int)k,
                          left, step);
        }
    ck_assert_double_gt(largest, 2.0); /* there was something to correct */
}
END_TEST

/* Law: what is stated falls, nearly to nothing, and a second correction finds what the first one
 * left and changes no bias. */
START_TEST(the_shift_falls_and_stays_down)
{
    double before, after, again_before, again_after;
    float biases[CHANNELS_MAX];
    correct(&before, &after);
    ck_assert_double_lt(after, 0.1 * before);
    memcpy(biases, network->layers[1].bias_values, sizeof(biases));
    correct(&again_before, &again_after);
    ck_assert_double_le(fabs(again_before - after), 1e-6 * before);
    ck_assert_double_le(again_after, again_before);
    ck_assert_mem_eq(biases, network->layers[1].bias_values, sizeof(biases));
}
END_TEST

/* Law: the mean is the constant with the smallest squared error, so the first layer's linear output
 * comes closer; nothing in front of it has changed. */
START_TEST(the_squared_error_of_the_first_layer_falls)
{
    struct means before, after;
    measure(&before);
    correct(NULL, NULL);
    measure(&after);
    ck_assert_double_lt(after.squared_error[0], before.squared_error[0]);
}
END_TEST

START_TEST(only_biases_change_and_they_stay_on_their_grid)
{
    const struct quant_layer *first = &network->layers[0];
    float weights[CHANNELS_MAX * 27], scale = network->activations[1].quantizer.scales[0];
    ck_assert_int_eq(first->K * first->D, CHANNELS_MAX * 27);
    memcpy(weights, first->weight_values, sizeof(weights));
    correct(NULL, NULL);
    ck_assert_mem_eq(weights, first->weight_values, sizeof(weights));
    ck_assert(scale == network->activations[1].quantizer.scales[0]);
    for (int i = 0; i < LAYERS; i++) {
        const struct quant_layer *layer = &network->layers[i];
        for (int64_t k = 0; k < layer->K; k++)
            ck_assert(layer->bias_values[k] ==
                      quant_bias_nearest(network, layer, k, layer->bias_values[k]));
    }
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    int *calls = context;
    (void)loss; /* there is none */
    ck_assert(fraction >= 0.0 && fraction <= 1.0);
    return ++*calls < 6;
}

START_TEST(correction_stops_when_it_is_told)
{
    int calls = 0;
    struct recon_monitor monitor = {.report = refuse, .context = &calls};
    ck_assert_fails(bias_correct(network, &all, &monitor, arena, NULL, NULL, &err), &err,
                    E_CANCELLED, "stopped");
    ck_assert_int_eq(calls, 6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bias_correct");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, means_become_those_of_the_float_network);
    tcase_add_test(tcase, the_shift_falls_and_stays_down);
    tcase_add_test(tcase, the_squared_error_of_the_first_layer_falls);
    tcase_add_test(tcase, only_biases_change_and_they_stay_on_their_grid);
    tcase_add_test(tcase, correction_stops_when_it_is_told);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
