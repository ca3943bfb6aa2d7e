/* What a run looks at when everything is decided: how the layers' values are distributed. */

#include "ptqd/flow/run.h"

#include "small_network.h"
#include "support.h"

#include <math.h>

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static double sum_of(const struct distribution *of)
{
    double sum = 0.0;
    for (int i = 0; i < DISTRIBUTION_BINS; i++)
        sum += of->counts[i];
    return sum;
}

/* Law: a run has those of every layer: all of its weights, as many values of its input as there are
 * or as a sample has, with the extremes of the float network. */
START_TEST(a_run_has_those_of_its_layers)
{
    enum { SAMPLES = 48 };
    struct pipeline pipeline = {0};
    struct run_result *result;
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.optimize.iterations = 20;
    pipeline.postprocess.bias = BIAS_NONE;
    struct graph *graph = small_network_create(arena, 1);
    const struct dataset *data = small_network_data(arena, graph, SAMPLES, false, 2);
    const struct run_request request = {
        .model = graph,
        .calibration = data,
        .pipeline = &pipeline,
        .origin = {.program_version = "test", .variant = "{}"},
    };
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    for (int i = 0; i < result->layer_count; i++) {
        const struct layer_distribution *of = &result->distributions[i];
        const struct quant_layer *layer = &result->network->layers[i];
        double low = HUGE_VAL;
        for (int64_t j = 0; j < layer->K * layer->D; j++)
            low = fmin(low, (double)layer->float_weights[j]);
        ck_assert_double_eq(sum_of(&of->weights), (double)(layer->K * layer->D));
        ck_assert_double_eq(of->weights.low, low);
        ck_assert_double_gt(of->activations.high, of->activations.low);
        ck_assert_double_gt(sum_of(&of->activations), 0.0);
    }
    ck_assert_double_eq(sum_of(&result->distributions[0].activations),
                        SAMPLES * SMALL_NETWORK_INPUTS);
    ck_assert_double_eq(result->distributions[0].activations.low, data->min);
    ck_assert_double_eq(result->distributions[0].activations.high, data->max);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("final_walk");
    TCase *tcase = tcase_create("final_walk");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_run_has_those_of_its_layers);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
