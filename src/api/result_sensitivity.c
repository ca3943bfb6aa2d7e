#include "result_sensitivity.h"

#include "ptqd/flow/sensitivity.h"

#include <math.h>

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
