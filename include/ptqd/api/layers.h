#pragma once

/* The layers of a run, from its stored result (api/result.h): what GET /v1/runs/{id}/layers answers
 * and `ptqd run` writes. */

#include "ptqd/base/text.h"
#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"

extern const struct schema layers_schema; /* with the "run" that they are of */

/* Adds "sensitivity" (null when it was not measured) and "layers". */
void layers_add(struct json *object, const struct json *result);

/* One line per layer: bits and signal-to-noise ratios, and, where sensitivity was measured, what
 * its weights and its input cost alone, with the worst quantizer marked; then the same of what only
 * sums read. Sentences below say what the columns are and which layer breaks the network, by what.
 */
bool layers_markdown(const struct json *result, struct text *text, struct error *err);
