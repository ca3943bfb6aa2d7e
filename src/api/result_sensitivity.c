#include "result_sensitivity.h"

#include "ptqd/flow/sensitivity.h"

#include <math.h>

static const struct schema_member effect_members[] = {
    {"accuracy_drop", .type = SCHEMA_NUMBER, .null = true},
    {"agreement", .type = SCHEMA_NUMBER, .null = true},
    {"output_sqnr_db", .type = SCHEMA_NUMBER, .null = true, .help = "null: nothing changed"},
    {"divergence", .type = SCHEMA_NUMBER, .null = true, .help = "Of class probabilities, in nats"},
    {0},
};
static const struct schema effect_schema = {
    .name = "SensitivityEffect",
    .help = "What one quantizer alone does to the network",
    .members = effect_members,
};

static void add_numbers(struct json *object, const struct sensitivity_effect *effect)
{
    json_add_number(object, "accuracy_drop", effect->accuracy_drop);
    json_add_number(object, "agreement", effect->agreement);
    json_add_number(object, "output_sqnr_db", effect->output_sqnr_db);
    json_add_number(object, "divergence", effect->divergence);
}

static void add_effect(struct json *parent, const char *key,
                       const struct sensitivity_effect *effect)
{
    if (effect == NULL || isnan(effect->agreement))
        json_add_null(parent, key);
    else
        add_numbers(json_add_object(parent, key), effect);
}

static const struct schema_member layer_members[] = {
    {"weights", .type = SCHEMA_OBJECT, .of = &effect_schema, .null = true},
    {"input", .type = SCHEMA_OBJECT, .of = &effect_schema, .null = true},
    {0},
};
const struct schema layer_sensitivity_schema = {
    .name = "LayerSensitivity",
    .help = "What the quantizers of one layer do alone",
    .members = layer_members,
};

void add_layer_sensitivity(struct json *layer, const struct run_result *result, int index)
{
    const struct sensitivity *sensitivity = result->sensitivity;
    struct json *object = json_add_object(layer, "sensitivity");
    int activation = result->network->layers[index].activation;
    add_effect(object, "weights", &sensitivity->weights[index]);
    add_effect(object, "input", activation < 0 ? NULL : &sensitivity->activations[activation]);
}

/* The first layer that reads an activation; NULL when only sums do. */
static const char *reader_of(const struct quant_network *network, int activation)
{
    for (int i = 0; i < network->layer_count; i++)
        if (network->layers[i].activation == activation)
            return network->layers[i].name;
    return NULL;
}

static void add_sums(struct json *object, const struct run_result *result)
{
    const struct quant_network *network = result->network;
    struct json *sums = json_add_array(object, "sums");
    for (int i = 0; i < result->sensitivity->activation_count; i++) {
        const struct sensitivity_effect *effect = &result->sensitivity->activations[i];
        if (reader_of(network, i) != NULL || isnan(effect->agreement))
            continue;
        struct json *sum = json_add_object(sums, NULL);
        json_add_string(sum, "name", network->activations[i].name);
        add_numbers(sum, effect);
    }
}

static void add_worst(struct json *object, const struct run_result *result)
{
    const struct sensitivity *sensitivity = result->sensitivity;
    const struct quant_network *network = result->network;
    if (sensitivity->worst_part == SENSITIVE_NONE) {
        json_add_null(object, "worst");
        return;
    }
    struct json *worst = json_add_object(object, "worst");
    int index = sensitivity->worst;
    if (sensitivity->worst_part == SENSITIVE_WEIGHTS) {
        json_add_string(worst, "name", network->layers[index].name);
        json_add_string(worst, "part", "weights");
        return;
    }
    const char *reader = reader_of(network, index);
    json_add_string(worst, "name", reader != NULL ? reader : network->activations[index].name);
    json_add_string(worst, "part", reader != NULL ? "input" : "sum");
}

static const struct schema_member sum_members[] = {
    {"name", .type = SCHEMA_STRING, .help = "Of the tensor"},
    {0},
};
static const struct schema sum_schema = {
    .name = "SumSensitivity",
    .help = "What a quantizer does that only sums read",
    .members = sum_members,
    .base = &effect_schema,
};

static const char *const parts[] = {"weights", "input", "sum", NULL};
static const struct schema_member worst_members[] = {
    {"name", .type = SCHEMA_STRING, .help = "Of the layer, or of the tensor of a sum"},
    {"part", .type = SCHEMA_STRING, .choices = parts},
    {0},
};
static const struct schema worst_schema = {
    .name = "WorstQuantizer",
    .help = "The quantizer that leaves the largest error",
    .members = worst_members,
};

static const char *const sets[] = {"evaluation", "calibration", NULL};
static const struct schema_member sensitivity_members[] = {
    {"set", .type = SCHEMA_STRING, .choices = sets},
    {"samples", .type = SCHEMA_INTEGER},
    {"float_accuracy", .type = SCHEMA_NUMBER, .null = true},
    {"sums", .type = SCHEMA_OBJECT, .of = &sum_schema, .list = true},
    {"worst", .type = SCHEMA_OBJECT, .of = &worst_schema, .null = true},
    {0},
};
const struct schema sensitivity_schema = {
    .name = "Sensitivity",
    .help = "What each quantizer costs alone, and on what it was measured",
    .members = sensitivity_members,
};

void add_sensitivity(struct json *object, const struct run_result *result)
{
    const struct sensitivity *sensitivity = result->sensitivity;
    struct json *member = json_add_object(object, "sensitivity");
    json_add_string(member, "set", sensitivity->on_evaluation ? "evaluation" : "calibration");
    json_add_integer(member, "samples", sensitivity->samples);
    json_add_number(member, "float_accuracy", sensitivity->float_accuracy);
    add_sums(member, result);
    add_worst(member, result);
}
