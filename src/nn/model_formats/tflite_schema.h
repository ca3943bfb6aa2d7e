#pragma once

/* The TFLite schema, as far as the importer reads it: field numbers of its tables, values of its
 * enumerations.
 *
 * A `.tflite` file is a flatbuffer (tflite_flatbuffer.c) with the identifier "TFL3" whose root is a
 * Model, version 3:
 *
 *   Model          operator codes, subgraphs, buffers
 *   OperatorCode   which operator: the larger of an old field of one byte and a new one of four
 *   SubGraph       tensors; the inputs and outputs among them; operators in execution order
 *   Tensor         shape, element type, buffer, name, quantization; activations are N H W C
 *   Buffer         bytes of a constant, elements in C order, or none for an activation; in files
 *                  above 2 GB the bytes are behind the flatbuffer, at `offset`
 *   Operator       index of its code; tensors it reads (−1: not given) and writes; its options
 *
 * Union fields take two numbers: the member's number, then its table. Source: schema.fbs of
 * tensorflow/tflite-micro (versions 3 to 3d of the schema).
 */

enum { TFLITE_SCHEMA_VERSION = 3 };

enum { MODEL_VERSION = 0, MODEL_OPERATOR_CODES = 1, MODEL_SUBGRAPHS = 2, MODEL_BUFFERS = 4 };

enum { CODE_DEPRECATED_BUILTIN = 0, CODE_CUSTOM = 1, CODE_BUILTIN = 3 };

enum { SUBGRAPH_TENSORS = 0, SUBGRAPH_INPUTS = 1, SUBGRAPH_OUTPUTS = 2, SUBGRAPH_OPERATORS = 3 };

enum {
    TENSOR_SHAPE = 0,
    TENSOR_TYPE = 1,
    TENSOR_BUFFER = 2,
    TENSOR_NAME = 3,
    TENSOR_QUANTIZATION = 4,
    TENSOR_IS_VARIABLE = 5,
    TENSOR_SPARSITY = 6,
    TENSOR_SHAPE_SIGNATURE = 7,
    TENSOR_EXTERNAL_BUFFER = 10,
};

enum {
    QUANTIZATION_SCALE = 2,
    QUANTIZATION_ZERO_POINT = 3,
    QUANTIZATION_DETAILS_TYPE = 4,
    QUANTIZATION_DIMENSION = 6,
};

enum { BUFFER_DATA = 0, BUFFER_OFFSET = 1, BUFFER_SIZE = 2 };

enum {
    OPERATOR_CODE = 0,
    OPERATOR_INPUTS = 1,
    OPERATOR_OUTPUTS = 2,
    OPERATOR_OPTIONS_TYPE = 3,
    OPERATOR_OPTIONS = 4,
};

/* TensorType */
enum {
    TFLITE_FLOAT32 = 0,
    TFLITE_FLOAT16 = 1,
    TFLITE_INT32 = 2,
    TFLITE_UINT8 = 3,
    TFLITE_INT64 = 4,
    TFLITE_INT8 = 9,
};

/* BuiltinOperator, where the importer has to know one */
enum { TFLITE_CUSTOM = 32 };

/* Padding */
enum { PADDING_SAME = 0, PADDING_VALID = 1 };

/* ActivationFunctionType */
enum {
    ACTIVATION_NONE = 0,
    ACTIVATION_RELU = 1,
    ACTIVATION_RELU_N1_TO_1 = 2,
    ACTIVATION_RELU6 = 3,
    ACTIVATION_TANH = 4,
    ACTIVATION_SIGN_BIT = 5,
};

/* Options, by the operator's table in schema.fbs. */
enum {
    CONV_PADDING = 0,
    CONV_STRIDE_W = 1,
    CONV_STRIDE_H = 2,
    CONV_ACTIVATION = 3,
    CONV_DILATION_W = 4,
    CONV_DILATION_H = 5,
};
enum {
    DEPTHWISE_PADDING = 0,
    DEPTHWISE_STRIDE_W = 1,
    DEPTHWISE_STRIDE_H = 2,
    DEPTHWISE_ACTIVATION = 4,
    DEPTHWISE_DILATION_W = 5,
    DEPTHWISE_DILATION_H = 6,
};
enum {
    POOL_PADDING = 0,
    POOL_STRIDE_W = 1,
    POOL_STRIDE_H = 2,
    POOL_FILTER_W = 3,
    POOL_FILTER_H = 4,
    POOL_ACTIVATION = 5,
};
enum {
    TRANSPOSE_CONV_PADDING = 0,
    TRANSPOSE_CONV_STRIDE_W = 1,
    TRANSPOSE_CONV_STRIDE_H = 2,
    TRANSPOSE_CONV_ACTIVATION = 3,
};
enum { BILINEAR_ALIGN_CORNERS = 2, BILINEAR_HALF_PIXEL = 3 };
enum { NEAREST_ALIGN_CORNERS = 0, NEAREST_HALF_PIXEL = 1 };
enum {
    STRIDED_SLICE_BEGIN_MASK = 0,
    STRIDED_SLICE_END_MASK = 1,
    STRIDED_SLICE_ELLIPSIS_MASK = 2,
    STRIDED_SLICE_NEW_AXIS_MASK = 3,
    STRIDED_SLICE_SHRINK_AXIS_MASK = 4,
    STRIDED_SLICE_OFFSET = 5,
};
enum { SPLIT_COUNT = 0 }; /* Split and SplitV */
enum { DENSE_ACTIVATION = 0, DENSE_WEIGHTS_FORMAT = 1, DENSE_KEEP_DIMS = 2 };
enum { BINARY_ACTIVATION = 0 }; /* Add, Mul, Sub */
enum { SOFTMAX_BETA = 0 };
enum { CONCAT_AXIS = 0, CONCAT_ACTIVATION = 1 };
enum { LEAKY_RELU_ALPHA = 0 };
enum { REDUCER_KEEP_DIMS = 0 };
enum { RESHAPE_NEW_SHAPE = 0 };
enum { SQUEEZE_DIMS = 0 };
