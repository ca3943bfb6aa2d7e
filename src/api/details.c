/* Details of runs as JSON. */

#include "ptqd/api/details.h"

#include "ptqd/json/json.h"

#include <stdio.h>
#include <stdlib.h>

static const struct schema_member memory_tensor_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"bytes", .type = SCHEMA_INTEGER},
    {0},
};
static const struct schema memory_tensor_schema = {
    .name = "MemoryTensor",
    .help = "A tensor in memory",
    .members = memory_tensor_members,
};
static const struct schema_member memory_step_members[] = {
    {"node", .type = SCHEMA_STRING},
    {"op", .type = SCHEMA_STRING},
    {"bytes", .type = SCHEMA_INTEGER, .help = "Of all tensors, packed"},
    {"float_bytes", .type = SCHEMA_INTEGER, .help = "Of all tensors, in float"},
    {"tensors", .type = SCHEMA_OBJECT, .of = &memory_tensor_schema, .list = true},
    {0},
};
static const struct schema memory_step_schema = {
    .name = "MemoryStep",
    .help = "The activations in memory while a node runs",
    .members = memory_step_members,
};
static const struct schema_member memory_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"peak_bytes", .type = SCHEMA_INTEGER, .help = "Of the weights and the largest step"},
    {"weight_bytes", .type = SCHEMA_INTEGER},
    {"peak_node", .type = SCHEMA_STRING},
    {"steps", .type = SCHEMA_OBJECT, .of = &memory_step_schema, .list = true},
    {0},
};
const struct schema memory_schema = {
    .name = "RunMemory",
    .help = "Memory over the execution order",
    .members = memory_members,
};

static void add_step(struct json *list, const struct memory_step *step)
{
    struct json *object = json_add_object(list, NULL);
    json_add_string(object, "node", step->node);
    json_add_string(object, "op", step->op);
    json_add_integer(object, "bytes", step->bytes);
    json_add_integer(object, "float_bytes", step->float_bytes);
    struct json *tensors = json_add_array(object, "tensors");
    for (int i = 0; i < step->tensor_count; i++) {
        struct json *tensor = json_add_object(tensors, NULL);
        json_add_string(tensor, "name", step->tensors[i].name);
        json_add_integer(tensor, "bytes", step->tensors[i].bytes);
    }
}

static bool add_memory(struct json *object, const struct run_result *result, struct arena *arena,
                       struct error *err)
{
    (void)arena, (void)err; /* what fails is told when the object is printed */
    json_add_integer(object, "peak_bytes", result->cost.peak_bytes);
    json_add_integer(object, "weight_bytes", result->cost.weight_bytes);
    json_add_string(object, "peak_node", result->cost.peak_layer);
    struct json *steps = json_add_array(object, "steps");
    for (int i = 0; i < result->memory.step_count; i++)
        add_step(steps, &result->memory.steps[i]);
    return true;
}

/* Six digits are more than the eye sees of a curve, and a third of the bytes. */
static double rounded(double value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%.6g", value); /* fits */
    return strtod(text, NULL);
}

static const struct schema_member loss_point_members[] = {
    {"iteration", .type = SCHEMA_INTEGER},
    {"loss", .type = SCHEMA_NUMBER},
    {0},
};
static const struct schema loss_point_schema = {
    .name = "LossPoint",
    .help = "The loss after so many iterations",
    .members = loss_point_members,
};
static const struct schema_member loss_unit_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"variable", .type = SCHEMA_STRING, .help = "What was optimized"},
    {"solver", .type = SCHEMA_STRING, .help = "How, which says what the loss is"},
    {"points", .type = SCHEMA_OBJECT, .of = &loss_point_schema, .list = true},
    {0},
};
static const struct schema loss_unit_schema = {
    .name = "LossUnit",
    .help = "The losses of a unit",
    .members = loss_unit_members,
};
static const struct schema_member losses_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"units", .type = SCHEMA_OBJECT, .of = &loss_unit_schema, .list = true},
    {0},
};
const struct schema losses_schema = {
    .name = "RunLosses",
    .help = "The loss of each unit over its iterations",
    .members = losses_members,
};

static bool add_losses(struct json *object, const struct run_result *result, struct arena *arena,
                       struct error *err)
{
    (void)arena, (void)err; /* what fails is told when the object is printed */
    struct json *units = json_add_array(object, "units");
    for (int i = 0; i < result->loss_count; i++) {
        const struct run_loss *loss = &result->losses[i];
        struct json *unit = json_add_object(units, NULL);
        json_add_string(unit, "name", loss->name);
        json_add_string(unit, "variable", loss->variable);
        json_add_string(unit, "solver", loss->solver);
        struct json *points = json_add_array(unit, "points");
        for (int j = 0; j < loss->count; j++) {
            struct json *point = json_add_object(points, NULL);
            json_add_integer(point, "iteration", loss->iterations[j]);
            json_add_number(point, "loss", rounded((double)loss->values[j]));
        }
    }
    return true;
}

static const struct schema_member histogram_members[] = {
    {"low", .type = SCHEMA_NUMBER, .null = true, .help = "The smallest value"},
    {"high", .type = SCHEMA_NUMBER, .null = true, .help = "The largest value"},
    {"counts", .type = SCHEMA_INTEGER, .list = true, .help = "In bins of equal width"},
    {"scale", .type = SCHEMA_NUMBER, .null = true, .help = "In the middle of those of channels"},
    {"zero_point", .type = SCHEMA_INTEGER, .null = true},
    {"code_low", .type = SCHEMA_INTEGER, .null = true},
    {"code_high", .type = SCHEMA_INTEGER, .null = true},
    {"scales_low", .type = SCHEMA_NUMBER, .null = true},
    {"scales_high", .type = SCHEMA_NUMBER, .null = true},
    {0},
};
static const struct schema histogram_schema = {
    .name = "Histogram",
    .help = "How float values are distributed, and their quantizer, with nulls for none",
    .members = histogram_members,
};
static const struct schema_member layer_histograms_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"weights", .type = SCHEMA_OBJECT, .of = &histogram_schema},
    {"activations", .type = SCHEMA_OBJECT, .of = &histogram_schema, .help = "At its input"},
    {0},
};
static const struct schema layer_histograms_schema = {
    .name = "LayerHistograms",
    .help = "Weights and input of a layer",
    .members = layer_histograms_members,
};
static const struct schema_member histograms_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"layers", .type = SCHEMA_OBJECT, .of = &layer_histograms_schema, .list = true},
    {0},
};
const struct schema histograms_schema = {
    .name = "RunHistograms",
    .help = "How the values of each layer are distributed",
    .members = histograms_members,
};

static int compare_channels(const void *a, const void *b)
{
    const float *left = *(const float *const *)a, *right = *(const float *const *)b;
    return (*left > *right) - (*left < *right);
}

/* The scales of a quantizer: the one in the middle with its zero point, and the ends; nulls in
 * float. */
static bool add_quantizer(struct json *object, const struct quantizer *quantizer,
                          struct arena *arena, struct error *err)
{
    static const char *const keys[] = {"scale",     "zero_point", "code_low",
                                       "code_high", "scales_low", "scales_high"};
    size_t count = quantizer != NULL ? (size_t)quantizer->channels : 0;
    for (size_t i = 0; count == 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
        json_add_null(object, keys[i]);
    if (count == 0)
        return true;
    const float **order = ARENA_ARRAY(arena, const float *, count, err);
    if (order == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        order[i] = &quantizer->scales[i];
    qsort(order, count, sizeof(*order), compare_channels);
    const float *middle = order[count / 2];
    json_add_number(object, "scale", rounded((double)*middle));
    json_add_integer(object, "zero_point", quantizer->zero_points[middle - quantizer->scales]);
    json_add_integer(object, "code_low", quantizer->low);
    json_add_integer(object, "code_high", quantizer->high);
    json_add_number(object, "scales_low", rounded((double)*order[0]));
    json_add_number(object, "scales_high", rounded((double)*order[count - 1]));
    return true;
}

static bool add_distribution(struct json *layer, const char *key,
                             const struct distribution *distribution,
                             const struct quantizer *quantizer, struct arena *arena,
                             struct error *err)
{
    struct json *object = json_add_object(layer, key);
    json_add_number(object, "low", rounded(distribution->low));
    json_add_number(object, "high", rounded(distribution->high));
    struct json *counts = json_add_array(object, "counts");
    for (int i = 0; i < DISTRIBUTION_BINS; i++)
        json_add_number(counts, NULL, distribution->counts[i]);
    return add_quantizer(object, quantizer, arena, err);
}

static bool add_histograms(struct json *object, const struct run_result *result,
                           struct arena *arena, struct error *err)
{
    struct json *layers = json_add_array(object, "layers");
    for (int i = 0; i < result->layer_count; i++) {
        const struct quant_layer *layer = &result->network->layers[i];
        const struct layer_distribution *values = &result->distributions[i];
        const struct quantizer *input =
            layer->activation < 0 ? NULL
                                  : &result->network->activations[layer->activation].quantizer;
        struct json *item = json_add_object(layers, NULL);
        json_add_string(item, "name", layer->name);
        if (!add_distribution(item, "weights", &values->weights, &layer->quantizer, arena, err) ||
            !add_distribution(item, "activations", &values->activations, input, arena, err))
            return false;
    }
    return true;
}

static const struct {
    const char *name;
    bool (*add)(struct json *object, const struct run_result *result, struct arena *arena,
                struct error *err);
} kinds[] = {
    {"memory", add_memory},
    {"losses", add_losses},
    {"histograms", add_histograms},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

bool details_print(const struct run_result *result, struct arena *arena,
                   struct run_detail **out_details, size_t *out_count, struct error *err)
{
    struct run_detail *details = ARENA_ARRAY(arena, struct run_detail, KINDS, err);
    if (details == NULL)
        return false;
    for (size_t i = 0; i < KINDS; i++) {
        struct json *object = json_object(arena);
        details[i].name = kinds[i].name;
        if (kinds[i].add(object, result, arena, err))
            details[i].value = json_print_string(object, arena, NULL, err);
        if (details[i].value == NULL)
            return error_context(err, "the %s of a run", kinds[i].name);
    }
    *out_details = details;
    *out_count = KINDS;
    return true;
}
