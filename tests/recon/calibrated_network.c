#include "calibrated_network.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"

#include <math.h>
#include <string.h>

/* Executes the float network on all samples: its outputs, and how far each activation reaches. */
static void observe(struct calibrated_network *calibrated, struct arena *arena, double *reach)
{
    struct error err = {.message = ""};
    const struct quant_network *network = calibrated->network;
    const struct graph *folded = network->folded;
    struct exec *exec;
    struct exec_options batch = {.batch = 1, .gradients = true};
    float *input = ARENA_ARRAY(arena, float, SMALL_NETWORK_INPUTS, &err);
    ck_assert_ok(exec_create(folded, &batch, &exec, &err), &err);
    for (int64_t i = 0; i < CALIBRATED_SAMPLES; i++) {
        samples_read(&calibrated->samples, i, input);
        ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
        memcpy(calibrated->output + i * SMALL_NETWORK_CLASSES, exec_values(exec, folded->output),
               SMALL_NETWORK_CLASSES * sizeof(float));
        for (int a = 0; a < network->activation_count; a++) {
            int tensor = network->activations[a].input;
            const float *values = exec_values(exec, tensor);
            int64_t count = tensor_elements(&folded->tensors[tensor], 1);
            for (int64_t j = 0; j < count; j++)
                reach[a] = fmax(reach[a], fabs((double)values[j]));
        }
    }
    exec_destroy(exec);
}

static void round_layer(struct quant_layer *layer)
{
    struct error err = {.message = ""};
    for (int64_t k = 0; k < layer->K; k++) {
        float largest = 0.0f;
        for (int64_t d = 0; d < layer->D; d++)
            largest = fmaxf(largest, fabsf(layer->float_weights[k * layer->D + d]));
        ck_assert_ok(quantizer_set_range(&layer->quantizer, k, -(double)largest, (double)largest,
                                         &err),
                     &err);
    }
    quant_layer_round(layer);
}

void calibrated_network_init(struct calibrated_network *calibrated, struct arena *arena,
                             int weight_bits, int activation_bits)
{
    struct error err = {.message = ""};
    struct quant_options format = {
        .weights = {.bits = weight_bits, .symmetric = true},
        .activations = {.bits = activation_bits},
        .input_bits = 8,
        .per_channel = true,
    };
    struct graph *graph = small_network_create(arena, 1), *folded;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &calibrated->network, &err), &err);
    struct dataset *data = small_network_data(arena, graph, CALIBRATED_SAMPLES, false, 2);
    ck_assert_ok(samples_draw(arena, data, 0, NULL, &calibrated->samples, &err), &err);

    struct quant_network *network = calibrated->network;
    double *reach = ARENA_ARRAY(arena, double, network->activation_count, &err);
    calibrated->output = ARENA_ARRAY(arena, float, CALIBRATED_SAMPLES *SMALL_NETWORK_CLASSES, &err);
    calibrated->output_scales = ARENA_ARRAY(arena, double, network->layer_count, &err);
    observe(calibrated, arena, reach);
    for (int a = 0; a < network->activation_count; a++)
        ck_assert_ok(quantizer_set_range(&network->activations[a].quantizer, 0, -reach[a], reach[a],
                                         &err),
                     &err);
    for (int i = 0; i < network->layer_count; i++) {
        calibrated->output_scales[i] = 1.0;
        round_layer(&network->layers[i]);
    }
}
