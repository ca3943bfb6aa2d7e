/* TFLite's operators that work value by value, or along the last axis. */

#include "tflite_import.h"
#include "tflite_schema.h"

#include <math.h>

bool tflite_binary(struct tflite_op *op, struct error *err)
{
    enum tflite_form form = tflite_follow(op);
    int inputs[2];
    if (!tflite_input(op, 0, form, &inputs[0], err) || !tflite_input(op, 1, form, &inputs[1], err))
        return false;
    struct node node = {.op_type = op->builtin->op_type, .inputs = inputs, .input_count = 2};
    return tflite_finish(op, &node, form,
                         tflite_option_byte(op, BINARY_ACTIVATION, ACTIVATION_NONE), err);
}

bool tflite_unary(struct tflite_op *op, struct error *err)
{
    enum tflite_form form = tflite_follow(op);
    int input;
    if (!tflite_input(op, 0, form, &input, err))
        return false;
    struct node node = {.op_type = op->builtin->op_type, .inputs = &input, .input_count = 1};
    return tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}

static bool clip(struct tflite_op *op, float min, float max, struct error *err)
{
    enum tflite_form form = tflite_follow(op);
    int inputs[3];
    if (!tflite_input(op, 0, form, &inputs[0], err) ||
        !tflite_add_limits(op, min, max, inputs, err))
        return false;
    struct node node = {.op_type = op->builtin->op_type, .inputs = inputs, .input_count = 3};
    return tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}

bool tflite_relu6(struct tflite_op *op, struct error *err)
{
    return clip(op, 0, 6, err);
}

bool tflite_relu_0_to_1(struct tflite_op *op, struct error *err)
{
    return clip(op, 0, 1, err);
}

bool tflite_relu_n1_to_1(struct tflite_op *op, struct error *err)
{
    return clip(op, -1, 1, err);
}

bool tflite_leaky_relu(struct tflite_op *op, struct error *err)
{
    enum tflite_form form = tflite_follow(op);
    float alpha = flat_float(&op->import->flat, &op->options, LEAKY_RELU_ALPHA, 0);
    int input;
    if (!isfinite(alpha))
        return FAIL(err, E_INVALID, "alpha is %g; it must be finite", (double)alpha);
    if (!tflite_input(op, 0, form, &input, err))
        return false;
    struct attribute slope = tflite_attribute_float("alpha", alpha);
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = &input,
                        .input_count = 1,
                        .attributes = &slope,
                        .attribute_count = 1};
    return tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}

/* The slope has an axis less than the images, and meets their last axes. */
bool tflite_prelu(struct tflite_op *op, struct error *err)
{
    enum tflite_form form = tflite_follow(op);
    int inputs[2];
    if (!tflite_input(op, 0, form, &inputs[0], err) ||
        !tflite_weights(op, 1, form, &inputs[1], err))
        return false;
    struct node node = {.op_type = op->builtin->op_type, .inputs = inputs, .input_count = 2};
    return tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}

/* Softmax or its logarithm over the last axis of the file. */
static bool add_softmax(struct tflite_op *op, int input, struct error *err)
{
    struct attribute axis = tflite_attribute_int("axis", -1);
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = &input,
                        .input_count = 1,
                        .attributes = &axis,
                        .attribute_count = 1};
    return tflite_finish(op, &node, FORM_FILE, ACTIVATION_NONE, err);
}

bool tflite_softmax(struct tflite_op *op, struct error *err)
{
    float beta = flat_float(&op->import->flat, &op->options, SOFTMAX_BETA, 0);
    int inputs[2];
    if (!isfinite(beta) || beta <= 0)
        return FAIL(err, E_INVALID, "beta is %g; it must be a finite number above 0", (double)beta);
    if (!tflite_input(op, 0, FORM_FILE, &inputs[0], err))
        return false;
    if (beta != 1) {
        struct node scaled = {.op_type = "Mul", .inputs = inputs, .input_count = 2};
        if (!tflite_add_scalar(op, "beta", beta, &inputs[1], err) ||
            !tflite_add_node(op, &scaled, "scaled", &inputs[0], err))
            return false;
    }
    return add_softmax(op, inputs[0], err);
}

bool tflite_log_softmax(struct tflite_op *op, struct error *err)
{
    int input;
    return tflite_input(op, 0, FORM_FILE, &input, err) && add_softmax(op, input, err);
}

/* Of a constant (float16 or quantized weights): the output is the constant, which is turned into
 * float32 wherever it is used. */
bool tflite_dequantize(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *input = NULL, *output = &op->import->tensors[op->outputs[0]];
    if (!tflite_input_tensor(op, 0, &input, err))
        return false;
    if (!input->data)
        return FAIL(err, E_UNSUPPORTED,
                    "activation '%s' is %s; only float32 networks are supported (of a quantized "
                    "model, upload the float model that it was made from)",
                    input->name, tflite_type_name(input->type));
    const char *name = output->name;
    *output = *input;
    output->name = name;
    for (int form = 0; form < FORM_COUNT; form++)
        output->forms[form] = -1;
    return true;
}
