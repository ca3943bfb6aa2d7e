/* Small graphs with every operator, for judge_sketches.mjs and check_models.py: writes each as ONNX
 * together with an input and what this program computes for it; once in float, once quantized.
 *
 *   export_sketches OUT
 *
 * OUT gets <name>.onnx, <name>.x.npy and <name>.y.npy for each sketch, and <name>.quantized.… */

#include "ptqd/artifact/onnx_writer.h"
#include "ptqd/base/file.h"
#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/npy.h"
#include "ptqd/quant/bias.h"

#include "sketch_cases.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 3 };

static const char *directory; /* OUT */

static void write_array(struct arena *arena, const char *name, const char *letter,
                        const struct tensor *tensor, const float *values)
{
    struct error err;
    struct shape shape = tensor->shape;
    uint8_t *bytes;
    size_t size;
    shape.dim[0] *= SAMPLES;
    const char *path = arena_printf(arena, &err, "%s/%s.%s.npy", directory, name, letter);
    ck_assert_ok(npy_encode(arena, "<f4", shape.rank, shape.dim, values, &bytes, &size, &err),
                 &err);
    ck_assert_ok(file_write(path, bytes, size, &err), &err);
}

static void write_model(struct arena *arena, const char *name, const uint8_t *bytes, size_t size)
{
    struct error err;
    const char *path = arena_printf(arena, &err, "%s/%s.onnx", directory, name);
    ck_assert_ok(file_write(path, bytes, size, &err), &err);
}

/* An input, and what the graph computes for it. */
static void write_values(struct arena *arena, const char *name, const struct graph *graph)
{
    struct error err;
    const struct tensor *input = &graph->tensors[graph->input];
    int64_t count = tensor_elements(input, SAMPLES);
    float *values = ARENA_ARRAY(arena, float, count, &err);
    struct rng rng;
    rng_init(&rng, 7, 0);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(&rng);
    struct exec *exec;
    struct exec_options options = {.batch = SAMPLES};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, values, SAMPLES, &err), &err);
    write_array(arena, name, "x", input, values);
    write_array(arena, name, "y", &graph->tensors[graph->output], exec_values(exec, graph->output));
    exec_destroy(exec);
}

/* The quantized network with ranges that the sketches' values are mostly in. */
static struct quant_network *quantize(struct arena *arena, const struct graph *graph)
{
    struct error err;
    struct graph *folded;
    struct quant_network *network;
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 6},
                                    .input_bits = 8,
                                    .per_channel = true};
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -2.1, 2.7, &err),
                     &err);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        for (int64_t k = 0; k < layer->quantizer.channels; k++)
            ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -1.0, 0.9 + 0.05 * (double)k,
                                             &err),
                         &err);
        quant_layer_round(layer);
    }
    ck_assert_ok(quant_network_round_biases(network, &err), &err);
    return network;
}

static struct graph *build(struct arena *arena, const struct sketch_case *row)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, row->opset);
    struct shape shape = {.rank = row->input[3] > 0 ? 4 : 3};
    memcpy(shape.dim, row->input, sizeof(row->input));
    int x = sketch_input(&sketch, "x", shape);
    return sketch_finish(&sketch, row->build(&sketch, x));
}

static void export(const struct sketch_case *row)
{
    struct error err;
    struct arena *arena = arena_create(0);
    struct graph *graph = build(arena, row);
    const uint8_t *bytes;
    size_t size;
    ck_assert_ok(onnx_write_graph(arena, graph, "test", &bytes, &size, &err), &err);
    write_model(arena, row->name, bytes, size);
    write_values(arena, row->name, graph);

    const char *name = arena_printf(arena, &err, "%s.quantized", row->name);
    struct quant_network *network = quantize(arena, graph);
    ck_assert_ok(onnx_write_network(arena, network, "test", &bytes, &size, &err), &err);
    write_model(arena, name, bytes, size);
    write_values(arena, name, network->graph);
    arena_destroy(arena);
}

START_TEST(an_operator_is_written)
{
    export(&sketch_cases_plain.rows[_i]);
}
END_TEST

START_TEST(an_operator_on_maps_is_written)
{
    export(&sketch_cases_maps.rows[_i]);
}
END_TEST

int main(int count, char **words)
{
    if (count != 2) {
        (void)fprintf(stderr, "usage: export_sketches OUT\n");
        return EXIT_FAILURE;
    }
    directory = words[1];
    Suite *suite = suite_create("export_sketches");
    TCase *tests = tcase_create("operators");
    tcase_add_loop_test(tests, an_operator_is_written, 0, sketch_cases_plain.count);
    tcase_add_loop_test(tests, an_operator_on_maps_is_written, 0, sketch_cases_maps.count);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
