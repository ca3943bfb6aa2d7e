/* Gradients through the rounding against torch. */

#include "straight_through.h"

#include "golden_layer.h"
#include "support.h"

#include "golden/lsq_gradient.h"

#include <math.h>
#include <string.h>

/* Products in float32 of some dozen values of size one. */
static const double TOLERANCE = 2e-5;

static struct arena *arena;
static struct error err;
static struct golden_layer golden;
static struct straight_through s;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct golden_data data = {
        .positions = GOLDEN_POSITIONS,
        .K = GOLDEN_K,
        .D = GOLDEN_D,
        .inputs = golden_inputs,
        .weights = golden_weights,
        .targets = golden_targets,
        .bits = 3,
        .scales = golden_scales,
        .zero_points = golden_zero_points,
    };
    golden_layer_init(&golden, arena, &data);
    ck_assert_int_eq(golden.layer.quantizer.low, golden_low);
    ck_assert_int_eq(golden.layer.quantizer.high, golden_high);
    struct straight_through_rates rates = {.weights = 0.01, .scales = 0.01, .zero_points = 0.01};
    ck_assert_ok(
        straight_through_init(arena, &golden.problem, &golden.layer, &rates, NULL, &s, &err), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void check(const float *values, const double *expected, int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_double_eq_tol((double)values[i], expected[i],
                                TOLERANCE * fmax(1.0, fabs(expected[i])));
}

START_TEST(gradients_are_torchs)
{
    memcpy(s.weights.values, golden_offsets, sizeof(golden_offsets));
    memcpy(s.scales.values, golden_logs, sizeof(golden_logs));
    straight_through_apply(&s);
    check(s.error.values, golden_quantized, GOLDEN_K * GOLDEN_D);
    for (int k = 0; k < GOLDEN_K; k++)
        ck_assert_double_eq_tol(s.error.error[k], golden_errors[k], TOLERANCE * golden_errors[k]);
    straight_through_gradients(&s);
    check(s.weights.gradient, golden_offset_gradient, GOLDEN_K * GOLDEN_D);
    check(s.scales.gradient, golden_log_gradient, GOLDEN_K);
    check(s.zero_points.gradient, golden_zero_gradient, GOLDEN_K);
}
END_TEST

/* Law: at the start the values are the nearest ones. */
START_TEST(the_start_is_rounding_to_nearest)
{
    straight_through_apply(&s);
    quant_layer_round(&golden.layer);
    for (int i = 0; i < GOLDEN_K * GOLDEN_D; i++)
        ck_assert(s.error.values[i] == golden.layer.weight_values[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("straight_through");
    TCase *tcase = tcase_create("golden");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, gradients_are_torchs);
    tcase_add_test(tcase, the_start_is_rounding_to_nearest);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
