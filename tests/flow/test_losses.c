/* Curves of losses: what they keep of what is recorded, and which a run has. */

#include "ptqd/flow/losses.h"

#include "ptqd/flow/run.h"
#include "ptqd/recon/method.h"

#include "method_count.h"
#include "small_network.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { LAYERS = 4, CURVES = 3, CURVE = 1, SPAN_POINTS = 2 * CURVE };

static struct arena *arena;
static struct error err;
static struct losses losses;
static const int32_t *iterations;
static const float *values;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(losses_create(arena, CURVES, &losses, &err), &err);
    iterations = losses.iterations + CURVE * LOSS_POINTS;
    values = losses.values + CURVE * LOSS_POINTS;
}

static void teardown(void)
{
    arena_destroy(arena);
}

static int points(void)
{
    return losses.spans[SPAN_POINTS];
}

/* The loss of iteration i is −i, so that a point tells whose it is. */
static void record(int64_t first, int64_t last, int64_t step)
{
    for (int64_t i = first; i <= last; i += step)
        losses_add(&losses, CURVE, i, -(double)i);
}

/* Laws: whatever is recorded, a curve has at most so many points, the first and the last among
 * them, in equal distances but for the last, and each with its own loss; more than half as many
 * where there were more. */
START_TEST(a_curve_keeps_its_ends_and_equal_distances)
{
    static const int64_t lengths[] = {0, 1, 62, 63, 64, 65, 127, 128, 1000, 12345, 1000000};
    static const int64_t steps[] = {1, 2, 7, 64};
    for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            int64_t recorded = lengths[l] / steps[s] + 1, last = (recorded - 1) * steps[s];
            record(0, lengths[l], steps[s]);
            ck_assert_int_le(points(), LOSS_POINTS);
            ck_assert_int_ge(points(), recorded < LOSS_POINTS / 2 ? recorded : LOSS_POINTS / 2);
            ck_assert_int_eq(iterations[0], 0);
            ck_assert_int_eq(iterations[points() - 1], last);
            for (int i = 0; i < points(); i++) {
                ck_assert(values[i] == -(float)iterations[i]);
                if (i > 0 && i < points() - 1)
                    ck_assert_int_eq(iterations[i] - iterations[i - 1], iterations[1]);
            }
        }
}
END_TEST

/* Law: the other curves stay as they are. */
START_TEST(curves_do_not_touch_each_other)
{
    record(0, 5000, 1);
    for (int curve = 0; curve < CURVES; curve++)
        ck_assert(curve == CURVE || losses.spans[2 * curve] == 0);
    ck_assert(losses.values[CURVE * LOSS_POINTS - 1] == 0.0f);
    ck_assert(losses.values[(CURVE + 1) * LOSS_POINTS] == 0.0f);
}
END_TEST

/* Law: 0 begins anew, the same iteration again is the same point, and what is no number is none. */
START_TEST(points_are_replaced_and_left_out)
{
    record(0, 300, 1);
    record(0, 2, 1);
    losses_add(&losses, CURVE, 2, 7.0);
    losses_add(&losses, CURVE, 3, (double)NAN);
    losses_add(&losses, CURVE, 4, (double)INFINITY);
    ck_assert_int_eq(points(), 3);
    ck_assert_int_eq(iterations[2], 2);
    ck_assert(values[2] == 7.0f);
}
END_TEST

/* ---- of runs ---- */

static struct pipeline pipeline;
static struct run_request request;

static void setup_run(void)
{
    setup();
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 3;
    pipeline.optimize.iterations = 150;
    pipeline.optimize.batch = 16;
    pipeline.optimize.epochs = 20;
    pipeline.postprocess.batch = 16;
    pipeline.postprocess.epochs = 4;
    struct graph *graph = small_network_create(arena, 1);
    request = (struct run_request){
        .model = graph,
        .calibration = small_network_data(arena, graph, 64, false, 2),
        .pipeline = &pipeline,
        .seed = 5,
        .origin = {.program_version = "test", .variant = "{}"},
    };
}

static const struct run_result *run(void)
{
    struct run_result *result;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    return result;
}

/* Law: a curve begins at 0, its iterations rise, it ends no higher than it began, and somewhere it
 * is lower, where there was something to be gained: the caller counts. */
static int check_curve(const struct run_loss *loss)
{
    float lowest = loss->values[0];
    ck_assert_int_ge(loss->count, 2);
    ck_assert_int_le(loss->count, LOSS_POINTS);
    ck_assert_int_eq(loss->iterations[0], 0);
    for (int i = 1; i < loss->count; i++) {
        ck_assert_int_gt(loss->iterations[i], loss->iterations[i - 1]);
        lowest = fminf(lowest, loss->values[i]);
    }
    ck_assert_msg(loss->values[loss->count - 1] <= loss->values[0], "%s: %g to %g", loss->name,
                  (double)loss->values[0], (double)loss->values[loss->count - 1]);
    return lowest < loss->values[0];
}

/* Laws: every layer that a method solved has a curve under the name of the method, and so has the
 * tuning; what is only rounded has none. AdaRound begins with weights that are not rounded, so its
 * curve may rise. */
START_TEST(every_method_leaves_a_curve_of_each_layer)
{
    const struct method *method = method_table()[_i];
    pipeline.optimize.variable = _i;
    const struct run_result *result = run();
    int layers = method == &method_none ? 0 : LAYERS;
    ck_assert_int_eq(result->loss_count, layers + 1);
    int falls = 0;
    for (int i = 0; i < layers; i++) {
        ck_assert_str_eq(result->losses[i].name, result->layers[i].name);
        ck_assert_str_eq(result->losses[i].variable, method->name);
        ck_assert_str_eq(result->losses[i].solver, "layer-wise");
        ck_assert_int_ge(result->losses[i].count, 2);
        if (method->trained != TRAIN_ROUND)
            falls += check_curve(&result->losses[i]);
    }
    ck_assert(falls > 0 || layers == 0 || method->trained == TRAIN_ROUND);
    const struct run_loss *tuning = &result->losses[layers];
    ck_assert_str_eq(tuning->variable, "biases");
    ck_assert_str_eq(tuning->solver, "tuning");
    ck_assert(check_curve(tuning));
    ck_assert_int_eq(tuning->iterations[tuning->count - 1], 4 * 4);
}
END_TEST

/* Law: every unit that is trained has a curve, to its last step. */
START_TEST(every_unit_that_is_trained_leaves_a_curve)
{
    static const char *const solvers[] = {"training", "training", "distillation"};
    static const int units[] = {LAYERS, 3, 1};
    pipeline.optimize.variable = 0;
    while (method_table()[pipeline.optimize.variable]->trained != TRAIN_WEIGHTS)
        pipeline.optimize.variable++;
    pipeline.optimize.granularity = _i;
    pipeline.optimize.activations_in_loop = true;
    pipeline.postprocess.bias = BIAS_NONE;
    const struct run_result *result = run();
    ck_assert_int_eq(result->loss_count, units[_i]);
    for (int i = 0; i < result->loss_count; i++) {
        ck_assert_str_eq(result->losses[i].solver, solvers[_i]);
        ck_assert_str_eq(result->losses[i].variable, "weights");
        ck_assert(check_curve(&result->losses[i]));
    }
    int steps = _i == OPTIMIZE_NETWORK ? 20 * 4 : 150;
    ck_assert_int_eq(result->losses[0].iterations[result->losses[0].count - 1], steps);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("losses");
    TCase *curve = tcase_create("curve");
    tcase_add_checked_fixture(curve, setup, teardown);
    tcase_add_test(curve, a_curve_keeps_its_ends_and_equal_distances);
    tcase_add_test(curve, curves_do_not_touch_each_other);
    tcase_add_test(curve, points_are_replaced_and_left_out);
    suite_add_tcase(suite, curve);
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 60);
    tcase_add_checked_fixture(runs, setup_run, teardown);
    tcase_add_loop_test(runs, every_method_leaves_a_curve_of_each_layer, 0, method_count());
    tcase_add_loop_test(runs, every_unit_that_is_trained_leaves_a_curve, OPTIMIZE_LAYER,
                        OPTIMIZE_NETWORK + 1);
    suite_add_tcase(suite, runs);
    return support_run(suite);
}
