/* AdaRound's variables against torch. */

#include "soft_rounding.h"

#include "golden_layer.h"
#include "support.h"

#include "golden/adaround_step.h"
#include "ptqd/recon/adam.h"

#include <math.h>
#include <string.h>

/* Products in float32 of some dozen values of size one. */
static const double TOLERANCE = 2e-5;

static struct arena *arena;
static struct error err;
static struct golden_layer golden;

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
    };
    golden_layer_init(&golden, arena, &data);
    ck_assert_int_eq(golden.layer.quantizer.low, golden_low);
    ck_assert_int_eq(golden.layer.quantizer.high, golden_high);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void check(const float *values, const double *expected)
{
    for (int i = 0; i < GOLDEN_K * GOLDEN_D; i++)
        ck_assert_double_eq_tol((double)values[i], expected[i],
                                TOLERANCE * fmax(1.0, fabs(expected[i])));
}

START_TEST(values_loss_gradient_and_steps_are_torchs)
{
    struct soft_rounding rounding;
    struct adam adam;
    ck_assert_ok(soft_rounding_init(arena, &golden.problem, &golden.layer, &rounding, &err), &err);
    ck_assert_ok(adam_init(arena, GOLDEN_K * GOLDEN_D, &adam, &err), &err);
    memcpy(rounding.alpha, golden_alpha, sizeof(golden_alpha));

    soft_rounding_measure(&rounding);
    check(rounding.gradient.values, golden_soft);
    double loss = soft_rounding_loss(&rounding, golden_lambda, golden_beta);
    ck_assert_double_eq_tol(loss, golden_loss, TOLERANCE * golden_loss);
    const float *gradient = soft_rounding_gradient(&rounding, golden_lambda, golden_beta);
    check(gradient, golden_gradient);

    adam_step(&adam, golden_rate, gradient, rounding.alpha);
    check(rounding.alpha, golden_first);
    soft_rounding_measure(&rounding);
    adam_step(&adam, golden_rate, soft_rounding_gradient(&rounding, golden_lambda, golden_beta),
              rounding.alpha);
    check(rounding.alpha, golden_second);
}
END_TEST

/* Law: at the start the soft values are the weights, where they are within the ends. */
START_TEST(the_start_is_the_float_weights)
{
    struct soft_rounding rounding;
    ck_assert_ok(soft_rounding_init(arena, &golden.problem, &golden.layer, &rounding, &err), &err);
    soft_rounding_measure(&rounding);
    for (int i = 0; i < GOLDEN_K * GOLDEN_D; i++) {
        float scale = golden_scales[i / GOLDEN_D], w = golden_weights[i];
        float ends = fminf(fmaxf(w, (float)golden_low * scale), (float)golden_high * scale);
        ck_assert(fabsf(rounding.gradient.values[i] - ends) <= 1e-5f);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soft_rounding");
    TCase *tcase = tcase_create("golden");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, values_loss_gradient_and_steps_are_torchs);
    tcase_add_test(tcase, the_start_is_the_float_weights);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
