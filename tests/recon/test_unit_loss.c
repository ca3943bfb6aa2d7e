#include "ptqd/recon/unit_loss.h"

#include "calibrated_network.h"
#include "support.h"

#include "ptqd/kern/difference.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/op.h"
#include "ptqd/recon/unit_graph.h"

#include <string.h>

enum { SAMPLES = 3 };

static struct arena *arena;
static struct error err;
static struct quant_network *network;
static struct unit *units;
static int unit_count;

static void setup(void)
{
    struct calibrated_network calibrated;
    arena = arena_create(0);
    err = (struct error){.message = ""};
    calibrated_network_init(&calibrated, arena, 3, 4);
    network = calibrated.network;
    ck_assert_ok(unit_cut(arena, network, UNIT_LAYER, &units, &unit_count, &err), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static struct unit_graph graph_of(int unit)
{
    struct unit_graph graph;
    ck_assert_ok(unit_graph_create(arena, network, &units[unit], &graph, &err), &err);
    return graph;
}

static bool ends_in_relu(const struct graph *graph)
{
    return strcmp(graph->nodes[graph->tensors[graph->output].producer].op->name, "Relu") == 0;
}

static float *random_values(int tensor, uint64_t seed)
{
    int64_t count = tensor_elements(&network->graph->tensors[tensor], SAMPLES);
    float *values = ARENA_ARRAY(arena, float, count, &err);
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(&rng);
    return values;
}

/* The gradients of a unit's weights and biases, as they are after a pass. */
struct gradients {
    float *weights, *biases;
};

static float *copy(const float *values, int64_t count)
{
    float *out = ARENA_ARRAY(arena, float, count, &err);
    return memcpy(out, values, (size_t)count * sizeof(float));
}

static struct gradients differentiate(const struct unit_graph *unit, const struct unit_loss *loss,
                                      int index)
{
    const struct quant_layer *layer = &network->layers[units[index].layer];
    const struct graph *graph = unit->graph;
    struct exec_options options = {.batch = SAMPLES, .gradients = true, .joins = true};
    struct exec *exec;
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_want_gradient(exec, layer->weights, &err), &err);
    ck_assert_ok(exec_want_gradient(exec, layer->bias, &err), &err);
    exec_set_constant(exec, layer->weights, layer->weight_values);
    exec_set_constant(exec, layer->bias, layer->bias_values);

    const float *target = random_values(graph->output, 2);
    float *gradient = random_values(graph->output, 3); /* written over */
    ck_assert_ok(exec_forward(exec, random_values(graph->input, 1), SAMPLES, &err), &err);
    loss->differ(exec_values(exec, graph->output), target,
                 tensor_elements(&graph->tensors[graph->output], SAMPLES), 0.01f, gradient);
    ck_assert_ok(exec_backward(exec, loss->tensor, gradient, &err), &err);
    struct gradients gradients = {
        copy(exec_gradient(exec, layer->weights), layer->K * layer->D),
        copy(exec_gradient(exec, layer->bias), layer->K),
    };
    exec_destroy(exec);
    return gradients;
}

/* Law: it begins in front of a last Relu and nowhere else. */
START_TEST(a_last_relu_is_passed_over)
{
    int rectified = 0;
    for (int i = 0; i < unit_count; i++) {
        struct unit_graph unit = graph_of(i);
        const struct graph *graph = unit.graph;
        struct unit_loss loss = unit_loss_of(graph);
        const struct node *last = &graph->nodes[graph->tensors[graph->output].producer];
        ck_assert_int_eq(loss.tensor, ends_in_relu(graph) ? last->inputs[0] : graph->output);
        rectified += ends_in_relu(graph);
    }
    ck_assert_int_gt(rectified, 0);
    ck_assert_int_lt(rectified, unit_count);
}
END_TEST

/* Law: where the gradient begins changes no bit of what is trained. */
START_TEST(one_pass_gives_the_gradients_of_two)
{
    for (int i = 0; i < unit_count; i++) {
        struct unit_graph unit = graph_of(i);
        const struct quant_layer *layer = &network->layers[units[i].layer];
        const struct unit_loss short_way = unit_loss_of(unit.graph);
        const struct unit_loss long_way = {unit.graph->output, difference_f32};
        struct gradients one = differentiate(&unit, &short_way, i);
        struct gradients two = differentiate(&unit, &long_way, i);
        for (int64_t j = 0; j < layer->K * layer->D; j++)
            ck_assert(one.weights[j] == two.weights[j]);
        bool any = false;
        for (int64_t k = 0; k < layer->K; k++) {
            ck_assert(one.biases[k] == two.biases[k]);
            any |= two.biases[k] != 0.0f;
        }
        ck_assert(any);
    }
}
END_TEST

/* Law: a Relu whose output another node reads as well is not passed over. */
START_TEST(what_others_read_is_not_passed_over)
{
    struct unit_graph unit = graph_of(0);
    struct graph *graph = unit.graph;
    ck_assert(ends_in_relu(graph));
    int end = graph->output;
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].producer >= 0 && i != end)
            graph->nodes[graph->tensors[i].producer].inputs[0] = end;
    ck_assert_int_eq(unit_loss_of(graph).tensor, end);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unit_loss");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_last_relu_is_passed_over);
    tcase_add_test(tcase, one_pass_gives_the_gradients_of_two);
    tcase_add_test(tcase, what_others_read_is_not_passed_over);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
