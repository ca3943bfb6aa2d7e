#pragma once

/* Putting an ONNX model together out of protobuf-c messages that live in an arena.
 *
 * Adding never fails visibly: the first error is kept, later calls do nothing (nodes are NULL and
 * accepted as such), and onnx_builder_pack reports it.
 */

#include "ptqd/base/arena.h"
#include "ptqd/nn/graph.h"

#include "onnx.pb-c.h"

struct onnx_builder {
    struct arena *arena; /* borrowed */
    struct error *err;   /* borrowed */
    bool failed;
    Onnx__GraphProto graph;
};

void onnx_builder_init(struct onnx_builder *builder, struct arena *arena, struct error *err);

/* Notes that a caller's own step failed and has filled the error; always false. */
bool onnx_builder_fail(struct onnx_builder *builder);

/* Appends a node. Names are copied. */
Onnx__NodeProto *onnx_builder_node(struct onnx_builder *builder, const char *op_type,
                                   const char *name);

/* Appends an input or an output; NULL is an optional input that is not given. */
void onnx_builder_input(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name);
void onnx_builder_output(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name);

void onnx_builder_int(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                      int64_t value);
void onnx_builder_float(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                        float value);
void onnx_builder_string(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                         const char *value);
void onnx_builder_ints(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                       const int64_t *values, size_t count);
void onnx_builder_floats(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                         const float *values, size_t count);

/* Appends an initializer of shape_elements(shape) elements of `element_bytes`; the values are
 * copied. `data_type` is one of ONNX__TENSOR_PROTO__DATA_TYPE__…. */
void onnx_builder_initializer(struct onnx_builder *builder, const char *name, int32_t data_type,
                              const struct shape *shape, const void *values, size_t element_bytes);

/* The network's input and output: float32; `symbolic_batch` names the leading axis "N". */
void onnx_builder_set_input(struct onnx_builder *builder, const char *name,
                            const struct shape *shape, bool symbolic_batch);
void onnx_builder_set_output(struct onnx_builder *builder, const char *name,
                             const struct shape *shape, bool symbolic_batch);

/* Serializes the model as `ir_version` and `opset`. */
bool onnx_builder_pack(struct onnx_builder *builder, int64_t ir_version, int64_t opset,
                       const char *producer_version, const uint8_t **out_bytes, size_t *out_size);
