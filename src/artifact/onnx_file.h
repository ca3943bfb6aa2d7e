#pragma once

/* Putting an ONNX model together out of protobuf-c messages that live in an arena.
 *
 * Adding never fails visibly: the first error is kept, later calls do nothing (nodes are NULL and
 * accepted as such), and onnx_file_pack reports it.
 */

#include "ptqd/base/arena.h"
#include "ptqd/nn/graph.h"

#include "onnx.pb-c.h"

struct onnx_file {
    struct arena *arena; /* borrowed */
    struct error *err;   /* borrowed */
    bool failed;
    Onnx__GraphProto graph;
};

void onnx_file_init(struct onnx_file *file, struct arena *arena, struct error *err);

/* Notes that a caller's own step failed and has filled the error; always false. */
bool onnx_file_fail(struct onnx_file *file);

/* Appends a node. Names are copied. */
Onnx__NodeProto *onnx_file_node(struct onnx_file *file, const char *op_type, const char *name);

/* Appends an input or an output; NULL is an optional input that is not given. */
void onnx_file_input(struct onnx_file *file, Onnx__NodeProto *node, const char *name);
void onnx_file_output(struct onnx_file *file, Onnx__NodeProto *node, const char *name);

void onnx_file_int(struct onnx_file *file, Onnx__NodeProto *node, const char *name, int64_t value);
void onnx_file_float(struct onnx_file *file, Onnx__NodeProto *node, const char *name, float value);
void onnx_file_string(struct onnx_file *file, Onnx__NodeProto *node, const char *name,
                      const char *value);
void onnx_file_ints(struct onnx_file *file, Onnx__NodeProto *node, const char *name,
                    const int64_t *values, size_t count);
void onnx_file_floats(struct onnx_file *file, Onnx__NodeProto *node, const char *name,
                      const float *values, size_t count);

/* Appends an initializer of shape_elements(shape) elements of `element_bytes`; the values are
 * copied. `data_type` is one of ONNX__TENSOR_PROTO__DATA_TYPE__…. */
void onnx_file_initializer(struct onnx_file *file, const char *name, int32_t data_type,
                           const struct shape *shape, const void *values, size_t element_bytes);

/* The network's input and output: float32; `symbolic_batch` names the leading axis "N". */
void onnx_file_set_input(struct onnx_file *file, const char *name, const struct shape *shape,
                         bool symbolic_batch);
void onnx_file_set_output(struct onnx_file *file, const char *name, const struct shape *shape,
                          bool symbolic_batch);

/* Serializes the model as `ir_version` and `opset`. */
bool onnx_file_pack(struct onnx_file *file, int64_t ir_version, int64_t opset,
                    const char *producer_version, const uint8_t **out_bytes, size_t *out_size);
