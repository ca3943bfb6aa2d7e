/* Constant: its output is the value of one attribute. The node goes away when the graph is
 * finished.
 *
 * Opset 1 has `value` only; 12 added value_float(s) and value_int(s), 11 sparse_value. */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

static struct shape list_shape(size_t count)
{
    return (struct shape){.rank = 1, .dim = {(int64_t)count}};
}

/* One attribute into the output tensor. */
static bool take_value(struct graph *graph, const struct attribute *value, struct tensor *output,
                       struct error *err)
{
    struct arena *arena = graph->arena;
    switch (value->type) {
    case ATTRIBUTE_TENSOR:
        output->type = graph->tensors[value->tensor].type;
        output->shape = graph->tensors[value->tensor].shape;
        output->values = graph->tensors[value->tensor].values;
        output->integers = graph->tensors[value->tensor].integers;
        return true;
    case ATTRIBUTE_FLOAT:
        output->shape = (struct shape){.rank = 0};
        output->values = arena_memdup(arena, &(float){(float)value->real}, sizeof(float), err);
        return output->values != NULL;
    case ATTRIBUTE_INT:
        output->type = TENSOR_I64;
        output->shape = (struct shape){.rank = 0};
        output->integers = arena_memdup(arena, &value->integer, sizeof(int64_t), err);
        return output->integers != NULL;
    case ATTRIBUTE_FLOATS:
        output->shape = list_shape(value->count);
        output->values = value->reals;
        return shape_check(&output->shape, output->name, err);
    case ATTRIBUTE_INTS:
        output->type = TENSOR_I64;
        output->shape = list_shape(value->count);
        output->integers = value->integers;
        return true;
    case ATTRIBUTE_STRING:
        break;
    }
    return FAIL(err, E_UNSUPPORTED, "attribute '%s' is a string; only numbers are supported",
                value->name);
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    static const char *const names[] = {"value",     "value_float", "value_floats",
                                        "value_int", "value_ints",  "value_string"};
    if (!infer_counts(node, 0, 0, err))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct attribute *value = node_attribute(node, names[i]);
        if (value == NULL)
            continue;
        struct tensor output = graph->tensors[node->outputs[0]];
        output.type = TENSOR_F32;
        if (!take_value(graph, value, &output, err))
            return false;
        graph->tensors[node->outputs[0]] = output;
        return true;
    }
    return FAIL(err, E_UNSUPPORTED,
                "none of value, value_float, value_floats, value_int and value_ints is given");
}

const struct op op_constant = {
    .name = "Constant",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .limits = "float32 and integer values, not sparse, no strings",
};
