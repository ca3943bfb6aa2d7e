#pragma once

/* Sensitivity as part of a result: of a layer, and of the network. */

#include "ptqd/flow/run.h"
#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"

extern const struct schema sensitivity_schema, layer_sensitivity_schema;

/* {"weights": effect, "input": effect} of layer `index`; an effect that was not measured is null.
 */
void add_layer_sensitivity(struct json *layer, const struct run_result *result, int index);

/* {"set", "samples", "float_accuracy", "sums": [{"name", effect…}], "worst": {"name", "part"}}. */
void add_sensitivity(struct json *object, const struct run_result *result);
