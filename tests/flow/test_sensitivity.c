/* What one quantizer costs alone. */

#include "ptqd/flow/sensitivity.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/nn/fold.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct graph *folded;
static struct quant_options options;
static struct quant_network *network;
static struct initial_ranges ranges;
static struct samples calibration;
static struct artifact_origin origin;
static struct shared_scope scope;
static struct run_monitor listener;
static struct run_result result;
static struct progress progress;
static struct sensitivity_request request;

/* Ranges of eight bits, wide enough for everything. */
static void fit_all(void)
{
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        float largest = 0.0f;
        for (int64_t j = 0; j < layer->K * layer->D; j++)
            largest = fmaxf(largest, fabsf(layer->float_weights[j]));
        for (int64_t channel = 0; channel < ranges.weights[i].channels; channel++)
            ck_assert_ok(quantizer_set_range(&ranges.weights[i], channel, -(double)largest,
                                             (double)largest, &err),
                         &err);
    }
    for (int i = 0; i < network->activation_count; i++)
        if (ranges.activations[i].channels > 0)
            ck_assert_ok(quantizer_set_range(&ranges.activations[i], 0, -20.0, 20.0, &err), &err);
}

static void prepare(void)
{
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    ck_assert_ok(initial_ranges_create(arena, network, &ranges, &err), &err);
    request.network = network;
}

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct graph *model = small_network_create(arena, 1);
    struct dataset *evaluation = small_network_data(arena, model, 70, true, 3);
    ck_assert_ok(graph_fold(model, arena, &folded, &err), &err);
    ck_assert_ok(samples_draw(arena, small_network_data(arena, model, 40, false, 2), 0, NULL,
                              &calibration, &err),
                 &err);
    options = (struct quant_options){
        .weights = {.bits = 8, .symmetric = true},
        .activations = {.bits = 8},
        .input_bits = 8,
        .per_channel = true,
    };
    origin = (struct artifact_origin){.variant = ""};
    scope = (struct shared_scope){.cache = NULL};
    listener = (struct run_monitor){.report = NULL};
    result = (struct run_result){.step_count = 0};
    progress_init(&progress, &listener, &result);
    request = (struct sensitivity_request){
        .options = &options,
        .ranges = &ranges,
        .calibration = &calibration,
        .evaluation = evaluation,
        .origin = &origin,
        .scope = &scope,
        .progress = &progress,
    };
    prepare();
}

static void teardown(void)
{
    shared_destroy(scope.cache);
    arena_destroy(arena);
}

static const struct sensitivity *measure(void)
{
    const struct sensitivity *sensitivity;
    ck_assert_ok(progress_step(&progress, STEP_SENSITIVITY, sensitivity_units(network), &err),
                 &err);
    ck_assert_ok(sensitivity_measure(arena, &request, &sensitivity, &err), &err);
    return sensitivity;
}

static void check_same(const struct sensitivity *a, const struct sensitivity *b)
{
    size_t effect = sizeof(struct sensitivity_effect);
    ck_assert_mem_eq(a->weights, b->weights, (size_t)a->layer_count * effect);
    ck_assert_mem_eq(a->activations, b->activations, (size_t)a->activation_count * effect);
    ck_assert_int_eq(a->worst_part, b->worst_part);
    ck_assert_int_eq(a->worst, b->worst);
}

/* The float network's weights, replaced by values of their own grid. */
static void put_weights_on_their_grid(void)
{
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        initial_ranges_copy(&ranges.weights[i], &layer->quantizer);
        quant_layer_round(layer);
        int node = folded->tensors[network->graph->nodes[layer->node].outputs[0]].producer;
        folded->tensors[folded->nodes[node].inputs[1]].values = layer->weight_values;
    }
}

/* Law: a quantizer that changes nothing costs nothing: no drop, full agreement, no error. */
START_TEST(quantizing_nothing_costs_nothing)
{
    fit_all();
    put_weights_on_their_grid();
    struct initial_ranges kept = ranges;
    prepare();
    ranges = kept;
    const struct sensitivity *sensitivity = measure();
    for (int i = 0; i < sensitivity->layer_count; i++) {
        const struct sensitivity_effect *effect = &sensitivity->weights[i];
        ck_assert(effect->accuracy_drop == 0.0 && effect->agreement == 1.0);
        ck_assert(isinf(effect->output_sqnr_db) && effect->divergence == 0.0);
    }
    ck_assert_int_eq(sensitivity->worst_part, SENSITIVE_ACTIVATION);
}
END_TEST

START_TEST(what_has_no_range_is_not_measured)
{
    const struct sensitivity *sensitivity = measure();
    for (int i = 0; i < sensitivity->layer_count; i++)
        ck_assert_double_nan(sensitivity->weights[i].output_sqnr_db);
    for (int i = 0; i < sensitivity->activation_count; i++)
        ck_assert_double_nan(sensitivity->activations[i].accuracy_drop);
    ck_assert_int_eq(sensitivity->worst_part, SENSITIVE_NONE);
}
END_TEST

START_TEST(parts_that_stay_in_float_have_no_effect)
{
    options.weights.bits = QUANTIZER_BITS_FLOAT;
    prepare();
    fit_all();
    const struct sensitivity *sensitivity = measure();
    for (int i = 0; i < sensitivity->layer_count; i++)
        ck_assert_double_nan(sensitivity->weights[i].output_sqnr_db);
    ck_assert_double_gt(sensitivity->activations[0].output_sqnr_db, 10.0);

    options.weights.bits = 8;
    options.activations.bits = QUANTIZER_BITS_FLOAT;
    prepare();
    fit_all();
    sensitivity = measure();
    ck_assert_int_eq(sensitivity->activation_count, 0);
    ck_assert_double_gt(sensitivity->weights[0].output_sqnr_db, 10.0);
}
END_TEST

/* Law: a quantizer whose range is ruined is named, whichever it is: weights of any layer, any
 * activation, those of sums too. */
START_TEST(the_ruined_range_is_the_worst)
{
    const double ruin = 1e3; /* times too wide: almost everything becomes zero */
    for (int i = 0; i < network->layer_count; i++) {
        prepare();
        fit_all();
        for (int64_t channel = 0; channel < ranges.weights[i].channels; channel++)
            ranges.weights[i].scales[channel] *= (float)ruin;
        const struct sensitivity *sensitivity = measure();
        ck_assert_int_eq(sensitivity->worst_part, SENSITIVE_WEIGHTS);
        ck_assert_int_eq(sensitivity->worst, i);
    }
    for (int i = 0; i < network->activation_count; i++) {
        prepare();
        fit_all();
        ranges.activations[i].scales[0] *= (float)ruin;
        const struct sensitivity *sensitivity = measure();
        ck_assert_int_eq(sensitivity->worst_part, SENSITIVE_ACTIVATION);
        ck_assert_int_eq(sensitivity->worst, i);
    }
}
END_TEST

/* Law: measuring leaves the run's network as it was. */
START_TEST(the_network_is_left_alone)
{
    fit_all();
    (void)measure(); /* only for what it might change */
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        ck_assert_mem_eq(layer->weight_values, layer->float_weights,
                         (size_t)(layer->K * layer->D) * sizeof(float));
        ck_assert(!quantizer_ready(&layer->quantizer));
    }
}
END_TEST

START_TEST(without_an_evaluation_set_the_calibration_samples_are_compared)
{
    fit_all();
    request.evaluation = NULL;
    const struct sensitivity *sensitivity = measure();
    ck_assert(!sensitivity->on_evaluation);
    ck_assert_int_eq(sensitivity->samples, 40);
    ck_assert_double_nan(sensitivity->float_accuracy);
    ck_assert_double_nan(sensitivity->weights[0].accuracy_drop);
    ck_assert_double_gt(sensitivity->weights[0].agreement, 0.5);
    ck_assert(isfinite(sensitivity->weights[0].divergence)); /* the network ends in a Softmax */
}
END_TEST

/* Law: at most so many samples, evenly spread: with labels by quarters, each quarter is there. */
START_TEST(a_large_set_is_sampled_evenly)
{
    enum { MANY = 4 * SENSITIVITY_SAMPLES };
    struct dataset *many = small_network_data(arena, folded, MANY, true, 4);
    int64_t *labels = ARENA_ARRAY(arena, int64_t, MANY, &err);
    memcpy(labels, many->labels, MANY * sizeof(*labels));
    for (int i = 0; i < MANY / 2; i++)
        labels[i] = (labels[i] + 1) % SMALL_NETWORK_CLASSES; /* the first half is wrong */
    many->labels = labels;
    request.evaluation = many;
    const struct sensitivity *sensitivity = measure();
    ck_assert_int_eq(sensitivity->samples, SENSITIVITY_SAMPLES);
    ck_assert_double_eq(sensitivity->float_accuracy, 0.5);
}
END_TEST

/* Law: the same bits every time, with a cache and without; what was measured is found again. */
START_TEST(measuring_repeats_to_the_bit)
{
    fit_all();
    const struct sensitivity *first = measure();
    check_same(first, measure());
    origin = (struct artifact_origin){.model = "model",
                                      .calibration = "calibration",
                                      .evaluation = "evaluation"};
    struct shared *cache = shared_create(1 << 20);
    ck_assert_ok(shared_scope_init(cache, &origin, folded, &calibration, &scope, &err), &err);
    check_same(first, measure());
    int64_t computed = shared_count(cache).computed;
    ck_assert_int_gt(computed, network->layer_count);
    check_same(first, measure());
    ck_assert_int_eq(shared_count(cache).computed, computed);
    ranges.weights[0].scales[0] *= 2.0f;
    (void)measure(); /* only for what it computes */
    ck_assert_int_eq(shared_count(cache).computed, computed + 1);
}
END_TEST

/* Law: where a layer reads the float tensor that others read quantized, the quantizer's effect is
 * another one, and is not found under the name of the first. */
START_TEST(effects_are_told_apart_by_who_reads_the_values)
{
    enum { DEPTHWISE = 1 }; /* its input is the skip of the sum as well */
    struct quant_layer_format formats[4];
    origin = (struct artifact_origin){.model = "model",
                                      .calibration = "calibration",
                                      .evaluation = "evaluation"};
    struct shared *cache = shared_create(1 << 20);
    ck_assert_ok(shared_scope_init(cache, &origin, folded, &calibration, &scope, &err), &err);
    fit_all();
    (void)measure(); /* only for what it leaves in the cache */
    for (int i = 0; i < 4; i++)
        formats[i] = quant_options_layer(&options, i);
    formats[DEPTHWISE].input.bits = QUANTIZER_BITS_FLOAT;
    options.layers = formats;
    prepare();
    fit_all();
    const struct sensitivity *found = measure();
    scope.cache = NULL;
    check_same(found, measure());
    shared_destroy(cache);
}
END_TEST

struct stop {
    int calls, at;
    double told_at; /* CPU seconds */
};

static bool stop_at(void *context, const struct run_progress *state)
{
    struct stop *stop = context;
    ck_assert_str_eq(state->step, "sensitivity");
    stop->told_at = support_cpu_seconds();
    return ++stop->calls != stop->at;
}

/* Law: it ends within 100 ms of work, wherever it is. */
START_TEST(measuring_stops_when_it_is_told)
{
    fit_all();
    for (int call = 1; call <= sensitivity_units(network); call++) {
        struct stop stop = {.at = call + 1}; /* the first is of the step */
        const struct sensitivity *sensitivity;
        listener = (struct run_monitor){.report = stop_at, .context = &stop};
        progress_init(&progress, &listener, &result);
        ck_assert_ok(progress_step(&progress, STEP_SENSITIVITY, sensitivity_units(network), &err),
                     &err);
        ck_assert_fails(sensitivity_measure(arena, &request, &sensitivity, &err), &err, E_CANCELLED,
                        "stopped");
        ck_assert_double_lt(support_cpu_seconds() - stop.told_at, 0.1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sensitivity");
    TCase *tcase = tcase_create("laws");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, quantizing_nothing_costs_nothing);
    tcase_add_test(tcase, what_has_no_range_is_not_measured);
    tcase_add_test(tcase, parts_that_stay_in_float_have_no_effect);
    tcase_add_test(tcase, the_ruined_range_is_the_worst);
    tcase_add_test(tcase, the_network_is_left_alone);
    tcase_add_test(tcase, without_an_evaluation_set_the_calibration_samples_are_compared);
    tcase_add_test(tcase, a_large_set_is_sampled_evenly);
    tcase_add_test(tcase, measuring_repeats_to_the_bit);
    tcase_add_test(tcase, effects_are_told_apart_by_who_reads_the_values);
    tcase_add_test(tcase, measuring_stops_when_it_is_told);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
