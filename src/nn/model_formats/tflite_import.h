#pragma once

/* What the files of the TFLite importer share.
 *
 * Operators are translated one by one, in the file's order, into nodes of ONNX's vocabulary (opset
 * 13). TFLite's images are N H W C, ONNX's N C H W: a tensor of the file can therefore stand for
 * several tensors of the graph, one per form, which are made when they are first asked for. An
 * activation gets its other form through a Transpose node, a constant by permuting its values. So
 * Conv → Relu → Conv needs no Transpose in between, and those that remain are at the borders.
 */

#include "ptqd/nn/graph.h"
#include "tflite_flatbuffer.h"

enum tflite_form {
    FORM_FILE,       /* as in the file */
    FORM_NCHW,       /* four axes, channels second; K R S C weights become K C R S */
    FORM_LAST_FIRST, /* four axes: 1 R S K weights become K 1 R S, K R S C ones C K R S */
    FORM_TRANSPOSED, /* two axes, swapped */
    FORM_COUNT,
};

/* A tensor of the file. */
struct tflite_tensor {
    const char *name;
    int type; /* TensorType */
    struct shape shape;
    const uint8_t *data; /* of a constant (borrowed from the file), else NULL */
    size_t data_bytes;
    struct flat_table quantization; /* absent where it has none */
    int forms[FORM_COUNT];          /* tensors of the graph; −1 where there is none yet */
};

struct tflite_import {
    struct flat flat;
    struct graph *graph;   /* borrowed */
    struct arena *scratch; /* for the time of the import */
    struct tflite_tensor *tensors;
    int tensor_count;
    struct flat_list codes;  /* OperatorCode */
    size_t constants_budget; /* values that constants may still expand to */
};

struct tflite_builtin;

/* The operator that is being translated. */
struct tflite_op {
    struct tflite_import *import;
    const struct tflite_builtin *builtin;
    const char *name;          /* of the tensor it writes first */
    struct flat_table options; /* absent where it has none */
    const int *inputs;         /* tensors of the file; −1 where not given */
    int input_count;
    const int *outputs; /* tensors of the file */
    int output_count;
};

/* A row of tflite_builtin.def. `translate` is NULL where the operator is not supported. */
struct tflite_builtin {
    int code; /* BuiltinOperator */
    const char *name;
    int options; /* member of BuiltinOptions; 0: none are read */
    bool (*translate)(struct tflite_op *op, struct error *err);
    const char *op_type; /* for `translate` */
};

/* The row of a code; NULL when it has none. */
const struct tflite_builtin *tflite_builtin_find(int64_t code);

/* tflite_tensor.c */

/* Reads the tensors of a subgraph. */
bool tflite_read_tensors(struct tflite_import *import, const struct flat_table *subgraph,
                         const struct flat_list *buffers, struct error *err);

/* The type's name in messages: "float32". */
const char *tflite_type_name(int type);

/* Values of a constant as float32, in `arena`. Quantized weights are dequantized. */
bool tflite_constant_values(struct tflite_import *import, struct arena *arena,
                            const struct tflite_tensor *tensor, const float **out_values,
                            struct error *err);

/* A list of integers, in scratch memory. */
struct tflite_integers {
    const int64_t *values;
    size_t count;
};

/* Values of an integer constant. */
bool tflite_constant_integers(struct tflite_import *import, const struct tflite_tensor *tensor,
                              struct tflite_integers *out, struct error *err);

/* tflite_node.c */

/* True when the input is given. */
bool tflite_has_input(const struct tflite_op *op, int input);

/* The tensor of an input, which must be given. */
bool tflite_input_tensor(const struct tflite_op *op, int input, struct tflite_tensor **out,
                         struct error *err);

/* An integer constant that an input must be. */
bool tflite_input_integers(const struct tflite_op *op, int input, struct tflite_integers *out,
                           struct error *err);

/* The graph's tensor for an input in a form; E_UNSUPPORTED when it is no float32 activation. */
bool tflite_input(struct tflite_op *op, int input, enum tflite_form form, int *out_tensor,
                  struct error *err);

/* As tflite_input, of a tensor that need not be an input. */
bool tflite_tensor_form(struct tflite_import *import, struct tflite_tensor *tensor,
                        enum tflite_form form, int *out_tensor, struct error *err);

/* As tflite_input; E_UNSUPPORTED when the input is not a constant. */
bool tflite_weights(struct tflite_op *op, int input, enum tflite_form form, int *out_tensor,
                    struct error *err);

/* FORM_NCHW when all activations that the operator reads have four axes and one of them is in that
 * form already, else FORM_FILE. */
enum tflite_form tflite_follow(const struct tflite_op *op);

/* The axis (−rank … rank−1) of a tensor of the file, in a form. */
bool tflite_axis(int64_t axis, int rank, enum tflite_form form, int64_t *out_axis,
                 struct error *err);

/* Constants of the graph, named "<operator>/<suffix>". */
bool tflite_add_integers(struct tflite_op *op, const char *suffix, const int64_t *values,
                         size_t count, int *out_tensor, struct error *err);
bool tflite_add_scalar(struct tflite_op *op, const char *suffix, float value, int *out_tensor,
                       struct error *err);

/* A node before the operator's last one, and its output, named "<operator>/<suffix>". `node` has
 * op_type, inputs and attributes. */
bool tflite_add_node(struct tflite_op *op, const struct node *node, const char *suffix,
                     int *out_tensor, struct error *err);

/* The operator's main node, then one for its fused activation; the result is the operator's output,
 * in `form`. */
bool tflite_finish(struct tflite_op *op, const struct node *node, enum tflite_form form,
                   int64_t activation, struct error *err);

/* As tflite_finish, of an operator with any number of outputs and no activation. */
bool tflite_finish_outputs(struct tflite_op *op, const struct node *node, enum tflite_form form,
                           struct error *err);

/* The limits of a Clip node, as its inputs 1 and 2. */
bool tflite_add_limits(struct tflite_op *op, float min, float max, int inputs[static 3],
                       struct error *err);

/* Fields of the operator's options, of 4 bytes and of 1. */
int64_t tflite_option_int(struct tflite_op *op, int field, int64_t fallback);
int64_t tflite_option_byte(struct tflite_op *op, int field, int64_t fallback);

/* Attributes of nodes. */
static inline struct attribute tflite_attribute_ints(const char *name, const int64_t *values,
                                                     size_t count)
{
    return (
        struct attribute){.name = name, .type = ATTRIBUTE_INTS, .integers = values, .count = count};
}

static inline struct attribute tflite_attribute_int(const char *name, int64_t value)
{
    return (struct attribute){.name = name, .type = ATTRIBUTE_INT, .integer = value};
}

static inline struct attribute tflite_attribute_text(const char *name, const char *value)
{
    return (struct attribute){.name = name, .type = ATTRIBUTE_STRING, .string = value};
}

static inline struct attribute tflite_attribute_float(const char *name, float value)
{
    return (struct attribute){.name = name, .type = ATTRIBUTE_FLOAT, .real = (double)value};
}

/* Translations: tflite_spatial.c */
bool tflite_conv(struct tflite_op *op, struct error *err);
bool tflite_depthwise(struct tflite_op *op, struct error *err);
bool tflite_pool(struct tflite_op *op, struct error *err);
bool tflite_pad(struct tflite_op *op, struct error *err);

/* tflite_dense.c */
bool tflite_dense(struct tflite_op *op, struct error *err);

/* tflite_elementwise.c */
bool tflite_binary(struct tflite_op *op, struct error *err);
bool tflite_dequantize(struct tflite_op *op, struct error *err);
bool tflite_leaky_relu(struct tflite_op *op, struct error *err);
bool tflite_log_softmax(struct tflite_op *op, struct error *err);
bool tflite_prelu(struct tflite_op *op, struct error *err);
bool tflite_relu6(struct tflite_op *op, struct error *err);
bool tflite_relu_0_to_1(struct tflite_op *op, struct error *err);
bool tflite_relu_n1_to_1(struct tflite_op *op, struct error *err);
bool tflite_softmax(struct tflite_op *op, struct error *err);
bool tflite_unary(struct tflite_op *op, struct error *err);

/* tflite_parts.c */
bool tflite_slice(struct tflite_op *op, struct error *err);
bool tflite_split(struct tflite_op *op, struct error *err);
bool tflite_split_v(struct tflite_op *op, struct error *err);
bool tflite_strided_slice(struct tflite_op *op, struct error *err);

/* tflite_upsampling.c */
bool tflite_resize_bilinear(struct tflite_op *op, struct error *err);
bool tflite_resize_nearest(struct tflite_op *op, struct error *err);
bool tflite_transpose_conv(struct tflite_op *op, struct error *err);

/* tflite_axes.c */
bool tflite_concat(struct tflite_op *op, struct error *err);
bool tflite_expand_dims(struct tflite_op *op, struct error *err);
bool tflite_mean(struct tflite_op *op, struct error *err);
bool tflite_reshape(struct tflite_op *op, struct error *err);
bool tflite_squeeze(struct tflite_op *op, struct error *err);
bool tflite_transpose(struct tflite_op *op, struct error *err);
