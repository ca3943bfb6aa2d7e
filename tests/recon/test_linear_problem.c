#include "ptqd/recon/linear_problem.h"

#include "layer_fixture.h"
#include "support.h"

#include <math.h>

static struct arena *arena;

static const struct layer_fixture_options shapes[] = {
    {.K = 4, .D = 9, .G = 1, .positions = 300, .bits = 3, .noise = 0.1, .seed = 1},
    {.K = 6, .D = 5, .G = 3, .positions = 200, .bits = 4, .noise = 0.0, .seed = 2},
    {.K = 8, .D = 1, .G = 8, .positions = 50, .bits = 2, .noise = 0.3, .seed = 3},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* Sums of some hundred products of size one in float64 over float32 data. */
static const double TOLERANCE = 1e-9;

static void setup(void)
{
    arena = arena_create(0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Law: the Gram form is the plain mean of squared differences. */
START_TEST(the_error_is_that_of_the_data)
{
    for (int i = 0; i < SHAPES; i++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &shapes[i]);
        for (int64_t k = 0; k < f.K; k++) {
            const float *weights = f.layer.weight_values + k * f.D;
            float best;
            double error = linear_problem_error(&f.problem, k, weights, &best);
            double plain = layer_fixture_error(&f, k, weights, best);
            ck_assert_double_le(fabs(error - plain), TOLERANCE + 1e-6 * plain);
        }
    }
}
END_TEST

/* Law: the mean over the channels, with the biases that the layer has. */
START_TEST(the_error_of_a_layer_counts_its_biases)
{
    for (int i = 0; i < SHAPES; i++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &shapes[i]);
        double plain = 0.0;
        for (int64_t k = 0; k < f.K; k++)
            plain += layer_fixture_error(&f, k, f.layer.weight_values + k * f.D,
                                         f.layer.bias_values[k]) /
                     (double)f.K;
        double error = linear_problem_layer_error(&f.problem, &f.layer);
        ck_assert_double_le(fabs(error - plain), TOLERANCE + 1e-6 * plain);
    }
}
END_TEST

/* Law: no other bias is better, and setting it never makes a layer worse. */
START_TEST(the_best_bias_is_the_best)
{
    for (int i = 0; i < SHAPES; i++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &shapes[i]);
        double before = linear_problem_layer_error(&f.problem, &f.layer);
        linear_problem_set_bias(&f.problem, &f.layer);
        double after = linear_problem_layer_error(&f.problem, &f.layer);
        ck_assert_double_le(after, before);
        for (int64_t k = 0; k < f.K; k++) {
            float best = f.layer.bias_values[k];
            const float *weights = f.layer.weight_values + k * f.D;
            double error = layer_fixture_error(&f, k, weights, best);
            ck_assert_double_ge(layer_fixture_error(&f, k, weights, best + 0.01f), error);
            ck_assert_double_ge(layer_fixture_error(&f, k, weights, best - 0.01f), error);
        }
    }
}
END_TEST

/* Law: with the float weights and equal inputs nothing is lost. */
START_TEST(float_weights_on_equal_inputs_have_no_error)
{
    struct layer_fixture f;
    layer_fixture_init(&f, arena, &shapes[1]);
    for (int64_t k = 0; k < f.K; k++) {
        float best;
        double error = linear_problem_error(&f.problem, k, f.weights + k * f.D, &best);
        ck_assert_double_le(error, TOLERANCE * f.problem.target_variance[k]);
        ck_assert_double_le(fabs((double)(best - f.bias[k])), 1e-5);
    }
}
END_TEST

/* Law: the prior adds ε Σ H_dd (ŵ_d − w_d)² to the error, whatever is wanted, and nothing to the
 * error of the float weights; the signal to noise ratio does not count it. */
START_TEST(the_prior_pulls_towards_the_float_weights)
{
    for (int i = 0; i < SHAPES; i++) {
        struct layer_fixture f, plain;
        layer_fixture_init(&plain, arena, &shapes[i]);
        layer_fixture_init(&f, arena, &shapes[i]);
        linear_problem_add_prior(&f.problem);
        struct linear_targets targets;
        layer_fixture_targets(&f, arena, &targets);
        linear_problem_set_targets(&f.problem, &targets);
        ck_assert_double_gt(f.problem.prior, 0.0);
        for (int64_t k = 0; k < f.K; k++) {
            const float *weights = f.layer.weight_values + k * f.D;
            double expected = linear_problem_error(&plain.problem, k, weights, NULL);
            for (int64_t d = 0; d < f.D; d++) {
                double change = (double)weights[d] - (double)f.weights[k * f.D + d];
                double variance = plain.problem.H[(k / (f.K / f.G) * f.D + d) * f.D + d];
                expected += f.problem.prior * variance * change * change;
            }
            double error = linear_problem_error(&f.problem, k, weights, NULL);
            ck_assert_double_le(fabs(error - expected), TOLERANCE + 1e-6 * expected);
        }
        double ratio = linear_problem_layer_sqnr_db(&f.problem, &f.layer);
        double without = linear_problem_layer_sqnr_db(&plain.problem, &plain.layer);
        ck_assert_double_le(fabs(ratio - without), 1e-6);
    }
}
END_TEST

/* Law: the ratio is that of the plain sums. */
START_TEST(the_ratio_is_that_of_signal_and_error)
{
    for (int i = 0; i < SHAPES; i++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &shapes[i]);
        double signal = 0.0;
        for (int64_t k = 0; k < f.K; k++)
            signal += f.problem.target_variance[k] + pow(f.problem.target_mean[k], 2.0);
        double error = linear_problem_layer_error(&f.problem, &f.layer) * (double)f.K;
        ck_assert_double_le(fabs(linear_problem_layer_sqnr_db(&f.problem, &f.layer) -
                                 10.0 * log10(signal / error)),
                            1e-6);
    }
}
END_TEST

START_TEST(a_layer_that_saw_nothing_is_an_error)
{
    struct layer_fixture f;
    struct error err = {.message = ""};
    struct gram gram;
    layer_fixture_init(&f, arena, &shapes[0]);
    ck_assert_ok(linear_gram_init(arena, &f.layer, &gram, &err), &err);
    ck_assert_fails(linear_problem_create(&gram, &f.layer, &f.problem, &err), &err, E_INTERNAL,
                    "layer 'layer'");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linear_problem");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_error_is_that_of_the_data);
    tcase_add_test(tcase, the_error_of_a_layer_counts_its_biases);
    tcase_add_test(tcase, the_best_bias_is_the_best);
    tcase_add_test(tcase, float_weights_on_equal_inputs_have_no_error);
    tcase_add_test(tcase, the_prior_pulls_towards_the_float_weights);
    tcase_add_test(tcase, the_ratio_is_that_of_signal_and_error);
    tcase_add_test(tcase, a_layer_that_saw_nothing_is_an_error);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
