#include "generated_networks.h"
#include "random_data.h"
#include "support.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/quant/cost.h"

#include <math.h>

static const struct generated_options standard = {
    .width = 1.0, .side = 224, .classes = 1000, .seed = 1};

static struct cost cost_of(struct arena *arena, const struct graph *graph)
{
    struct error err = {.message = ""};
    struct graph *folded;
    struct cost cost;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(cost_of_graph(arena, folded, &cost, &err), &err);
    return cost;
}

/* Two random samples have finite, different probabilities. */
static void check_forward(struct arena *arena, const struct graph *graph)
{
    enum { SAMPLES = 2 };
    struct error err = {.message = ""};
    struct exec *exec;
    struct exec_options options = {.batch = SAMPLES};
    int64_t elements = tensor_elements(&graph->tensors[graph->input], 1);
    int64_t classes = tensor_elements(&graph->tensors[graph->output], 1);
    struct dataset *data = random_data_create(arena, graph, SAMPLES, 7);
    float *input = ARENA_ARRAY(arena, float, SAMPLES *elements, &err);
    ck_assert_ptr_nonnull(input);
    for (int64_t i = 0; i < SAMPLES; i++)
        dataset_read(data, i, input + i * elements);
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, input, SAMPLES, &err), &err);
    const float *output = exec_values(exec, graph->output);
    double sum = 0.0, difference = 0.0;
    for (int64_t i = 0; i < classes; i++) {
        sum += (double)output[i];
        difference += fabs((double)output[i] - (double)output[classes + i]);
    }
    exec_destroy(exec);
    ck_assert_double_eq_tol(sum, 1.0, 1e-4);
    ck_assert_double_gt(difference, 1e-3);
}

/* What torchvision and the paper state: 300 M MACs, 3.50 M parameters (batch norms folded). */
START_TEST(mobilenet_v2_is_the_one_of_the_paper)
{
    struct arena *arena = arena_create(0);
    struct cost cost = cost_of(arena, generated_mobilenet_v2(arena, &standard));
    ck_assert_int_eq(cost.macs, 300774272);
    ck_assert_int_eq(cost.weights + cost.biases, 3487816);
    arena_destroy(arena);
}
END_TEST

/* Width 0.35 has 1.66 M parameters and 59 M MACs by the authors' table. */
START_TEST(mobilenet_v2_has_a_width)
{
    struct arena *arena = arena_create(0);
    struct generated_options narrow = standard;
    narrow.width = 0.35;
    struct cost cost = cost_of(arena, generated_mobilenet_v2(arena, &narrow));
    ck_assert_double_eq_tol((double)cost.macs, 59e6, 1e6);
    ck_assert_double_eq_tol((double)(cost.weights + cost.biases), 1.66e6, 2e4);
    arena_destroy(arena);
}
END_TEST

START_TEST(resnet8_is_the_one_of_mlperf_tiny)
{
    struct arena *arena = arena_create(0);
    struct generated_options options = {.width = 1.0, .side = 32, .classes = 10, .seed = 1};
    struct cost cost = cost_of(arena, generated_resnet8(arena, &options));
    ck_assert_int_eq(cost.macs, 12501632);
    ck_assert_int_eq(cost.weights + cost.biases, 77706);
    arena_destroy(arena);
}
END_TEST

START_TEST(generated_networks_are_executed)
{
    struct arena *arena = arena_create(0);
    struct generated_options small = {.width = 2.0, .side = 48, .classes = 10, .seed = 3};
    struct generated_options image = standard;
    image.width = support_short() ? 0.35 : 1.0;
    check_forward(arena, generated_resnet8(arena, &small));
    check_forward(arena, generated_mobilenet_v2(arena, &image));
    arena_destroy(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generated networks");
    TCase *cases = tcase_create("generated networks");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, mobilenet_v2_is_the_one_of_the_paper);
    tcase_add_test(cases, mobilenet_v2_has_a_width);
    tcase_add_test(cases, resnet8_is_the_one_of_mlperf_tiny);
    tcase_add_test(cases, generated_networks_are_executed);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
