/* What the ONNX writer writes is read again by the importer. */

#include "ptqd/artifact/onnx_writer.h"
#include "ptqd/nn/model.h"

#include "graph_run.h"
#include "onnx.pb-c.h"
#include "sketch_cases.h"
#include "support.h"

#include <string.h>

enum { SAMPLES = 3 };

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static struct graph *build(const struct sketch_case *row)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, row->opset);
    struct shape shape = {.rank = row->input[3] > 0 ? 4 : 3};
    memcpy(shape.dim, row->input, sizeof(row->input));
    int x = sketch_input(&sketch, "x", shape);
    return sketch_finish(&sketch, row->build(&sketch, x));
}

/* Law: the graph that is read computes what the written one does. */
static void check_round_trip(const struct sketch_case *row)
{
    const uint8_t *bytes;
    size_t size;
    struct graph *graph = build(row), *again;
    ck_assert_ok(onnx_write_graph(arena, graph, "test", &bytes, &size, &err), &err);
    ck_assert_ok(model_import(arena, bytes, size, &again, NULL, &err), &err);
    int64_t inputs = tensor_elements(&graph->tensors[graph->input], SAMPLES);
    int64_t outputs = tensor_elements(&graph->tensors[graph->output], SAMPLES);
    const float *input = graph_run_values(arena, inputs, 5);
    graph_run_compare(graph_run(arena, again, input, SAMPLES),
                      graph_run(arena, graph, input, SAMPLES), outputs, 1e-5);
}

START_TEST(what_is_written_computes_the_same_when_it_is_read)
{
    check_round_trip(&sketch_cases_plain.rows[_i]);
}
END_TEST

START_TEST(maps_that_are_cut_or_enlarged_are_read_again)
{
    check_round_trip(&sketch_cases_maps.rows[_i]);
}
END_TEST

/* A ConvTranspose alone, quantized per channel. */
static struct quant_network *transposed(int64_t K, int64_t group)
{
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 8},
                                    .input_bits = 8,
                                    .per_channel = true};
    struct sketch sketch;
    struct quant_network *network;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 3, 3));
    int weight = sketch_constant(&sketch, "weight", SKETCH(4, K / group, 2, 3));
    int bias = sketch_constant(&sketch, "bias", SKETCH(K));
    sketch_int(&sketch, "group", group);
    int y = sketch_node(&sketch, "ConvTranspose", "y", x, weight, bias, SKETCH_END);
    ck_assert_ok(quant_network_create(arena, sketch_finish(&sketch, y), &options, &network, &err),
                 &err);
    ck_assert_ok(quantizer_set_range(&network->activations[0].quantizer, 0, -1.0, 1.0, &err), &err);
    struct quant_layer *layer = &network->layers[0];
    for (int64_t k = 0; k < K; k++)
        ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -1.0, 0.8 + 0.1 * (double)k, &err),
                     &err);
    quant_layer_round(layer);
    return network;
}

static const Onnx__TensorProto *find_codes(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strncmp(graph->initializer[i]->name, "weight", 6) == 0 &&
            strstr(graph->initializer[i]->name, "codes") != NULL)
            return graph->initializer[i];
    ck_abort_msg("there are no codes of 'weight'");
    return NULL;
}

/* Law: the codes lie as (C/G, K, R, S), taps as the file had them: mirrored against those that the
 * program computes with; the scales are on axis 1. Several groups are parted behind that. */
START_TEST(codes_of_a_transposed_convolution_have_their_channels_on_axis_1)
{
    int64_t group = _i + 1, K = 6, C = 4 / group;
    const uint8_t *bytes;
    size_t size;
    struct quant_network *network = transposed(K, group);
    ck_assert_ok(onnx_write_network(arena, network, "test", &bytes, &size, &err), &err);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    ck_assert_ptr_nonnull(model);
    const Onnx__TensorProto *codes = find_codes(model->graph);
    const int64_t dims[] = {C, K, 2, 3};
    ck_assert_uint_eq(codes->n_dims, 4);
    ck_assert_mem_eq(codes->dims, dims, sizeof(dims));
    for (int64_t c = 0; c < C; c++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t tap = 0; tap < 6; tap++)
                ck_assert_int_eq((int8_t)codes->raw_data.data[(c * K + k) * 6 + tap],
                                 network->layers[0].codes[(k * 6 + 5 - tap) * C + c]);
    size_t reshapes = 0;
    for (size_t i = 0; i < model->graph->n_node; i++) {
        const Onnx__NodeProto *node = model->graph->node[i];
        reshapes += strcmp(node->op_type, "Reshape") == 0;
        if (strcmp(node->output[0], "weight") == 0)
            ck_assert_int_eq(node->attribute[0]->i, 1);
    }
    ck_assert_uint_eq(reshapes, group > 1 ? 2 : 0);
    onnx__model_proto__free_unpacked(model, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx_round_trip");
    TCase *tests = tcase_create("round trip");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, what_is_written_computes_the_same_when_it_is_read, 0,
                        sketch_cases_plain.count);
    tcase_add_loop_test(tests, maps_that_are_cut_or_enlarged_are_read_again, 0,
                        sketch_cases_maps.count);
    tcase_add_loop_test(tests, codes_of_a_transposed_convolution_have_their_channels_on_axis_1, 0,
                        2);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
