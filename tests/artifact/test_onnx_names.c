/* Names in ONNX files: a valid network becomes a valid file, whatever its names are. */

#include "ptqd/artifact/onnx_writer.h"

#include "ptqd/nn/fold.h"

#include "onnx.pb-c.h"
#include "sketch.h"
#include "support.h"

#include <string.h>

static struct arena *arena;
static struct sketch sketch;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void calibrate(struct quant_network *network)
{
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -1.0, 1.0, &err),
                     &err);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        for (int64_t k = 0; k < layer->quantizer.channels; k++)
            ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -1.0, 1.0, &err), &err);
        quant_layer_round(layer);
    }
}

static Onnx__ModelProto *write(int output)
{
    const struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                          .activations = {.bits = 4},
                                          .input_bits = 8,
                                          .per_channel = true};
    struct quant_network *network;
    struct graph *folded;
    const uint8_t *bytes;
    size_t size;
    ck_assert_ok(graph_fold(sketch_finish(&sketch, output), arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    calibrate(network);
    ck_assert_ok(onnx_write_network(arena, network, "0.1.0", &bytes, &size, &err), &err);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    ck_assert_ptr_nonnull(model);
    return model;
}

static void check_new(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_str_ne(name, names[i]);
}

/* Law: no two nodes have a name in common, nor two of what nodes and initializers make. */
static void check_names(int output)
{
    enum { NAMES_MAX = 256 };
    const char *nodes[NAMES_MAX], *tensors[NAMES_MAX];
    size_t node_count = 0, tensor_count = 0;
    Onnx__ModelProto *model = write(output);
    const Onnx__GraphProto *graph = model->graph;
    ck_assert_uint_lt(graph->n_node + graph->n_initializer, NAMES_MAX);
    for (size_t i = 0; i < graph->n_initializer; i++) {
        check_new(graph->initializer[i]->name, tensors, tensor_count);
        tensors[tensor_count++] = graph->initializer[i]->name;
    }
    for (size_t i = 0; i < graph->n_node; i++) {
        check_new(graph->node[i]->name, nodes, node_count);
        nodes[node_count++] = graph->node[i]->name;
        check_new(graph->node[i]->output[0], tensors, tensor_count);
        tensors[tensor_count++] = graph->node[i]->output[0];
    }
    onnx__model_proto__free_unpacked(model, NULL);
}

/* A convolution without bias. */
static int conv(const char *name, const char *weight, int input)
{
    return sketch_node(&sketch, "Conv", name, input,
                       sketch_constant(&sketch, weight, SKETCH(2, 2, 1, 1)), SKETCH_END);
}

static int input(void)
{
    return sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
}

START_TEST(nodes_of_equal_names_are_told_apart)
{
    int a = conv("same", "a", input());
    sketch.graph->tensors[a].name = "other";
    int relu = sketch_node(&sketch, "Relu", "relu", a, SKETCH_END);
    check_names(conv("same", "b", relu));
}
END_TEST

START_TEST(a_node_may_be_called_as_its_weights_are)
{
    check_names(conv("a", "a", input()));
}
END_TEST

/* Folding gives every layer a bias, "<layer>.bias". */
START_TEST(a_bias_that_was_made_does_not_take_the_name_of_an_activation)
{
    int a = conv("conv", "a", input());
    int relu = sketch_node(&sketch, "Relu", "conv.bias", a, SKETCH_END);
    check_names(conv("last", "b", relu));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx_names");
    TCase *tcase = tcase_create("names");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nodes_of_equal_names_are_told_apart);
    tcase_add_test(tcase, a_node_may_be_called_as_its_weights_are);
    tcase_add_test(tcase, a_bias_that_was_made_does_not_take_the_name_of_an_activation);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
