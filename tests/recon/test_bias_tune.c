#include "ptqd/recon/bias_tune.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/quant/bias.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 64 };

static struct arena *arena;
static struct error err;
static struct quant_network *network;
static struct samples samples;
static struct bias_tune_target target;
static const struct bias_tune_options options = {.epochs = 8, .batch = 16, .learning_rate = 0.01};

/* A network with ranges of the right size and weights rounded to nearest at 4 bits: there is
 * something to tune. */
static void setup(void)
{
    struct quant_options format = {
        .weights = {.bits = 4, .symmetric = true},
        .activations = {.bits = 6},
        .input_bits = 8,
        .per_channel = true,
    };
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct graph *graph = small_network_create(arena, 1), *folded;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &network, &err), &err);
    struct dataset *data = small_network_data(arena, graph, SAMPLES, false, 2);
    ck_assert_ok(samples_draw(arena, data, 0, NULL, &samples, &err), &err);

    struct exec *exec;
    struct exec_options batch = {.batch = 1, .gradients = true};
    float *input = ARENA_ARRAY(arena, float, SMALL_NETWORK_INPUTS, &err);
    float *output = ARENA_ARRAY(arena, float, SAMPLES *SMALL_NETWORK_CLASSES, &err);
    ck_assert_ok(exec_create(folded, &batch, &exec, &err), &err);
    double reach[16] = {0.0};
    for (int64_t i = 0; i < SAMPLES; i++) {
        samples_read(&samples, i, input);
        ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
        memcpy(output + i * SMALL_NETWORK_CLASSES, exec_values(exec, folded->output),
               SMALL_NETWORK_CLASSES * sizeof(float));
        for (int a = 0; a < network->activation_count; a++) {
            int tensor = network->activations[a].input;
            const float *values = exec_values(exec, tensor);
            int64_t count = tensor_elements(&folded->tensors[tensor], 1);
            for (int64_t j = 0; j < count; j++)
                reach[a] = fmax(reach[a], fabs((double)values[j]));
        }
    }
    exec_destroy(exec);
    for (int a = 0; a < network->activation_count; a++)
        ck_assert_ok(quantizer_set_range(&network->activations[a].quantizer, 0, -reach[a], reach[a],
                                         &err),
                     &err);
    double *scale = ARENA_ARRAY(arena, double, network->layer_count, &err);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        scale[i] = 1.0;
        for (int64_t k = 0; k < layer->K; k++) {
            float largest = 0.0f;
            for (int64_t d = 0; d < layer->D; d++)
                largest = fmaxf(largest, fabsf(layer->float_weights[k * layer->D + d]));
            ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -(double)largest,
                                             (double)largest, &err),
                         &err);
        }
        quant_layer_round(layer);
    }
    target = (struct bias_tune_target){.output = output, .output_scale = scale};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static bool tune(uint64_t seed, const struct recon_monitor *monitor, double *before, double *after)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    return bias_tune(network, &samples, &target, &options, &rng, monitor, arena, before, after,
                     &err);
}

/* Law: the loss over all samples never grows, and where weights were rounded it falls. */
START_TEST(the_loss_falls)
{
    struct recon_monitor monitor = {0};
    double before, after, again_before, again_after;
    ck_assert_ok(tune(1, &monitor, &before, &after), &err);
    ck_assert_double_lt(after, 0.9 * before);
    ck_assert_ok(tune(2, &monitor, &again_before, &again_after), &err);
    ck_assert_double_le(again_after, again_before);
    ck_assert_double_le(fabs(again_before - after),
                        1e-9 + 1e-6 * after); /* what was kept is there */
}
END_TEST

/* Law: tuned biases are those that a device can hold. */
START_TEST(biases_stay_on_their_grid)
{
    struct recon_monitor monitor = {0};
    double before, after;
    ck_assert_ok(tune(1, &monitor, &before, &after), &err);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        for (int64_t k = 0; k < layer->K; k++)
            ck_assert(layer->bias_values[k] ==
                      quant_bias_nearest(network, layer, k, layer->bias_values[k]));
    }
}
END_TEST

START_TEST(weights_and_ranges_stay_as_they_are)
{
    struct recon_monitor monitor = {0};
    double before, after;
    const struct quant_layer *layer = &network->layers[0];
    float weights[8 * 27], scale = network->activations[1].quantizer.scales[0];
    memcpy(weights, layer->weight_values, sizeof(weights));
    ck_assert_ok(tune(1, &monitor, &before, &after), &err);
    ck_assert_mem_eq(weights, layer->weight_values, sizeof(weights));
    ck_assert(scale == network->activations[1].quantizer.scales[0]);
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    int *calls = context;
    (void)fraction, (void)loss; /* only whether it is called */
    return ++*calls < 4;
}

START_TEST(tuning_stops_when_it_is_told)
{
    int calls = 0;
    double before, after;
    struct recon_monitor monitor = {.report = refuse, .context = &calls};
    ck_assert_fails(tune(1, &monitor, &before, &after), &err, E_CANCELLED, "stopped");
    ck_assert_int_eq(calls, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bias_tune");
    TCase *tcase = tcase_create("laws");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_loss_falls);
    tcase_add_test(tcase, biases_stay_on_their_grid);
    tcase_add_test(tcase, weights_and_ranges_stay_as_they_are);
    tcase_add_test(tcase, tuning_stops_when_it_is_told);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
