/* TFLite's operators that cut a tensor: SLICE and STRIDED_SLICE, SPLIT and SPLIT_V. */

#include "tflite_import.h"
#include "tflite_schema.h"

#include <inttypes.h>
#include <string.h>

/* What is kept of each axis of the input, in the file's order, in the terms of ONNX's Slice. */
struct cut {
    int rank;
    const int64_t *extent;
    int64_t start[SHAPE_RANK_MAX], end[SHAPE_RANK_MAX], step[SHAPE_RANK_MAX];
};

static bool keeps_all(const struct cut *cut, int axis)
{
    int64_t start = cut->start[axis];
    return cut->step[axis] == 1 && (start == 0 || start <= -cut->extent[axis]) &&
           cut->end[axis] >= cut->extent[axis];
}

/* A Slice of the axes that are cut, or an Identity; the inputs are in `out_inputs`. */
static bool describe_cut(struct tflite_op *op, const struct cut *cut, enum tflite_form form,
                         int out_inputs[static 5], struct node *out_node, struct error *err)
{
    int64_t lists[4][SHAPE_RANK_MAX];
    size_t count = 0;
    for (int axis = 0; axis < cut->rank; axis++) {
        if (keeps_all(cut, axis))
            continue;
        lists[0][count] = cut->start[axis];
        lists[1][count] = cut->end[axis];
        lists[3][count] = cut->step[axis];
        if (!tflite_axis(axis, cut->rank, form, &lists[2][count++], err))
            return false;
    }
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    if (!tflite_input(op, 0, form, &out_inputs[0], err))
        return false;
    for (int i = 0; count > 0 && i < 4; i++)
        if (!tflite_add_integers(op, names[i], lists[i], count, &out_inputs[i + 1], err))
            return false;
    *out_node = (struct node){.op_type = count > 0 ? "Slice" : "Identity",
                              .inputs = out_inputs,
                              .input_count = count > 0 ? 5 : 1};
    return true;
}

/* Checks that a list has a number for each axis. */
static bool check_count(const struct tflite_integers *list, int rank, const char *what,
                        struct error *err)
{
    if (list->count != (size_t)rank)
        return FAIL(err, E_INVALID, "%zu %s for %d axes", list->count, what, rank);
    return true;
}

/* The input as something to cut: all of it is kept. */
static bool begin_cut(struct tflite_op *op, struct cut *out, struct error *err)
{
    struct tflite_tensor *input = NULL;
    if (!tflite_input_tensor(op, 0, &input, err) || !shape_check(&input->shape, input->name, err))
        return false;
    *out = (struct cut){.rank = input->shape.rank, .extent = input->shape.dim};
    for (int axis = 0; axis < out->rank; axis++) {
        out->step[axis] = 1;
        out->end[axis] = INT64_MAX;
    }
    return true;
}

/* Elements begin … begin + size − 1 of each axis; a size of −1: to its end. */
bool tflite_slice(struct tflite_op *op, struct error *err)
{
    struct cut cut;
    struct tflite_integers begin = {.count = 0}, size = {.count = 0};
    if (!begin_cut(op, &cut, err) || !tflite_input_integers(op, 1, &begin, err) ||
        !tflite_input_integers(op, 2, &size, err) ||
        !check_count(&begin, cut.rank, "beginnings", err) ||
        !check_count(&size, cut.rank, "sizes", err))
        return false;
    for (int axis = 0; axis < cut.rank; axis++) {
        int64_t extent = cut.extent[axis], first = begin.values[axis], count = size.values[axis];
        if (first < 0 || first >= extent || count < -1 || count > extent - first)
            return FAIL(err, E_INVALID,
                        "%" PRId64 " elements from %" PRId64 " on of axis %d, which has %" PRId64,
                        count, first, axis, extent);
        cut.start[axis] = first;
        if (count >= 0)
            cut.end[axis] = first + count;
    }
    int inputs[5];
    struct node node;
    enum tflite_form form = tflite_follow(op);
    return describe_cut(op, &cut, form, inputs, &node, err) &&
           tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}

struct masks {
    int64_t begin, end, shrink; /* a bit per axis */
};

static bool read_masks(struct tflite_op *op, struct masks *out, struct error *err)
{
    if (tflite_option_int(op, STRIDED_SLICE_ELLIPSIS_MASK, 0) != 0 ||
        tflite_option_int(op, STRIDED_SLICE_NEW_AXIS_MASK, 0) != 0 ||
        tflite_option_byte(op, STRIDED_SLICE_OFFSET, 0) != 0)
        return FAIL(err, E_UNSUPPORTED,
                    "it has an ellipsis, new axes or ends that count from the beginnings; only "
                    "begin_mask, end_mask and shrink_axis_mask are supported");
    *out = (struct masks){
        .begin = tflite_option_int(op, STRIDED_SLICE_BEGIN_MASK, 0),
        .end = tflite_option_int(op, STRIDED_SLICE_END_MASK, 0),
        .shrink = tflite_option_int(op, STRIDED_SLICE_SHRINK_AXIS_MASK, 0),
    };
    return true;
}

/* One axis of begin : end : stride, where a mask may stand for an end of the axis, or say that the
 * element at `begin` alone is wanted. */
static void cut_axis(struct cut *cut, int axis, const struct masks *masks, int64_t begin,
                     int64_t end, int64_t stride)
{
    int64_t bit = INT64_C(1) << axis;
    if ((masks->shrink & bit) != 0) {
        cut->start[axis] = begin;
        cut->end[axis] = begin == -1 ? INT64_MAX : begin + 1;
        return;
    }
    bool up = stride > 0;
    cut->step[axis] = stride;
    cut->start[axis] = (masks->begin & bit) == 0 ? begin : up ? 0 : INT64_MAX;
    cut->end[axis] = (masks->end & bit) == 0 ? end : up ? INT64_MAX : INT64_MIN;
}

/* Removes the axes of the mask from the output of a Slice, which is in the file's order. */
static bool finish_shrunk(struct tflite_op *op, const struct node *slice, int64_t mask, int rank,
                          struct error *err)
{
    int64_t axes[SHAPE_RANK_MAX];
    size_t count = 0;
    for (int axis = 0; axis < rank; axis++)
        if ((mask & (INT64_C(1) << axis)) != 0)
            axes[count++] = axis;
    int inputs[2];
    if (!tflite_add_node(op, slice, "cut", &inputs[0], err) ||
        !tflite_add_integers(op, "shrunk", axes, count, &inputs[1], err))
        return false;
    struct node node = {.op_type = "Squeeze", .inputs = inputs, .input_count = 2};
    return tflite_finish(op, &node, FORM_FILE, ACTIVATION_NONE, err);
}

bool tflite_strided_slice(struct tflite_op *op, struct error *err)
{
    struct cut cut;
    struct masks masks;
    struct tflite_integers begin = {.count = 0}, end = {.count = 0}, strides = {.count = 0};
    if (!begin_cut(op, &cut, err) || !read_masks(op, &masks, err) ||
        !tflite_input_integers(op, 1, &begin, err) || !tflite_input_integers(op, 2, &end, err) ||
        !tflite_input_integers(op, 3, &strides, err) ||
        !check_count(&begin, cut.rank, "beginnings", err) ||
        !check_count(&end, cut.rank, "ends", err) ||
        !check_count(&strides, cut.rank, "strides", err))
        return false;
    for (int axis = 0; axis < cut.rank; axis++)
        cut_axis(&cut, axis, &masks, begin.values[axis], end.values[axis], strides.values[axis]);
    int inputs[5];
    struct node node;
    enum tflite_form form = masks.shrink != 0 ? FORM_FILE : tflite_follow(op);
    if (!describe_cut(op, &cut, form, inputs, &node, err))
        return false;
    return masks.shrink != 0 ? finish_shrunk(op, &node, masks.shrink, cut.rank, err)
                             : tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}

/* Both splits: input number `input` along the axis that input number `axis_input` has. Lengths of
 * count 0: equal parts. */
static bool add_split(struct tflite_op *op, int input, int axis_input,
                      const struct tflite_integers *lengths, struct error *err)
{
    struct tflite_tensor *tensor = NULL;
    struct tflite_integers given = {.count = 0};
    enum tflite_form form = tflite_follow(op);
    int64_t axis;
    int inputs[2];
    int64_t count = tflite_option_int(op, SPLIT_COUNT, op->output_count);
    if (count != op->output_count)
        return FAIL(err, E_INVALID, "%" PRId64 " parts for %d outputs", count, op->output_count);
    if (!tflite_input_tensor(op, input, &tensor, err) ||
        !tflite_input_integers(op, axis_input, &given, err))
        return false;
    if (given.count != 1)
        return FAIL(err, E_INVALID, "%zu axes; it splits one", given.count);
    if (!tflite_axis(given.values[0], tensor->shape.rank, form, &axis, err) ||
        !tflite_input(op, input, form, &inputs[0], err) ||
        (lengths->count > 0 &&
         !tflite_add_integers(op, "lengths", lengths->values, lengths->count, &inputs[1], err)))
        return false;
    struct attribute attribute = tflite_attribute_int("axis", axis);
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = lengths->count > 0 ? 2 : 1,
                        .attributes = &attribute,
                        .attribute_count = 1};
    return tflite_finish_outputs(op, &node, form, err);
}

bool tflite_split(struct tflite_op *op, struct error *err)
{
    return add_split(op, 1, 0, &(struct tflite_integers){.count = 0}, err);
}

/* One of the lengths may be −1: what the others leave, as the file says of that output. */
bool tflite_split_v(struct tflite_op *op, struct error *err)
{
    struct tflite_integers lengths = {.count = 0}, axis = {.count = 0};
    int64_t plain;
    if (!tflite_input_integers(op, 1, &lengths, err) || !tflite_input_integers(op, 2, &axis, err))
        return false;
    if (lengths.count != (size_t)op->output_count || axis.count != 1)
        return FAIL(err, E_INVALID, "%zu lengths and %zu axes for %d outputs", lengths.count,
                    axis.count, op->output_count);
    int64_t *values = ARENA_ARRAY(op->import->scratch, int64_t, lengths.count, err);
    if (!values)
        return false;
    for (size_t i = 0; i < lengths.count; i++) {
        const struct shape *output = &op->import->tensors[op->outputs[i]].shape;
        if (!tflite_axis(axis.values[0], output->rank, FORM_FILE, &plain, err))
            return false;
        values[i] = lengths.values[i] == -1 ? output->dim[plain] : lengths.values[i];
    }
    lengths.values = values;
    return add_split(op, 0, 2, &lengths, err);
}
