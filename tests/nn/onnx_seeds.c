/* Writes the first inputs of the fuzzer of ONNX files: tests/fuzz/corpus/onnx was begun with
 *
 *   onnx_seeds tests/fuzz/corpus/onnx
 *
 * Each is a small model that uses another part of the format or other operators. */

#include "onnx_build.h"
#include "support.h"

#include "ptqd/base/file.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DIMS(...)                                                                                  \
    (int)COUNT(((int64_t[]){__VA_ARGS__})), (int64_t[])                                            \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static const float ramp[] = {0.5f,  -1, 0.25f, 2,     -0.5f, 1, -0.25f, -2, 3,     0.125f, 1.5f, -3,
                             0.75f, -1, 4,     0.25f, -4,    1, 0.5f,   2,  -0.5f, 0.25f,  1,    2};

static void ends(struct onnx_build *build, int rank, const int64_t *dims)
{
    onnx_build_input(build, "x", rank, dims);
    onnx_build_output(build, "y", rank, dims);
}

static void integers(struct onnx_build *build, const char *name, int count, const int64_t *values)
{
    Onnx__TensorProto *tensor =
        onnx_build_tensor(build, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, (int64_t[]){count});
    tensor->n_int64_data = (size_t)count;
    tensor->int64_data = arena_memdup(build->arena, values, (size_t)count * sizeof(*values), NULL);
}

static void text_attribute(struct onnx_build *build, Onnx__NodeProto *node, const char *name,
                           const char *value)
{
    Onnx__AttributeProto *attribute =
        onnx_build_attribute(build, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attribute->has_s = 1;
    attribute->s =
        (ProtobufCBinaryData){strlen(value), (uint8_t *)arena_strdup(build->arena, value, NULL)};
}

static void dense(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 4));
    onnx_build_floats(build, "w", DIMS(3, 4), ramp);
    onnx_build_floats(build, "b", DIMS(3), ramp);
    Onnx__NodeProto *gemm = onnx_build_node(build, "Gemm", "dense", "x w b", "h");
    onnx_build_int(build, gemm, "transB", 1);
    onnx_build_node(build, "Softmax", "softmax", "h", "y");
}

static void convolution(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 2, 5, 5));
    onnx_build_floats(build, "w", DIMS(3, 2, 2, 2), ramp);
    onnx_build_floats(build, "p", DIMS(3), ramp + 8);
    onnx_build_floats(build, "v", DIMS(3), (float[]){1, 2, 3});
    Onnx__NodeProto *conv = onnx_build_node(build, "Conv", "conv", "x w p", "a");
    onnx_build_ints(build, conv, "pads", 4, (int64_t[]){0, 0, 1, 1});
    onnx_build_ints(build, conv, "strides", 2, (int64_t[]){2, 2});
    onnx_build_node(build, "BatchNormalization", "bn", "a p p p v", "b");
    onnx_build_node(build, "Relu", "relu", "b", "c");
    Onnx__NodeProto *pool = onnx_build_node(build, "MaxPool", "pool", "c", "d");
    onnx_build_ints(build, pool, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_build_node(build, "GlobalAveragePool", "mean", "d", "e");
    onnx_build_node(build, "Flatten", "flat", "e", "y");
}

static void depthwise(struct onnx_build *build)
{
    ends(build, DIMS(1, 3, 8));
    onnx_build_floats(build, "w", DIMS(3, 1, 3), ramp);
    Onnx__NodeProto *conv = onnx_build_node(build, "Conv", "conv", "x w", "a");
    onnx_build_int(build, conv, "group", 3);
    onnx_build_ints(build, conv, "dilations", 1, (int64_t[]){2});
    text_attribute(build, conv, "auto_pad", "SAME_UPPER");
    onnx_build_node(build, "Add", "skip", "x a", "b");
    Onnx__NodeProto *pool = onnx_build_node(build, "AveragePool", "pool", "b", "y");
    onnx_build_ints(build, pool, "kernel_shape", 1, (int64_t[]){2});
    onnx_build_int(build, pool, "ceil_mode", 1);
}

static void shapes(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 2, 3, 4));
    integers(build, "shape", 3, (int64_t[]){0, 6, -1});
    integers(build, "axes", 1, (int64_t[]){1});
    Onnx__NodeProto *transpose = onnx_build_node(build, "Transpose", "t", "x", "a");
    onnx_build_ints(build, transpose, "perm", 4, (int64_t[]){0, 2, 3, 1});
    onnx_build_node(build, "Reshape", "r", "a shape", "b");
    onnx_build_node(build, "Unsqueeze", "u", "b axes", "c");
    onnx_build_node(build, "Squeeze", "s", "c axes", "d");
    Onnx__NodeProto *mean = onnx_build_node(build, "ReduceMean", "m", "d", "y");
    onnx_build_ints(build, mean, "axes", 1, (int64_t[]){2});
    onnx_build_int(build, mean, "keepdims", 0);
}

static void joins(struct onnx_build *build)
{
    build->opset.version = 14;
    ends(build, DIMS(BUILD_OPEN, 2, 3, 3));
    integers(build, "pads", 8, (int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
    onnx_build_node(build, "Pad", "pad", "x pads", "a");
    onnx_build_node(build, "Sigmoid", "sigmoid", "a", "b");
    onnx_build_node(build, "HardSwish", "swish", "a", "c");
    Onnx__NodeProto *concat = onnx_build_node(build, "Concat", "concat", "b c", "d");
    onnx_build_int(build, concat, "axis", 1);
    onnx_build_node(build, "Mul", "mul", "d d", "y");
}

/* A view by the number of samples, and by half of the channels. */
static void computed_shapes(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 4, 3));
    integers(build, "first", 1, (int64_t[]){0});
    integers(build, "second", 1, (int64_t[]){1});
    integers(build, "two", 1, (int64_t[]){2});
    integers(build, "rest", 1, (int64_t[]){-1});
    onnx_build_node(build, "Relu", "relu", "x", "a");
    onnx_build_node(build, "Shape", "shape", "a", "s");
    onnx_build_node(build, "Gather", "samples", "s first", "n");
    onnx_build_node(build, "Gather", "channels", "s second", "c");
    onnx_build_node(build, "Div", "half", "c two", "h");
    Onnx__NodeProto *cast = onnx_build_node(build, "Cast", "cast", "h", "i");
    onnx_build_int(build, cast, "to", ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
    Onnx__NodeProto *concat = onnx_build_node(build, "Concat", "concat", "n i rest", "to");
    onnx_build_int(build, concat, "axis", 0);
    onnx_build_node(build, "Reshape", "view", "a to", "y");
}

static void broadcasts(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 3, 2, 2));
    onnx_build_floats(build, "scale", DIMS(3, 1, 1), ramp);
    onnx_build_floats(build, "low", 0, NULL, ramp + 1);
    onnx_build_floats(build, "m", DIMS(2, 2), ramp);
    onnx_build_node(build, "Mul", "mul", "x scale", "a");
    onnx_build_node(build, "Clip", "clip", "a low -", "b");
    onnx_build_node(build, "Sub", "sub", "scale b", "c");
    onnx_build_node(build, "MatMul", "matmul", "c m", "y");
}

/* A slice and three parts, of which one is read. */
static void parts(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 6, 2, 3));
    integers(build, "starts", 2, (int64_t[]){-1, 1});
    integers(build, "ends", 2, (int64_t[]){INT64_MIN, 3});
    integers(build, "axes", 2, (int64_t[]){1, -1});
    integers(build, "steps", 2, (int64_t[]){-1, 1});
    integers(build, "lengths", 3, (int64_t[]){1, 3, 2});
    onnx_build_node(build, "Slice", "slice", "x starts ends axes steps", "a");
    Onnx__NodeProto *split = onnx_build_node(build, "Split", "split", "a lengths", "b y c");
    onnx_build_int(build, split, "axis", 1);
}

static void upsampling(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 2, 2, 3));
    onnx_build_floats(build, "w", DIMS(2, 3, 2, 2), ramp);
    onnx_build_floats(build, "slope", DIMS(3, 1, 1), ramp);
    onnx_build_floats(build, "region", DIMS(0), ramp);
    onnx_build_floats(build, "scales", DIMS(4), (float[]){1, 1, 0.5f, 2});
    Onnx__NodeProto *conv = onnx_build_node(build, "ConvTranspose", "conv", "x w", "a");
    onnx_build_ints(build, conv, "strides", 2, (int64_t[]){2, 1});
    onnx_build_ints(build, conv, "pads", 4, (int64_t[]){0, 1, 0, 0});
    onnx_build_ints(build, conv, "output_padding", 2, (int64_t[]){1, 0});
    onnx_build_node(build, "PRelu", "active", "a slope", "b");
    Onnx__NodeProto *resize = onnx_build_node(build, "Resize", "resize", "b region scales", "y");
    text_attribute(build, resize, "mode", "linear");
    text_attribute(build, resize, "coordinate_transformation_mode", "pytorch_half_pixel");
}

static void constants(struct onnx_build *build)
{
    ends(build, DIMS(1, 2));
    Onnx__NodeProto *reals = onnx_build_node(build, "Constant", "", "", "a");
    Onnx__AttributeProto *list =
        onnx_build_attribute(build, reals, "value_floats",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    list->n_floats = 2;
    list->floats = arena_memdup(build->arena, ramp, 2 * sizeof(*ramp), NULL);
    Onnx__NodeProto *number = onnx_build_node(build, "Constant", "", "", "b");
    Onnx__AttributeProto *value =
        onnx_build_attribute(build, number, "value_float",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    value->has_f = 1;
    value->f = 2;
    onnx_build_node(build, "Identity", "", "a", "c");
    onnx_build_node(build, "Mul", "", "c b", "d");
    onnx_build_node(build, "Add", "", "x d", "e");
    onnx_build_node(build, "Dropout", "", "e", "y mask");
}

static void element_types(struct onnx_build *build)
{
    ends(build, DIMS(1, 2));
    static int32_t halves[] = {0x3c00, 0x4000};
    Onnx__TensorProto *half =
        onnx_build_tensor(build, "h", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, DIMS(2));
    half->n_int32_data = 2;
    half->int32_data = halves;
    static double doubles[] = {1, 2};
    Onnx__TensorProto *wide =
        onnx_build_tensor(build, "d", ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, DIMS(2));
    wide->n_double_data = 2;
    wide->double_data = doubles;
    static int32_t axes[] = {-1};
    Onnx__TensorProto *axis =
        onnx_build_tensor(build, "a", ONNX__TENSOR_PROTO__DATA_TYPE__INT32, DIMS(1));
    axis->n_int32_data = 1;
    axis->int32_data = axes;
    onnx_build_node(build, "Add", "", "x h", "b");
    onnx_build_node(build, "Add", "", "b d", "c");
    onnx_build_node(build, "Unsqueeze", "", "c a", "y");
}

/* Operator set 7, IR version 3: initializers are inputs as well, attributes instead of inputs. */
static void old(struct onnx_build *build)
{
    build->model.ir_version = 3;
    build->opset.version = 7;
    ends(build, DIMS(1, 4));
    onnx_build_input(build, "w", DIMS(4, 4));
    onnx_build_floats(build, "w", DIMS(4, 4), ramp);
    onnx_build_node(build, "MatMul", "", "x w", "a");
    Onnx__NodeProto *clip = onnx_build_node(build, "Clip", "", "a", "b");
    Onnx__AttributeProto *max =
        onnx_build_attribute(build, clip, "max", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    max->has_f = 1;
    max->f = 6;
    onnx_build_node(build, "LogSoftmax", "", "b", "y");
}

static void activations(struct onnx_build *build)
{
    ends(build, DIMS(BUILD_OPEN, 2, 2, 2));
    onnx_build_node(build, "LeakyRelu", "", "x", "a");
    onnx_build_node(build, "Elu", "", "a", "b");
    onnx_build_node(build, "Tanh", "", "b", "c");
    onnx_build_node(build, "HardSigmoid", "", "c", "d");
    onnx_build_node(build, "GlobalAveragePool", "", "d", "y");
}

static void unsupported(struct onnx_build *build)
{
    ends(build, DIMS(1, 2));
    Onnx__NodeProto *branch = onnx_build_node(build, "If", "", "x", "a");
    Onnx__AttributeProto *graph =
        onnx_build_attribute(build, branch, "then_branch",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
    static Onnx__GraphProto empty = ONNX__GRAPH_PROTO__INIT;
    graph->g = &empty;
    Onnx__NodeProto *custom = onnx_build_node(build, "Fused", "", "a", "y");
    custom->domain = arena_strdup(build->arena, "com.example", NULL);
}

static void cycle(struct onnx_build *build)
{
    ends(build, DIMS(1, 2));
    onnx_build_node(build, "Add", "", "x b", "a");
    onnx_build_node(build, "Relu", "", "a", "b");
    onnx_build_node(build, "Relu", "", "b", "y");
}

static const struct {
    const char *name;
    void (*make)(struct onnx_build *build);
} seeds[] = {
    {"dense", dense},
    {"convolution", convolution},
    {"depthwise", depthwise},
    {"shapes", shapes},
    {"joins", joins},
    {"broadcasts", broadcasts},
    {"computed_shapes", computed_shapes},
    {"parts", parts},
    {"upsampling", upsampling},
    {"constants", constants},
    {"element_types", element_types},
    {"old", old},
    {"activations", activations},
    {"unsupported", unsupported},
    {"cycle", cycle},
};

static bool write_seed(const char *folder, size_t index, struct error *err)
{
    struct arena *arena = arena_create(0);
    if (arena == NULL)
        return FAIL(err, E_MEMORY, "no memory");
    struct onnx_build build;
    onnx_build_init(&build, arena);
    seeds[index].make(&build);
    size_t size;
    const uint8_t *bytes = onnx_build_pack(&build, &size);
    char *name = arena_printf(arena, err, "%s.onnx", seeds[index].name);
    char *path = name == NULL ? NULL : file_join(arena, folder, name, err);
    bool ok = path != NULL && file_write(path, bytes, size, err);
    arena_destroy(arena);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: onnx_seeds FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < COUNT(seeds); i++) {
        struct error err = {.message = ""};
        if (!write_seed(argv[1], i, &err)) {
            fprintf(stderr, "%s: %s\n", seeds[i].name, err.message);
            return 1;
        }
    }
    return 0;
}
