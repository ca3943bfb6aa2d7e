#include "ptqd/api/result.h"

#include "result_sensitivity.h"

#include <math.h>
#include <string.h>

static void add_cost_layer(struct json *layer, const struct cost_layer *cost)
{
    json_add_string(layer, "name", cost->name);
    json_add_string(layer, "op", cost->op);
    json_add_integer(layer, "macs", cost->macs);
    json_add_integer(layer, "parameters", cost->weights + cost->biases);
    json_add_integer(layer, "weight_bits", cost->weight_bits);
    json_add_integer(layer, "input_bits", cost->input_bits);
    json_add_number(layer, "bops", cost->bops);
    json_add_number(layer, "bops_extended", cost->bops_extended);
    json_add_integer(layer, "weight_bytes", cost->weight_bytes);
    json_add_integer(layer, "flash_bytes", cost->flash_bytes);
    json_add_integer(layer, "live_bytes", cost->live_bytes);
}

static void add_quality(struct json *layer, const struct run_layer *quality)
{
    json_add_number(layer, "weight_sqnr_db", quality->weight_sqnr_db);
    json_add_number(layer, "input_sqnr_db", quality->input_sqnr_db);
    json_add_number(layer, "output_sqnr_before_db", quality->output_sqnr_before_db);
    json_add_number(layer, "output_sqnr_after_db", quality->output_sqnr_after_db);
    json_add_number(layer, "output_sqnr_final_db", quality->output_sqnr_final_db);
    json_add_number(layer, "input_scale", (double)quality->input_scale);
    if (isnan(quality->input_scale))
        json_add_null(layer, "input_zero_point");
    else
        json_add_integer(layer, "input_zero_point", quality->input_zero_point);
    struct json *scales = json_add_array(layer, "weight_scales");
    for (int64_t i = 0; i < quality->weight_channels; i++)
        json_add_number(scales, NULL, (double)quality->weight_scales[i]);
    if (quality->weight_zero_points == NULL) {
        json_add_null(layer, "weight_zero_points");
        return;
    }
    struct json *zero_points = json_add_array(layer, "weight_zero_points");
    for (int64_t i = 0; i < quality->weight_channels; i++)
        json_add_integer(zero_points, NULL, quality->weight_zero_points[i]);
}

static const struct schema_member layer_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"op", .type = SCHEMA_STRING},
    {"macs", .type = SCHEMA_INTEGER},
    {"parameters", .type = SCHEMA_INTEGER},
    {"weight_bits", .type = SCHEMA_INTEGER},
    {"input_bits", .type = SCHEMA_INTEGER},
    {"bops", .type = SCHEMA_NUMBER, .help = "MACs times both widths"},
    {"bops_extended", .type = SCHEMA_NUMBER, .help = "With the width of the sums"},
    {"weight_bytes", .type = SCHEMA_INTEGER, .help = "Of packed weights"},
    {"flash_bytes", .type = SCHEMA_INTEGER, .help = "With quantization parameters and biases"},
    {"live_bytes", .type = SCHEMA_INTEGER, .help = "Of activations while it is executed"},
    {"weight_sqnr_db", .type = SCHEMA_NUMBER, .null = true, .optional = true},
    {"input_sqnr_db", .type = SCHEMA_NUMBER, .null = true, .optional = true},
    {"output_sqnr_before_db", .type = SCHEMA_NUMBER, .null = true, .optional = true,
     .help = "With weights rounded to nearest"},
    {"output_sqnr_after_db", .type = SCHEMA_NUMBER, .null = true, .optional = true,
     .help = "When they were solved for"},
    {"output_sqnr_final_db", .type = SCHEMA_NUMBER, .null = true, .optional = true,
     .help = "In the finished network"},
    {"input_scale", .type = SCHEMA_NUMBER, .null = true, .optional = true},
    {"input_zero_point", .type = SCHEMA_INTEGER, .null = true, .optional = true},
    {"weight_scales", .type = SCHEMA_NUMBER, .list = true, .optional = true, .help = "By channel"},
    {"weight_zero_points", .type = SCHEMA_INTEGER, .list = true, .null = true, .optional = true,
     .help = "By channel; null: all are 0"},
    {"sensitivity", .type = SCHEMA_OBJECT, .of = &layer_sensitivity_schema, .optional = true,
     .help = "There when it was measured"},
    {0},
};
const struct schema layer_schema = {
    .name = "Layer",
    .help = "A layer of a run: costs and signal-to-noise ratios; the latter of layers with weights",
    .members = layer_members,
};

static void add_layers(struct json *object, const struct run_result *result)
{
    struct json *layers = json_add_array(object, "layers");
    for (int i = 0; i < result->cost.layer_count; i++) {
        struct json *layer = json_add_object(layers, NULL);
        add_cost_layer(layer, &result->cost.layers[i]);
        if (i < result->layer_count)
            add_quality(layer, &result->layers[i]);
        if (i < result->layer_count && result->sensitivity != NULL)
            add_layer_sensitivity(layer, result, i);
    }
}

static const struct schema_member cost_members[] = {
    {"macs", .type = SCHEMA_INTEGER},
    {"bops", .type = SCHEMA_NUMBER, .help = "MACs times both widths"},
    {"bops_extended", .type = SCHEMA_NUMBER, .help = "With the width of the sums"},
    {"parameters", .type = SCHEMA_INTEGER},
    {"weight_bytes", .type = SCHEMA_INTEGER, .help = "Of packed weights"},
    {"flash_bytes", .type = SCHEMA_INTEGER, .help = "With quantization parameters and biases"},
    {"peak_bytes", .type = SCHEMA_INTEGER,
     .help = "Weights and the largest sum of live activations"},
    {"peak_activation_bytes", .type = SCHEMA_INTEGER},
    {"peak_activation_elements", .type = SCHEMA_INTEGER},
    {"largest_tensor_elements", .type = SCHEMA_INTEGER},
    {"peak_layer", .type = SCHEMA_STRING, .null = true, .help = "The layer where the peak is"},
    {0},
};
const struct schema cost_schema = {
    .name = "Cost",
    .help = "What a network takes",
    .members = cost_members,
};

static void add_cost(struct json *object, const char *key, const struct cost *cost)
{
    struct json *total = json_add_object(object, key);
    json_add_integer(total, "macs", cost->macs);
    json_add_number(total, "bops", cost->bops);
    json_add_number(total, "bops_extended", cost->bops_extended);
    json_add_integer(total, "parameters", cost->weights + cost->biases);
    json_add_integer(total, "weight_bytes", cost->weight_bytes);
    json_add_integer(total, "flash_bytes", cost->flash_bytes);
    json_add_integer(total, "peak_bytes", cost->peak_bytes);
    json_add_integer(total, "peak_activation_bytes", cost->peak_activation_bytes);
    json_add_integer(total, "peak_activation_elements", cost->peak_elements);
    json_add_integer(total, "largest_tensor_elements", cost->max_tensor_elements);
    json_add_string(total, "peak_layer", cost->peak_layer);
}

static void add_seconds(struct json *object, const struct run_result *result)
{
    struct json *seconds = json_add_object(object, "seconds");
    json_add_number(seconds, "total", result->seconds);
    for (int i = 0; i < result->step_count; i++)
        json_add_number(seconds, result->steps[i].name, result->steps[i].seconds);
}

static void add_memory(struct json *object, const struct run_result *result)
{
    struct json *memory = json_add_object(object, "memory");
    json_add_integer(memory, "predicted_bytes", (int64_t)result->predicted_bytes);
    json_add_integer(memory, "spilled_bytes", (int64_t)result->spilled_bytes);
}

const char *result_print(const struct run_result *result, struct arena *arena, struct error *err)
{
    struct json *object = json_object(arena);
    json_add_number(object, "float_accuracy", result->float_accuracy);
    json_add_number(object, "accuracy", result->accuracy);
    json_add_number(object, "loss", result->loss);
    json_add_number(object, "agreement", result->agreement);
    json_add_number(object, "output_sqnr_db", result->output_sqnr_db);
    json_add_integer(object, "calibration_samples", result->calibration_samples);
    json_add_integer(object, "evaluation_samples", result->evaluation_samples);
    add_seconds(object, result);
    add_memory(object, result);
    add_cost(object, "float_cost", &result->float_cost);
    add_cost(object, "cost", &result->cost);
    if (result->sensitivity != NULL)
        add_sensitivity(object, result);
    add_layers(object, result);
    return json_print_string(object, arena, NULL, err);
}

/* A number, or NaN for null. */
static bool read_number(const struct json *object, const char *key, double *out, struct error *err)
{
    const struct json *value;
    if (!json_member(object, key, &value, err))
        return false;
    *out = (double)NAN;
    return json_type(value) == JSON_NULL || json_as_number(value, -HUGE_VAL, HUGE_VAL, out, err);
}

bool result_read(const char *text, struct arena *arena, struct result_summary *out_summary,
                 struct error *err)
{
    /* What this program wrote: as large as the network's layers and channels make it. */
    static const struct json_limits limits = {.bytes = (size_t)256 << 20,
                                              .depth = 16,
                                              .values = 4 * 1000 * 1000};
    struct json *object;
    const struct json *seconds;
    struct result_summary summary;
    if (!json_parse(arena, text, strlen(text), &limits, &object, err) ||
        !read_number(object, "float_accuracy", &summary.float_accuracy, err) ||
        !read_number(object, "accuracy", &summary.accuracy, err) ||
        !read_number(object, "loss", &summary.loss, err) ||
        !read_number(object, "agreement", &summary.agreement, err) ||
        !read_number(object, "output_sqnr_db", &summary.output_sqnr_db, err) ||
        !json_member(object, "seconds", &seconds, err) ||
        !read_number(seconds, "total", &summary.seconds, err) ||
        !json_member(object, "float_cost", &summary.float_cost, err) ||
        !json_member(object, "cost", &summary.cost, err))
        return error_context(err, "the result of a run");
    *out_summary = summary;
    return true;
}
