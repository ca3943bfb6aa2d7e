/* Building ONNX messages. protobuf-c's strings and lists are not const, so that all of them are
 * copies in the arena. */

#include "onnx_builder.h"

#include <string.h>

void onnx_builder_init(struct onnx_builder *builder, struct arena *arena, struct error *err)
{
    *builder = (struct onnx_builder){.arena = arena, .err = err};
    onnx__graph_proto__init(&builder->graph);
}

bool onnx_builder_fail(struct onnx_builder *builder)
{
    builder->failed = true;
    return false;
}

static void *take(struct onnx_builder *builder, size_t count, size_t size)
{
    void *memory = builder->failed ? NULL : arena_array(builder->arena, count, size, builder->err);
    builder->failed = !memory;
    return memory;
}

static void *take_copy(struct onnx_builder *builder, const void *bytes, size_t count, size_t size)
{
    void *memory = take(builder, count, size);
    if (memory && count > 0)
        memcpy(memory, bytes, count * size);
    return memory;
}

static char *take_text(struct onnx_builder *builder, const char *text)
{
    return take_copy(builder, text, strlen(text) + 1, 1);
}

/* `list` with room for one more element. A list of 0, 1, 2, 4, 8 … elements is full; NULL when
 * there is no memory. */
static void *take_room(struct onnx_builder *builder, void *list, size_t count, size_t size)
{
    if (builder->failed)
        return NULL;
    if ((count & (count - 1)) != 0)
        return list;
    void *bigger = take(builder, count > 0 ? 2 * count : 1, size);
    if (bigger && count > 0)
        memcpy(bigger, list, count * size);
    return bigger;
}

Onnx__NodeProto *onnx_builder_node(struct onnx_builder *builder, const char *op_type,
                                   const char *name)
{
    Onnx__GraphProto *graph = &builder->graph;
    Onnx__NodeProto **list = take_room(builder, graph->node, graph->n_node, sizeof(*list));
    Onnx__NodeProto *node = take(builder, 1, sizeof(*node));
    if (!node)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = take_text(builder, op_type);
    node->name = take_text(builder, name);
    graph->node = list;
    graph->node[graph->n_node++] = node;
    return node;
}

/* Appends a name to a list of names. */
static char **with_name(struct onnx_builder *builder, char **list, size_t *count, const char *name)
{
    list = take_room(builder, list, *count, sizeof(*list));
    char *copied = take_text(builder, name ? name : "");
    if (copied)
        list[(*count)++] = copied;
    return list;
}

void onnx_builder_input(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name)
{
    if (node)
        node->input = with_name(builder, node->input, &node->n_input, name);
}

void onnx_builder_output(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name)
{
    if (node)
        node->output = with_name(builder, node->output, &node->n_output, name);
}

/* A new attribute of the node; NULL when something failed before. */
static Onnx__AttributeProto *attribute(struct onnx_builder *builder, Onnx__NodeProto *node,
                                       const char *name, Onnx__AttributeProto__AttributeType type)
{
    if (!node)
        return NULL;
    Onnx__AttributeProto **list =
        take_room(builder, node->attribute, node->n_attribute, sizeof(*list));
    Onnx__AttributeProto *added = take(builder, 1, sizeof(*added));
    if (!added)
        return NULL;
    onnx__attribute_proto__init(added);
    added->name = take_text(builder, name);
    added->has_type = true;
    added->type = type;
    node->attribute = list;
    node->attribute[node->n_attribute++] = added;
    return added;
}

void onnx_builder_int(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                      int64_t value)
{
    Onnx__AttributeProto *added =
        attribute(builder, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!added)
        return;
    added->has_i = true;
    added->i = value;
}

void onnx_builder_float(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                        float value)
{
    Onnx__AttributeProto *added =
        attribute(builder, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!added)
        return;
    added->has_f = true;
    added->f = value;
}

void onnx_builder_string(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                         const char *value)
{
    Onnx__AttributeProto *added =
        attribute(builder, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!added)
        return;
    added->has_s = true;
    added->s.len = strlen(value);
    added->s.data = take_copy(builder, value, added->s.len, 1);
}

void onnx_builder_ints(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                       const int64_t *values, size_t count)
{
    Onnx__AttributeProto *added =
        attribute(builder, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!added)
        return;
    added->n_ints = count;
    added->ints = take_copy(builder, values, count, sizeof(*values));
}

void onnx_builder_floats(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                         const float *values, size_t count)
{
    Onnx__AttributeProto *added =
        attribute(builder, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    if (!added)
        return;
    added->n_floats = count;
    added->floats = take_copy(builder, values, count, sizeof(*values));
}

void onnx_builder_initializer(struct onnx_builder *builder, const char *name, int32_t data_type,
                              const struct shape *shape, const void *values, size_t element_bytes)
{
    Onnx__GraphProto *graph = &builder->graph;
    Onnx__TensorProto **list =
        take_room(builder, graph->initializer, graph->n_initializer, sizeof(*list));
    Onnx__TensorProto *tensor = take(builder, 1, sizeof(*tensor));
    if (!tensor)
        return;
    onnx__tensor_proto__init(tensor);
    size_t elements = (size_t)shape_elements(shape);
    tensor->name = take_text(builder, name);
    tensor->n_dims = (size_t)shape->rank;
    tensor->dims = take_copy(builder, shape->dim, tensor->n_dims, sizeof(shape->dim[0]));
    tensor->has_data_type = true;
    tensor->data_type = data_type;
    tensor->has_raw_data = true;
    tensor->raw_data.len = elements * element_bytes;
    tensor->raw_data.data = take_copy(builder, values, elements, element_bytes);
    graph->initializer = list;
    graph->initializer[graph->n_initializer++] = tensor;
}

static Onnx__TensorShapeProto *tensor_shape(struct onnx_builder *builder, const struct shape *shape,
                                            bool symbolic_batch)
{
    Onnx__TensorShapeProto *message = take(builder, 1, sizeof(*message));
    size_t rank = (size_t)shape->rank;
    Onnx__TensorShapeProto__Dimension **list = take(builder, rank, sizeof(*list));
    Onnx__TensorShapeProto__Dimension *dimensions = take(builder, rank, sizeof(*dimensions));
    if (!dimensions)
        return NULL;
    onnx__tensor_shape_proto__init(message);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dimension = list[i] = &dimensions[i];
        onnx__tensor_shape_proto__dimension__init(dimension);
        dimension->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dimension->dim_value = shape->dim[i];
    }
    if (symbolic_batch && rank > 0) {
        dimensions[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dimensions[0].dim_param = take_text(builder, "N");
    }
    message->n_dim = rank;
    message->dim = list;
    return message;
}

/* A list of one float32 value; NULL when something failed. */
static Onnx__ValueInfoProto **float_value(struct onnx_builder *builder, const char *name,
                                          const struct shape *shape, bool symbolic_batch)
{
    Onnx__TypeProto__Tensor *tensor = take(builder, 1, sizeof(*tensor));
    Onnx__TypeProto *type = take(builder, 1, sizeof(*type));
    Onnx__ValueInfoProto *value = take(builder, 1, sizeof(*value));
    Onnx__ValueInfoProto **list = take(builder, 1, sizeof(*list));
    if (!list)
        return NULL;
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = tensor_shape(builder, shape, symbolic_batch);
    onnx__type_proto__init(type);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    onnx__value_info_proto__init(value);
    value->name = take_text(builder, name);
    value->type = type;
    list[0] = value;
    return list;
}

void onnx_builder_set_input(struct onnx_builder *builder, const char *name,
                            const struct shape *shape, bool symbolic_batch)
{
    builder->graph.input = float_value(builder, name, shape, symbolic_batch);
    builder->graph.n_input = builder->graph.input ? 1 : 0;
}

void onnx_builder_set_output(struct onnx_builder *builder, const char *name,
                             const struct shape *shape, bool symbolic_batch)
{
    builder->graph.output = float_value(builder, name, shape, symbolic_batch);
    builder->graph.n_output = builder->graph.output ? 1 : 0;
}

bool onnx_builder_pack(struct onnx_builder *builder, int64_t ir_version, int64_t opset,
                       const char *producer_version, const uint8_t **out_bytes, size_t *out_size)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto operators = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *imports[] = {&operators};
    operators.domain = take_text(builder, "");
    operators.has_version = true;
    operators.version = opset;
    model.has_ir_version = true;
    model.ir_version = ir_version;
    model.n_opset_import = 1;
    model.opset_import = imports;
    model.producer_name = take_text(builder, "ptqd");
    model.producer_version = take_text(builder, producer_version);
    model.graph = &builder->graph;
    builder->graph.name = take_text(builder, "network");

    size_t size = builder->failed ? 0 : onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = take(builder, size, 1);
    if (!bytes)
        return false;
    *out_size = onnx__model_proto__pack(&model, bytes);
    *out_bytes = bytes;
    return true;
}
