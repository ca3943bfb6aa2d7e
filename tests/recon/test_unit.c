#include "ptqd/recon/unit.h"

#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/recon/unit_graph.h"

#include <string.h>

enum { SMALL_NETWORK_SEEDS = 32 };

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

static struct quant_network *quantize(const struct graph *graph)
{
    struct quant_options format = {.weights = {.bits = 4, .symmetric = true},
                                   .activations = {.bits = 4},
                                   .input_bits = 8,
                                   .per_channel = true};
    struct graph *folded;
    struct quant_network *network;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &network, &err), &err);
    return network;
}

static float *random_values(struct arena *from, int64_t count, uint64_t seed)
{
    struct rng rng;
    float *values = ARENA_ARRAY(from, float, count, &err);
    rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(&rng);
    return values;
}

static const char *tensor_name(const struct quant_network *network, int tensor)
{
    return network->graph->tensors[tensor].name;
}

struct expected {
    const char *name, *input, *output;
};

static void check_units(const struct quant_network *network, enum unit_granularity granularity,
                        const struct expected *expected, int expected_count)
{
    struct unit *units;
    int count;
    ck_assert_ok(unit_cut(arena, network, granularity, &units, &count, &err), &err);
    ck_assert_int_eq(count, expected_count);
    int next = 0, layers = 0;
    for (int i = 0; i < count; i++) {
        ck_assert_str_eq(units[i].name, expected[i].name);
        ck_assert_str_eq(tensor_name(network, units[i].input), expected[i].input);
        ck_assert_str_eq(tensor_name(network, units[i].output), expected[i].output);
        /* Law: units follow each other, with every node and every layer in one of them. */
        ck_assert_int_eq(units[i].first, next);
        ck_assert_int_eq(units[i].layer, layers);
        ck_assert_int_ge(units[i].start, units[i].first);
        next = units[i].last + 1;
        layers += units[i].layer_count;
    }
    ck_assert_int_eq(next, network->graph->node_count);
    ck_assert_int_eq(layers, network->layer_count);
}

START_TEST(layers_end_behind_their_activation_function)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    const struct expected units[] = {
        {"stem", "input:nhwc", "stem_relu"}, /* its quantizer is the network's */
        {"depthwise", "stem_relu", "depthwise_relu"},
        {"pointwise", "depthwise_relu", "pointwise"},
        {"dense", "flatten", "dense"},
    };
    check_units(network, UNIT_LAYER, units, 4);
}
END_TEST

START_TEST(a_residual_sum_and_its_branches_are_one_block)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    const struct expected units[] = {
        {"stem", "input", "stem_relu"},
        {"depthwise to pointwise", "stem_relu", "flatten"},
        {"dense", "flatten", "dense"},
    };
    check_units(network, UNIT_BLOCK, units, 3);
}
END_TEST

START_TEST(the_network_ends_in_front_of_its_softmax)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    const struct expected unit = {"stem to dense", "input", "dense"};
    check_units(network, UNIT_NETWORK, &unit, 1);
}
END_TEST

/* conv → relu → depthwise → relu → pointwise → relu → pointwise → relu → depthwise → relu →
 * pointwise (linear) → conv: one separable block, one inverted residual. */
START_TEST(separable_blocks_and_inverted_residuals_are_joined)
{
    struct sketch s;
    sketch_init(&s, arena, 13);
    int x = sketch_input(&s, "input", SKETCH(1, 3, 8, 8));
    x = sketch_node(&s, "Relu", "stem_relu", sketch_conv(&s, "stem", x, 4, 3, SKETCH(3, 3)),
                    SKETCH_END);
    sketch_int(&s, "group", 4);
    x = sketch_node(&s, "Relu", "a_relu", sketch_conv(&s, "a", x, 4, 1, SKETCH(3, 3)), SKETCH_END);
    x = sketch_node(&s, "Relu", "b_relu", sketch_conv(&s, "b", x, 8, 4, SKETCH(1, 1)), SKETCH_END);
    x = sketch_node(&s, "Relu", "c_relu", sketch_conv(&s, "c", x, 16, 8, SKETCH(1, 1)), SKETCH_END);
    sketch_int(&s, "group", 16);
    x = sketch_node(&s, "Relu", "d_relu", sketch_conv(&s, "d", x, 16, 1, SKETCH(3, 3)), SKETCH_END);
    x = sketch_conv(&s, "e", x, 4, 16, SKETCH(1, 1));
    x = sketch_conv(&s, "last", x, 2, 4, SKETCH(3, 3));
    struct quant_network *network = quantize(sketch_finish(&s, x));
    const struct expected units[] = {
        {"stem", "input", "stem_relu"},
        {"a to b", "stem_relu", "b_relu"},
        {"c to e", "b_relu", "e"},
        {"last", "e", "last"},
    };
    check_units(network, UNIT_BLOCK, units, 4);
}
END_TEST

static float *values_of(struct exec *exec, int tensor, int64_t count)
{
    return arena_memdup(arena, exec_values(exec, tensor), (size_t)count * sizeof(float), &err);
}

/* Law: a unit's graph gives what the network's nodes give. */
START_TEST(a_units_graph_computes_what_the_network_computes)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    enum { SAMPLES = 3 };
    struct dataset *data = small_network_data(arena, network->folded, SAMPLES, false, 5);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -3.0, 3.0, &err),
                     &err);
    struct exec *whole, *part;
    struct exec_options options = {.batch = SAMPLES, .gradients = true};
    float input[SAMPLES * SMALL_NETWORK_INPUTS];
    for (int64_t i = 0; i < SAMPLES; i++)
        dataset_read(data, i, input + i * SMALL_NETWORK_INPUTS);
    ck_assert_ok(exec_create(network->graph, &options, &whole, &err), &err);
    ck_assert_ok(exec_forward(whole, input, SAMPLES, &err), &err);
    for (enum unit_granularity g = UNIT_LAYER; g <= UNIT_NETWORK; g++) {
        struct unit *units;
        int count;
        ck_assert_ok(unit_cut(arena, network, g, &units, &count, &err), &err);
        for (int i = 0; i < count; i++) {
            struct unit_graph graph;
            ck_assert_ok(unit_graph_create(arena, network, &units[i], &graph, &err), &err);
            ck_assert_int_ge(graph.quantizer_count, i > 0 ? 1 : 0);
            const struct tensor *tensors = network->graph->tensors;
            int64_t inputs = tensor_elements(&tensors[units[i].input], SAMPLES);
            int64_t outputs = tensor_elements(&tensors[units[i].output], SAMPLES);
            ck_assert_ok(exec_create(graph.graph, &options, &part, &err), &err);
            ck_assert_ok(
                exec_forward(part, values_of(whole, units[i].input, inputs), SAMPLES, &err), &err);
            ck_assert_mem_eq(exec_values(part, units[i].output),
                             exec_values(whole, units[i].output), (size_t)outputs * sizeof(float));
            exec_destroy(part);
        }
    }
    exec_destroy(whole);
}
END_TEST

/* Law: with probability 1 nothing is quantized, with 0.5 about half is, and what is not is float.
 */
START_TEST(dropped_elements_stay_float)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    struct dataset *data = small_network_data(arena, network->folded, 1, false, 5);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -3.0, 3.0, &err),
                     &err);
    struct unit *units;
    struct unit_graph graph;
    struct rng rng;
    struct exec *exec;
    int count, kept = 0;
    rng_init(&rng, 1, 0);
    ck_assert_ok(unit_cut(arena, network, UNIT_NETWORK, &units, &count, &err), &err);
    ck_assert_ok(unit_graph_create(arena, network, units, &graph, &err), &err);
    ck_assert_ok(unit_graph_prepare_drop(&graph, arena, 1, 0.5, &rng, &err), &err);
    ck_assert_ok(exec_create(graph.graph, &(struct exec_options){.batch = 1, .gradients = true},
                             &exec, &err),
                 &err);
    float input[SMALL_NETWORK_INPUTS];
    dataset_read(data, 0, input);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    const struct quant_activation *first = &network->activations[0];
    const float *given = exec_values(exec, first->output);
    for (int i = 0; i < SMALL_NETWORK_INPUTS; i++) {
        float quantized = quantizer_decode(&first->quantizer, 0,
                                           quantizer_encode(&first->quantizer, 0, input[i]));
        kept += graph.quantizers[0].kept[i];
        ck_assert(given[i] == (graph.quantizers[0].kept[i] ? quantized : input[i]));
    }
    ck_assert_int_gt(kept, SMALL_NETWORK_INPUTS / 4);
    ck_assert_int_lt(kept, SMALL_NETWORK_INPUTS * 3 / 4);
    unit_graph_set_drop(&graph, 1.0);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    ck_assert_mem_eq(exec_values(exec, first->output), input, sizeof(input));
    exec_destroy(exec);
}
END_TEST

static struct exec *trained_executor(const struct quant_network *network,
                                     const struct unit_graph *graph, bool joins)
{
    struct exec *exec;
    struct exec_options options = {.batch = 1, .gradients = true, .joins = joins};
    ck_assert_ok(exec_create(graph->graph, &options, &exec, &err), &err);
    for (int i = 0; i < network->layer_count; i++)
        ck_assert_ok(exec_want_gradient(exec, network->layers[i].weights, &err), &err);
    return exec;
}

/* Seeds of differences on all activations that have a quantizer, and the output's gradient. */
static int make_seeds(const struct quant_network *network, const struct unit_graph *graph,
                      struct exec_seed *seeds)
{
    int count = 0, output = graph->graph->output;
    seeds[count++] = (struct exec_seed){
        .tensor = output,
        .gradient = random_values(arena, shape_elements(&graph->graph->tensors[output].shape), 3),
    };
    for (int i = 0; i < graph->quantizer_count; i++) {
        int tensor = network->activations[graph->quantizers[i].activation].input;
        int64_t elements = shape_elements(&graph->graph->tensors[tensor].shape);
        if (tensor != graph->graph->input)
            seeds[count++] = (struct exec_seed){.tensor = tensor,
                                                .wanted = random_values(arena, elements, 4),
                                                .factor = 0.5f};
    }
    return count;
}

/* Law: where a quantizer completes the gradient of a Relu's output, all gradients are as without,
 * with and without losses on the way, with and without dropping. */
START_TEST(completed_gradients_are_those_of_single_nodes)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    struct dataset *data = small_network_data(arena, network->folded, 1, false, 5);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -3.0, 3.0, &err),
                     &err);
    struct unit *units;
    struct unit_graph graphs[2];
    struct exec *execs[2];
    struct rng rngs[2];
    struct exec_seed seeds[SMALL_NETWORK_SEEDS];
    float input[SMALL_NETWORK_INPUTS];
    int count, seed_count = 0;
    dataset_read(data, 0, input);
    ck_assert_ok(unit_cut(arena, network, UNIT_NETWORK, &units, &count, &err), &err);
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(unit_graph_create(arena, network, units, &graphs[i], &err), &err);
        ck_assert_ok(unit_graph_prepare_drop(&graphs[i], arena, 1, 0.5, &rngs[i], &err), &err);
        execs[i] = trained_executor(network, &graphs[i], i == 1); /* with scratch for dropping */
    }
    ck_assert_int_le(graphs[0].quantizer_count + 1, SMALL_NETWORK_SEEDS);
    seed_count = make_seeds(network, &graphs[0], seeds);
    for (int way = 0; way < 4; way++) {
        for (int i = 0; i < 2; i++) {
            rng_init(&rngs[i], 9, 0);
            unit_graph_set_drop(&graphs[i], way % 2 == 0 ? 0.0 : 0.5);
            ck_assert_ok(exec_forward(execs[i], input, 1, &err), &err);
            ck_assert_ok(exec_backward_from(execs[i], seeds, way < 2 ? 1 : seed_count, false, &err),
                         &err);
        }
        for (int i = 0; i < network->layer_count; i++) {
            const struct quant_layer *layer = &network->layers[i];
            ck_assert_mem_eq(exec_gradient(execs[0], layer->weights),
                             exec_gradient(execs[1], layer->weights),
                             (size_t)(layer->K * layer->D) * sizeof(float));
        }
        for (int i = 0; i < graphs[0].quantizer_count; i++) {
            ck_assert(graphs[0].quantizers[i].grad_scale == graphs[1].quantizers[i].grad_scale);
            ck_assert(graphs[0].quantizers[i].grad_zero_point ==
                      graphs[1].quantizers[i].grad_zero_point);
        }
    }
    ck_assert(exec_bytes(execs[1]) < exec_bytes(execs[0]));
    struct exec_seed twice[] = {seeds[0], seeds[1], seeds[1]};
    ck_assert_ok(exec_backward_from(execs[0], twice, 3, false, &err), &err);
    ck_assert_fails(exec_backward_from(execs[1], twice, 3, false, &err), &err, E_INTERNAL,
                    "one loss");
    exec_destroy(execs[0]);
    exec_destroy(execs[1]);
}
END_TEST

/* Law: a quantizer of the input learns the same whether the input's gradient is wanted or only its
 * readers are reached; then there is none, and no memory for it. A pass may add to the last. */
START_TEST(the_inputs_quantizer_learns_without_the_inputs_gradient)
{
    struct quant_network *network = quantize(small_network_create(arena, 1));
    struct dataset *data = small_network_data(arena, network->folded, 1, false, 5);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -1.0, 1.0, &err),
                     &err);
    struct unit *units;
    struct unit_graph graphs[2];
    struct exec *execs[2];
    float input[SMALL_NETWORK_INPUTS], *gradient = NULL;
    int count;
    dataset_read(data, 0, input);
    ck_assert_ok(unit_cut(arena, network, UNIT_NETWORK, &units, &count, &err), &err);
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(unit_graph_create(arena, network, units, &graphs[i], &err), &err);
        const struct graph *graph = graphs[i].graph;
        const struct tensor *output = &graph->tensors[graph->output];
        gradient = random_values(arena, shape_elements(&output->shape), 3);
        execs[i] = trained_executor(network, &graphs[i], true);
        ck_assert_ok(i == 0 ? exec_want_gradient(execs[i], graph->input, &err)
                            : exec_reach_input(execs[i], &err),
                     &err);
        ck_assert_ok(exec_forward(execs[i], input, 1, &err), &err);
        ck_assert_ok(exec_backward(execs[i], graph->output, gradient, &err), &err);
    }
    for (int i = 0; i < graphs[0].quantizer_count; i++) {
        ck_assert(graphs[0].quantizers[i].grad_scale != 0.0);
        ck_assert(graphs[0].quantizers[i].grad_scale == graphs[1].quantizers[i].grad_scale);
    }
    double once = graphs[1].quantizers[0].grad_scale;
    const struct exec_seed seed = {graphs[1].graph->output, .gradient = gradient};
    ck_assert_ok(exec_backward_from(execs[1], &seed, 1, true, &err), &err);
    ck_assert(graphs[1].quantizers[0].grad_scale == 2.0 * once);
    ck_assert_ptr_nonnull(exec_gradient(execs[0], graphs[0].graph->input));
    ck_assert_ptr_null(exec_gradient(execs[1], graphs[1].graph->input));
    ck_assert(exec_bytes(execs[1]) < exec_bytes(execs[0]));
    exec_destroy(execs[0]);
    exec_destroy(execs[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unit");
    TCase *tcase = tcase_create("units");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, layers_end_behind_their_activation_function);
    tcase_add_test(tcase, a_residual_sum_and_its_branches_are_one_block);
    tcase_add_test(tcase, the_network_ends_in_front_of_its_softmax);
    tcase_add_test(tcase, separable_blocks_and_inverted_residuals_are_joined);
    tcase_add_test(tcase, a_units_graph_computes_what_the_network_computes);
    tcase_add_test(tcase, dropped_elements_stay_float);
    tcase_add_test(tcase, completed_gradients_are_those_of_single_nodes);
    tcase_add_test(tcase, the_inputs_quantizer_learns_without_the_inputs_gradient);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
