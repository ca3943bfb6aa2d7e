#include "ptqd/flow/evaluate.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/nn/exec.h"

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

START_TEST(the_first_of_equal_values_is_the_class)
{
    const float values[] = {1.0f, 3.0f, 3.0f, -1.0f};
    ck_assert_int_eq(evaluate_class(&(struct evaluate_decision){.elements = 4}, values), 1);
}
END_TEST

/* Law: a single output is a decision, by its sign, or by one half where it is a probability. */
START_TEST(a_single_output_decides)
{
    const char *const operators[] = {"Sigmoid", "Tanh"};
    const float thresholds[] = {0.5f, 0.0f};
    for (size_t i = 0; i < 2; i++) {
        struct tensor tensors[] = {{.producer = -1}, {.producer = 0, .shape = {2, {1, 1}}}};
        struct node node = {.op_type = operators[i]};
        const struct graph graph = {
            .tensors = tensors, .nodes = &node, .tensor_count = 2, .node_count = 1, .output = 1};
        const struct evaluate_decision decision = evaluate_decision_of(&graph);
        const float outputs[] = {thresholds[i] + 0.1f, thresholds[i] - 0.1f, thresholds[i]};
        const int64_t labels[] = {1, 0, 0};
        ck_assert_double_eq(evaluate_accuracy(outputs, &decision, labels, 3), 1.0);
        ck_assert_double_eq(evaluate_agreement(outputs, outputs + 1, &decision, 2), 0.5);
    }
}
END_TEST

START_TEST(accuracy_and_agreement_are_shares)
{
    const float a[] = {0.1f, 0.9f, 0.8f, 0.2f, 0.3f, 0.7f, 0.6f, 0.4f};
    const float b[] = {0.2f, 0.8f, 0.1f, 0.9f, 0.3f, 0.7f, 0.9f, 0.1f};
    const int64_t labels[] = {1, 0, 0, 0};
    const struct evaluate_decision decision = {.elements = 2};
    ck_assert_double_eq(evaluate_accuracy(a, &decision, labels, 4), 0.75);
    ck_assert_double_eq(evaluate_agreement(a, b, &decision, 4), 0.75);
    ck_assert_double_eq(evaluate_agreement(a, a, &decision, 4), 1.0);
}
END_TEST

START_TEST(the_noise_ratio_is_in_decibels)
{
    const float reference[] = {3.0f, 4.0f}, close[] = {3.0f, 4.5f};
    ck_assert_double_le(fabs(evaluate_sqnr_db(reference, close, 2) - 20.0), 1e-9);
    ck_assert(isinf(evaluate_sqnr_db(reference, reference, 2)));
    struct evaluate_error error = {0};
    evaluate_add_error(&error, reference, close, 1);
    evaluate_add_error(&error, reference + 1, close + 1, 1);
    ck_assert_double_le(fabs(evaluate_error_db(&error) - 20.0), 1e-9);
}
END_TEST

/* Golden: math.log and math.exp of Python on the definitions. */
START_TEST(divergence_is_that_of_the_definition)
{
    const float p[] = {0.7f, 0.2f, 0.1f, 1.0f, 0.0f, 0.0f};
    const float q[] = {0.6f, 0.3f, 0.1f, 0.5f, 0.25f, 0.25f};
    ck_assert_double_eq_tol(evaluate_divergence(p, q, 3, 2), 0.35997982, 1e-7);
    ck_assert(evaluate_divergence(p, p, 3, 2) == 0.0);
    float logits[] = {1.0f, 2.0f, 3.0f, 1000.0f, 0.0f, -1000.0f};
    evaluate_softmax(logits, 3, 2);
    const double expected[] = {0.09003057, 0.24472847, 0.66524096, 1.0, 0.0, 0.0};
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq_tol((double)logits[i], expected[i], 1e-7);
}
END_TEST

/* Law: in batches, and with an uneven rest, the outputs are those of single samples (1e-5: the
 * library may pick another kernel for another batch). */
START_TEST(outputs_are_those_of_single_samples)
{
    enum { SAMPLES = 45 };
    struct recon_monitor monitor = {0};
    struct graph *graph = small_network_create(arena, 1);
    struct dataset *data = small_network_data(arena, graph, SAMPLES, false, 2);
    struct samples samples;
    float *outputs = ARENA_ARRAY(arena, float, SAMPLES *SMALL_NETWORK_CLASSES, &err);
    float *input = ARENA_ARRAY(arena, float, SMALL_NETWORK_INPUTS, &err);
    ck_assert_ok(samples_draw(arena, data, 0, NULL, &samples, &err), &err);
    ck_assert_ok(evaluate_outputs(graph, false, &samples, &monitor, arena, outputs, &err), &err);
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    for (int64_t i = 0; i < SAMPLES; i++) {
        dataset_read(data, i, input);
        ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
        const float *single = exec_values(exec, graph->output);
        for (int class = 0; class < SMALL_NETWORK_CLASSES; class ++)
            ck_assert_double_le(
                fabs((double)(outputs[i * SMALL_NETWORK_CLASSES + class] - single[class])), 1e-5);
    }
    exec_destroy(exec);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evaluate");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_first_of_equal_values_is_the_class);
    tcase_add_test(tcase, a_single_output_decides);
    tcase_add_test(tcase, accuracy_and_agreement_are_shares);
    tcase_add_test(tcase, the_noise_ratio_is_in_decibels);
    tcase_add_test(tcase, divergence_is_that_of_the_definition);
    tcase_add_test(tcase, outputs_are_those_of_single_samples);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
