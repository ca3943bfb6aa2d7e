/* TFLite's operators that make images larger: both RESIZE operators and TRANSPOSE_CONV. */

#include "tflite_import.h"
#include "tflite_schema.h"

#include <inttypes.h>

/* Where an element lies in the input, and how the nearest there is found.
 *
 * TFLite rounds i · scale down, aligned corners to the nearest; with half pixels it rounds
 * (i + 1/2) · scale down, half a pixel above ONNX's place, which is therefore rounded to the
 * nearest. */
struct places {
    const char *coordinates, *rounding; /* coordinate_transformation_mode, nearest_mode */
};
static const struct places ASYMMETRIC = {"asymmetric", "floor"},
                           ALIGN_CORNERS = {"align_corners", "round_prefer_ceil"},
                           HALF_PIXEL = {"half_pixel", "round_prefer_ceil"};

/* At most one of the two options is set. */
static bool read_places(struct tflite_op *op, int align_corners, int half_pixel,
                        const struct places **out, struct error *err)
{
    bool aligned = tflite_option_byte(op, align_corners, 0) != 0;
    bool half = tflite_option_byte(op, half_pixel, 0) != 0;
    if (aligned && half)
        return FAIL(err, E_INVALID, "align_corners and half_pixel_centers are both set");
    *out = aligned ? &ALIGN_CORNERS : half ? &HALF_PIXEL : &ASYMMETRIC;
    return true;
}

static bool add_resize(struct tflite_op *op, const char *mode, const struct places *places,
                       struct error *err)
{
    struct tflite_tensor *image = NULL;
    struct tflite_integers size = {.count = 0};
    if (!tflite_input_tensor(op, 0, &image, err) || !tflite_input_integers(op, 1, &size, err))
        return false;
    if (image->shape.rank != 4 || size.count != 2)
        return FAIL(err, E_INVALID,
                    "image '%s' has %d axes and %zu new extents; 4 and 2 are needed", image->name,
                    image->shape.rank, size.count);
    const int64_t sizes[] = {image->shape.dim[0], image->shape.dim[3], size.values[0],
                             size.values[1]};
    int inputs[] = {NODE_ABSENT, NODE_ABSENT, NODE_ABSENT, NODE_ABSENT};
    if (!tflite_input(op, 0, FORM_NCHW, &inputs[0], err) ||
        !tflite_add_integers(op, "sizes", sizes, 4, &inputs[3], err))
        return false;
    struct attribute attributes[] = {
        tflite_attribute_text("mode", mode),
        tflite_attribute_text("coordinate_transformation_mode", places->coordinates),
        tflite_attribute_text("nearest_mode", places->rounding),
    };
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = 4,
                        .attributes = attributes,
                        .attribute_count = sizeof(attributes) / sizeof(attributes[0])};
    return tflite_finish(op, &node, FORM_NCHW, ACTIVATION_NONE, err);
}

bool tflite_resize_bilinear(struct tflite_op *op, struct error *err)
{
    const struct places *places;
    return read_places(op, BILINEAR_ALIGN_CORNERS, BILINEAR_HALF_PIXEL, &places, err) &&
           add_resize(op, "linear", places, err);
}

bool tflite_resize_nearest(struct tflite_op *op, struct error *err)
{
    const struct places *places;
    return read_places(op, NEAREST_ALIGN_CORNERS, NEAREST_HALF_PIXEL, &places, err) &&
           add_resize(op, "nearest", places, err);
}

enum { SHAPE, FILTER, IMAGE, BIAS }; /* inputs of TRANSPOSE_CONV */

/* Heights come first, as in ONNX. */
struct transposed_window {
    int64_t kernel[2], stride[2];
    int64_t pads[4]; /* before H, before W, after H, after W */
    int64_t more[2]; /* output_padding */
};

/* Pads of one axis (0 height, 1 width). As the runtime sees it, the output is the input of a
 * convolution with that padding, of which half is in front. */
static void pad_axis(struct transposed_window *window, int axis, int64_t padding, int64_t in,
                     int64_t out)
{
    int64_t reach = (in - 1) * window->stride[axis] + window->kernel[axis];
    int64_t total = padding == PADDING_SAME && reach > out ? reach - out : 0;
    int64_t after = reach - total / 2 - out;
    window->pads[axis] = total / 2;
    window->pads[axis + 2] = after > 0 ? after : 0;
    window->more[axis] = after < 0 ? -after : 0;
}

/* The shape that the file says the output has; a constant input 0 must agree. */
static bool check_shape(struct tflite_op *op, const struct shape *declared, struct error *err)
{
    struct tflite_tensor *tensor = NULL;
    struct tflite_integers wanted = {.count = 0};
    if (!tflite_input_tensor(op, SHAPE, &tensor, err))
        return false;
    if (!tensor->data)
        return true; /* computed from the number of samples, as converters do it */
    if (!tflite_input_integers(op, SHAPE, &wanted, err))
        return false;
    bool same = wanted.count == 4;
    for (int i = 0; same && i < 4; i++)
        same = wanted.values[i] == declared->dim[i];
    if (!same)
        return FAIL(err, E_INVALID, "input 0 '%s' is another shape than that of the output",
                    tensor->name);
    return true;
}

static bool read_window(struct tflite_op *op, struct transposed_window *out, struct error *err)
{
    struct tflite_tensor *filter = NULL, *image = NULL;
    const struct tflite_tensor *output = &op->import->tensors[op->outputs[0]];
    if (!tflite_input_tensor(op, FILTER, &filter, err) ||
        !tflite_input_tensor(op, IMAGE, &image, err))
        return false;
    if (filter->shape.rank != 4 || image->shape.rank != 4 || output->shape.rank != 4)
        return FAIL(err, E_INVALID,
                    "image, filter and output have %d, %d and %d axes; 4 are needed",
                    image->shape.rank, filter->shape.rank, output->shape.rank);
    if (!shape_check(&filter->shape, filter->name, err) ||
        !shape_check(&image->shape, image->name, err) ||
        !shape_check(&output->shape, output->name, err) || !check_shape(op, &output->shape, err))
        return false;
    struct transposed_window window = {
        .kernel = {filter->shape.dim[1], filter->shape.dim[2]},
        .stride = {tflite_option_int(op, TRANSPOSE_CONV_STRIDE_H, 0),
                   tflite_option_int(op, TRANSPOSE_CONV_STRIDE_W, 0)},
    };
    int64_t padding = tflite_option_byte(op, TRANSPOSE_CONV_PADDING, PADDING_SAME);
    if (window.stride[0] < 1 || window.stride[1] < 1)
        return FAIL(err, E_INVALID,
                    "the stride is %" PRId64 "x%" PRId64 "; both must be at least 1",
                    window.stride[0], window.stride[1]);
    if (padding != PADDING_SAME && padding != PADDING_VALID)
        return FAIL(err, E_INVALID, "padding is %" PRId64 "; 0 (SAME) and 1 (VALID) exist",
                    padding);
    for (int axis = 0; axis < 2; axis++)
        pad_axis(&window, axis, padding, image->shape.dim[axis + 1], output->shape.dim[axis + 1]);
    *out = window;
    return true;
}

bool tflite_transpose_conv(struct tflite_op *op, struct error *err)
{
    struct transposed_window window;
    int inputs[3];
    bool bias = tflite_has_input(op, BIAS);
    if (!read_window(op, &window, err) || !tflite_input(op, IMAGE, FORM_NCHW, &inputs[0], err) ||
        !tflite_weights(op, FILTER, FORM_LAST_FIRST, &inputs[1], err) ||
        (bias && !tflite_weights(op, BIAS, FORM_FILE, &inputs[2], err)))
        return false;
    struct attribute attributes[] = {
        tflite_attribute_ints("kernel_shape", window.kernel, 2),
        tflite_attribute_ints("strides", window.stride, 2),
        tflite_attribute_ints("pads", window.pads, 4),
        tflite_attribute_ints("output_padding", window.more, 2),
    };
    struct node node = {.op_type = op->builtin->op_type,
                        .inputs = inputs,
                        .input_count = bias ? 3 : 2,
                        .attributes = attributes,
                        .attribute_count = sizeof(attributes) / sizeof(attributes[0])};
    return tflite_finish(op, &node, FORM_NCHW,
                         tflite_option_byte(op, TRANSPOSE_CONV_ACTIVATION, ACTIVATION_NONE), err);
}
