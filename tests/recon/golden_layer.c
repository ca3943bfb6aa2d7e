#include "golden_layer.h"

#include "support.h"

#include <string.h>

static void make_layer(struct golden_layer *golden, struct arena *arena,
                       const struct golden_data *data, struct error *err)
{
    struct quant_layer *layer = &golden->layer;
    size_t cells = (size_t)(data->K * data->D), rows = (size_t)data->K;
    *layer = (struct quant_layer){
        .name = "golden",
        .K = data->K,
        .D = data->D,
        .G = 1,
        .float_weights = data->weights,
        .codes = ARENA_ARRAY(arena, int8_t, cells, err),
        .weight_values = ARENA_ARRAY(arena, float, cells, err),
        .bias_values = ARENA_ARRAY(arena, float, rows, err),
    };
    struct quantizer_format format = {.bits = data->bits,
                                      .symmetric = !data->zero_points,
                                      .signed_codes = data->zero_points != NULL};
    ck_assert_ok(quantizer_create(arena, &format, data->K, &layer->quantizer, err), err);
    memcpy(layer->quantizer.scales, data->scales, rows * sizeof(float));
    if (data->zero_points)
        memcpy(layer->quantizer.zero_points, data->zero_points, rows * sizeof(int32_t));
    for (size_t i = 0; i < cells; i++)
        layer->codes[i] = (int8_t)layer->quantizer.zero_points[i / (size_t)data->D];
    quant_layer_decode(layer);
}

static void add_position(const struct golden_data *data, int64_t position, struct gram *gram,
                         struct linear_targets *targets)
{
    const float *x = data->inputs + position * data->D, *t = data->targets + position * data->K;
    for (int64_t i = 0; i < data->D; i++) {
        gram->sum_quantized[i] += (double)x[i];
        for (int64_t j = 0; j < data->D; j++)
            gram->inner[i * data->D + j] += (double)x[i] * (double)x[j];
    }
    for (int64_t k = 0; k < data->K; k++) {
        targets->sum[k] += (double)t[k];
        targets->squares[k] += (double)t[k] * (double)t[k];
        for (int64_t i = 0; i < data->D; i++)
            targets->products[k * data->D + i] += (double)t[k] * (double)x[i];
    }
}

void golden_layer_init(struct golden_layer *golden, struct arena *arena,
                       const struct golden_data *data)
{
    struct error err = {.message = ""};
    struct gram gram;
    struct linear_targets targets;
    make_layer(golden, arena, data, &err);
    ck_assert_ok(linear_gram_init(arena, &golden->layer, &gram, &err), &err);
    ck_assert_ok(linear_targets_init(arena, &golden->layer, &targets, &err), &err);
    gram.positions = data->positions;
    for (int64_t position = 0; position < data->positions; position++)
        add_position(data, position, &gram, &targets);
    ck_assert_ok(linear_problem_create(&gram, &golden->layer, &golden->problem, &err), &err);
    linear_problem_set_targets(&golden->problem, &targets);
}
