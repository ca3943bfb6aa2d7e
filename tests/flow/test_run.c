#include "ptqd/flow/run.h"

#include "ptqd/flow/sensitivity.h"
#include "ptqd/flow/shared.h"
#include "ptqd/recon/method.h"

#include "small_network.h"
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;
static struct run_request request;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 4;
    pipeline.optimize.iterations = 200;
    pipeline.postprocess.batch = 16;
    struct graph *graph = small_network_create(arena, 1);
    request = (struct run_request){
        .model = graph,
        .calibration = small_network_data(arena, graph, 64, false, 2),
        .evaluation = small_network_data(arena, graph, 100, true, 3),
        .pipeline = &pipeline,
        .seed = 5,
        .origin = {.program_version = "test", .variant = "{}"},
    };
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const struct run_result *run(void)
{
    struct run_result *result;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    return result;
}

START_TEST(a_run_reports_everything)
{
    const struct run_result *result = run();
    ck_assert_double_eq(result->float_accuracy, 1.0); /* the labels are the network's own */
    ck_assert_double_eq(result->loss, result->float_accuracy - result->accuracy);
    ck_assert(result->agreement > 0.5 && result->agreement <= 1.0);
    ck_assert(isfinite(result->output_sqnr_db));
    ck_assert_int_eq(result->calibration_samples, 64);
    ck_assert_int_eq(result->evaluation_samples, 100);
    ck_assert_int_eq(result->layer_count, 4);
    ck_assert_int_eq(result->cost.layer_count, 4);
    ck_assert_int_eq(result->cost.macs, result->float_cost.macs);
    ck_assert_double_lt(result->cost.bops, result->float_cost.bops);
    for (int i = 0; i < result->layer_count; i++) {
        const struct run_layer *layer = &result->layers[i];
        ck_assert_str_eq(layer->name, result->cost.layers[i].name);
        ck_assert(isfinite(layer->weight_sqnr_db) && isfinite(layer->input_sqnr_db));
        ck_assert(isfinite(layer->output_sqnr_before_db) && isfinite(layer->output_sqnr_after_db));
        ck_assert(isfinite(layer->output_sqnr_final_db));
        ck_assert(layer->input_scale > 0.0f && layer->weight_scales[0] > 0.0f);
    }
    ck_assert_int_gt(result->step_count, 4);
    ck_assert_int_ge(result->artifact_count, 1);
}
END_TEST

/* Law: same model, data, variant and seed: the same bits. */
START_TEST(a_run_repeats_to_the_bit)
{
    const struct run_result *first = run(), *second = run();
    ck_assert(first->accuracy == second->accuracy);
    ck_assert(first->output_sqnr_db == second->output_sqnr_db);
    ck_assert_int_eq(first->artifact_count, second->artifact_count);
    for (int i = 0; i < first->artifact_count; i++)
        ck_assert_str_eq(first->artifacts[i].sha256, second->artifacts[i].sha256);
}
END_TEST

/* Everything that a report is made of. */
static void check_same(const struct run_result *a, const struct run_result *b)
{
    ck_assert(a->accuracy == b->accuracy && a->float_accuracy == b->float_accuracy);
    ck_assert(a->agreement == b->agreement && a->output_sqnr_db == b->output_sqnr_db);
    for (int i = 0; i < a->layer_count; i++) {
        const struct run_layer *one = &a->layers[i], *other = &b->layers[i];
        ck_assert(one->input_scale == other->input_scale);
        ck_assert_int_eq(one->input_zero_point, other->input_zero_point);
        ck_assert(one->output_sqnr_after_db == other->output_sqnr_after_db);
        ck_assert_mem_eq(one->weight_scales, other->weight_scales,
                         (size_t)one->weight_channels * sizeof(float));
    }
    for (int i = 0; a->sensitivity && b->sensitivity && i < a->layer_count; i++)
        ck_assert_mem_eq(&a->sensitivity->weights[i], &b->sensitivity->weights[i],
                         sizeof(struct sensitivity_effect));
    for (int i = 0; i < a->artifact_count; i++)
        ck_assert_str_eq(a->artifacts[i].sha256, b->artifacts[i].sha256);
}

/* Law: variants and seeds that share what they can give the bits that each gives alone. */
START_TEST(sharing_changes_no_bit)
{
    static const int64_t bits[] = {4, 3, 4, 3};
    const struct run_result *alone[4];
    pipeline.samples = 48; /* so that seeds differ in what they fit */
    request.origin.model = "model";
    request.origin.calibration = "calibration";
    request.origin.evaluation = "evaluation";
    for (int i = 0; i < 4; i++) {
        pipeline.weights.bits = bits[i];
        request.seed = (uint64_t)(i / 2);
        alone[i] = run();
    }
    request.shared = shared_create(1 << 20);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 4; i++) {
            pipeline.weights.bits = bits[i];
            request.seed = (uint64_t)(i / 2);
            int64_t computed = shared_count(request.shared).computed;
            check_same(run(), alone[i]);
            if (round == 1)
                ck_assert_int_eq(shared_count(request.shared).computed, computed);
        }
    shared_destroy(request.shared);
}
END_TEST

/* A run of its own thread, arena and pipeline. */
struct companion {
    pthread_t thread;
    struct pipeline pipeline;
    struct run_request request;
    struct arena *arena;
    struct run_result *result;
    struct error err;
    bool done;
};

static void *accompany(void *context)
{
    struct companion *companion = context;
    companion->done =
        run_execute(companion->arena, &companion->request, &companion->result, &companion->err);
    return NULL;
}

/* Law: runs at the same time give the bits of each alone, and compute what they share once. */
START_TEST(runs_at_the_same_time_share_and_change_no_bit)
{
    enum { COMPANIONS = 3 };
    static struct companion companions[COMPANIONS];
    request.origin.model = "model";
    request.origin.calibration = "calibration";
    request.origin.evaluation = "evaluation";
    pipeline.report.sensitivity = true;
    request.shared = shared_create(1 << 20);
    const struct run_result *alone = run();
    int64_t computed = shared_count(request.shared).computed;
    shared_destroy(request.shared);
    request.shared = shared_create(1 << 20);
    for (int i = 0; i < COMPANIONS; i++) {
        companions[i] =
            (struct companion){.pipeline = pipeline, .request = request, .arena = arena_create(0)};
        companions[i].request.pipeline = &companions[i].pipeline;
        ck_assert_int_eq(pthread_create(&companions[i].thread, NULL, accompany, &companions[i]), 0);
    }
    for (int i = 0; i < COMPANIONS; i++) {
        pthread_join(companions[i].thread, NULL);
        ck_assert_ok(companions[i].done, &companions[i].err);
        check_same(companions[i].result, alone);
    }
    ck_assert_int_eq(shared_count(request.shared).computed, computed);
    for (int i = 0; i < COMPANIONS; i++)
        arena_destroy(companions[i].arena);
    shared_destroy(request.shared);
}
END_TEST

/* Law: nothing is shared under names that are not known, nor between networks that differ. */
START_TEST(only_what_is_the_same_is_shared)
{
    request.shared = shared_create(1 << 20);
    (void)run(); /* for what it leaves in the cache */
    ck_assert_int_eq(shared_count(request.shared).computed, 0);
    request.origin.model = "model";
    request.origin.calibration = "calibration";
    (void)run(); /* likewise */
    int64_t computed = shared_count(request.shared).computed;
    ck_assert_int_gt(computed, 0);
    pipeline.equalize = EQUALIZE_CLE;
    (void)run(); /* likewise */
    ck_assert_int_eq(shared_count(request.shared).found, 0);
    ck_assert_int_eq(shared_count(request.shared).computed, 2 * computed);
    shared_destroy(request.shared);
}
END_TEST

/* Law: what is measured for the report changes nothing of the run, and takes time only when it is
 * asked for. */
START_TEST(sensitivity_is_measured_when_it_is_asked_for)
{
    const struct run_result *plain = run();
    pipeline.report.sensitivity = true;
    const struct run_result *measured = run();
    check_same(plain, measured);
    ck_assert_ptr_null(plain->sensitivity);
    for (int i = 0; i < plain->step_count; i++)
        ck_assert_str_ne(plain->steps[i].name, "sensitivity");
    ck_assert_ptr_nonnull(measured->sensitivity);
    ck_assert_int_eq(measured->sensitivity->samples, 100);
    ck_assert_int_ne(measured->sensitivity->worst_part, SENSITIVE_NONE);
    for (int i = 0; i < measured->layer_count; i++)
        ck_assert(isfinite(measured->sensitivity->weights[i].accuracy_drop));
}
END_TEST

/* Law: where nothing changes behind the walk that decided the layers, a layer's final error is the
 * one it was left with (1e-3 dB: another number of samples may take another kernel; biases are on
 * their grid already); tuned biases change it. */
START_TEST(the_final_errors_are_those_of_the_finished_network)
{
    pipeline.weights.bits = 2; /* so that there is enough to be tuned */
    pipeline.postprocess.bias = BIAS_NONE;
    const struct run_result *plain = run();
    pipeline.postprocess.bias = BIAS_TUNE;
    const struct run_result *tuned = run();
    double change = 0.0;
    for (int i = 0; i < plain->layer_count; i++) {
        const struct run_layer *one = &plain->layers[i], *other = &tuned->layers[i];
        ck_assert_double_eq_tol(one->output_sqnr_final_db, one->output_sqnr_after_db, 1e-3);
        ck_assert(other->output_sqnr_after_db == one->output_sqnr_after_db);
        change += fabs(other->output_sqnr_final_db - other->output_sqnr_after_db);
    }
    ck_assert_double_gt(change, 0.1);
}
END_TEST

START_TEST(more_bits_are_closer_to_the_float_network)
{
    double last = -INFINITY;
    for (int64_t bits = 2; bits <= 8; bits += 2) {
        pipeline.weights.bits = bits;
        double sqnr_db = run()->output_sqnr_db;
        ck_assert_double_gt(sqnr_db, last);
        last = sqnr_db;
    }
    ck_assert_double_gt(last, 30.0);
}
END_TEST

/* Law: with 32 bits everywhere the run gives the float network. */
START_TEST(a_run_in_float_changes_nothing)
{
    pipeline.weights.bits = 32;
    const struct run_result *result = run();
    ck_assert_double_eq(result->accuracy, result->float_accuracy);
    ck_assert_double_eq(result->agreement, 1.0);
    ck_assert_double_gt(result->output_sqnr_db, 100.0); /* biases are tuned by rounding errors */
    ck_assert_double_eq(result->cost.bops, result->float_cost.bops);
    ck_assert_int_eq(result->cost.flash_bytes, result->float_cost.flash_bytes);
    for (int i = 0; i < result->layer_count; i++) {
        ck_assert_int_eq(result->layers[i].weight_channels, 0);
        ck_assert(isnan(result->layers[i].input_scale));
    }
}
END_TEST

/* Law: what is quantized costs accuracy, what is not does not: weights alone or activations alone
 * are closer to the float network than both. */
START_TEST(weights_and_activations_are_quantized_on_their_own)
{
    static const int64_t widths[][2] = {{3, 3}, {3, 32}, {32, 3}};
    double sqnr_db[3];
    for (int i = 0; i < 3; i++) {
        pipeline.weights.bits = widths[i][0];
        pipeline.activations.bits = widths[i][1];
        const struct run_result *result = run();
        sqnr_db[i] = result->output_sqnr_db;
        for (int l = 0; l < result->layer_count; l++) {
            ck_assert(isinf(result->layers[l].weight_sqnr_db) == (widths[i][0] == 32));
            ck_assert_int_eq(result->cost.layers[l].weight_bits, widths[i][0]);
            ck_assert(isnan(result->layers[l].input_scale) == (widths[i][1] == 32));
        }
        ck_assert(isinf(result->layers[0].input_sqnr_db) == (widths[i][1] == 32));
    }
    ck_assert_double_gt(sqnr_db[1], sqnr_db[0]);
    ck_assert_double_gt(sqnr_db[2], sqnr_db[0]);
}
END_TEST

/* Law: every way to find ranges of weights and activations makes a network that is close to the
 * float one at 8 bits. */
START_TEST(every_range_works_at_eight_bits)
{
    const struct param *weights = param_find(pipeline_table(), "weights.init");
    const struct param *activations = param_find(pipeline_table(), "activations.init");
    pipeline.weights.bits = 8;
    pipeline.optimize.variable = 0; /* none: the ranges are not repaired */
    pipeline.postprocess.bias = BIAS_NONE;
    for (int row = 0; weights->choices[row]; row++) {
        pipeline.weights.init = row;
        pipeline.activations.init = activations->choices[row] ? row : 0;
        double sqnr_db = run()->output_sqnr_db;
        ck_assert_msg(sqnr_db > 20.0, "%s: %g dB", weights->choices[row], sqnr_db);
    }
}
END_TEST

static double mean_layer_db(const struct run_result *result)
{
    double sum = 0.0;
    for (int i = 0; i < result->layer_count; i++)
        sum += result->layers[i].output_sqnr_after_db;
    return sum / result->layer_count;
}

/* Law: a grid with a zero point of its own fits the layers at least as well (within the coarseness
 * of the search), and every method that takes it keeps to it. */
START_TEST(asymmetric_weights_fit_at_least_as_well)
{
    pipeline.weights.bits = 3;
    pipeline.activations.bits = 8;
    for (int variable = 0; method_table()[variable]; variable++) {
        if (method_table()[variable]->only_symmetric)
            continue;
        pipeline.optimize.variable = variable;
        pipeline.weights.scheme = SCHEME_SYMMETRIC;
        const struct run_result *symmetric = run();
        pipeline.weights.scheme = SCHEME_ASYMMETRIC;
        const struct run_result *asymmetric = run();
        double gain_db = mean_layer_db(asymmetric) - mean_layer_db(symmetric);
        ck_assert_msg(gain_db > -2.0, "%s loses %g dB", method_table()[variable]->name, -gain_db);
        const struct quant_layer *layer = &asymmetric->network->layers[0];
        ck_assert_ptr_eq(asymmetric->layers[0].weight_zero_points, layer->quantizer.zero_points);
        for (int64_t i = 0; i < layer->K * layer->D; i++) {
            ck_assert_int_ge(layer->codes[i], layer->quantizer.low);
            ck_assert_int_le(layer->codes[i], layer->quantizer.high);
        }
    }
}
END_TEST

START_TEST(corrected_biases_bring_rounded_weights_closer)
{
    pipeline.weights.bits = 3;
    pipeline.optimize.variable = 0; /* none */
    pipeline.postprocess.bias = BIAS_NONE;
    double shifted_db = run()->output_sqnr_db;
    pipeline.postprocess.bias = BIAS_CORRECT;
    ck_assert_double_gt(run()->output_sqnr_db, shifted_db);
}
END_TEST

/* Bit of a rule's field in `given`. */
static uint64_t given(const char *name)
{
    const struct param_table *table = layer_rule_table();
    return UINT64_C(1) << (param_find(table, name) - table->rows);
}

/* Layers: stem, depthwise, pointwise, dense. */
START_TEST(rules_change_the_layers_that_they_are_about)
{
    const struct layer_rule rules[] = {
        {.match = "*wise",
         .given = given("weights.bits") | given("weights.scheme") | given("activations.bits"),
         .weights = {.bits = 7, .scheme = SCHEME_ASYMMETRIC},
         .activations = {.bits = 6}},
        {.match = "last", .given = given("skip"), .skip = true},
    };
    static const int expected[][2] = {{3, 8}, {7, 6}, {7, 6}, {32, 32}};
    pipeline.weights.bits = 3;
    double plain_db = run()->output_sqnr_db;
    pipeline.rules = rules;
    pipeline.rule_count = 2;
    const struct run_result *result = run();
    ck_assert_double_gt(result->output_sqnr_db, plain_db + 3.0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(result->cost.layers[i].weight_bits, expected[i][0]);
        ck_assert_int_eq(result->cost.layers[i].input_bits, expected[i][1]);
        ck_assert((result->layers[i].weight_zero_points != NULL) == (i == 1 || i == 2));
    }
    ck_assert(isinf(result->layers[3].weight_sqnr_db) && isnan(result->layers[3].input_scale));
}
END_TEST

/* Law: a layer that is skipped has no effect of its own, and at two bits a layer whose neighbours
 * have eight is the one that breaks the network. */
START_TEST(sensitivity_follows_the_formats_of_layers)
{
    const struct layer_rule rules[] = {
        {.match = "last", .given = given("skip"), .skip = true},
        {.match = "stem", .given = given("weights.bits"), .weights = {.bits = 2}},
    };
    pipeline.weights.bits = 8;
    pipeline.rules = rules;
    pipeline.rule_count = 2;
    pipeline.report.sensitivity = true;
    const struct run_result *result = run();
    const struct sensitivity *sensitivity = result->sensitivity;
    ck_assert_double_nan(sensitivity->weights[3].output_sqnr_db);
    ck_assert_int_eq(result->network->layers[3].activation, -1);
    ck_assert_int_eq(sensitivity->worst_part, SENSITIVE_WEIGHTS);
    ck_assert_int_eq(sensitivity->worst, 0);
}
END_TEST

/* Law: rules that say what the pipeline says change no bit. */
START_TEST(a_rule_for_all_layers_is_the_pipeline)
{
    const struct layer_rule rules[] = {
        {.match = "*",
         .given = given("weights.bits") | given("weights.init"),
         .weights = {.bits = 4}}, /* init: minmax, the first */
    };
    pipeline.weights.init = 0;
    const struct run_result *plain = run();
    pipeline.weights.bits = 2;
    pipeline.weights.init = 1;
    pipeline.activations.bits = 4;
    pipeline.rules = rules;
    pipeline.rule_count = 1;
    const struct run_result *ruled = run();
    ck_assert(plain->output_sqnr_db == ruled->output_sqnr_db);
    ck_assert_str_eq(plain->artifacts[0].sha256, ruled->artifacts[0].sha256);
}
END_TEST

/* Law: training leaves alone what is in float, and the quantizer of the network's input. */
START_TEST(units_are_trained_around_layers_in_float)
{
    const struct layer_rule rules[] = {
        {.match = "depthwise", .given = given("skip"), .skip = true},
        {.match = "dense", .given = given("weights.bits"), .weights = {.bits = 32}},
        {.match = "first", .given = given("activations.bits"), .activations = {.bits = 32}},
    };
    pipeline.weights.bits = 3;
    pipeline.optimize.epochs = 2;
    pipeline.optimize.batch = 16;
    pipeline.rules = rules;
    pipeline.rule_count = 2;
    float input_scale = run()->network->activations[0].quantizer.scales[0];
    for (int granularity = OPTIMIZE_BLOCK; granularity <= OPTIMIZE_NETWORK; granularity++)
        for (pipeline.rule_count = 2; pipeline.rule_count <= 3; pipeline.rule_count++) {
            pipeline.optimize.granularity = granularity;
            const struct run_result *result = run();
            const struct quant_network *network = result->network;
            for (int i = 1; i < 4; i += 2) /* depthwise, dense */
                ck_assert_mem_eq(network->layers[i].weight_values, network->layers[i].float_weights,
                                 (size_t)(network->layers[i].K * network->layers[i].D) *
                                     sizeof(float));
            bool has_input = network->activations[0].of_input;
            ck_assert(has_input == (pipeline.rule_count == 2));
            ck_assert(!has_input || network->activations[0].quantizer.scales[0] == input_scale);
            ck_assert_double_gt(result->output_sqnr_db, 5.0);
        }
}
END_TEST

START_TEST(a_rule_about_no_layer_ends_the_run_with_the_reason)
{
    const struct layer_rule rules[] = {{.match = "conv?", .given = given("skip"), .skip = true}};
    struct run_result *result;
    pipeline.rules = rules;
    pipeline.rule_count = 1;
    ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_INVALID,
                    "no layer is called 'conv?'");
    ck_assert_str_eq(err.pointer, "/layers/0/match");
}
END_TEST

START_TEST(without_an_evaluation_set_there_is_agreement)
{
    request.evaluation = NULL;
    const struct run_result *result = run();
    ck_assert(isnan(result->accuracy) && isnan(result->loss) && isnan(result->float_accuracy));
    ck_assert_double_gt(result->agreement, 0.5);
}
END_TEST

START_TEST(fewer_samples_are_drawn_by_the_seed)
{
    pipeline.samples = 32;
    const struct run_result *one = run();
    ck_assert_int_eq(one->calibration_samples, 32);
    request.seed = 6;
    const struct run_result *other = run();
    ck_assert(one->layers[0].input_sqnr_db != other->layers[0].input_sqnr_db);
}
END_TEST

struct witness {
    int calls, stop_at;
    double last_fraction, train_begins;
    bool backwards;
};

static bool watch(void *context, const struct run_progress *progress)
{
    struct witness *witness = context;
    witness->backwards |= progress->fraction < witness->last_fraction;
    witness->last_fraction = progress->fraction;
    ck_assert_ptr_nonnull(progress->step);
    if (strcmp(progress->step, "train") == 0 && witness->train_begins == 0.0)
        witness->train_begins = progress->fraction;
    ck_assert(progress->fraction >= 0.0 && progress->fraction <= 1.0);
    return ++witness->calls != witness->stop_at;
}

START_TEST(progress_goes_forward)
{
    struct witness witness = {0};
    request.monitor = (struct run_monitor){.report = watch, .context = &witness};
    (void)run(); /* only what is told on the way */
    ck_assert(!witness.backwards);
    ck_assert_int_gt(witness.calls, 8);
    ck_assert_double_gt(witness.last_fraction, 0.9);

    /* What goes before the training of a whole network is little. */
    witness = (struct witness){0};
    pipeline.optimize.granularity = OPTIMIZE_NETWORK;
    pipeline.optimize.epochs = 2;
    (void)run(); /* only what is told on the way */
    ck_assert(witness.train_begins > 0.0 && witness.train_begins < 0.05);
}
END_TEST

/* Law: whenever the listener says so, the run ends with E_CANCELLED. */
START_TEST(a_run_stops_wherever_it_is_told)
{
    struct witness all = {0};
    request.monitor = (struct run_monitor){.report = watch, .context = &all};
    (void)run();           /* only to count the calls */
    int calls = 5 + 4 + 2; /* steps, layers, sets: told whatever the clock says */
    ck_assert_int_ge(all.calls, calls);
    for (int call = 1; call <= calls; call++) {
        struct witness witness = {.stop_at = call};
        struct run_result *result;
        request.monitor.context = &witness;
        ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_CANCELLED, "stopped");
        ck_assert_int_eq(witness.calls, call);
    }
}
END_TEST

START_TEST(data_of_another_shape_is_refused_with_both_shapes)
{
    struct dataset other = *request.calibration;
    struct run_result *result;
    other.shape = (struct shape){.rank = 3, .dim = {3, 8, 9}};
    request.calibration = &other;
    ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_INVALID, "3x8x9");
    ck_assert(support_contains(err.message, "3x8x8"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run");
    TCase *tcase = tcase_create("laws");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_run_reports_everything);
    tcase_add_test(tcase, a_run_repeats_to_the_bit);
    tcase_add_test(tcase, sharing_changes_no_bit);
    tcase_add_test(tcase, runs_at_the_same_time_share_and_change_no_bit);
    tcase_add_test(tcase, only_what_is_the_same_is_shared);
    tcase_add_test(tcase, sensitivity_is_measured_when_it_is_asked_for);
    tcase_add_test(tcase, the_final_errors_are_those_of_the_finished_network);
    tcase_add_test(tcase, more_bits_are_closer_to_the_float_network);
    tcase_add_test(tcase, a_run_in_float_changes_nothing);
    tcase_add_test(tcase, weights_and_activations_are_quantized_on_their_own);
    tcase_add_test(tcase, every_range_works_at_eight_bits);
    tcase_add_test(tcase, corrected_biases_bring_rounded_weights_closer);
    tcase_add_test(tcase, asymmetric_weights_fit_at_least_as_well);
    tcase_add_test(tcase, rules_change_the_layers_that_they_are_about);
    tcase_add_test(tcase, sensitivity_follows_the_formats_of_layers);
    tcase_add_test(tcase, a_rule_for_all_layers_is_the_pipeline);
    tcase_add_test(tcase, units_are_trained_around_layers_in_float);
    tcase_add_test(tcase, a_rule_about_no_layer_ends_the_run_with_the_reason);
    tcase_add_test(tcase, without_an_evaluation_set_there_is_agreement);
    tcase_add_test(tcase, fewer_samples_are_drawn_by_the_seed);
    tcase_add_test(tcase, progress_goes_forward);
    tcase_add_test(tcase, a_run_stops_wherever_it_is_told);
    tcase_add_test(tcase, data_of_another_shape_is_refused_with_both_shapes);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
