/* TFLite's operators that move, join, add, drop or average axes. */

#include "tflite_import.h"
#include "tflite_schema.h"

bool tflite_concat(struct tflite_op *op, struct error *err)
{
    enum tflite_form form = tflite_follow(op);
    struct tflite_tensor *first = NULL;
    int64_t axis;
    if (!tflite_input_tensor(op, 0, &first, err) ||
        !tflite_axis(tflite_option_int(op, CONCAT_AXIS, 0), first->shape.rank, form, &axis, err))
        return false;
    int *inputs = ARENA_ARRAY(op->import->scratch, int, op->input_count, err);
    if (!inputs)
        return false;
    for (int i = 0; i < op->input_count; i++) {
        if (!tflite_input(op, i, form, &inputs[i], err))
            return false;
    }
    struct attribute attribute = tflite_attribute_int("axis", axis);
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = op->input_count,
                        .attributes = &attribute,
                        .attribute_count = 1};
    return tflite_finish(op, &node, form,
                         tflite_option_byte(op, CONCAT_ACTIVATION, ACTIVATION_NONE), err);
}

/* A node with the input in the file's order and a list of integers (a shape, axes). */
static bool finish_with_integers(struct tflite_op *op, const char *what, const int64_t *values,
                                 size_t count, struct error *err)
{
    int inputs[2];
    if (!tflite_input(op, 0, FORM_FILE, &inputs[0], err) ||
        !tflite_add_integers(op, what, values, count, &inputs[1], err))
        return false;
    struct node node = {.op_type = op->builtin->op_type, .inputs = inputs, .input_count = 2};
    return tflite_finish(op, &node, FORM_FILE, ACTIVATION_NONE, err);
}

/* Integers of an option, in scratch memory. */
static bool option_integers(struct tflite_op *op, int field, struct tflite_integers *out,
                            struct error *err)
{
    struct flat_list list = flat_list(&op->import->flat, &op->options, field, 4);
    if (list.count > SHAPE_RANK_MAX)
        return FAIL(err, E_UNSUPPORTED, "%zu axes; at most %d are supported", list.count,
                    SHAPE_RANK_MAX);
    int64_t *values = ARENA_ARRAY(op->import->scratch, int64_t, list.count, err);
    if (!values)
        return false;
    for (size_t i = 0; i < list.count; i++)
        values[i] = flat_list_int(&op->import->flat, &list, i);
    *out = (struct tflite_integers){.values = values, .count = list.count};
    return true;
}

/* The new shape is a constant input, or an option; where it is computed (from the number of
 * samples, as converters do it), it is the shape that the file says the output has. */
bool tflite_reshape(struct tflite_op *op, struct error *err)
{
    const struct shape *declared = &op->import->tensors[op->outputs[0]].shape;
    struct tflite_integers shape = {.values = declared->dim, .count = (size_t)declared->rank};
    if (!tflite_has_input(op, 1)) {
        if (flat_has(&op->import->flat, &op->options, RESHAPE_NEW_SHAPE) &&
            !option_integers(op, RESHAPE_NEW_SHAPE, &shape, err))
            return false;
    } else if (op->import->tensors[op->inputs[1]].data) {
        if (!tflite_input_integers(op, 1, &shape, err))
            return false;
    }
    return finish_with_integers(op, "shape", shape.values, shape.count, err);
}

/* Without a list of axes all those of extent 1 go. */
bool tflite_squeeze(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *input = NULL;
    struct tflite_integers axes = {.count = 0};
    int64_t ones[SHAPE_RANK_MAX];
    if (!tflite_input_tensor(op, 0, &input, err) || !option_integers(op, SQUEEZE_DIMS, &axes, err))
        return false;
    if (axes.count == 0) {
        axes.values = ones;
        for (int i = 0; i < input->shape.rank; i++) {
            if (input->shape.dim[i] == 1)
                ones[axes.count++] = i;
        }
    }
    return finish_with_integers(op, "axes", axes.values, axes.count, err);
}

bool tflite_expand_dims(struct tflite_op *op, struct error *err)
{
    struct tflite_integers axis = {.count = 0};
    if (!tflite_input_integers(op, 1, &axis, err))
        return false;
    if (axis.count != 1)
        return FAIL(err, E_INVALID, "%zu axes; it adds one", axis.count);
    return finish_with_integers(op, "axes", axis.values, axis.count, err);
}

bool tflite_transpose(struct tflite_op *op, struct error *err)
{
    struct tflite_integers perm = {.count = 0};
    int input;
    if (!tflite_input_integers(op, 1, &perm, err) || !tflite_input(op, 0, FORM_FILE, &input, err))
        return false;
    struct attribute attribute = tflite_attribute_ints("perm", perm.values, perm.count);
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = &input,
                        .input_count = 1,
                        .attributes = &attribute,
                        .attribute_count = 1};
    return tflite_finish(op, &node, FORM_FILE, ACTIVATION_NONE, err);
}

/* The form to average in: channels second where the input is in that form already, and what is left
 * has its axes in the same order either way: all of them, or batch and channels, or one. */
static enum tflite_form mean_form(struct tflite_op *op, const struct tflite_integers *axes,
                                  bool keep_dims)
{
    bool averaged[4] = {false};
    if (op->import->tensors[op->inputs[0]].shape.rank != 4 || tflite_follow(op) != FORM_NCHW)
        return FORM_FILE;
    for (size_t i = 0; i < axes->count; i++) {
        int64_t axis = axes->values[i] < 0 ? axes->values[i] + 4 : axes->values[i];
        if (axis >= 0 && axis < 4)
            averaged[axis] = true;
    }
    bool same_order = averaged[3] || (averaged[1] && averaged[2]);
    return keep_dims || same_order ? FORM_NCHW : FORM_FILE;
}

bool tflite_mean(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *input = NULL;
    struct tflite_integers axes = {.count = 0};
    if (!tflite_input_tensor(op, 0, &input, err) || !tflite_input_integers(op, 1, &axes, err))
        return false;
    bool keep_dims = tflite_option_byte(op, REDUCER_KEEP_DIMS, 0) != 0;
    enum tflite_form form = mean_form(op, &axes, keep_dims);
    int64_t *moved = ARENA_ARRAY(op->import->scratch, int64_t, axes.count, err);
    if (!moved)
        return false;
    for (size_t i = 0; i < axes.count; i++) {
        if (!tflite_axis(axes.values[i], input->shape.rank, form, &moved[i], err))
            return false;
    }
    int source;
    if (!tflite_input(op, 0, form, &source, err))
        return false;
    struct attribute attributes[] = {
        tflite_attribute_ints("axes", moved, axes.count),
        tflite_attribute_int("keepdims", keep_dims),
    };
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = &source,
                        .input_count = 1,
                        .attributes = attributes,
                        .attribute_count = sizeof(attributes) / sizeof(attributes[0])};
    return tflite_finish(op, &node, keep_dims ? form : FORM_FILE, ACTIVATION_NONE, err);
}
