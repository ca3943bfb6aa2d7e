#include "spec_rules.h"

#include "ptqd/json/params.h"

static bool parse_rule(struct arena *arena, const struct json *object, struct layer_rule *out_rule,
                       struct error *err)
{
    struct layer_rule rule = {.match = ""};
    if (!json_params_read_given(arena, object, layer_rule_table(), &rule, &rule.given, err))
        return false;
    if (json_find(object, "match") == NULL) {
        FAIL(err, E_INVALID,
             "match must be given: the name of a layer, a pattern, \"first\" or \"last\"");
        return json_error_missing(object, "match", err);
    }
    *out_rule = rule;
    return true;
}

bool spec_rules_parse(struct arena *arena, const struct json *list, struct layer_rule **out_rules,
                      size_t *out_count, struct error *err)
{
    size_t count = json_count(list), done = 0;
    if (list != NULL && !json_expect(list, JSON_ARRAY, err))
        return false;
    if (count > LAYER_RULES_MAX) {
        FAIL(err, E_INVALID, "%zu rules for layers; a pipeline may have %d", count,
             (int)LAYER_RULES_MAX);
        return json_error_at(list, err);
    }
    struct layer_rule *rules = ARENA_ARRAY(arena, struct layer_rule, count, err);
    if (rules == NULL)
        return false;
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v)) {
        if (!parse_rule(arena, v, &rules[done++], err))
            return false;
    }
    *out_rules = rules;
    *out_count = count;
    return true;
}

void spec_rules_print(struct json *pipeline, const struct layer_rule *rules, size_t count)
{
    struct json *list = json_add_array(pipeline, "layers");
    for (size_t i = 0; i < count; i++)
        json_params_print_given(json_add_object(list, NULL), layer_rule_table(), &rules[i],
                                rules[i].given);
}
