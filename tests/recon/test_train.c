#include "ptqd/recon/train.h"

#include "calibrated_network.h"
#include "loss_curve.h"
#include "support.h"

#include "ptqd/quant/bias.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static const struct recon_monitor nobody;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const enum trainee_variable variables[] = {TRAIN_QPARAM, TRAIN_WEIGHTS, TRAIN_ROUND};
enum { VARIABLES = sizeof(variables) / sizeof(variables[0]) };

static struct train_options options_for(enum trainee_variable variable)
{
    return (struct train_options){
        .steps = 100,
        .batch = 16,
        .trainee = {.variable = variable,
                    .rates = {.weights = 0.01,
                              .weight_scales = 0.01,
                              .activation_scales = 0.01,
                              .zero_points = 0.01,
                              .biases = 0.01},
                    .regularization = 0.3,
                    .warm_start = 0.2},
    };
}

/* All values of a tensor in both networks, over the samples. */
struct both {
    struct captured real, quantized;
};

static struct both values_of(const struct calibrated_network *c, int tensor)
{
    const struct quant_network *network = c->network;
    const struct graph *graphs[2] = {network->folded, network->graph};
    int64_t elements = tensor_elements(&network->graph->tensors[tensor], 1);
    int64_t inputs = tensor_elements(&network->graph->tensors[network->graph->input], 1);
    float *values[2], *input = ARENA_ARRAY(arena, float, inputs, &err);
    for (int g = 0; g < 2; g++) {
        struct exec *exec;
        struct exec_options options = {.batch = 1, .gradients = true};
        values[g] = ARENA_ARRAY(arena, float, CALIBRATED_SAMPLES *elements, &err);
        ck_assert_ok(exec_create(graphs[g], &options, &exec, &err), &err);
        for (int64_t i = 0; i < CALIBRATED_SAMPLES; i++) {
            samples_read(&c->samples, i, input);
            ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
            memcpy(values[g] + i * elements, exec_values(exec, tensor),
                   (size_t)elements * sizeof(float));
        }
        exec_destroy(exec);
    }
    return (struct both){captured_values(values[0], CALIBRATED_SAMPLES, elements),
                         captured_values(values[1], CALIBRATED_SAMPLES, elements)};
}

static bool train_first(struct calibrated_network *c, enum unit_granularity granularity, int index,
                        const struct train_options *options, const struct recon_monitor *monitor,
                        struct train_loss *loss)
{
    struct unit *units;
    struct rng rng;
    int count;
    rng_init(&rng, 7, 0);
    ck_assert_ok(unit_cut(arena, c->network, granularity, &units, &count, &err), &err);
    struct both input = values_of(c, units[index].input);
    struct both output = values_of(c, units[index].output);
    struct unit_data data = {
        .samples = CALIBRATED_SAMPLES,
        .input = &input.quantized,
        .float_input = &input.real,
        .target = &output.real,
    };
    return train_unit(c->network, &units[index], &data, c->output_scales, options, &rng, monitor,
                      arena, loss, &err);
}

/* Law: the error never grows, and at 3 bits every variable finds something to gain; what is
 * reported is what the network then gives. */
START_TEST(the_error_of_a_unit_falls)
{
    for (enum unit_granularity g = UNIT_LAYER; g <= UNIT_BLOCK; g++)
        for (int v = 0; v < VARIABLES; v++) {
            struct calibrated_network c;
            struct train_options options = options_for(variables[v]);
            struct train_loss loss;
            calibrated_network_init(&c, arena, 3, 6);
            ck_assert_ok(train_first(&c, g, 1, &options, &nobody, &loss), &err);
            ck_assert_msg(loss.after < 0.95 * loss.before, "variable %d: %g, before %g", v,
                          loss.after, loss.before);
            struct unit *units;
            int count;
            ck_assert_ok(unit_cut(arena, c.network, g, &units, &count, &err), &err);
            struct both output = values_of(&c, units[1].output);
            int64_t elements =
                tensor_elements(&c.network->graph->tensors[units[1].output], CALIBRATED_SAMPLES);
            double error = 0.0, square = 0.0;
            for (int64_t i = 0; i < elements; i++) {
                error +=
                    pow((double)output.quantized.values[i] - (double)output.real.values[i], 2.0);
                square += pow((double)output.real.values[i], 2.0);
            }
            ck_assert_double_le(fabs(error / square - loss.after), 1e-4 * loss.after);
        }
}
END_TEST

/* Law: weights are decoded codes of their grid, biases are on theirs. */
START_TEST(what_is_trained_can_be_stored)
{
    for (int v = 0; v < VARIABLES; v++) {
        struct calibrated_network c;
        struct train_options options = options_for(variables[v]);
        struct train_loss loss;
        calibrated_network_init(&c, arena, 3, 6);
        ck_assert_ok(train_first(&c, UNIT_BLOCK, 1, &options, &nobody, &loss), &err);
        for (int i = 0; i < c.network->layer_count; i++) {
            const struct quant_layer *layer = &c.network->layers[i];
            for (int64_t j = 0; j < layer->K * layer->D; j++) {
                ck_assert_int_ge(layer->codes[j], layer->quantizer.low);
                ck_assert_int_le(layer->codes[j], layer->quantizer.high);
                ck_assert(layer->weight_values[j] ==
                          quantizer_decode(&layer->quantizer, j / layer->D, layer->codes[j]));
            }
            for (int64_t k = 0; i == 1 && k < layer->K; k++)
                ck_assert(layer->bias_values[k] ==
                          quant_bias_nearest(c.network, layer, k, layer->bias_values[k]));
        }
    }
}
END_TEST

/* Law: rounding moves no weight by more than to the other side and no scale of weights; qparam
 * moves scales alone; nothing outside of the unit changes. */
START_TEST(only_its_own_variables_change)
{
    for (int v = 0; v < VARIABLES; v++) {
        struct calibrated_network c, before;
        struct train_options options = options_for(variables[v]);
        struct train_loss loss;
        calibrated_network_init(&c, arena, 3, 6);
        calibrated_network_init(&before, arena, 3, 6);
        if (variables[v] == TRAIN_QPARAM)
            options.trainee.rates.biases = 0.0;
        ck_assert_ok(train_first(&c, UNIT_LAYER, 1, &options, &nobody, &loss), &err);
        for (int i = 0; i < c.network->layer_count; i++) {
            const struct quant_layer *now = &c.network->layers[i],
                                     *old = &before.network->layers[i];
            size_t channels = (size_t)now->K * sizeof(float);
            bool trained = i == 1;
            bool same_scales = memcmp(now->quantizer.scales, old->quantizer.scales, channels) == 0;
            ck_assert(same_scales == (!trained || variables[v] == TRAIN_ROUND));
            if (!trained)
                ck_assert_mem_eq(now->codes, old->codes, (size_t)(now->K * now->D));
            if (!trained || variables[v] == TRAIN_QPARAM)
                ck_assert_mem_eq(now->bias_values, old->bias_values, trained ? 0 : channels);
            for (int64_t j = 0; trained && variables[v] == TRAIN_ROUND && j < now->K * now->D;
                 j++) {
                float place = now->float_weights[j] / now->quantizer.scales[j / now->D];
                ck_assert_double_lt(fabs((double)now->codes[j] - (double)place), 1.0);
            }
        }
    }
}
END_TEST

/* Law: same seed, same bits. */
START_TEST(training_is_deterministic)
{
    struct calibrated_network a, b;
    struct train_options options = options_for(TRAIN_WEIGHTS);
    struct train_loss loss;
    options.drop = 0.5;
    calibrated_network_init(&a, arena, 3, 6);
    calibrated_network_init(&b, arena, 3, 6);
    ck_assert_ok(train_first(&a, UNIT_BLOCK, 1, &options, &nobody, &loss), &err);
    ck_assert_ok(train_first(&b, UNIT_BLOCK, 1, &options, &nobody, &loss), &err);
    for (int i = 0; i < a.network->layer_count; i++) {
        const struct quant_layer *x = &a.network->layers[i], *y = &b.network->layers[i];
        ck_assert_mem_eq(x->weight_values, y->weight_values, (size_t)(x->K * x->D) * sizeof(float));
        ck_assert_mem_eq(x->bias_values, y->bias_values, (size_t)x->K * sizeof(float));
    }
}
END_TEST

/* Memory for parts of the second block. */
static int64_t bytes_for_parts(const struct calibrated_network *c, int64_t batch)
{
    struct unit *units;
    struct unit_graph graph;
    int count;
    ck_assert_ok(unit_cut(arena, c->network, UNIT_BLOCK, &units, &count, &err), &err);
    ck_assert_ok(unit_graph_create(arena, c->network, &units[1], &graph, &err), &err);
    return loss_curve_bytes_for_parts(graph.graph, batch);
}

/* Law: parts of a mini-batch, the last one smaller, add up to what all of it gives: each step has
 * the loss that it has when all samples are executed at once. The tolerance is for the gradients'
 * sums, which float32 rounds elsewhere. */
START_TEST(parts_make_the_steps_that_all_samples_make)
{
    static const double tolerance = 1e-6;
    for (int v = 0; v < VARIABLES; v++) {
        struct train_options options = options_for(variables[v]);
        struct loss_curve curves[3];
        options.steps = 8;
        options.batch = 15;
        for (int i = 0; i < 3; i++) {
            struct calibrated_network c;
            struct train_loss loss;
            struct recon_monitor monitor = loss_curve_monitor(&curves[i]);
            calibrated_network_init(&c, arena, 3, 6);
            const int64_t bytes[3] = {0, bytes_for_parts(&c, options.batch), 1};
            options.most_bytes = bytes[i];
            ck_assert_ok(train_first(&c, UNIT_BLOCK, 1, &options, &monitor, &loss), &err);
            loss_curve_check_close(&curves[i], &curves[0], tolerance);
        }
        ck_assert_int_gt(curves[0].count, 2);
    }
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    (void)fraction, (void)loss;
    int *left = context;
    return --*left > 0;
}

START_TEST(training_stops_when_asked)
{
    struct calibrated_network c;
    struct train_options options = options_for(TRAIN_ROUND);
    struct train_loss loss;
    int left = 3;
    struct recon_monitor monitor = {.report = refuse, .context = &left};
    calibrated_network_init(&c, arena, 3, 6);
    ck_assert_fails(train_first(&c, UNIT_BLOCK, 1, &options, &monitor, &loss), &err, E_CANCELLED,
                    "stopped");
    ck_assert_int_eq(left, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_error_of_a_unit_falls);
    tcase_add_test(tcase, what_is_trained_can_be_stored);
    tcase_add_test(tcase, only_its_own_variables_change);
    tcase_add_test(tcase, training_is_deterministic);
    tcase_add_test(tcase, parts_make_the_steps_that_all_samples_make);
    tcase_add_test(tcase, training_stops_when_asked);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
