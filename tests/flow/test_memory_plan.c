#include "ptqd/flow/run.h"

#include "small_network.h"
#include "support.h"

#include <string.h>

enum { SAMPLES = 4000, VARIABLE_WEIGHTS = 2 /* row of methods.def */ };

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;
static struct run_request request;
static char directory[64];

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 4;
    pipeline.artifacts = 0;
    pipeline.optimize.iterations = 2;
    pipeline.postprocess.epochs = 1;
    struct graph *graph = small_network_create(arena, 1);
    request = (struct run_request){
        .model = graph,
        .calibration = small_network_data(arena, graph, SAMPLES, false, 2),
        .evaluation = small_network_data(arena, graph, 100, true, 3),
        .pipeline = &pipeline,
        .memory = {.spill_directory = support_make_directory(directory, sizeof(directory))},
        .origin = {.program_version = "test", .variant = "{}"},
    };
}

static void teardown(void)
{
    arena_destroy(arena);
    support_remove_tree(directory);
}

static const struct run_result *run_within(size_t limit_bytes)
{
    struct run_result *result;
    request.memory.limit_bytes = limit_bytes;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    return result;
}

/* Law: between what a run wants and the least it can do with, it spills, stays below the limit, and
 * comes to the same bits. */
START_TEST(a_limit_changes_where_values_are_and_nothing_else)
{
    pipeline.optimize.granularity = _i;
    if (_i == OPTIMIZE_BLOCK)
        pipeline.optimize.variable = VARIABLE_WEIGHTS;
    const struct run_result *whole = run_within(0);
    ck_assert_uint_eq(whole->spilled_bytes, 0);
    size_t limit = whole->predicted_bytes - ((size_t)4 << 20);
    const struct run_result *spilled = run_within(limit);
    ck_assert_uint_gt(spilled->spilled_bytes, 0);
    ck_assert_uint_le(spilled->predicted_bytes, limit);
    ck_assert(spilled->output_sqnr_db == whole->output_sqnr_db);
    ck_assert(spilled->accuracy == whole->accuracy);
    for (int i = 0; i < whole->layer_count; i++)
        ck_assert_mem_eq(spilled->network->layers[i].codes, whole->network->layers[i].codes,
                         (size_t)(whole->network->layers[i].K * whole->network->layers[i].D));
    request.memory.spill_directory = NULL;
    struct run_result *result;
    ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_MEMORY, "MiB are allowed");
}
END_TEST

START_TEST(what_can_not_fit_is_refused_with_the_numbers)
{
    struct run_result *result;
    request.memory.limit_bytes = (size_t)3 << 20;
    ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_MEMORY,
                    "3 MiB are allowed");
}
END_TEST

START_TEST(more_samples_are_predicted_to_take_more)
{
    size_t all = run_within(0)->predicted_bytes;
    pipeline.samples = SAMPLES / 2;
    size_t half = run_within(0)->predicted_bytes;
    ck_assert_uint_lt(half, all);
}
END_TEST

/* Law: what is predicted without data is what a run predicts. */
START_TEST(a_prediction_needs_no_data)
{
    size_t bytes, with_data = run_within(0)->predicted_bytes;
    struct dataset calibration = *request.calibration, evaluation = *request.evaluation;
    struct array samples = *calibration.values, tests = *evaluation.values;
    samples.data = tests.data = NULL;
    calibration.values = &samples;
    evaluation.values = &tests;
    evaluation.labels = NULL;
    request.calibration = &calibration;
    request.evaluation = &evaluation;
    struct arena *scratch = arena_create(0);
    ck_assert_ok(run_predict_memory(scratch, &request, &bytes, &err), &err);
    arena_destroy(scratch);
    ck_assert_uint_le(bytes, with_data);
    ck_assert_uint_ge(bytes + bytes / 10, with_data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_plan");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_limit_changes_where_values_are_and_nothing_else, OPTIMIZE_LAYER,
                        OPTIMIZE_BLOCK + 1);
    tcase_add_test(tcase, what_can_not_fit_is_refused_with_the_numbers);
    tcase_add_test(tcase, more_samples_are_predicted_to_take_more);
    tcase_add_test(tcase, a_prediction_needs_no_data);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
