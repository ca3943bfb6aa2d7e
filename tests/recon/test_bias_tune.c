#include "ptqd/recon/bias_tune.h"

#include "calibrated_network.h"
#include "loss_curve.h"
#include "support.h"

#include "ptqd/quant/bias.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = CALIBRATED_SAMPLES };

static struct arena *arena;
static struct error err;
static struct quant_network *network;
static struct samples samples;
static struct bias_tune_target target;
static const struct bias_tune_options options = {.epochs = 8, .batch = 16, .learning_rate = 0.01};

static void setup(void)
{
    struct calibrated_network calibrated;
    arena = arena_create(0);
    err = (struct error){.message = ""};
    calibrated_network_init(&calibrated, arena, 4, 6);
    network = calibrated.network;
    samples = calibrated.samples;
    target = (struct bias_tune_target){.output = calibrated.output,
                                       .output_scale = calibrated.output_scales};
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

/* Law: parts of a mini-batch, the last one smaller, add up to what all of it gives: each step has
 * the loss that it has when all samples are executed at once. The tolerance is for the gradients'
 * sums, which float32 rounds elsewhere. */
START_TEST(parts_make_the_steps_that_all_samples_make)
{
    enum { BATCH = 15 };
    static const double tolerance = 1e-6;
    struct loss_curve curves[3];
    const int64_t bytes[3] = {0, loss_curve_bytes_for_parts(network->graph, BATCH),
                              1 /* a sample each */};
    for (int i = 0; i < 3; i++) {
        struct calibrated_network c;
        struct rng rng;
        double before, after;
        struct recon_monitor monitor = loss_curve_monitor(&curves[i]);
        const struct bias_tune_options in_parts = {
            .epochs = 2, .batch = BATCH, .learning_rate = 0.01, .most_bytes = bytes[i]};
        calibrated_network_init(&c, arena, 4, 6);
        rng_init(&rng, 1, 0);
        ck_assert_ok(bias_tune(c.network, &samples, &target, &in_parts, &rng, &monitor, arena,
                               &before, &after, &err),
                     &err);
        loss_curve_check_close(&curves[i], &curves[0], tolerance);
    }
    ck_assert_int_gt(curves[0].count, 2);
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
    tcase_add_test(tcase, parts_make_the_steps_that_all_samples_make);
    tcase_add_test(tcase, tuning_stops_when_it_is_told);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
