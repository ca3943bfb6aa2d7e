#include "onnx_build.h"

#include <stdlib.h>
#include <string.h>

static void *take(struct onnx_build *build, size_t size)
{
    void *memory = arena_alloc(build->arena, size, NULL);
    if (memory == NULL)
        abort();
    return memory;
}

static char *copy_text(struct onnx_build *build, const char *text, size_t length)
{
    char *copy = take(build, length + 1);
    memcpy(copy, text, length);
    return copy;
}

static void *copy_bytes(struct onnx_build *build, const void *bytes, size_t size)
{
    void *copy = take(build, size);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

void onnx_build_init(struct onnx_build *build, struct arena *arena)
{
    build->arena = arena;
    onnx__model_proto__init(&build->model);
    onnx__graph_proto__init(&build->graph);
    onnx__operator_set_id_proto__init(&build->opset);
    build->opset.has_version = 1;
    build->opset.version = 13;
    build->model.has_ir_version = 1;
    build->model.ir_version = 7;
    build->model.graph = &build->graph;
    onnx_build_append(build, &build->model.opset_import, &build->model.n_opset_import,
                      &build->opset);
}

void onnx_build_append(struct onnx_build *build, void *list, size_t *count, void *item)
{
    void **items = take(build, (*count + 1) * sizeof(*items));
    void *old;
    memcpy(&old, list, sizeof(old));
    if (*count > 0)
        memcpy(items, old, *count * sizeof(*items));
    items[(*count)++] = item;
    memcpy(list, &items, sizeof(items));
}

static void append_names(struct onnx_build *build, char ***list, size_t *count, const char *names)
{
    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        bool absent = length == 1 && names[0] == '-';
        onnx_build_append(build, list, count, copy_text(build, names, absent ? 0 : length));
        names += length + strspn(names + length, " ");
    }
}

Onnx__NodeProto *onnx_build_node(struct onnx_build *build, const char *op_type, const char *name,
                                 const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = take(build, sizeof(*node));
    onnx__node_proto__init(node);
    node->op_type = copy_text(build, op_type, strlen(op_type));
    node->name = copy_text(build, name, strlen(name));
    append_names(build, &node->input, &node->n_input, inputs);
    append_names(build, &node->output, &node->n_output, outputs);
    onnx_build_append(build, &build->graph.node, &build->graph.n_node, node);
    return node;
}

Onnx__AttributeProto *onnx_build_attribute(struct onnx_build *build, Onnx__NodeProto *node,
                                           const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = take(build, sizeof(*attribute));
    onnx__attribute_proto__init(attribute);
    attribute->name = copy_text(build, name, strlen(name));
    attribute->has_type = 1;
    attribute->type = type;
    onnx_build_append(build, &node->attribute, &node->n_attribute, attribute);
    return attribute;
}

void onnx_build_int(struct onnx_build *build, Onnx__NodeProto *node, const char *name,
                    int64_t value)
{
    Onnx__AttributeProto *attribute =
        onnx_build_attribute(build, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = 1;
    attribute->i = value;
}

void onnx_build_ints(struct onnx_build *build, Onnx__NodeProto *node, const char *name,
                     size_t count, const int64_t *values)
{
    Onnx__AttributeProto *attribute =
        onnx_build_attribute(build, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = count;
    attribute->ints = copy_bytes(build, values, count * sizeof(*values));
}

Onnx__TensorProto *onnx_build_tensor(struct onnx_build *build, const char *name, int32_t data_type,
                                     int rank, const int64_t *dims)
{
    Onnx__TensorProto *tensor = take(build, sizeof(*tensor));
    onnx__tensor_proto__init(tensor);
    tensor->name = copy_text(build, name, strlen(name));
    tensor->has_data_type = 1;
    tensor->data_type = data_type;
    tensor->n_dims = (size_t)rank;
    tensor->dims = copy_bytes(build, dims, (size_t)rank * sizeof(*dims));
    onnx_build_append(build, &build->graph.initializer, &build->graph.n_initializer, tensor);
    return tensor;
}

Onnx__TensorProto *onnx_build_floats(struct onnx_build *build, const char *name, int rank,
                                     const int64_t *dims, const float *values)
{
    Onnx__TensorProto *tensor =
        onnx_build_tensor(build, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims);
    size_t bytes = sizeof(*values);
    for (int i = 0; i < rank; i++)
        bytes *= (size_t)dims[i];
    tensor->has_raw_data = 1;
    tensor->raw_data = (ProtobufCBinaryData){bytes, copy_bytes(build, values, bytes)};
    return tensor;
}

static Onnx__TensorShapeProto *build_shape(struct onnx_build *build, int rank, const int64_t *dims)
{
    Onnx__TensorShapeProto *shape = take(build, sizeof(*shape));
    onnx__tensor_shape_proto__init(shape);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = take(build, sizeof(*dim));
        onnx__tensor_shape_proto__dimension__init(dim);
        if (dims[i] == BUILD_OPEN) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = copy_text(build, "N", 1);
        } else {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[i];
        }
        onnx_build_append(build, &shape->dim, &shape->n_dim, dim);
    }
    return shape;
}

static Onnx__ValueInfoProto *build_value(struct onnx_build *build, const char *name, int rank,
                                         const int64_t *dims)
{
    Onnx__ValueInfoProto *value = take(build, sizeof(*value));
    onnx__value_info_proto__init(value);
    value->name = copy_text(build, name, strlen(name));
    value->type = take(build, sizeof(*value->type));
    onnx__type_proto__init(value->type);
    value->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    value->type->tensor_type = take(build, sizeof(*value->type->tensor_type));
    onnx__type_proto__tensor__init(value->type->tensor_type);
    value->type->tensor_type->has_elem_type = 1;
    value->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    value->type->tensor_type->shape = build_shape(build, rank, dims);
    return value;
}

Onnx__ValueInfoProto *onnx_build_input(struct onnx_build *build, const char *name, int rank,
                                       const int64_t *dims)
{
    Onnx__ValueInfoProto *value = build_value(build, name, rank, dims);
    onnx_build_append(build, &build->graph.input, &build->graph.n_input, value);
    return value;
}

Onnx__ValueInfoProto *onnx_build_output(struct onnx_build *build, const char *name, int rank,
                                        const int64_t *dims)
{
    Onnx__ValueInfoProto *value = build_value(build, name, rank, dims);
    onnx_build_append(build, &build->graph.output, &build->graph.n_output, value);
    return value;
}

uint8_t *onnx_build_pack(struct onnx_build *build, size_t *out_size)
{
    *out_size = onnx__model_proto__get_packed_size(&build->model);
    uint8_t *bytes = take(build, *out_size);
    if (onnx__model_proto__pack(&build->model, bytes) != *out_size)
        abort();
    return bytes;
}
