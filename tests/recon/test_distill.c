#include "ptqd/recon/distill.h"

#include "calibrated_network.h"
#include "loss_curve.h"
#include "small_network.h"
#include "support.h"

#include "ptqd/quant/bias.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct calibrated_network calibrated;
static const struct recon_monitor nobody;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    calibrated_network_init(&calibrated, arena, 3, 4);
    ck_assert_ok(quant_network_round_biases(calibrated.network, &err), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const struct distill_options plain = {
    .epochs = 16,
    .batch = 16,
    .temperature = 4.0,
    .share = 0.5,
    .augment = {.shift = 0.15, .mix = 0.5},
    .trainee = {.variable = TRAIN_WEIGHTS,
                .rates = {.weights = 0.01,
                          .weight_scales = 0.01,
                          .activation_scales = 0.01,
                          .zero_points = 0.01,
                          .biases = 0.01}},
};

static bool run(struct calibrated_network *c, const struct distill_options *options,
                const struct recon_monitor *monitor, struct distill_result *result)
{
    struct rng rng;
    rng_init(&rng, 3, 0);
    return distill(c->network, &c->samples, c->output_scales, options, &rng, monitor, arena, result,
                   &err);
}

/* Σ p log(p / q) over the network's own Softmax, by its definition. */
static double divergence(const struct calibrated_network *c)
{
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    float input[SMALL_NETWORK_INPUTS];
    double sum = 0.0;
    ck_assert_ok(exec_create(c->network->graph, &options, &exec, &err), &err);
    for (int64_t i = 0; i < CALIBRATED_SAMPLES; i++) {
        samples_read(&c->samples, i, input);
        ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
        const float *p = c->output + i * SMALL_NETWORK_CLASSES;
        const float *q = exec_values(exec, c->network->graph->output);
        for (int j = 0; j < SMALL_NETWORK_CLASSES; j++)
            sum += (double)p[j] * log((double)p[j] / (double)q[j]);
    }
    exec_destroy(exec);
    return sum / CALIBRATED_SAMPLES;
}

/* Law: the loss falls, and is what it is said to be: the divergence of the probabilities. */
START_TEST(the_divergence_falls)
{
    struct distill_result result;
    double before = divergence(&calibrated);
    ck_assert_ok(run(&calibrated, &plain, &nobody, &result), &err);
    double after = divergence(&calibrated);
    ck_assert_double_le(fabs(result.before - before), 1e-5);
    ck_assert_double_le(fabs(result.after - after), 1e-5);
    ck_assert_double_lt(after, 0.5 * before);
}
END_TEST

/* Law: for every variable weights are decoded codes of their grid, and the loss is that of these.
 */
START_TEST(what_is_trained_can_be_stored)
{
    static const enum trainee_variable variables[] = {TRAIN_QPARAM, TRAIN_WEIGHTS, TRAIN_ROUND};
    for (int v = 0; v < 3; v++) {
        struct calibrated_network c;
        struct distill_result result;
        struct distill_options options = plain;
        options.trainee.variable = variables[v];
        options.trainee.regularization = 0.3;
        options.trainee.warm_start = 0.2;
        calibrated_network_init(&c, arena, 3, 4);
        ck_assert_ok(quant_network_round_biases(c.network, &err), &err);
        ck_assert_ok(run(&c, &options, &nobody, &result), &err);
        ck_assert_double_le(fabs(result.after - divergence(&c)), 1e-5);
        ck_assert_double_lt(result.after, result.before);
        for (int i = 0; i < c.network->layer_count; i++) {
            const struct quant_layer *layer = &c.network->layers[i];
            for (int64_t j = 0; j < layer->K * layer->D; j++)
                ck_assert(layer->weight_values[j] ==
                          quantizer_decode(&layer->quantizer, j / layer->D, layer->codes[j]));
        }
    }
}
END_TEST

/* Law: where probabilities nearly agree the temperature has a say, and the loss, which is taken
 * without it, still falls. */
START_TEST(a_temperature_changes_what_is_learned)
{
    static const double temperatures[] = {1.0, 4.0};
    struct distill_result results[2];
    for (int t = 0; t < 2; t++) {
        struct calibrated_network c;
        struct distill_options options = plain;
        options.temperature = temperatures[t];
        calibrated_network_init(&c, arena, 3, 4);
        ck_assert_ok(quant_network_round_biases(c.network, &err), &err);
        ck_assert_ok(run(&c, &options, &nobody, &results[t]), &err);
        ck_assert_double_lt(results[t].after, results[t].before);
    }
    ck_assert_double_eq(results[0].before, results[1].before);
    ck_assert_double_ne(results[0].after, results[1].after);
}
END_TEST

START_TEST(values_may_be_the_loss)
{
    struct distill_result result;
    struct distill_options options = plain;
    options.loss = DISTILL_VALUES;
    ck_assert_ok(run(&calibrated, &options, &nobody, &result), &err);
    ck_assert_double_lt(result.after, 0.7 * result.before);
}
END_TEST

/* Law: a rate that ruins the network leaves it as it was. */
START_TEST(what_gets_worse_is_taken_back)
{
    struct distill_result result;
    struct distill_options options = plain;
    double before = divergence(&calibrated);
    options.trainee.rates.activation_scales = 30.0;
    ck_assert_ok(run(&calibrated, &options, &nobody, &result), &err);
    ck_assert_double_le(result.after, result.before);
    ck_assert_double_le(divergence(&calibrated), before + 1e-6);
}
END_TEST

/* Law: the scale of the network's input stays: it is given by the data. */
START_TEST(the_inputs_quantizer_stays)
{
    struct distill_result result;
    float scale = calibrated.network->activations[0].quantizer.scales[0];
    float inner = calibrated.network->activations[1].quantizer.scales[0];
    ck_assert_ok(run(&calibrated, &plain, &nobody, &result), &err);
    ck_assert(calibrated.network->activations[0].quantizer.scales[0] == scale);
    ck_assert(calibrated.network->activations[1].quantizer.scales[0] != inner);
}
END_TEST

START_TEST(distillation_is_deterministic)
{
    struct calibrated_network again;
    struct distill_result result;
    calibrated_network_init(&again, arena, 3, 4);
    ck_assert_ok(quant_network_round_biases(again.network, &err), &err);
    ck_assert_ok(run(&calibrated, &plain, &nobody, &result), &err);
    ck_assert_ok(run(&again, &plain, &nobody, &result), &err);
    for (int i = 0; i < again.network->layer_count; i++) {
        const struct quant_layer *x = &calibrated.network->layers[i];
        const struct quant_layer *y = &again.network->layers[i];
        ck_assert_mem_eq(x->weight_values, y->weight_values, (size_t)(x->K * x->D) * sizeof(float));
    }
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
    const int64_t bytes[3] = {0, loss_curve_bytes_for_parts(calibrated.network->folded, BATCH),
                              1 /* a sample each */};
    for (int i = 0; i < 3; i++) {
        struct calibrated_network c;
        struct distill_result result;
        struct distill_options options = plain;
        struct recon_monitor monitor = loss_curve_monitor(&curves[i]);
        options.epochs = 2;
        options.batch = BATCH;
        options.most_bytes = bytes[i];
        calibrated_network_init(&c, arena, 3, 4);
        ck_assert_ok(quant_network_round_biases(c.network, &err), &err);
        ck_assert_ok(run(&c, &options, &monitor, &result), &err);
        loss_curve_check_close(&curves[i], &curves[0], tolerance);
    }
    ck_assert_int_gt(curves[0].count, 2);
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    (void)fraction, (void)loss;
    int *left = context;
    return --*left > 0;
}

START_TEST(it_stops_when_asked)
{
    struct distill_result result;
    int left = 3;
    struct recon_monitor monitor = {.report = refuse, .context = &left};
    ck_assert_fails(run(&calibrated, &plain, &monitor, &result), &err, E_CANCELLED, "stopped");
    ck_assert_int_eq(left, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("distill");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_divergence_falls);
    tcase_add_test(tcase, what_is_trained_can_be_stored);
    tcase_add_test(tcase, a_temperature_changes_what_is_learned);
    tcase_add_test(tcase, values_may_be_the_loss);
    tcase_add_test(tcase, what_gets_worse_is_taken_back);
    tcase_add_test(tcase, the_inputs_quantizer_stays);
    tcase_add_test(tcase, distillation_is_deterministic);
    tcase_add_test(tcase, parts_make_the_steps_that_all_samples_make);
    tcase_add_test(tcase, it_stops_when_asked);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
