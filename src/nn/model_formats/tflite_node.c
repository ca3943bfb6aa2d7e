/* Nodes of the graph that stand for an operator of a TFLite file, and the forms of its tensors. */

#include "ptqd/nn/infer.h"
#include "tflite_import.h"
#include "tflite_schema.h"

#include <inttypes.h>
#include <string.h>

/* How a form comes from the file's order: axis i of the form is axis perm[i] of the file. */
static const struct form {
    const char *suffix; /* of the name, when the tensor has another form already */
    int rank;
    int perm[4];
} FORMS[FORM_COUNT] = {
    [FORM_FILE] = {.suffix = "nhwc"},
    [FORM_NCHW] = {.suffix = "nchw", .rank = 4, .perm = {0, 3, 1, 2}},
    [FORM_LAST_FIRST] = {.suffix = "last_first", .rank = 4, .perm = {3, 0, 1, 2}},
    [FORM_TRANSPOSED] = {.suffix = "transposed", .rank = 2, .perm = {1, 0}},
};
static const int64_t TO_NCHW[] = {0, 3, 1, 2}, TO_NHWC[] = {0, 2, 3, 1};

/* A fused activation function as a node; `op_type` NULL: not supported. */
static const struct activation {
    const char *name, *op_type;
    bool clip;
    float min, max; /* where `clip` */
} ACTIVATIONS[] = {
    [ACTIVATION_NONE] = {.name = "NONE"},
    [ACTIVATION_RELU] = {.name = "RELU", .op_type = "Relu"},
    [ACTIVATION_RELU_N1_TO_1] = {"RELU_N1_TO_1", "Clip", true, -1, 1},
    [ACTIVATION_RELU6] = {"RELU6", "Clip", true, 0, 6},
    [ACTIVATION_TANH] = {.name = "TANH", .op_type = "Tanh"},
    [ACTIVATION_SIGN_BIT] = {.name = "SIGN_BIT"},
};
enum { ACTIVATION_COUNT = sizeof(ACTIVATIONS) / sizeof(ACTIVATIONS[0]) };

int64_t tflite_option_int(struct tflite_op *op, int field, int64_t fallback)
{
    return flat_int(&op->import->flat, &op->options, field, 4, fallback);
}

int64_t tflite_option_byte(struct tflite_op *op, int field, int64_t fallback)
{
    return flat_int(&op->import->flat, &op->options, field, 1, fallback);
}

bool tflite_has_input(const struct tflite_op *op, int input)
{
    return input < op->input_count && op->inputs[input] >= 0;
}

bool tflite_input_tensor(const struct tflite_op *op, int input, struct tflite_tensor **out,
                         struct error *err)
{
    if (!tflite_has_input(op, input))
        return FAIL(err, E_INVALID, "input %d is not given; it is not optional", input);
    *out = &op->import->tensors[op->inputs[input]];
    return true;
}

bool tflite_input_integers(const struct tflite_op *op, int input, struct tflite_integers *out,
                           struct error *err)
{
    struct tflite_tensor *tensor = NULL;
    if (!tflite_input_tensor(op, input, &tensor, err))
        return false;
    if (!tensor->data)
        return FAIL(err, E_UNSUPPORTED, "input %d '%s' is computed; it must be a constant", input,
                    tensor->name);
    return tflite_constant_integers(op->import, tensor, out, err);
}

/* True when the graph has the tensor in some form. */
static bool has_form(const struct tflite_tensor *tensor)
{
    for (int form = 0; form < FORM_COUNT; form++) {
        if (tensor->forms[form] >= 0)
            return true;
    }
    return false;
}

/* The name of a tensor's next form: the first one has the name in the file. */
static const char *form_name(struct tflite_import *import, const struct tflite_tensor *tensor,
                             enum tflite_form form, struct error *err)
{
    if (!has_form(tensor))
        return tensor->name;
    return arena_printf(import->scratch, err, "%s/%s", tensor->name, FORMS[form].suffix);
}

/* The shape with leading axes of extent 1, as broadcasting sees it. */
static struct shape widen_shape(const struct shape *shape, int rank)
{
    struct shape wide = {.rank = rank};
    int added = rank - shape->rank;
    for (int i = 0; i < rank; i++)
        wide.dim[i] = i < added ? 1 : shape->dim[i - added];
    return wide;
}

static bool make_constant(struct tflite_import *import, struct tflite_tensor *tensor,
                          enum tflite_form form, struct error *err)
{
    const struct form *how = &FORMS[form];
    bool permuted = form != FORM_FILE && tensor->shape.rank > 0;
    struct arena *arena = import->graph->arena;
    const float *values = NULL;
    struct tensor constant = {.name = form_name(import, tensor, form, err), .shape = tensor->shape};
    if (!constant.name ||
        !tflite_constant_values(import, permuted ? import->scratch : arena, tensor, &values, err))
        return false;
    if (permuted) {
        bool fits = tensor->shape.rank == how->rank ||
                    (form == FORM_NCHW && tensor->shape.rank < how->rank);
        if (!fits)
            return FAIL(err, E_INVALID, "constant '%s' has %d axes; %d are needed here",
                        tensor->name, tensor->shape.rank, how->rank);
        struct shape shape = widen_shape(&tensor->shape, how->rank);
        float *moved = ARENA_ARRAY(arena, float, shape_elements(&shape), err);
        if (!moved)
            return false;
        permute_f32(values, &shape, how->perm, moved);
        constant.shape = shape_permuted(&shape, how->perm);
        values = moved;
    }
    constant.values = values;
    return graph_add_tensor(import->graph, &constant, false, &tensor->forms[form], err);
}

/* Adds a tensor and the node that computes it. */
static bool add_named(struct tflite_import *import, const struct node *node, const char *name,
                      const char *output_name, int *out_tensor, struct error *err)
{
    int output, index;
    struct tensor tensor = {.name = output_name, .type = TENSOR_F32};
    if (!graph_add_tensor(import->graph, &tensor, false, &output, err))
        return false;
    struct node copy = *node;
    copy.name = name;
    copy.outputs = &output;
    copy.output_count = 1;
    if (!graph_add_node(import->graph, &copy, &index, err))
        return false;
    *out_tensor = output;
    return true;
}

/* Gives an activation its other form: of FORM_FILE and FORM_NCHW it has one already. */
static bool make_transposed(struct tflite_import *import, struct tflite_tensor *tensor,
                            enum tflite_form form, struct error *err)
{
    bool to_nchw = form == FORM_NCHW;
    int *from = &tensor->forms[to_nchw ? FORM_FILE : FORM_NCHW];
    if (*from < 0)
        return FAIL(err, E_INVALID, "'%s' is read, but no operator before writes it", tensor->name);
    if (tensor->shape.rank != 4)
        return FAIL(err, E_INVALID, "'%s' has %d axes; 4 (N, H, W, C) are needed here",
                    tensor->name, tensor->shape.rank);
    struct attribute perm = tflite_attribute_ints("perm", to_nchw ? TO_NCHW : TO_NHWC, 4);
    struct node node = {.op_type = "Transpose",
                        .inputs = from,
                        .input_count = 1,
                        .attributes = &perm,
                        .attribute_count = 1};
    const char *name = form_name(import, tensor, form, err);
    return name && add_named(import, &node, name, name, &tensor->forms[form], err);
}

/* What an activation must be: float32, of extents that are known and at least 1. */
static bool check_activation(const struct tflite_tensor *tensor, struct error *err)
{
    if (tensor->type != TFLITE_FLOAT32)
        return FAIL(err, E_UNSUPPORTED,
                    "activation '%s' is %s; only float32 networks are supported (of a quantized "
                    "model, upload the float model that it was made from)",
                    tensor->name, tflite_type_name(tensor->type));
    for (int i = 0; i < tensor->shape.rank; i++) {
        if (tensor->shape.dim[i] == -1)
            return FAIL(err, E_UNSUPPORTED,
                        "activation '%s': the extent of axis %d is not known; convert the model "
                        "with a fixed input shape",
                        tensor->name, i);
    }
    return shape_check(&tensor->shape, tensor->name, err);
}

bool tflite_tensor_form(struct tflite_import *import, struct tflite_tensor *tensor,
                        enum tflite_form form, int *out_tensor, struct error *err)
{
    if (!tensor->data && !check_activation(tensor, err))
        return false;
    if (tensor->forms[form] < 0) {
        bool made = tensor->data ? make_constant(import, tensor, form, err)
                                 : make_transposed(import, tensor, form, err);
        if (!made)
            return false;
    }
    *out_tensor = tensor->forms[form];
    return true;
}

bool tflite_input(struct tflite_op *op, int input, enum tflite_form form, int *out_tensor,
                  struct error *err)
{
    struct tflite_tensor *tensor = NULL;
    return tflite_input_tensor(op, input, &tensor, err) &&
           tflite_tensor_form(op->import, tensor, form, out_tensor, err);
}

bool tflite_weights(struct tflite_op *op, int input, enum tflite_form form, int *out_tensor,
                    struct error *err)
{
    struct tflite_tensor *tensor = NULL;
    if (!tflite_input_tensor(op, input, &tensor, err))
        return false;
    if (!tensor->data)
        return FAIL(err, E_UNSUPPORTED, "input %d '%s' is computed; it must be a constant", input,
                    tensor->name);
    return tflite_tensor_form(op->import, tensor, form, out_tensor, err);
}

enum tflite_form tflite_follow(const struct tflite_op *op)
{
    bool any = false;
    for (int i = 0; i < op->input_count; i++) {
        if (!tflite_has_input(op, i))
            continue;
        const struct tflite_tensor *tensor = &op->import->tensors[op->inputs[i]];
        if (tensor->data ? tensor->shape.rank > 4 : tensor->shape.rank != 4)
            return FORM_FILE;
        any = any || (!tensor->data && tensor->forms[FORM_NCHW] >= 0);
    }
    return any ? FORM_NCHW : FORM_FILE;
}

bool tflite_axis(int64_t axis, int rank, enum tflite_form form, int64_t *out_axis,
                 struct error *err)
{
    int plain = 0;
    if (!infer_axis(axis, rank, &plain, err))
        return false;
    *out_axis = plain;
    for (int i = 0; i < FORMS[form].rank; i++) {
        if (FORMS[form].perm[i] == plain)
            *out_axis = i;
    }
    return true;
}

/* "<operator>/<suffix>" */
static const char *part_name(const struct tflite_op *op, const char *suffix, struct error *err)
{
    return arena_printf(op->import->scratch, err, "%s/%s", op->name, suffix);
}

bool tflite_add_integers(struct tflite_op *op, const char *suffix, const int64_t *values,
                         size_t count, int *out_tensor, struct error *err)
{
    struct tensor tensor = {.name = part_name(op, suffix, err),
                            .type = TENSOR_I64,
                            .shape = {.rank = 1, .dim = {(int64_t)count}},
                            .integers = values};
    return tensor.name && graph_add_tensor(op->import->graph, &tensor, true, out_tensor, err);
}

bool tflite_add_scalar(struct tflite_op *op, const char *suffix, float value, int *out_tensor,
                       struct error *err)
{
    struct tensor tensor = {.name = part_name(op, suffix, err),
                            .type = TENSOR_F32,
                            .values = &value};
    return tensor.name && graph_add_tensor(op->import->graph, &tensor, true, out_tensor, err);
}

bool tflite_add_limits(struct tflite_op *op, float min, float max, int inputs[static 3],
                       struct error *err)
{
    return tflite_add_scalar(op, "min", min, &inputs[1], err) &&
           tflite_add_scalar(op, "max", max, &inputs[2], err);
}

bool tflite_add_node(struct tflite_op *op, const struct node *node, const char *suffix,
                     int *out_tensor, struct error *err)
{
    const char *name = part_name(op, suffix, err);
    return name && add_named(op->import, node, name, name, out_tensor, err);
}

static bool find_activation(int64_t number, const struct activation **out, struct error *err)
{
    if (number < 0 || number >= ACTIVATION_COUNT)
        return FAIL(err, E_INVALID, "there is no fused activation function %" PRId64, number);
    if (number != ACTIVATION_NONE && !ACTIVATIONS[number].op_type)
        return FAIL(err, E_UNSUPPORTED, "the fused activation function %s is not supported",
                    ACTIVATIONS[number].name);
    *out = &ACTIVATIONS[number];
    return true;
}

/* The node of a fused activation function; it writes the operator's output. */
static bool add_activation(struct tflite_op *op, const struct activation *activation, int input,
                           int *out_tensor, struct error *err)
{
    int inputs[3] = {input};
    if (activation->clip && !tflite_add_limits(op, activation->min, activation->max, inputs, err))
        return false;
    struct node node = {.op_type = activation->op_type,
                        .inputs = inputs,
                        .input_count = activation->clip ? 3 : 1};
    const char *name = part_name(op, activation->name, err);
    return name && add_named(op->import, &node, name, op->name, out_tensor, err);
}

/* An output, which nothing has written yet. */
static bool take_output(struct tflite_op *op, int index, struct tflite_tensor **out,
                        struct error *err)
{
    struct tflite_tensor *output = &op->import->tensors[op->outputs[index]];
    if (output->data)
        return FAIL(err, E_INVALID, "it writes the constant '%s'", output->name);
    if (has_form(output))
        return FAIL(err, E_INVALID, "it writes '%s', which has been written already", output->name);
    *out = output;
    return check_activation(output, err);
}

bool tflite_finish(struct tflite_op *op, const struct node *node, enum tflite_form form,
                   int64_t activation_number, struct error *err)
{
    struct tflite_tensor *output = NULL;
    const struct activation *activation = NULL;
    if (op->output_count != 1)
        return FAIL(err, E_INVALID, "%d outputs; it has one", op->output_count);
    if (!flat_check(&op->import->flat, err) || !take_output(op, 0, &output, err) ||
        !find_activation(activation_number, &activation, err))
        return false;
    if (!activation->op_type)
        return add_named(op->import, node, op->name, op->name, &output->forms[form], err);
    int linear;
    const char *linear_name = part_name(op, "linear", err);
    return linear_name && add_named(op->import, node, op->name, linear_name, &linear, err) &&
           add_activation(op, activation, linear, &output->forms[form], err);
}

bool tflite_finish_outputs(struct tflite_op *op, const struct node *node, enum tflite_form form,
                           struct error *err)
{
    struct graph *graph = op->import->graph;
    int *outputs = ARENA_ARRAY(op->import->scratch, int, op->output_count, err);
    if (!outputs || !flat_check(&op->import->flat, err))
        return false;
    for (int i = 0; i < op->output_count; i++) {
        struct tflite_tensor *output = NULL;
        if (!take_output(op, i, &output, err))
            return false;
        struct tensor tensor = {.name = output->name, .type = TENSOR_F32};
        if (!graph_add_tensor(graph, &tensor, false, &outputs[i], err))
            return false;
        output->forms[form] = outputs[i];
    }
    struct node copy = *node;
    copy.name = op->name;
    copy.outputs = outputs;
    copy.output_count = op->output_count;
    int index;
    return graph_add_node(graph, &copy, &index, err);
}
