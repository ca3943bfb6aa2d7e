/* What is listed here is what changed meaning (onnx/docs/Changelog.md). An attribute that moved to
 * an input, or that older sets lack, is read by the operator itself. */

#include "ptqd/nn/onnx_versions.h"

#include "onnx.pb-c.h"

#include <inttypes.h>
#include <string.h>

enum rule_kind {
    RULE_WITHOUT,  /* the attribute may not be given */
    RULE_WITH,     /* the attribute must be given */
    RULE_VALUE,    /* the integer attribute must have this value */
    RULE_ALL_ONES, /* every integer of the list must be 1 */
    RULE_INPUT,    /* input number `value` may not be given */
    RULE_OUTPUT,   /* output number `value` may not be given */
};

struct rule {
    const char *op_type;
    int64_t since, before; /* operator sets: since ≤ set < before */
    enum rule_kind kind;
    const char *attribute;
    int64_t value, fallback; /* RULE_VALUE: fallback is the attribute's default */
    const char *reason;
};

static const struct rule rules[] = {
    {"Add", 1, 7, RULE_WITHOUT, "axis", 0, 0, "broadcasting along an axis"},
    {"AveragePool", 19, INT64_MAX, RULE_ALL_ONES, "dilations", 0, 0, "a dilated average"},
    {"BatchNormalization", 1, 7, RULE_VALUE, "is_test", 1, 0, "statistics of the batch"},
    {"BatchNormalization", 7, 14, RULE_OUTPUT, "mean", 1, 0, "statistics of the batch"},
    {"BatchNormalization", 1, 9, RULE_VALUE, "spatial", 1, 1, "statistics per position"},
    {"Concat", 1, 4, RULE_WITH, "axis", 0, 0, "an implied axis"},
    {"Div", 1, 7, RULE_WITHOUT, "axis", 0, 0, "broadcasting along an axis"},
    {"Mul", 1, 7, RULE_WITHOUT, "axis", 0, 0, "broadcasting along an axis"},
    {"Pad", 1, 2, RULE_WITHOUT, "paddings", 0, 0, "the attribute of the first version"},
    {"Pad", 18, INT64_MAX, RULE_INPUT, "axes", 3, 0, "padding of some axes"},
    {"Reshape", 1, 5, RULE_WITHOUT, "shape", 0, 0, "the attribute of the first version"},
    {"Sub", 1, 7, RULE_WITHOUT, "axis", 0, 0, "broadcasting along an axis"},
};

static const Onnx__AttributeProto *find_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->name != NULL && strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    return NULL;
}

static bool all_ones(const Onnx__AttributeProto *attribute)
{
    for (size_t i = 0; attribute != NULL && i < attribute->n_ints; i++)
        if (attribute->ints[i] != 1)
            return false;
    return true;
}

static bool is_given(char *const *names, size_t count, int64_t index)
{
    return index < (int64_t)count && names[index][0] != '\0';
}

static bool obeys(const Onnx__NodeProto *node, const struct rule *rule)
{
    const Onnx__AttributeProto *attribute = find_attribute(node, rule->attribute);
    switch (rule->kind) {
    case RULE_WITHOUT:
        return attribute == NULL;
    case RULE_WITH:
        return attribute != NULL;
    case RULE_VALUE:
        return (attribute == NULL ? rule->fallback : attribute->i) == rule->value;
    case RULE_ALL_ONES:
        return all_ones(attribute);
    case RULE_INPUT:
        return !is_given(node->input, node->n_input, rule->value);
    case RULE_OUTPUT:
        return !is_given(node->output, node->n_output, rule->value);
    }
    return false;
}

bool onnx_versions_check(const struct Onnx__NodeProto *node, int64_t opset, struct error *err)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];
        if (strcmp(rule->op_type, node->op_type) != 0 || opset < rule->since ||
            opset >= rule->before || obeys(node, rule))
            continue;
        return FAIL(err, E_UNSUPPORTED, "in operator set %" PRId64 " its '%s' means %s", opset,
                    rule->attribute, rule->reason);
    }
    return true;
}
