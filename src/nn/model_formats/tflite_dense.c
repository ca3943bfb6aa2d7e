/* TFLite's FULLY_CONNECTED: weights K C, applied to the last C values of each row.
 *
 * Two axes in, or any number of axes that count as one: Gemm, after a Reshape where needed. With
 * `keep_num_dims` the other axes stay: MatMul, and Add for the bias.
 */

#include "tflite_import.h"
#include "tflite_schema.h"

#include <inttypes.h>

/* The input as rows of `width` values. */
static bool read_rows(struct tflite_op *op, int64_t width, int *out_rows, struct error *err)
{
    struct tflite_tensor *input = NULL;
    int source;
    if (!tflite_input_tensor(op, 0, &input, err) || !tflite_input(op, 0, FORM_FILE, &source, err))
        return false;
    if (shape_elements(&input->shape) % width != 0)
        return FAIL(err, E_INVALID, "input '%s' has %" PRId64 " values: no rows of %" PRId64,
                    input->name, shape_elements(&input->shape), width);
    if (input->shape.rank == 2 && input->shape.dim[1] == width) {
        *out_rows = source;
        return true;
    }
    const int64_t shape[] = {-1, width};
    int inputs[2] = {source};
    if (!tflite_add_integers(op, "rows/shape", shape, 2, &inputs[1], err))
        return false;
    struct node node = {.op_type = "Reshape", .inputs = inputs, .input_count = 2};
    return tflite_add_node(op, &node, "rows", out_rows, err);
}

static bool add_gemm(struct tflite_op *op, int64_t width, int64_t activation, struct error *err)
{
    int inputs[3];
    bool bias = tflite_has_input(op, 2);
    if (!read_rows(op, width, &inputs[0], err) ||
        !tflite_weights(op, 1, FORM_FILE, &inputs[1], err) ||
        (bias && !tflite_weights(op, 2, FORM_FILE, &inputs[2], err)))
        return false;
    struct attribute transposed = tflite_attribute_int("transB", 1);
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = bias ? 3 : 2,
                        .attributes = &transposed,
                        .attribute_count = 1};
    return tflite_finish(op, &node, FORM_FILE, activation, err);
}

static bool add_matmul(struct tflite_op *op, int64_t activation, struct error *err)
{
    int inputs[2], sum[2];
    if (!tflite_input(op, 0, FORM_FILE, &inputs[0], err) ||
        !tflite_weights(op, 1, FORM_TRANSPOSED, &inputs[1], err))
        return false;
    struct node product = {.op_type = "MatMul", .inputs = inputs, .input_count = 2};
    if (!tflite_has_input(op, 2))
        return tflite_finish(op, &product, FORM_FILE, activation, err);
    if (!tflite_add_node(op, &product, "product", &sum[0], err) ||
        !tflite_weights(op, 2, FORM_FILE, &sum[1], err))
        return false;
    struct node node = {.op_type = "Add", .inputs = sum, .input_count = 2};
    return tflite_finish(op, &node, FORM_FILE, activation, err);
}

bool tflite_dense(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *input = NULL, *weights = NULL;
    if (!tflite_input_tensor(op, 0, &input, err) || !tflite_input_tensor(op, 1, &weights, err))
        return false;
    if (weights->shape.rank != 2)
        return FAIL(err, E_INVALID, "weights '%s' have %d axes; 2 are needed", weights->name,
                    weights->shape.rank);
    if (!shape_check(&weights->shape, weights->name, err))
        return false;
    if (tflite_option_byte(op, DENSE_WEIGHTS_FORMAT, 0) != 0)
        return FAIL(err, E_UNSUPPORTED, "weights '%s' are in a shuffled format", weights->name);
    int64_t activation = tflite_option_byte(op, DENSE_ACTIVATION, ACTIVATION_NONE);
    if (tflite_option_byte(op, DENSE_KEEP_DIMS, 0) && input->shape.rank > 2)
        return add_matmul(op, activation, err);
    return add_gemm(op, weights->shape.dim[1], activation, err);
}
