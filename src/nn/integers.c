/* Nodes that compute shapes: what exporters write for `x.view(x.size(0), -1)`, or around a Pad.
 *
 * All they read is integers, or they ask for a tensor's shape, so they can be evaluated once the
 * shapes in front of them are inferred, and go away. Shapes are those of one sample. What has an
 * operator in ops.def is made by that one, on float32: extents, places and pads are small. The
 * others are here, and for integers only.
 */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"
#include "ptqd/nn/passes.h"

#include <inttypes.h>
#include <string.h>

const struct op op_integers = {.name = "integers"};

/* More than any shape, and not more than a small file should make. */
enum { COUNT_MAX = 1 << 16 };

/* Up to here float32 has every whole number. */
static const int64_t EXACT_MAX = INT64_C(1) << 24;

/* The elements of an output, whose shape is set. */
typedef bool evaluate(const struct graph *graph, const struct node *node, struct tensor *output,
                      struct error *err);

static bool read_list(const struct graph *graph, const struct node *node, int input,
                      struct integer_list *out, struct error *err)
{
    if (!infer_has_input(node, input))
        return FAIL(err, E_INVALID, "input %d is not given; it is not optional", input);
    return infer_ints(graph, node, "", input, out, err);
}

static bool check_count(int64_t count, struct error *err)
{
    return count <= COUNT_MAX ||
           FAIL(err, E_TOO_LARGE, "%" PRId64 " integers; at most %d are supported", count,
                COUNT_MAX);
}

/* Memory for an output of that shape. */
static int64_t *take(const struct graph *graph, struct tensor *output, const struct shape *shape,
                     struct error *err)
{
    int64_t count = shape_elements(shape);
    if (!check_count(count, err))
        return NULL;
    int64_t *values = ARENA_ARRAY(graph->arena, int64_t, count, err);
    output->shape = *shape;
    output->integers = values;
    return values;
}

static bool copy_list(const struct graph *graph, const struct integer_list *list,
                      const struct shape *shape, struct tensor *output, struct error *err)
{
    int64_t *values = take(graph, output, shape, err);
    if (values && list->count > 0)
        memcpy(values, list->values, list->count * sizeof(*values));
    return values != NULL;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* All extents, or since opset 15 those from `start` to before `end`. */
static bool shape_of(const struct graph *graph, const struct node *node, struct tensor *output,
                     struct error *err)
{
    const struct tensor *input;
    int64_t start, end;
    if (!infer_input(graph, node, 0, &input, err))
        return false;
    int64_t rank = input->shape.rank;
    if (!attribute_int(node, "start", 0, &start, err) ||
        !attribute_int(node, "end", rank, &end, err))
        return false;
    start = clamp(start < 0 ? start + rank : start, 0, rank);
    end = clamp(end < 0 ? end + rank : end, start, rank);
    const struct integer_list list = {input->shape.dim + start, (size_t)(end - start)};
    return copy_list(graph, &list, &(struct shape){.rank = 1, .dim = {end - start}}, output, err);
}

static bool gather(const struct graph *graph, const struct node *node, struct tensor *output,
                   struct error *err)
{
    struct integer_list list, places;
    int64_t axis;
    if (!read_list(graph, node, 0, &list, err) || !read_list(graph, node, 1, &places, err) ||
        !attribute_int(node, "axis", 0, &axis, err))
        return false;
    const struct tensor *input = &graph->tensors[node->inputs[0]];
    if (input->shape.rank != 1 || axis < -1 || axis > 0)
        return FAIL(err, E_UNSUPPORTED, "of integers, only a list (one axis) can be gathered from");
    int64_t *values = take(graph, output, &graph->tensors[node->inputs[1]].shape, err);
    for (size_t i = 0; values && i < places.count; i++) {
        int64_t place = places.values[i], count = (int64_t)list.count;
        if (place < -count || place >= count)
            return FAIL(err, E_INVALID, "index %" PRId64 " of a list of %" PRId64, place, count);
        values[i] = list.values[place < 0 ? place + count : place];
    }
    return values != NULL;
}

static bool cast(const struct graph *graph, const struct node *node, struct tensor *output,
                 struct error *err)
{
    struct integer_list list;
    return read_list(graph, node, 0, &list, err) &&
           copy_list(graph, &list, &graph->tensors[node->inputs[0]].shape, output, err);
}

static bool constant_of_shape(const struct graph *graph, const struct node *node,
                              struct tensor *output, struct error *err)
{
    struct integer_list extents;
    struct shape shape = {.rank = 0};
    int64_t value;
    if (!read_list(graph, node, 0, &extents, err) || !attribute_int(node, "value", 0, &value, err))
        return false;
    if (extents.count > SHAPE_RANK_MAX)
        return FAIL(err, E_INVALID, "%zu axes; at most %d are supported", extents.count,
                    SHAPE_RANK_MAX);
    shape.rank = (int)extents.count;
    memcpy(shape.dim, extents.values, extents.count * sizeof(*shape.dim));
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 0 || shape.dim[i] > COUNT_MAX)
            return FAIL(err, E_INVALID, "an extent of %" PRId64 "; 0 to %d are supported",
                        shape.dim[i], COUNT_MAX);
    if (!shape_is_empty_list(&shape) && !shape_check(&shape, output->name, err))
        return false;
    int64_t *values = take(graph, output, &shape, err);
    for (int64_t i = 0; values && i < shape_elements(&shape); i++)
        values[i] = value;
    return values != NULL;
}

/* Towards zero, of equally many, or by one number. */
static bool divide(const struct graph *graph, const struct node *node, struct tensor *output,
                   struct error *err)
{
    struct integer_list list, by;
    if (!read_list(graph, node, 0, &list, err) || !read_list(graph, node, 1, &by, err))
        return false;
    if (by.count != 1 && by.count != list.count)
        return FAIL(err, E_UNSUPPORTED, "%zu integers are divided by %zu; by as many, or by one",
                    list.count, by.count);
    int64_t *values = take(graph, output, &graph->tensors[node->inputs[0]].shape, err);
    for (size_t i = 0; values && i < list.count; i++) {
        int64_t divisor = by.values[by.count == 1 ? 0 : i];
        if (divisor == 0 || (divisor == -1 && list.values[i] == INT64_MIN))
            return FAIL(err, E_INVALID, "%" PRId64 " / %" PRId64 " is no integer", list.values[i],
                        divisor);
        values[i] = list.values[i] / divisor;
    }
    return values != NULL;
}

static const struct row {
    const char *op_type;
    evaluate *evaluate; /* NULL: the operator of ops.def, on float32 */
    int data;           /* of that: inputs that become float32, 0: all */
    bool of_any;        /* its input need not be integers */
} rows[] = {
    {"Add", NULL, 0, false},       {"Cast", cast, 0, false},
    {"Concat", NULL, 0, false},    {"ConstantOfShape", constant_of_shape, 0, false},
    {"Div", divide, 0, false},     {"Gather", gather, 0, false},
    {"Identity", NULL, 1, false},  {"Mul", NULL, 0, false},
    {"Reshape", NULL, 1, false},   {"Shape", shape_of, 0, true},
    {"Slice", NULL, 1, false},     {"Squeeze", NULL, 1, false},
    {"Sub", NULL, 0, false},       {"Transpose", NULL, 1, false},
    {"Unsqueeze", NULL, 1, false},
};

static const struct row *find_row(const char *op_type)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].op_type, op_type) == 0)
            return &rows[i];
    return NULL;
}

bool integers_know(const char *op_type)
{
    return find_row(op_type) != NULL;
}

/* Whether an attribute makes integers of the node's output. */
static bool makes_integers(const struct node *node)
{
    enum { INT32 = 6, INT64 = 7 }; /* TensorProto.DataType */
    const struct attribute *to = node_attribute(node, "to");
    const struct attribute *value = node_attribute(node, "value");
    if (strcmp(node->op_type, "Cast") == 0)
        return to && to->type == ATTRIBUTE_INT && (to->integer == INT32 || to->integer == INT64);
    if (strcmp(node->op_type, "ConstantOfShape") == 0)
        return value && value->type == ATTRIBUTE_INT;
    return true;
}

bool integers_make(const struct node *node, const bool *is_integer)
{
    const struct row *row = find_row(node->op_type);
    if (!row || node->input_count == 0 || node->output_count != 1 || !makes_integers(node))
        return false;
    for (int i = 0; !row->of_any && i < node->input_count; i++)
        if (node->inputs[i] != NODE_ABSENT && !is_integer[node->inputs[i]])
            return false;
    return true;
}

/* A float32 copy of a list. */
static bool add_real(struct graph *graph, int list, int *out_tensor, struct error *err)
{
    struct tensor real = graph->tensors[list];
    int64_t count = shape_elements(&real.shape);
    float *values = ARENA_ARRAY(graph->arena, float, count, err);
    for (int64_t i = 0; values && i < count; i++) {
        if (real.integers[i] > EXACT_MAX || real.integers[i] < -EXACT_MAX)
            return FAIL(err, E_UNSUPPORTED,
                        "'%s' has %" PRId64 "; integers up to 2^24 can be "
                        "computed with",
                        real.name, real.integers[i]);
        values[i] = (float)real.integers[i];
    }
    real.type = TENSOR_F32;
    real.values = values;
    real.integers = NULL;
    real.producer = -1;
    return values && graph_add_tensor(graph, &real, false, out_tensor, err);
}

/* The node on float32, and its output as integers again. */
static bool evaluate_real(struct graph *graph, const struct row *row, const struct node *node,
                          struct error *err)
{
    struct node real = *node;
    real.op = op_find(node->op_type);
    real.inputs = arena_memdup(graph->arena, node->inputs,
                               (size_t)node->input_count * sizeof(*node->inputs), err);
    if (!real.inputs)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if ((row->data == 0 || i < row->data) && node->inputs[i] != NODE_ABSENT &&
            !add_real(graph, node->inputs[i], &real.inputs[i], err))
            return false;
    if (!real.op->infer(graph, &real, err))
        return false;
    struct tensor *output = &graph->tensors[node->outputs[0]];
    int64_t count = shape_elements(&output->shape);
    if (!check_count(count, err) || !node_evaluate(graph, &real, err))
        return false;
    int64_t *integers = ARENA_ARRAY(graph->arena, int64_t, count, err);
    for (int64_t i = 0; integers && i < count; i++)
        integers[i] = (int64_t)output->values[i];
    output->type = TENSOR_I64;
    output->values = NULL;
    output->integers = integers;
    return integers != NULL;
}

bool integers_evaluate(struct graph *graph, const struct node *node, struct error *err)
{
    const struct row *row = find_row(node->op_type);
    if (!row->evaluate)
        return evaluate_real(graph, row, node, err);
    struct tensor output = graph->tensors[node->outputs[0]];
    output.type = TENSOR_I64;
    if (!row->evaluate(graph, node, &output, err))
        return false;
    graph->tensors[node->outputs[0]] = output;
    return true;
}
