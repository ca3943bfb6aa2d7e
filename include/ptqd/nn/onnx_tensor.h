#pragma once

/* Values of ONNX tensors (TensorProto): initializers, constants, the tensors of test data. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"

struct Onnx__TensorProto;

/* Sets name, type, shape and values of `*out_tensor` as a constant. float16, bfloat16 and float64
 * become float32, bool and integers of up to 64 bits int64 (uint64 excepted). Values are in the
 * arena, the name is borrowed from `proto`.
 *
 * E_INVALID for extents below 1 (of an empty list, 0) and when shape and data disagree, with both
 * numbers; E_UNSUPPORTED for other element types, more than SHAPE_RANK_MAX axes and values in other
 * files. */
bool onnx_tensor_decode(struct arena *arena, const struct Onnx__TensorProto *proto,
                        struct tensor *out_tensor, struct error *err);

/* numpy's name of a TensorProto.DataType: "float32"; "type 77" is put in `buffer` when unknown. */
enum { ONNX_TYPE_NAME_BYTES = 24 };
const char *onnx_type_name(int32_t data_type, char buffer[static ONNX_TYPE_NAME_BYTES]);
