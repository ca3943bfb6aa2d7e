/* How each operator of the program is written as ONNX, opset 13.
 *
 * Most operators are written as they are: their inputs, and the attributes that opset 13 knows,
 * with axes put back into the file's order. The others have a function of their own: what was an
 * attribute before opset 13 and is an input since (axes, pads, bounds), what has another meaning
 * before, and what came after it (HardSwish, opset 14).
 */

#include "onnx_rules.h"

#include "onnx_order.h"
#include "ptqd/artifact/onnx_writer.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <string.h>

static const struct tensor *input_tensor(const struct onnx_state *state, const struct node *node,
                                         int input)
{
    return &state->graph->tensors[node->inputs[input]];
}

static const struct tensor *output_tensor(const struct onnx_state *state, const struct node *node)
{
    return &state->graph->tensors[node->outputs[0]];
}

const char *onnx_input_name(struct onnx_state *state, int tensor)
{
    if (tensor == NODE_ABSENT)
        return NULL;
    const struct tensor *constant = &state->graph->tensors[tensor];
    const void *values = constant->type == TENSOR_I64 ? (const void *)constant->integers
                                                      : (const void *)constant->values;
    if (!values || state->written[tensor])
        return state->names[tensor];

    bool integer = constant->type == TENSOR_I64;
    size_t element_bytes = integer ? sizeof(*constant->integers) : sizeof(*constant->values);
    struct shape shape = onnx_order_shape(constant);
    values = onnx_order_values(state->file.arena, constant, values, element_bytes, state->file.err);
    if (!values) {
        onnx_file_fail(&state->file);
        return NULL;
    }
    onnx_file_initializer(&state->file, state->names[tensor],
                          integer ? ONNX__TENSOR_PROTO__DATA_TYPE__INT64
                                  : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                          &shape, values, element_bytes);
    state->written[tensor] = true;
    return state->names[tensor];
}

Onnx__NodeProto *onnx_rule_begin(struct onnx_state *state, const struct node *node,
                                 const char *op_type)
{
    const char *name = state->node_names[node - state->graph->nodes];
    Onnx__NodeProto *written = onnx_file_node(&state->file, op_type, name);
    onnx_file_output(&state->file, written, state->names[node->outputs[0]]);
    return written;
}

void onnx_rule_input(struct onnx_state *state, Onnx__NodeProto *written, int tensor)
{
    onnx_file_input(&state->file, written, onnx_input_name(state, tensor));
}

void onnx_rule_integers(struct onnx_state *state, Onnx__NodeProto *written, const struct node *node,
                        const char *what, const int64_t *values, size_t count)
{
    const char *name = onnx_derived_name(state, node->outputs[0], what);
    struct shape shape = {.rank = 1, .dim = {(int64_t)count}};
    onnx_file_initializer(&state->file, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, &shape, values,
                          sizeof(*values));
    onnx_file_input(&state->file, written, name);
}

/* Appends an input that is a new constant scalar. */
static void add_scalar(struct onnx_state *state, Onnx__NodeProto *written, const struct node *node,
                       const char *what, float value)
{
    const char *name = onnx_derived_name(state, node->outputs[0], what);
    struct shape scalar = {.rank = 0};
    onnx_file_initializer(&state->file, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, &scalar, &value,
                          sizeof(value));
    onnx_file_input(&state->file, written, name);
}

static void copy_attribute(struct onnx_state *state, Onnx__NodeProto *written,
                           const struct attribute *attribute)
{
    struct onnx_file *file = &state->file;
    switch (attribute->type) {
    case ATTRIBUTE_INT:
        onnx_file_int(file, written, attribute->name, attribute->integer);
        return;
    case ATTRIBUTE_FLOAT:
        onnx_file_float(file, written, attribute->name, (float)attribute->real);
        return;
    case ATTRIBUTE_STRING:
        onnx_file_string(file, written, attribute->name, attribute->string);
        return;
    case ATTRIBUTE_INTS:
        onnx_file_ints(file, written, attribute->name, attribute->integers, attribute->count);
        return;
    case ATTRIBUTE_FLOATS:
        onnx_file_floats(file, written, attribute->name, attribute->reals, attribute->count);
        return;
    case ATTRIBUTE_TENSOR: /* Constant's only, and constants are initializers */
        return;
    }
}

void onnx_rule_attributes(struct onnx_state *state, Onnx__NodeProto *written,
                          const struct node *node, const struct onnx_rule *rule)
{
    for (int i = 0; rule->attributes[i]; i++) {
        const struct attribute *attribute = node_attribute(node, rule->attributes[i]);
        if (attribute)
            copy_attribute(state, written, attribute);
    }
}

int64_t onnx_rule_axis(const struct tensor *tensor, int64_t axis)
{
    int rank = tensor->shape.rank;
    if (axis < 0)
        axis += rank;
    return onnx_order_axis(tensor->channels_last, (int)axis, rank);
}

/* The node's list of axes in the file's order; `*out_count` 0 when it gives none. */
static void file_axes(struct onnx_state *state, const struct node *node,
                      const struct tensor *tensor, int64_t out_axes[static SHAPE_RANK_MAX],
                      size_t *out_count)
{
    struct integer_list axes = {0};
    if (!infer_ints(state->graph, node, "axes", 1, &axes, state->file.err))
        onnx_file_fail(&state->file);
    *out_count = axes.count < SHAPE_RANK_MAX ? axes.count : SHAPE_RANK_MAX;
    for (size_t i = 0; i < *out_count; i++)
        out_axes[i] = onnx_rule_axis(tensor, axes.values[i]);
}

/* A node with all inputs and the attributes of its rule. */
static Onnx__NodeProto *begin_plain(struct onnx_state *state, const struct node *node,
                                    const struct onnx_rule *rule)
{
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    for (int i = 0; i < node->input_count; i++)
        onnx_rule_input(state, written, node->inputs[i]);
    onnx_rule_attributes(state, written, node, rule);
    return written;
}

static void write_plain(struct onnx_state *state, const struct node *node,
                        const struct onnx_rule *rule)
{
    (void)begin_plain(state, node, rule);
}

/* In inference Dropout passes its input on: ratio and mode are left out. */
static void write_dropout(struct onnx_state *state, const struct node *node,
                          const struct onnx_rule *rule)
{
    (void)rule;
    onnx_rule_input(state, onnx_rule_begin(state, node, node->op_type), node->inputs[0]);
}

static void write_concat(struct onnx_state *state, const struct node *node,
                         const struct onnx_rule *rule)
{
    const struct attribute *axis = node_attribute(node, "axis");
    int64_t moved = onnx_rule_axis(output_tensor(state, node), axis ? axis->integer : 1);
    onnx_file_int(&state->file, begin_plain(state, node, rule), "axis", moved);
}

/* Bounds are attributes before opset 11. */
static void write_clip(struct onnx_state *state, const struct node *node,
                       const struct onnx_rule *rule)
{
    (void)rule;
    static const char *const bounds[] = {NULL, "min", "max"};
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    for (int i = 1; i <= 2; i++) {
        const struct attribute *bound = node_attribute(node, bounds[i]);
        if (infer_has_input(node, i))
            onnx_rule_input(state, written, node->inputs[i]);
        else if (bound)
            add_scalar(state, written, node, bounds[i], (float)bound->real);
        else
            onnx_file_input(&state->file, written, NULL);
    }
}

/* HardSwish came with opset 14: x · HardSigmoid(x) with α = 1/6, β = 1/2. */
static void write_hard_swish(struct onnx_state *state, const struct node *node,
                             const struct onnx_rule *rule)
{
    (void)rule;
    struct onnx_file *file = &state->file;
    const char *gate = onnx_derived_name(state, node->outputs[0], "gate");
    Onnx__NodeProto *sigmoid = onnx_file_node(file, "HardSigmoid", gate);
    onnx_file_output(file, sigmoid, gate);
    onnx_rule_input(state, sigmoid, node->inputs[0]);
    onnx_file_float(file, sigmoid, "alpha", 1.0f / 6.0f);
    onnx_file_float(file, sigmoid, "beta", 0.5f);

    Onnx__NodeProto *product = onnx_rule_begin(state, node, "Mul");
    onnx_rule_input(state, product, node->inputs[0]);
    onnx_file_input(file, product, gate);
}

/* Pads are an attribute before opset 11 ("paddings" in the first), first all beginnings and then
 * all ends. */
static void write_pad(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule)
{
    const struct tensor *in = input_tensor(state, node, 0);
    const char *attribute = node_attribute(node, "paddings") ? "paddings" : "pads";
    struct integer_list pads = {0};
    float value = 0.0f;
    int64_t moved[2 * SHAPE_RANK_MAX];
    int rank = in->shape.rank;
    if (!infer_ints(state->graph, node, attribute, 1, &pads, state->file.err) ||
        !infer_scalar(state->graph, node, "value", 2, 0.0f, &value, state->file.err)) {
        onnx_file_fail(&state->file);
        return;
    }
    for (int i = 0; i < rank; i++) {
        int axis = onnx_order_axis(in->channels_last, i, rank);
        moved[axis] = pads.values[i];
        moved[rank + axis] = pads.values[rank + i];
    }
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_rule_integers(state, written, node, "pads", moved, 2 * (size_t)rank);
    add_scalar(state, written, node, "value", value);
    onnx_rule_attributes(state, written, node, rule);
}

/* Axes are an input since opset 18 only. */
static void write_reduce(struct onnx_state *state, const struct node *node,
                         const struct onnx_rule *rule)
{
    int64_t axes[SHAPE_RANK_MAX];
    size_t count;
    file_axes(state, node, input_tensor(state, node, 0), axes, &count);
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    if (count > 0)
        onnx_file_ints(&state->file, written, "axes", axes, count);
    onnx_rule_attributes(state, written, node, rule);
}

/* The axes that a Squeeze without a list removes: never that of the samples. */
static size_t all_axes_of_one(const struct onnx_state *state, const struct tensor *in,
                              int64_t out_axes[static SHAPE_RANK_MAX])
{
    struct shape shape = onnx_order_shape(in);
    size_t count = 0;
    for (int i = state->graph->batchable && in->batched ? 1 : 0; i < shape.rank; i++)
        if (shape.dim[i] == 1)
            out_axes[count++] = i;
    return count;
}

/* Squeeze and Unsqueeze: axes are an attribute before opset 13; Unsqueeze counts them in its
 * output. */
static void write_squeeze(struct onnx_state *state, const struct node *node,
                          const struct onnx_rule *rule)
{
    (void)rule;
    bool unsqueeze = strcmp(node->op_type, "Unsqueeze") == 0;
    const struct tensor *in = input_tensor(state, node, 0);
    int64_t axes[SHAPE_RANK_MAX];
    size_t count;
    file_axes(state, node, unsqueeze ? output_tensor(state, node) : in, axes, &count);
    if (count == 0)
        count = all_axes_of_one(state, in, axes);
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_rule_integers(state, written, node, "axes", axes, count);
}

/* The shape as it was inferred, for any number of samples. */
static void add_shape(struct onnx_state *state, Onnx__NodeProto *written, const struct node *node)
{
    const struct tensor *out = output_tensor(state, node);
    struct shape shape = onnx_order_shape(out);
    if (out->batched && state->graph->batchable && shape.rank > 0)
        shape.dim[0] = -1;
    onnx_rule_integers(state, written, node, "shape", shape.dim, (size_t)shape.rank);
}

static void write_reshape(struct onnx_state *state, const struct node *node,
                          const struct onnx_rule *rule)
{
    (void)rule;
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    add_shape(state, written, node);
}

/* Before opset 13 the softmax is over all axes from `axis` (1) on. When these are more than one:
 * Flatten → Softmax → Reshape. */
static void write_softmax(struct onnx_state *state, const struct node *node,
                          const struct onnx_rule *rule)
{
    (void)rule;
    struct onnx_file *file = &state->file;
    const struct tensor *out = output_tensor(state, node);
    const struct attribute *attribute = node_attribute(node, "axis");
    bool coerced = state->graph->opset < 13;
    int64_t axis = attribute ? attribute->integer : coerced ? 1 : -1;
    if (axis < 0)
        axis += out->shape.rank;
    if (!coerced || axis == out->shape.rank - 1) {
        Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
        onnx_rule_input(state, written, node->inputs[0]);
        onnx_file_int(file, written, "axis", onnx_rule_axis(out, axis));
        return;
    }

    const char *rows = onnx_derived_name(state, node->outputs[0], "rows");
    const char *shares = onnx_derived_name(state, node->outputs[0], "shares");
    Onnx__NodeProto *flatten = onnx_file_node(file, "Flatten", rows);
    onnx_rule_input(state, flatten, node->inputs[0]);
    onnx_file_output(file, flatten, rows);
    onnx_file_int(file, flatten, "axis", axis);
    Onnx__NodeProto *softmax = onnx_file_node(file, node->op_type, shares);
    onnx_file_input(file, softmax, rows);
    onnx_file_output(file, softmax, shares);
    onnx_file_int(file, softmax, "axis", 1);
    Onnx__NodeProto *written = onnx_rule_begin(state, node, "Reshape");
    onnx_file_input(file, written, shares);
    add_shape(state, written, node);
}

static bool is_network_output(const struct onnx_state *state, const struct node *node)
{
    return node->outputs[0] == state->graph->output;
}

/* A Transpose that only changes the program's axis order is gone, unless the network would have no
 * node at all that writes its output. */
static void write_transpose(struct onnx_state *state, const struct node *node,
                            const struct onnx_rule *rule)
{
    (void)rule;
    if (onnx_transpose_vanishes(state->graph, node)) {
        const char *in = state->names[node->inputs[0]], *out = state->names[node->outputs[0]];
        if (is_network_output(state, node) && strcmp(in, out) != 0)
            onnx_rule_input(state, onnx_rule_begin(state, node, "Identity"), node->inputs[0]);
        return;
    }
    int64_t perm[SHAPE_RANK_MAX];
    const struct tensor *in = input_tensor(state, node, 0);
    onnx_order_perm(in, output_tensor(state, node), node, perm);
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_file_ints(&state->file, written, "perm", perm, (size_t)in->shape.rank);
}

static void write_quantizer(struct onnx_state *state, const struct node *node,
                            const struct onnx_rule *rule)
{
    (void)rule;
    onnx_write_activation(state, node);
}

/* In alphabetical order. A Constant is an initializer by the time a graph is finished. */
static const struct onnx_rule rules[] = {
    {"Add", write_plain, {0}},
    {"AveragePool",
     write_plain,
     {"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"}},
    {"BatchNormalization", write_plain, {"epsilon", "momentum"}},
    {"Clip", write_clip, {0}},
    {"Concat", write_concat, {0}},
    {"Constant", write_plain, {0}},
    {"Conv", write_plain, {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}},
    {"ConvTranspose",
     onnx_write_conv_transpose,
     {"auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads",
      "strides"}},
    {"Div", write_plain, {0}},
    {"Dropout", write_dropout, {0}},
    {"Elu", write_plain, {"alpha"}},
    {"FakeQuantize", write_quantizer, {0}},
    {"Flatten", write_plain, {"axis"}},
    {"Gemm", write_plain, {"alpha", "beta", "transA", "transB"}},
    {"GlobalAveragePool", write_plain, {0}},
    {"GlobalMaxPool", write_plain, {0}},
    {"HardSigmoid", write_plain, {"alpha", "beta"}},
    {"HardSwish", write_hard_swish, {0}},
    {"Identity", write_plain, {0}},
    {"LeakyRelu", write_plain, {"alpha"}},
    {"LogSoftmax", write_softmax, {0}},
    {"MatMul", write_plain, {0}},
    {"MaxPool",
     write_plain,
     {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"}},
    {"Mul", write_plain, {0}},
    {"PRelu", write_plain, {0}},
    {"Pad", write_pad, {"mode"}},
    {"ReduceMean", write_reduce, {"keepdims"}},
    {"Relu", write_plain, {0}},
    {"Reshape", write_reshape, {0}},
    {"Resize", onnx_write_resize, {0}},
    {"Sigmoid", write_plain, {0}},
    {"Slice", onnx_write_slice, {0}},
    {"Softmax", write_softmax, {0}},
    {"Split", onnx_write_split, {0}},
    {"Squeeze", write_squeeze, {0}},
    {"Sub", write_plain, {0}},
    {"Tanh", write_plain, {0}},
    {"Transpose", write_transpose, {0}},
    {"Unsqueeze", write_squeeze, {0}},
};

static const struct onnx_rule *find_rule(const char *op_type)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].op_type, op_type) == 0)
            return &rules[i];
    return NULL;
}

bool onnx_can_write(const char *op_type)
{
    return find_rule(op_type) != NULL;
}

void onnx_write_node(struct onnx_state *state, const struct node *node)
{
    const struct onnx_rule *rule = find_rule(node->op_type);
    if (rule) {
        rule->write(state, node, rule);
        return;
    }
    FAIL(state->file.err, E_UNSUPPORTED, "node '%s': operator %s can't be written as ONNX opset %d",
         node->name, node->op_type, ONNX_OPSET);
    onnx_file_fail(&state->file);
}
