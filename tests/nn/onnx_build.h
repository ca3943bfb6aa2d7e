#pragma once

/* Small ONNX models for tests. Everything lives in the builder's arena, and may be changed through
 * the messages before onnx_build_pack. Running out of memory aborts the program. */

#include "ptqd/base/arena.h"

#include "onnx.pb-c.h"

struct onnx_build {
    struct arena *arena;
    Onnx__ModelProto model; /* IR version 7, operator set 13 */
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset;
};

enum { BUILD_OPEN = -1 }; /* an extent: symbolic, named "N" */

void onnx_build_init(struct onnx_build *build, struct arena *arena);

/* `inputs` and `outputs` are names with blanks between them; "-" is one that is not given. */
Onnx__NodeProto *onnx_build_node(struct onnx_build *build, const char *op_type, const char *name,
                                 const char *inputs, const char *outputs);

Onnx__AttributeProto *onnx_build_attribute(struct onnx_build *build, Onnx__NodeProto *node,
                                           const char *name,
                                           Onnx__AttributeProto__AttributeType type);
void onnx_build_int(struct onnx_build *build, Onnx__NodeProto *node, const char *name,
                    int64_t value);
void onnx_build_ints(struct onnx_build *build, Onnx__NodeProto *node, const char *name,
                     size_t count, const int64_t *values);

/* Adds an initializer without values. */
Onnx__TensorProto *onnx_build_tensor(struct onnx_build *build, const char *name, int32_t data_type,
                                     int rank, const int64_t *dims);
/* Adds an initializer with raw_data: as many values as its extents say. */
Onnx__TensorProto *onnx_build_floats(struct onnx_build *build, const char *name, int rank,
                                     const int64_t *dims, const float *values);

/* float32 inputs and outputs of the graph. */
Onnx__ValueInfoProto *onnx_build_input(struct onnx_build *build, const char *name, int rank,
                                       const int64_t *dims);
Onnx__ValueInfoProto *onnx_build_output(struct onnx_build *build, const char *name, int rank,
                                        const int64_t *dims);

/* Appends to a list of protobuf-c messages. */
void onnx_build_append(struct onnx_build *build, void *list, size_t *count, void *item);

uint8_t *onnx_build_pack(struct onnx_build *build, size_t *out_size);
