#pragma once

/* The layer rules of a specification: "layers" of its pipeline. */

#include "ptqd/flow/pipeline.h"
#include "ptqd/json/json.h"

/* Reads the list (NULL: none). E_INVALID with pointer: more than LAYER_RULES_MAX rules, what is not
 * as layer_rule_table says, a rule without "match". */
bool spec_rules_parse(struct arena *arena, const struct json *list, struct layer_rule **out_rules,
                      size_t *out_count, struct error *err);

/* Adds the list to a pipeline, with what was given; it reads back as the same rules. */
void spec_rules_print(struct json *pipeline, const struct layer_rule *rules, size_t count);
