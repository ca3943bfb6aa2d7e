/* Rules of operators that cut maps or make them larger. */

#include "onnx_rules.h"

#include "onnx_order.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/resize_node.h"

/* Lists are attributes before opset 10. A list that the node doesn't give is written as axes 0, 1 …
 * and as steps of 1. */
void onnx_write_slice(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule)
{
    (void)rule;
    static const char *const names[] = {NULL, "starts", "ends", "axes", "steps"};
    enum { STARTS = 1, AXES = 3, STEPS = 4 };
    const struct tensor *in = &state->graph->tensors[node->inputs[0]];
    struct integer_list lists[STEPS + 1] = {0};
    for (int i = STARTS; i <= STEPS; i++)
        if (!infer_ints(state->graph, node, names[i], i, &lists[i], state->file.err)) {
            onnx_file_fail(&state->file);
            return;
        }
    size_t count = lists[STARTS].count;
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    for (int i = STARTS; i <= STEPS; i++) {
        int64_t values[SHAPE_RANK_MAX];
        for (size_t j = 0; j < count; j++) {
            bool given = lists[i].count > 0;
            values[j] = given ? lists[i].values[j] : i == AXES ? (int64_t)j : 1;
            if (i == AXES)
                values[j] = onnx_rule_axis(in, values[j]);
        }
        onnx_rule_integers(state, written, node, names[i], values, count);
    }
}

/* The lengths are an attribute before opset 13, and may be left out; they are those of the
 * outputs. */
void onnx_write_split(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule)
{
    (void)rule;
    const struct tensor *in = &state->graph->tensors[node->inputs[0]];
    const struct attribute *attribute = node_attribute(node, "axis");
    int64_t axis = attribute ? attribute->integer : 0;
    int64_t *lengths = ARENA_ARRAY(state->file.arena, int64_t, node->output_count, state->file.err);
    if (!lengths) {
        onnx_file_fail(&state->file);
        return;
    }
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    for (int i = 0; i < node->output_count; i++) {
        const struct shape *shape = &state->graph->tensors[node->outputs[i]].shape;
        lengths[i] = shape->dim[axis < 0 ? axis + shape->rank : axis];
        if (i > 0)
            onnx_file_output(&state->file, written, state->names[node->outputs[i]]);
    }
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_rule_integers(state, written, node, "split", lengths, (size_t)node->output_count);
    onnx_file_int(&state->file, written, "axis", onnx_rule_axis(in, axis));
}

/* A new constant list; its name. */
static const char *add_list(struct onnx_state *state, const struct node *node, const char *what,
                            int32_t data_type, const void *values, int count, size_t element_bytes)
{
    const char *name = onnx_derived_name(state, node->outputs[0], what);
    struct shape list = {.rank = 1, .dim = {count}};
    onnx_file_initializer(&state->file, name, data_type, &list, values, element_bytes);
    return name;
}

static const char *add_integers(struct onnx_state *state, const struct node *node, const char *what,
                                const int64_t *values, int count)
{
    return add_list(state, node, what, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, values, count,
                    sizeof(*values));
}

/* A new node; its output is called as it is. */
static Onnx__NodeProto *add_node(struct onnx_state *state, const char *op_type, const char *name)
{
    Onnx__NodeProto *node = onnx_file_node(&state->file, op_type, name);
    onnx_file_output(&state->file, node, name);
    return node;
}

/* The name of the extents of the output. For any number of samples the first is that of the input:
 * Shape → Slice → Concat. */
static const char *add_sizes(struct onnx_state *state, const struct node *node)
{
    struct onnx_file *file = &state->file;
    int out = node->outputs[0];
    struct shape shape = onnx_order_shape(&state->graph->tensors[out]);
    if (!state->graph->batchable)
        return add_integers(state, node, "sizes", shape.dim, shape.rank);

    const char *extents = onnx_derived_name(state, out, "extents");
    const char *samples = onnx_derived_name(state, out, "samples");
    const char *sizes = onnx_derived_name(state, out, "sizes");
    onnx_rule_input(state, add_node(state, "Shape", extents), node->inputs[0]);
    Onnx__NodeProto *first = add_node(state, "Slice", samples);
    onnx_file_input(file, first, extents);
    onnx_file_input(file, first, add_integers(state, node, "from", (const int64_t[]){0}, 1));
    onnx_file_input(file, first, add_integers(state, node, "to", (const int64_t[]){1}, 1));
    Onnx__NodeProto *joined = add_node(state, "Concat", sizes);
    onnx_file_input(file, joined, samples);
    onnx_file_input(file, joined, add_integers(state, node, "map", shape.dim + 1, shape.rank - 1));
    onnx_file_int(file, joined, "axis", 0);
    return sizes;
}

static const char *add_scales(struct onnx_state *state, const struct node *node)
{
    const struct resize_node *resize = resize_node_of(node);
    const struct tensor *in = &state->graph->tensors[node->inputs[0]];
    float scales[SHAPE_RANK_MAX];
    for (int i = 0; i < in->shape.rank; i++)
        scales[onnx_order_axis(in->channels_last, i, in->shape.rank)] = resize->scale[i];
    return add_list(state, node, "scales", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, scales,
                    in->shape.rank, sizeof(scales[0]));
}

/* In the form of opset 13: no region (input 1), scales or sizes (2, 3) of all axes, as the model
 * has them, and every choice said. */
void onnx_write_resize(struct onnx_state *state, const struct node *node,
                       const struct onnx_rule *rule)
{
    (void)rule;
    struct onnx_file *file = &state->file;
    const struct resize_node *resize = resize_node_of(node);
    const char *list = resize->by_sizes ? add_sizes(state, node) : add_scales(state, node);
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_file_input(file, written, NULL);
    if (resize->by_sizes)
        onnx_file_input(file, written, NULL);
    onnx_file_input(file, written, list);
    onnx_file_string(file, written, "mode", resize->linear ? "linear" : "nearest");
    onnx_file_string(file, written, "coordinate_transformation_mode", resize->coordinates);
    onnx_file_string(file, written, "nearest_mode", resize->rounding);
}

/* Weights as a constant in the file, unless a DequantizeLinear gives them already. */
static void write_filters(struct onnx_state *state, int tensor)
{
    struct onnx_file *file = &state->file;
    const struct tensor *weights = &state->graph->tensors[tensor];
    struct shape shape;
    if (state->written[tensor])
        return;
    const void *values = onnx_order_transposed(file->arena, weights, weights->values,
                                               sizeof(*weights->values), &shape, file->err);
    if (!values) {
        onnx_file_fail(file);
        return;
    }
    onnx_file_initializer(file, state->names[tensor], ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, &shape,
                          values, sizeof(*weights->values));
    state->written[tensor] = true;
}

/* From (C/G, K, R, S) to ONNX's (C, K/G, R, S): Reshape to (C/G, G, K/G, R·S) → Transpose →
 * Reshape. A scale per output channel needs all of these on one axis, so the codes can't lie as
 * ONNX has the weights. */
static const char *part_groups(struct onnx_state *state, const struct node *node, int64_t G)
{
    struct onnx_file *file = &state->file;
    const struct shape *moved = &state->graph->tensors[node->inputs[1]].shape;
    int64_t K = moved->dim[0], C = moved->dim[moved->rank - 1];
    const int64_t parts[] = {C, G, K / G, shape_elements(moved) / (K * C)};
    struct shape whole = {.rank = moved->rank, .dim = {G * C, K / G}};
    for (int axis = 2; axis < whole.rank; axis++)
        whole.dim[axis] = moved->dim[axis - 1];

    const char *parted = onnx_derived_name(state, node->outputs[0], "parted");
    const char *swapped = onnx_derived_name(state, node->outputs[0], "swapped");
    const char *weights = onnx_derived_name(state, node->outputs[0], "weights");
    Onnx__NodeProto *part = add_node(state, "Reshape", parted);
    onnx_rule_input(state, part, node->inputs[1]);
    onnx_file_input(file, part, add_integers(state, node, "parts", parts, 4));
    Onnx__NodeProto *swap = add_node(state, "Transpose", swapped);
    onnx_file_input(file, swap, parted);
    onnx_file_ints(file, swap, "perm", (const int64_t[]){1, 0, 2, 3}, 4);
    Onnx__NodeProto *join = add_node(state, "Reshape", weights);
    onnx_file_input(file, join, swapped);
    onnx_file_input(file, join, add_integers(state, node, "whole", whole.dim, whole.rank));
    return weights;
}

void onnx_write_conv_transpose(struct onnx_state *state, const struct node *node,
                               const struct onnx_rule *rule)
{
    const struct attribute *group = node_attribute(node, "group");
    write_filters(state, node->inputs[1]);
    const char *weights = group && group->integer > 1 ? part_groups(state, node, group->integer)
                                                      : state->names[node->inputs[1]];
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_file_input(&state->file, written, weights);
    if (infer_has_input(node, 2))
        onnx_rule_input(state, written, node->inputs[2]);
    onnx_rule_attributes(state, written, node, rule);
}
