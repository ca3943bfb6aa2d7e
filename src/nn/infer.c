#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <string.h>

static const char *const attribute_type_names[] = {
    [ATTRIBUTE_INT] = "an integer",          [ATTRIBUTE_FLOAT] = "a float",
    [ATTRIBUTE_STRING] = "a string",         [ATTRIBUTE_INTS] = "a list of integers",
    [ATTRIBUTE_FLOATS] = "a list of floats", [ATTRIBUTE_TENSOR] = "a tensor",
};

/* The attribute in *out, NULL when the node has none; E_INVALID when it has another type. */
static bool find_typed(const struct node *node, const char *name, enum attribute_type type,
                       const struct attribute **out, struct error *err)
{
    const struct attribute *attribute = node_attribute(node, name);
    if (attribute != NULL && attribute->type != type)
        return FAIL(err, E_INVALID, "attribute '%s' is %s; it must be %s", name,
                    attribute_type_names[attribute->type], attribute_type_names[type]);
    *out = attribute;
    return true;
}

bool attribute_int(const struct node *node, const char *name, int64_t fallback, int64_t *out,
                   struct error *err)
{
    const struct attribute *attribute = NULL;
    if (!find_typed(node, name, ATTRIBUTE_INT, &attribute, err))
        return false;
    *out = attribute != NULL ? attribute->integer : fallback;
    return true;
}

bool attribute_real(const struct node *node, const char *name, float fallback, float *out,
                    struct error *err)
{
    const struct attribute *attribute = NULL;
    if (!find_typed(node, name, ATTRIBUTE_FLOAT, &attribute, err))
        return false;
    *out = attribute != NULL ? (float)attribute->real : fallback;
    return true;
}

bool attribute_string(const struct node *node, const char *name, const char *fallback,
                      const char **out, struct error *err)
{
    const struct attribute *attribute = NULL;
    if (!find_typed(node, name, ATTRIBUTE_STRING, &attribute, err))
        return false;
    *out = attribute != NULL ? attribute->string : fallback;
    return true;
}

bool attribute_ints(const struct node *node, const char *name, struct integer_list *out,
                    struct error *err)
{
    const struct attribute *attribute = NULL;
    if (!find_typed(node, name, ATTRIBUTE_INTS, &attribute, err))
        return false;
    *out = (struct integer_list){0};
    if (attribute != NULL)
        *out = (struct integer_list){.values = attribute->integers, .count = attribute->count};
    return true;
}

bool attribute_reals(const struct node *node, const char *name, struct real_list *out,
                     struct error *err)
{
    const struct attribute *attribute = NULL;
    if (!find_typed(node, name, ATTRIBUTE_FLOATS, &attribute, err))
        return false;
    *out = (struct real_list){0};
    if (attribute != NULL)
        *out = (struct real_list){.values = attribute->reals, .count = attribute->count};
    return true;
}

bool infer_has_input(const struct node *node, int input)
{
    return input >= 0 && input < node->input_count && node->inputs[input] != NODE_ABSENT;
}

bool infer_ints(const struct graph *graph, const struct node *node, const char *attribute,
                int input, struct integer_list *out, struct error *err)
{
    if (!infer_has_input(node, input))
        return attribute_ints(node, attribute, out, err);

    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    if (tensor->integers == NULL)
        return FAIL(err, E_UNSUPPORTED,
                    "input %d '%s' (%s) is computed or not int64; it must be a constant of "
                    "integers",
                    input, tensor->name, attribute);
    *out = (struct integer_list){.values = tensor->integers,
                                 .count = (size_t)shape_elements(&tensor->shape)};
    return true;
}

bool infer_scalar(const struct graph *graph, const struct node *node, const char *attribute,
                  int input, float fallback, float *out, struct error *err)
{
    if (!infer_has_input(node, input))
        return attribute_real(node, attribute, fallback, out, err);

    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    if (tensor->values == NULL || shape_elements(&tensor->shape) != 1)
        return FAIL(err, E_UNSUPPORTED,
                    "input %d '%s' (%s) is not a constant float32 scalar; it must be one", input,
                    tensor->name, attribute);
    *out = tensor->values[0];
    return true;
}

bool infer_input_counts(const struct node *node, int min, int max, struct error *err)
{
    if (node->input_count < min)
        return FAIL(err, E_INVALID, "%d inputs; at least %d are needed", node->input_count, min);
    if (node->input_count > max)
        return FAIL(err, E_INVALID, "%d inputs; at most %d are possible", node->input_count, max);
    for (int i = 0; i < min; i++)
        if (node->inputs[i] == NODE_ABSENT)
            return FAIL(err, E_INVALID, "input %d is not given; it is not optional", i);
    return true;
}

bool infer_counts(const struct node *node, int min, int max, struct error *err)
{
    if (!infer_input_counts(node, min, max, err))
        return false;
    if (node->output_count != 1 || node->outputs[0] == NODE_ABSENT)
        return FAIL(err, E_UNSUPPORTED, "%d outputs are used; only the first is supported",
                    node->output_count);
    return true;
}

bool infer_input(const struct graph *graph, const struct node *node, int input,
                 const struct tensor **out, struct error *err)
{
    if (!infer_has_input(node, input))
        return FAIL(err, E_INVALID, "input %d is not given; it is not optional", input);
    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    if (tensor->type != TENSOR_F32)
        return FAIL(err, E_UNSUPPORTED, "input %d '%s' is int64; only float32 is supported", input,
                    tensor->name);
    if (shape_is_empty_list(&tensor->shape))
        return FAIL(err, E_INVALID, "input %d '%s' is an empty list; it needs values", input,
                    tensor->name);
    *out = tensor;
    return true;
}

bool infer_output(struct graph *graph, const struct node *node, int output,
                  const struct shape *shape, struct error *err)
{
    struct tensor *tensor = &graph->tensors[node->outputs[output]];
    if (!shape_check(shape, tensor->name, err))
        return false;
    tensor->type = TENSOR_F32;
    tensor->shape = *shape;
    return true;
}

bool infer_axis(int64_t axis, int rank, int *out_axis, struct error *err)
{
    if (axis < -rank || axis >= rank)
        return FAIL(err, E_INVALID, "axis is %" PRId64 "; %d to %d are possible for %d axes", axis,
                    -rank, rank - 1, rank);
    *out_axis = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

/* The copy that an earlier node asked for; -1 when there is none. */
static int find_moved(const struct graph *graph, const char *name, const struct shape *shape)
{
    for (int i = 0; i < graph->tensor_count; i++) {
        const struct tensor *tensor = &graph->tensors[i];
        if (tensor->channels_last && tensor->values != NULL && shape_equal(&tensor->shape, shape) &&
            strcmp(tensor->name, name) == 0)
            return i;
    }
    return -1;
}

bool relayout_replace(struct graph *graph, struct node *node, int input, const struct shape *shape,
                      const float *values, const char *suffix, struct error *err)
{
    int index = node->inputs[input];
    struct tensor moved = graph->tensors[index];
    const char *name = arena_printf(graph->arena, err, "%s:%s", moved.name, suffix);
    if (name == NULL)
        return false;
    int found = find_moved(graph, name, shape);
    if (found >= 0) {
        node->inputs[input] = found;
        return true;
    }
    moved.channels_last = true;
    moved.shape = *shape;
    moved.values = values;
    if (graph_reader_count(graph, index) > 1) {
        moved.name = name;
        return graph_add_tensor(graph, &moved, false, &node->inputs[input], err);
    }
    graph->tensors[index] = moved;
    return true;
}

bool relayout_constant(struct graph *graph, struct node *node, int input, const int *perm,
                       const char *suffix, struct error *err)
{
    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    if (tensor->values == NULL)
        return FAIL(err, E_UNSUPPORTED, "input %d '%s' is computed; it must be a constant", input,
                    tensor->name);
    if (tensor->channels_last)
        return true;
    float *values = ARENA_ARRAY(graph->arena, float, shape_elements(&tensor->shape), err);
    if (values == NULL)
        return false;
    permute_f32(tensor->values, &tensor->shape, perm, values);
    struct shape shape = shape_permuted(&tensor->shape, perm);
    return relayout_replace(graph, node, input, &shape, values, suffix, err);
}

/* Replaces the attribute of this name, or adds it. */
static bool put_attribute(struct graph *graph, struct node *node, const struct attribute *attribute,
                          struct error *err)
{
    for (int i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, attribute->name) == 0) {
            node->attributes[i] = *attribute;
            return true;
        }

    struct attribute *attributes =
        ARENA_ARRAY(graph->arena, struct attribute, node->attribute_count + 1, err);
    if (attributes == NULL)
        return false;
    if (node->attribute_count > 0)
        memcpy(attributes, node->attributes, (size_t)node->attribute_count * sizeof(*attributes));
    attributes[node->attribute_count++] = *attribute;
    node->attributes = attributes;
    return true;
}

bool relayout_attribute_int(struct graph *graph, struct node *node, const char *name, int64_t value,
                            struct error *err)
{
    struct attribute attribute = {.name = name, .type = ATTRIBUTE_INT, .integer = value};
    return put_attribute(graph, node, &attribute, err);
}

bool relayout_attribute_reals(struct graph *graph, struct node *node, const char *name,
                              const float *values, size_t count, struct error *err)
{
    const float *kept = arena_memdup(graph->arena, values, count * sizeof(*values), err);
    struct attribute list = {.name = name, .type = ATTRIBUTE_FLOATS, .reals = kept, .count = count};
    return kept != NULL && put_attribute(graph, node, &list, err);
}

bool relayout_ints(struct graph *graph, struct node *node, const char *attribute, int input,
                   const int64_t *values, size_t count, struct error *err)
{
    const int64_t *kept = arena_memdup(graph->arena, values, count * sizeof(*values), err);
    if (kept == NULL)
        return false;
    if (!infer_has_input(node, input)) {
        struct attribute list = {
            .name = attribute, .type = ATTRIBUTE_INTS, .integers = kept, .count = count};
        return put_attribute(graph, node, &list, err);
    }
    struct tensor moved = graph->tensors[node->inputs[input]];
    moved.integers = kept;
    moved.shape = (struct shape){.rank = 1, .dim = {(int64_t)count}};
    moved.name = arena_printf(graph->arena, err, "%s:%s", moved.name, node->name);
    return moved.name != NULL && graph_add_tensor(graph, &moved, false, &node->inputs[input], err);
}
