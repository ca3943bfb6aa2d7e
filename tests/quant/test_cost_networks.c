/* Costs of the four reference networks, against the values computed from the model code of MLPerf
 * Tiny (mlcommons/tiny, benchmark/training): weights, biases, MACs, quantized layers, largest
 * tensor and most elements alive, and bit operations with every layer at the same widths. */

#include "ptqd/quant/cost.h"

#include "ptqd/base/file.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/model.h"

#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTHS = 6, MODEL_BYTES_MAX = 64 << 20 };

static const struct widths {
    int weights, activations;
} widths[WIDTHS] = {{8, 8}, {4, 8}, {4, 4}, {2, 8}, {2, 4}, {2, 2}};

static const struct reference {
    const char *model;
    int64_t weights, biases, macs;
    int layers;
    int64_t max_tensor, peak_elements;
    double mega_bops[WIDTHS]; /* to two decimals; 0: not known */
    int64_t weight_bytes;     /* at 8 bits, biases int32 */
} references[] = {
    {"cifar10/model.onnx",
     77360,
     346,
     12501632,
     10,
     16384,
     49152,
     {800.10, 400.05, 200.03, 200.03, 100.01, 50.01},
     78744},
    {"kws/model.onnx",
     22016,
     588,
     2656768,
     10,
     8000,
     16000,
     {170.03, 85.02, 42.51, 42.51, 21.25, 10.63},
     24368},
    {"vww/model.onnx",
     208112,
     2738,
     7489664,
     28,
     36864,
     55296,
     {479.34, 239.67, 119.83, 119.83, 59.92, 29.96},
     219064},
    {"ad/model.onnx", 264192, 1672, 264192, 10, 640, 768, {0}, 264192 + 4 * 1672},
};

enum { REFERENCES = sizeof(references) / sizeof(references[0]) };

static struct graph *read_folded(struct arena *arena, const char *model)
{
    struct error err;
    char path[512], *bytes;
    size_t size;
    struct graph *graph, *folded;
    ck_assert_ptr_nonnull(support_data_path(model, path, sizeof(path)));
    ck_assert_ok(file_read(arena, path, MODEL_BYTES_MAX, &bytes, &size, &err), &err);
    ck_assert_ok(model_import(arena, (const uint8_t *)bytes, size, &graph, NULL, &err), &err);
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    return folded;
}

static void check_common(const struct cost *cost, const struct reference *reference)
{
    ck_assert_int_eq(cost->weights, reference->weights);
    ck_assert_int_eq(cost->biases, reference->biases);
    ck_assert_int_eq(cost->macs, reference->macs);
    ck_assert_int_eq(cost->layer_count, reference->layers);
    ck_assert_int_eq(cost->max_tensor_elements, reference->max_tensor);
    ck_assert_int_eq(cost->peak_elements, reference->peak_elements);
}

START_TEST(the_float_network_has_the_reference_costs)
{
    struct error err;
    struct arena *arena = arena_create(0);
    const struct reference *reference = &references[_i];
    struct cost cost;
    ck_assert_ok(cost_of_graph(arena, read_folded(arena, reference->model), &cost, &err), &err);
    check_common(&cost, reference);
    ck_assert_int_eq(cost.peak_activation_bytes, 4 * reference->peak_elements);
    ck_assert_int_eq(cost.weight_bytes, 4 * (reference->weights + reference->biases));
    arena_destroy(arena);
}
END_TEST

START_TEST(every_width_has_the_reference_costs)
{
    const double half_a_digit = 0.005 + 1e-9;
    struct error err;
    struct arena *arena = arena_create(0);
    const struct reference *reference = &references[_i];
    struct graph *folded = read_folded(arena, reference->model);
    for (int i = 0; i < WIDTHS; i++) {
        struct quant_options options = {
            .weights = {.bits = widths[i].weights, .symmetric = true},
            .activations = {.bits = widths[i].activations},
            .input_bits = widths[i].activations,
            .per_channel = true,
        };
        struct quant_network *network;
        struct cost cost;
        ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
        ck_assert_ok(cost_of_network(arena, network, &cost, &err), &err);
        check_common(&cost, reference);
        ck_assert_int_eq(cost.peak_activation_bytes,
                         reference->peak_elements * widths[i].activations / 8);
        ck_assert_double_eq(cost.bops,
                            (double)reference->macs * widths[i].weights * widths[i].activations);
        if (reference->mega_bops[i] > 0)
            ck_assert_double_eq_tol(cost.bops / 1e6, reference->mega_bops[i], half_a_digit);
        if (widths[i].weights == 8)
            ck_assert_int_eq(cost.weight_bytes, reference->weight_bytes);
    }
    arena_destroy(arena);
}
END_TEST

int main(void)
{
    char path[512];
    for (int i = 0; i < REFERENCES; i++)
        if (!support_data_path(references[i].model, path, sizeof(path)))
            return SUPPORT_SKIP;
    Suite *suite = suite_create("cost of networks");
    TCase *tests = tcase_create("networks");
    tcase_add_loop_test(tests, the_float_network_has_the_reference_costs, 0, REFERENCES);
    tcase_add_loop_test(tests, every_width_has_the_reference_costs, 0, REFERENCES);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
