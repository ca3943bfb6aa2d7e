/* Building ONNX messages. protobuf-c's strings and lists are not const, so that all of them are
 * copies in the arena. */

#include "onnx_file.h"

#include <string.h>

void onnx_file_init(struct onnx_file *file, struct arena *arena, struct error *err)
{
    *file = (struct onnx_file){.arena = arena, .err = err};
    onnx__graph_proto__init(&file->graph);
}

bool onnx_file_fail(struct onnx_file *file)
{
    file->failed = true;
    return false;
}

static void *take(struct onnx_file *file, size_t count, size_t size)
{
    void *memory = file->failed ? NULL : arena_array(file->arena, count, size, file->err);
    file->failed = !memory;
    return memory;
}

static void *take_copy(struct onnx_file *file, const void *bytes, size_t count, size_t size)
{
    void *memory = take(file, count, size);
    if (memory && count > 0)
        memcpy(memory, bytes, count * size);
    return memory;
}

static char *take_text(struct onnx_file *file, const char *text)
{
    return take_copy(file, text, strlen(text) + 1, 1);
}

/* `list` with room for one more element. A list of 0, 1, 2, 4, 8 … elements is full; NULL when
 * there is no memory. */
static void *take_room(struct onnx_file *file, void *list, size_t count, size_t size)
{
    if (file->failed)
        return NULL;
    if ((count & (count - 1)) != 0)
        return list;
    void *bigger = take(file, count > 0 ? 2 * count : 1, size);
    if (bigger && count > 0)
        memcpy(bigger, list, count * size);
    return bigger;
}

Onnx__NodeProto *onnx_file_node(struct onnx_file *file, const char *op_type, const char *name)
{
    Onnx__GraphProto *graph = &file->graph;
    Onnx__NodeProto **list = take_room(file, graph->node, graph->n_node, sizeof(*list));
    Onnx__NodeProto *node = take(file, 1, sizeof(*node));
    if (!node)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = take_text(file, op_type);
    node->name = take_text(file, name);
    graph->node = list;
    graph->node[graph->n_node++] = node;
    return node;
}

/* Appends a name to a list of names. */
static char **with_name(struct onnx_file *file, char **list, size_t *count, const char *name)
{
    list = take_room(file, list, *count, sizeof(*list));
    char *copied = take_text(file, name ? name : "");
    if (copied)
        list[(*count)++] = copied;
    return list;
}

void onnx_file_input(struct onnx_file *file, Onnx__NodeProto *node, const char *name)
{
    if (node)
        node->input = with_name(file, node->input, &node->n_input, name);
}

void onnx_file_output(struct onnx_file *file, Onnx__NodeProto *node, const char *name)
{
    if (node)
        node->output = with_name(file, node->output, &node->n_output, name);
}

/* A new attribute of the node; NULL when something failed before. */
static Onnx__AttributeProto *attribute(struct onnx_file *file, Onnx__NodeProto *node,
                                       const char *name, Onnx__AttributeProto__AttributeType type)
{
    if (!node)
        return NULL;
    Onnx__AttributeProto **list =
        take_room(file, node->attribute, node->n_attribute, sizeof(*list));
    Onnx__AttributeProto *added = take(file, 1, sizeof(*added));
    if (!added)
        return NULL;
    onnx__attribute_proto__init(added);
    added->name = take_text(file, name);
    added->has_type = true;
    added->type = type;
    node->attribute = list;
    node->attribute[node->n_attribute++] = added;
    return added;
}

void onnx_file_int(struct onnx_file *file, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *added =
        attribute(file, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!added)
        return;
    added->has_i = true;
    added->i = value;
}

void onnx_file_float(struct onnx_file *file, Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *added =
        attribute(file, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!added)
        return;
    added->has_f = true;
    added->f = value;
}

void onnx_file_string(struct onnx_file *file, Onnx__NodeProto *node, const char *name,
                      const char *value)
{
    Onnx__AttributeProto *added =
        attribute(file, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!added)
        return;
    added->has_s = true;
    added->s.len = strlen(value);
    added->s.data = take_copy(file, value, added->s.len, 1);
}

void onnx_file_ints(struct onnx_file *file, Onnx__NodeProto *node, const char *name,
                    const int64_t *values, size_t count)
{
    Onnx__AttributeProto *added =
        attribute(file, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!added)
        return;
    added->n_ints = count;
    added->ints = take_copy(file, values, count, sizeof(*values));
}

void onnx_file_floats(struct onnx_file *file, Onnx__NodeProto *node, const char *name,
                      const float *values, size_t count)
{
    Onnx__AttributeProto *added =
        attribute(file, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    if (!added)
        return;
    added->n_floats = count;
    added->floats = take_copy(file, values, count, sizeof(*values));
}

void onnx_file_initializer(struct onnx_file *file, const char *name, int32_t data_type,
                           const struct shape *shape, const void *values, size_t element_bytes)
{
    Onnx__GraphProto *graph = &file->graph;
    Onnx__TensorProto **list =
        take_room(file, graph->initializer, graph->n_initializer, sizeof(*list));
    Onnx__TensorProto *tensor = take(file, 1, sizeof(*tensor));
    if (!tensor)
        return;
    onnx__tensor_proto__init(tensor);
    size_t elements = (size_t)shape_elements(shape);
    tensor->name = take_text(file, name);
    tensor->n_dims = (size_t)shape->rank;
    tensor->dims = take_copy(file, shape->dim, tensor->n_dims, sizeof(shape->dim[0]));
    tensor->has_data_type = true;
    tensor->data_type = data_type;
    tensor->has_raw_data = true;
    tensor->raw_data.len = elements * element_bytes;
    tensor->raw_data.data = take_copy(file, values, elements, element_bytes);
    graph->initializer = list;
    graph->initializer[graph->n_initializer++] = tensor;
}

static Onnx__TensorShapeProto *tensor_shape(struct onnx_file *file, const struct shape *shape,
                                            bool symbolic_batch)
{
    Onnx__TensorShapeProto *message = take(file, 1, sizeof(*message));
    size_t rank = (size_t)shape->rank;
    Onnx__TensorShapeProto__Dimension **list = take(file, rank, sizeof(*list));
    Onnx__TensorShapeProto__Dimension *dimensions = take(file, rank, sizeof(*dimensions));
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
        dimensions[0].dim_param = take_text(file, "N");
    }
    message->n_dim = rank;
    message->dim = list;
    return message;
}

/* A list of one float32 value; NULL when something failed. */
static Onnx__ValueInfoProto **float_value(struct onnx_file *file, const char *name,
                                          const struct shape *shape, bool symbolic_batch)
{
    Onnx__TypeProto__Tensor *tensor = take(file, 1, sizeof(*tensor));
    Onnx__TypeProto *type = take(file, 1, sizeof(*type));
    Onnx__ValueInfoProto *value = take(file, 1, sizeof(*value));
    Onnx__ValueInfoProto **list = take(file, 1, sizeof(*list));
    if (!list)
        return NULL;
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = tensor_shape(file, shape, symbolic_batch);
    onnx__type_proto__init(type);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    onnx__value_info_proto__init(value);
    value->name = take_text(file, name);
    value->type = type;
    list[0] = value;
    return list;
}

void onnx_file_set_input(struct onnx_file *file, const char *name, const struct shape *shape,
                         bool symbolic_batch)
{
    file->graph.input = float_value(file, name, shape, symbolic_batch);
    file->graph.n_input = file->graph.input ? 1 : 0;
}

void onnx_file_set_output(struct onnx_file *file, const char *name, const struct shape *shape,
                          bool symbolic_batch)
{
    file->graph.output = float_value(file, name, shape, symbolic_batch);
    file->graph.n_output = file->graph.output ? 1 : 0;
}

bool onnx_file_pack(struct onnx_file *file, int64_t ir_version, int64_t opset,
                    const char *producer_version, const uint8_t **out_bytes, size_t *out_size)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto operators = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *imports[] = {&operators};
    operators.domain = take_text(file, "");
    operators.has_version = true;
    operators.version = opset;
    model.has_ir_version = true;
    model.ir_version = ir_version;
    model.n_opset_import = 1;
    model.opset_import = imports;
    model.producer_name = take_text(file, "ptqd");
    model.producer_version = take_text(file, producer_version);
    model.graph = &file->graph;
    file->graph.name = take_text(file, "network");

    size_t size = file->failed ? 0 : onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = take(file, size, 1);
    if (!bytes)
        return false;
    *out_size = onnx__model_proto__pack(&model, bytes);
    *out_bytes = bytes;
    return true;
}
