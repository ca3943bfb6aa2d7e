/* TFLite's operators with a window over N H W C images: convolutions and pooling; and padding.
 *
 * SAME padding (windows of effective size E = (R − 1) · dilation + 1): ceil(H / stride) outputs,
 * and just so many zeros that they exist, half of them in front, the odd one behind. VALID: none.
 */

#include "tflite_import.h"
#include "tflite_schema.h"

#include <inttypes.h>

/* Heights come first, as in ONNX. */
struct window {
    int64_t kernel[2], stride[2], dilation[2];
    int64_t pads[4]; /* before H, before W, after H, after W */
};

static bool check_positive(const int64_t values[static 2], const char *what, struct error *err)
{
    if (values[0] < 1 || values[1] < 1)
        return FAIL(err, E_INVALID, "%s is %" PRId64 "x%" PRId64 "; both must be at least 1", what,
                    values[0], values[1]);
    return true;
}

/* Pads of one axis (0 height, 1 width), and a check against the extent that the file says. */
static bool pad_axis(struct window *window, int axis, int64_t padding, int64_t in, int64_t out,
                     struct error *err)
{
    int64_t effective = (window->kernel[axis] - 1) * window->dilation[axis] + 1;
    int64_t stride = window->stride[axis], count, total = 0;
    if (padding == PADDING_SAME) {
        count = (in + stride - 1) / stride;
        total = (count - 1) * stride + effective - in;
        total = total > 0 ? total : 0;
    } else {
        count = in >= effective ? (in - effective) / stride + 1 : 0;
    }
    if (count != out)
        return FAIL(err, E_INVALID,
                    "%s %" PRId64 " with a window of %" PRId64 " every %" PRId64 " gives %" PRId64
                    " outputs, but the file says %" PRId64,
                    axis == 0 ? "height" : "width", in, effective, stride, count, out);
    window->pads[axis] = total / 2;
    window->pads[axis + 2] = total - total / 2;
    return true;
}

/* Fills in the pads of a window over the operator's first input. */
static bool place_window(struct tflite_op *op, struct window *window, int64_t padding,
                         struct error *err)
{
    struct tflite_tensor *input = NULL;
    if (!tflite_input_tensor(op, 0, &input, err))
        return false;
    const struct tflite_tensor *output = &op->import->tensors[op->outputs[0]];
    if (input->shape.rank != 4 || output->shape.rank != 4)
        return FAIL(err, E_INVALID, "input and output have %d and %d axes; both must have 4",
                    input->shape.rank, output->shape.rank);
    if (padding != PADDING_SAME && padding != PADDING_VALID)
        return FAIL(err, E_INVALID, "padding is %" PRId64 "; 0 (SAME) and 1 (VALID) exist",
                    padding);
    if (!flat_check(&op->import->flat, err) || !check_positive(window->kernel, "the window", err) ||
        !check_positive(window->stride, "the stride", err) ||
        !check_positive(window->dilation, "the dilation", err))
        return false;
    for (int axis = 0; axis < 2; axis++) {
        if (!pad_axis(window, axis, padding, input->shape.dim[axis + 1],
                      output->shape.dim[axis + 1], err))
            return false;
    }
    return true;
}

/* Both kinds of convolution, once their options are known. */
static bool add_conv(struct tflite_op *op, const struct window *window, enum tflite_form weights,
                     int64_t groups, int64_t activation, struct error *err)
{
    int inputs[3];
    bool bias = tflite_has_input(op, 2);
    if (!tflite_input(op, 0, FORM_NCHW, &inputs[0], err) ||
        !tflite_weights(op, 1, weights, &inputs[1], err) ||
        (bias && !tflite_weights(op, 2, FORM_FILE, &inputs[2], err)))
        return false;
    struct attribute attributes[] = {
        tflite_attribute_ints("kernel_shape", window->kernel, 2),
        tflite_attribute_ints("strides", window->stride, 2),
        tflite_attribute_ints("dilations", window->dilation, 2),
        tflite_attribute_ints("pads", window->pads, 4),
        tflite_attribute_int("group", groups),
    };
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = bias ? 3 : 2,
                        .attributes = attributes,
                        .attribute_count = sizeof(attributes) / sizeof(attributes[0])};
    return tflite_finish(op, &node, FORM_NCHW, activation, err);
}

/* Image and filter, which have four axes with known extents; filters are K R S C or 1 R S K. */
static bool read_filter(struct tflite_op *op, struct tflite_tensor **out_image,
                        struct tflite_tensor **out_filter, struct error *err)
{
    if (!tflite_input_tensor(op, 0, out_image, err) || !tflite_input_tensor(op, 1, out_filter, err))
        return false;
    const struct tflite_tensor *image = *out_image, *filter = *out_filter;
    if (image->shape.rank != 4 || filter->shape.rank != 4)
        return FAIL(err, E_INVALID, "image '%s' and filter '%s' have %d and %d axes; both need 4",
                    image->name, filter->name, image->shape.rank, filter->shape.rank);
    return shape_check(&image->shape, image->name, err) &&
           shape_check(&filter->shape, filter->name, err);
}

bool tflite_conv(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *image = NULL, *filter = NULL;
    if (!read_filter(op, &image, &filter, err))
        return false;
    struct window window = {
        .kernel = {filter->shape.dim[1], filter->shape.dim[2]},
        .stride = {tflite_option_int(op, CONV_STRIDE_H, 0),
                   tflite_option_int(op, CONV_STRIDE_W, 0)},
        .dilation = {tflite_option_int(op, CONV_DILATION_H, 1),
                     tflite_option_int(op, CONV_DILATION_W, 1)},
    };
    int64_t channels = image->shape.dim[3], group_channels = filter->shape.dim[3];
    if (channels % group_channels != 0)
        return FAIL(err, E_INVALID,
                    "filter '%s' has %" PRId64 " channels, the image %" PRId64 ": not a multiple",
                    filter->name, group_channels, channels);
    return place_window(op, &window, tflite_option_byte(op, CONV_PADDING, PADDING_SAME), err) &&
           add_conv(op, &window, FORM_NCHW, channels / group_channels,
                    tflite_option_byte(op, CONV_ACTIVATION, ACTIVATION_NONE), err);
}

bool tflite_depthwise(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *image = NULL, *filter = NULL;
    if (!read_filter(op, &image, &filter, err))
        return false;
    struct window window = {
        .kernel = {filter->shape.dim[1], filter->shape.dim[2]},
        .stride = {tflite_option_int(op, DEPTHWISE_STRIDE_H, 0),
                   tflite_option_int(op, DEPTHWISE_STRIDE_W, 0)},
        .dilation = {tflite_option_int(op, DEPTHWISE_DILATION_H, 1),
                     tflite_option_int(op, DEPTHWISE_DILATION_W, 1)},
    };
    int64_t channels = image->shape.dim[3], outputs = filter->shape.dim[3];
    if (filter->shape.dim[0] != 1 || outputs % channels != 0)
        return FAIL(err, E_INVALID,
                    "filter '%s' is %" PRId64 "xRxSx%" PRId64 "; an image of %" PRId64
                    " channels needs 1xRxS and a multiple of that",
                    filter->name, filter->shape.dim[0], outputs, channels);
    return place_window(op, &window, tflite_option_byte(op, DEPTHWISE_PADDING, PADDING_SAME),
                        err) &&
           add_conv(op, &window, FORM_LAST_FIRST, channels,
                    tflite_option_byte(op, DEPTHWISE_ACTIVATION, ACTIVATION_NONE), err);
}

/* The average is over the elements inside the image, as with ONNX's count_include_pad = 0. */
bool tflite_pool(struct tflite_op *op, struct error *err)
{
    struct window window = {
        .kernel = {tflite_option_int(op, POOL_FILTER_H, 0),
                   tflite_option_int(op, POOL_FILTER_W, 0)},
        .stride = {tflite_option_int(op, POOL_STRIDE_H, 0),
                   tflite_option_int(op, POOL_STRIDE_W, 0)},
        .dilation = {1, 1},
    };
    int input;
    if (!place_window(op, &window, tflite_option_byte(op, POOL_PADDING, PADDING_SAME), err) ||
        !tflite_input(op, 0, FORM_NCHW, &input, err))
        return false;
    struct attribute attributes[] = {
        tflite_attribute_ints("kernel_shape", window.kernel, 2),
        tflite_attribute_ints("strides", window.stride, 2),
        tflite_attribute_ints("pads", window.pads, 4),
    };
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = &input,
                        .input_count = 1,
                        .attributes = attributes,
                        .attribute_count = sizeof(attributes) / sizeof(attributes[0])};
    return tflite_finish(op, &node, FORM_NCHW,
                         tflite_option_byte(op, POOL_ACTIVATION, ACTIVATION_NONE), err);
}

/* Pads come as (before, after) per axis; ONNX has all that are before, then all after. */
bool tflite_pad(struct tflite_op *op, struct error *err)
{
    struct tflite_tensor *image = NULL;
    struct tflite_integers pairs = {.count = 0};
    if (!tflite_input_tensor(op, 0, &image, err) || !tflite_input_integers(op, 1, &pairs, err))
        return false;
    int rank = image->shape.rank;
    if (pairs.count != 2 * (size_t)rank)
        return FAIL(err, E_INVALID, "%zu pads for %d axes; two per axis are needed", pairs.count,
                    rank);
    enum tflite_form form = rank == 4 ? FORM_NCHW : FORM_FILE;
    int64_t pads[2 * SHAPE_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        int64_t axis = i;
        if (!tflite_axis(i, rank, form, &axis, err))
            return false;
        pads[axis] = pairs.values[2 * i];
        pads[rank + axis] = pairs.values[2 * i + 1];
    }
    int inputs[3];
    bool value = tflite_has_input(op, 2);
    if (!tflite_input(op, 0, form, &inputs[0], err) ||
        !tflite_add_integers(op, "pads", pads, pairs.count, &inputs[1], err) ||
        (value && !tflite_weights(op, 2, FORM_FILE, &inputs[2], err)))
        return false;
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = value ? 3 : 2};
    return tflite_finish(op, &node, form, ACTIVATION_NONE, err);
}
