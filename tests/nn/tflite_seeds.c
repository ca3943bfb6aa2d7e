/* Writes the first inputs of the fuzzer of TFLite files: tests/fuzz/corpus/tflite was begun with
 *
 *   tflite_seeds tests/fuzz/corpus/tflite
 *
 * Each is a small model that uses another part of the format or other operators. */

#include "ptqd/base/file.h"
#include "support.h"
#include "tflite_build.h"

#include <stdio.h>

enum { NONE = BUILD_NO_INPUT };

static const float RAMP[] = {0.5F,  -1, 0.25F, 2,     -0.5F, 1, -0.25F, -2, 3,     0.125F, 1.5F, -3,
                             0.75F, -1, 4,     0.25F, -4,    1, 0.5F,   2,  -0.5F, 0.25F,  1,    2};

/* A convolution (code 3) or depthwise convolution (4) with a window of 2x2. */
static int convolve(struct build_model *model, int code, int input, int32_t in, int32_t out,
                    int activation)
{
    bool depthwise = code == 4;
    int filter =
        build_constant(model, SHAPE_OF(depthwise ? 1 : out, 2, 2, depthwise ? out : in), RAMP);
    int bias = build_constant(model, SHAPE_OF(out), RAMP);
    int output = build_activation(model, SHAPE_OF(1, 4, 4, out));
    struct build_operator *entry = build_add_operator(model, code, output, input, filter, bias);
    build_set_integer(entry, depthwise ? 2 : 1, 0, 1, 0);
    build_set_integer(entry, depthwise ? 2 : 1, 1, 4, 1);
    build_set_integer(entry, depthwise ? 2 : 1, 2, 4, 1);
    build_set_integer(entry, depthwise ? 2 : 1, depthwise ? 4 : 3, 1, activation);
    return output;
}

static void convolutions(struct build_model *model)
{
    int x = build_activation(model, SHAPE_OF(1, 4, 4, 2));
    int y = convolve(model, 3, x, 2, 3, 1);
    int z = convolve(model, 4, y, 3, 6, 3);
    struct build_operator *pool =
        build_add_operator(model, 17, build_activation(model, SHAPE_OF(1, 2, 2, 6)), z, NONE, NONE);
    for (int field = 1; field <= 4; field++)
        build_set_integer(pool, 5, field, 4, 2);
}

static void dense(struct build_model *model)
{
    static const int8_t codes[] = {-128, 127, 0, 1, 5, -7, 3, 2};
    int x = build_activation(model, SHAPE_OF(1, 2, 2));
    int w = build_add_tensor(model, BUILD_I8, SHAPE_OF(2, 4), codes, sizeof(codes));
    model->tensors[w].scale_count = model->tensors[w].zero_point_count = 2;
    model->tensors[w].scales[0] = 0.5F;
    model->tensors[w].scales[1] = 0.25F;
    int bias = build_constant(model, SHAPE_OF(2), RAMP);
    int y = build_activation(model, SHAPE_OF(1, 2));
    build_set_integer(build_add_operator(model, 9, y, x, w, bias), 8, 0, 1, 4);
    struct build_operator *softmax =
        build_add_operator(model, 25, build_activation(model, SHAPE_OF(1, 2)), y, NONE, NONE);
    build_set_real(softmax, 9, 0, 2);
}

static void joins(struct build_model *model)
{
    int x = build_activation(model, SHAPE_OF(1, 4, 4, 2));
    int y = convolve(model, 3, x, 2, 2, 0);
    int sum = build_activation(model, SHAPE_OF(1, 4, 4, 2));
    build_set_integer(build_add_operator(model, 0, sum, x, y, NONE), 11, 0, 1, 1);
    int factor = build_constant(model, SHAPE_OF(2), RAMP);
    int product = build_activation(model, SHAPE_OF(1, 4, 4, 2));
    (void)build_add_operator(model, 18, product, sum, factor, NONE);
    int wide = build_activation(model, SHAPE_OF(1, 4, 4, 4));
    build_set_integer(build_add_operator(model, 2, wide, product, y, NONE), 10, 0, 4, 3);
    int difference = build_activation(model, SHAPE_OF(1, 4, 4, 4));
    (void)build_add_operator(model, 41, difference, wide, wide, NONE);
}

static void axes(struct build_model *model)
{
    static const int32_t pads[] = {0, 0, 1, 0, 0, 1, 0, 0}, order[] = {0, 2, 1, 3}, one[] = {1};
    int x = build_activation(model, SHAPE_OF(1, 2, 2, 2));
    int where = build_add_tensor(model, BUILD_I32, SHAPE_OF(4, 2), pads, sizeof(pads));
    int padded = build_activation(model, SHAPE_OF(1, 3, 3, 2));
    (void)build_add_operator(model, 34, padded, x, where, NONE);
    int perm = build_integers(model, 4, order);
    int turned = build_activation(model, SHAPE_OF(1, 3, 3, 2));
    (void)build_add_operator(model, 39, turned, padded, perm, NONE);
    int height = build_integers(model, 1, one);
    int mean = build_activation(model, SHAPE_OF(1, 1, 3, 2));
    build_set_integer(build_add_operator(model, 40, mean, turned, height, NONE), 27, 0, 1, 1);
    int flat = build_activation(model, SHAPE_OF(1, 3, 2));
    build_set_list(build_add_operator(model, 43, flat, mean, NONE, NONE), 30, 0, 1,
                   (const int32_t[]){1});
    int deep = build_activation(model, SHAPE_OF(1, 1, 3, 2));
    (void)build_add_operator(model, 70, deep, flat, height, NONE);
    int row = build_activation(model, SHAPE_OF(1, 6));
    build_set_list(build_add_operator(model, 22, row, deep, NONE, NONE), 17, 0, 2,
                   (const int32_t[]){-1, 6});
}

static void maps(struct build_model *model)
{
    static const int32_t begin[] = {0, 1, 0, 0}, end[] = {0, 3, 3, 0}, stride[] = {1, 1, -1, 1};
    static const int32_t channels[] = {3}, extents[] = {1, 4, 6, 2}, extent[] = {3, 8};
    int x = build_activation(model, SHAPE_OF(1, 4, 4, 2));
    int from = build_integers(model, 4, begin), to = build_integers(model, 4, end);
    int cut = build_activation(model, SHAPE_OF(1, 2, 3, 2));
    struct build_operator *slice = build_add_operator(model, 45, cut, x, from, to);
    slice->inputs[slice->input_count++] = build_integers(model, 4, stride);
    build_set_integer(slice, 32, 0, 4, 13);
    build_set_integer(slice, 32, 1, 4, 13);
    int axis = build_integers(model, 1, channels);
    int part = build_activation(model, SHAPE_OF(1, 2, 3, 1));
    int other = build_activation(model, SHAPE_OF(1, 2, 3, 1));
    struct build_operator *split = build_add_operator(model, 49, part, axis, cut, NONE);
    split->outputs[1] = other;
    split->output_count = 2;
    int shape = build_integers(model, 4, extents);
    int filter = build_constant(model, SHAPE_OF(2, 2, 2, 1), RAMP);
    int large = build_activation(model, SHAPE_OF(1, 4, 6, 2));
    struct build_operator *transposed = build_add_operator(model, 67, large, shape, filter, other);
    build_set_integer(transposed, 49, 1, 4, 2);
    build_set_integer(transposed, 49, 2, 4, 2);
    int slope = build_constant(model, SHAPE_OF(1, 1, 2), RAMP);
    int active = build_activation(model, SHAPE_OF(1, 4, 6, 2));
    (void)build_add_operator(model, 54, active, large, slope, NONE);
    int size = build_integers(model, 2, extent);
    int y = build_activation(model, SHAPE_OF(1, 3, 8, 2));
    build_set_integer(build_add_operator(model, 23, y, active, size, NONE), 15, 3, 1, 1);
}

/* Operators without options, one after the other. */
static void chain(struct build_model *model, int count, const int *codes)
{
    int x = build_activation(model, SHAPE_OF(1, 4));
    for (int i = 0; i < count; i++) {
        int y = build_activation(model, SHAPE_OF(1, 4));
        (void)build_add_operator(model, codes[i], y, x, NONE, NONE);
        x = y;
    }
}

static void activations(struct build_model *model)
{
    chain(model, 8, (const int[]){19, 20, 21, 152, 14, 28, 111, 117});
    build_set_real(&model->operators[7], 75, 0, 0.25F);
    model->operators[7].code = 98;
}

static void unsupported(struct build_model *model)
{
    chain(model, 3, (const int[]){8, 32, 200});
    model->operators[1].custom = "Fancy";
}

static void halves(struct build_model *model)
{
    static const uint16_t values[] = {0x3c00, 0xc000, 0x0001, 0x7bff};
    int x = build_activation(model, SHAPE_OF(1, 2));
    int w = build_add_tensor(model, BUILD_F16, SHAPE_OF(2, 2), values, sizeof(values));
    model->tensors[w].behind = true;
    int wide = build_activation(model, SHAPE_OF(2, 2));
    (void)build_add_operator(model, 6, wide, w, NONE, NONE);
    (void)build_add_operator(model, 9, build_activation(model, SHAPE_OF(1, 2)), x, wide, NONE);
}

static const struct {
    const char *name;
    void (*build)(struct build_model *model);
} SEEDS[] = {
    {"activations", activations},
    {"axes", axes},
    {"convolutions", convolutions},
    {"dense", dense},
    {"halves", halves},
    {"joins", joins},
    {"maps", maps},
    {"unsupported", unsupported},
};

int main(int argc, char **argv)
{
    static uint8_t bytes[BUILD_BYTES];
    if (argc != 2) {
        fprintf(stderr, "usage: tflite_seeds FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(SEEDS) / sizeof(SEEDS[0]); i++) {
        char path[4096];
        struct error err;
        struct build_model model = {.tensor_count = 0};
        SEEDS[i].build(&model);
        model.output = model.tensor_count - 1;
        (void)snprintf(path, sizeof(path), "%s/%s.tflite", argv[1], SEEDS[i].name);
        if (!file_write(path, bytes, tflite_build(&model, bytes), &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
    }
    return 0;
}
