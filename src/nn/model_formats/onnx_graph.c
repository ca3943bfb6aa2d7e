/* Order: nodes, constants, the ends of the graph. With the nodes there first, a model that is
 * refused because of something that only an unsupported operator needs (a text input, two outputs)
 * is refused with the list of such operators instead, which tells the user more.
 *
 * Nodes are delivered in the file's order and with the file's names; graph_finish finds cycles,
 * missing producers, and everything about the operators.
 */

#include "ptqd/nn/onnx_graph.h"

#include "ptqd/nn/onnx_names.h"
#include "ptqd/nn/onnx_node.h"
#include "ptqd/nn/onnx_tensor.h"
#include "ptqd/nn/onnx_versions.h"
#include "ptqd/nn/op.h"
#include "ptqd/nn/passes.h"

#include "ptqd/base/text.h"

#include "onnx.pb-c.h"

#include <inttypes.h>
#include <string.h>

struct import {
    const Onnx__GraphProto *proto;
    struct arena *scratch;
    struct graph *graph;
    struct onnx_names names;
};

/* The tensor of a name; a new one, of which nothing else is known yet, the first time. */
static bool tensor_of(struct import *import, const char *text, int *out_tensor, struct error *err)
{
    struct onnx_name *name = onnx_names_find(&import->names, text);
    struct tensor tensor = {.name = text};
    if (name->tensor < 0 && !graph_add_tensor(import->graph, &tensor, false, &name->tensor, err))
        return false;
    *out_tensor = name->tensor;
    return true;
}

/* Indices of the tensors a node reads; trailing inputs that are not given are left out. */
static bool find_inputs(struct import *import, const Onnx__NodeProto *proto, struct node *node,
                        struct error *err)
{
    node->inputs = ARENA_ARRAY(import->scratch, int, proto->n_input, err);
    if (node->inputs == NULL)
        return false;
    for (size_t i = 0; i < proto->n_input; i++) {
        node->inputs[i] = NODE_ABSENT;
        if (proto->input[i][0] == '\0')
            continue;
        if (!tensor_of(import, proto->input[i], &node->inputs[i], err))
            return false;
        node->input_count = (int)i + 1;
    }
    return true;
}

/* Indices of the tensors a node writes; an output that nobody wants gets a tensor as well. */
static bool find_outputs(struct import *import, const Onnx__NodeProto *proto, struct node *node,
                         struct error *err)
{
    node->outputs = ARENA_ARRAY(import->scratch, int, proto->n_output, err);
    if (node->outputs == NULL)
        return false;
    struct tensor nameless = {.name = ""};
    for (size_t i = 0; i < proto->n_output; i++) {
        bool named = proto->output[i][0] != '\0';
        if (named && !tensor_of(import, proto->output[i], &node->outputs[i], err))
            return false;
        if (!named && !graph_add_tensor(import->graph, &nameless, false, &node->outputs[i], err))
            return false;
    }
    node->output_count = (int)proto->n_output;
    return true;
}

/* What only an operator that is known can be asked for. */
static bool describe(struct import *import, const Onnx__NodeProto *proto, struct node *node,
                     struct error *err)
{
    if (op_find(node->op_type) == NULL && !integers_know(node->op_type))
        return true;
    return onnx_versions_check(proto, import->graph->opset, err) &&
           onnx_node_attributes(import->scratch, proto, &node->attributes, &node->attribute_count,
                                err);
}

static bool is_constant(const Onnx__NodeProto *proto)
{
    return proto->op_type != NULL && strcmp(proto->op_type, "Constant") == 0 &&
           onnx_domain_is_default(proto->domain);
}

static bool add_node(struct import *import, size_t index, struct error *err)
{
    const Onnx__NodeProto *proto = import->proto->node[index];
    if (is_constant(proto))
        return true;
    struct node node = {.name = proto->name,
                        .op_type = onnx_node_op_type(import->scratch, proto, err)};
    bool named = proto->name != NULL && proto->name[0] != '\0';
    if (node.op_type == NULL)
        return error_context(err, "node number %zu", index);
    if (!describe(import, proto, &node, err))
        return named ? error_context(err, "node '%s' (%s)", proto->name, node.op_type)
                     : error_context(err, "node number %zu (%s)", index, node.op_type);
    int unused;
    return find_inputs(import, proto, &node, err) && find_outputs(import, proto, &node, err) &&
           graph_add_node(import->graph, &node, &unused, err);
}

/* Goes on after a failure, which is that of a supported operator: the others are wanted for the
 * list. */
static bool add_nodes(struct import *import, struct error *err)
{
    struct error later;
    bool ok = true;
    for (size_t i = 0; i < import->proto->n_node; i++)
        if (!add_node(import, i, ok ? err : &later))
            ok = false;
    return ok;
}

/* Gives a tensor, if nodes read it, its value. */
static bool set_constant(struct import *import, int index, const struct tensor *value,
                         struct error *err)
{
    struct tensor *tensor = &import->graph->tensors[index];
    if (tensor->producer >= 0)
        return FAIL(err, E_INVALID, "the constant '%s' is written by node '%s' as well",
                    tensor->name, import->graph->nodes[tensor->producer].name);
    if (tensor->values != NULL || tensor->integers != NULL)
        return FAIL(err, E_INVALID, "there are two constants of the name '%s'", tensor->name);
    tensor->type = value->type;
    tensor->shape = value->shape;
    tensor->values = value->values;
    tensor->integers = value->integers;
    return true;
}

/* The tensor that a constant of this name is needed for; −1 when no node reads it. */
static int wanted_tensor(const struct import *import, const char *text)
{
    const struct onnx_name *name = text == NULL ? NULL : onnx_names_find(&import->names, text);
    return name == NULL ? -1 : name->tensor;
}

static bool set_initializers(struct import *import, struct error *err)
{
    const Onnx__GraphProto *proto = import->proto;
    for (size_t i = 0; i < proto->n_initializer; i++) {
        const Onnx__TensorProto *initializer = proto->initializer[i];
        int tensor = wanted_tensor(import, initializer->name);
        struct tensor value;
        if (tensor < 0)
            continue;
        if (!onnx_tensor_decode(import->graph->arena, initializer, &value, err))
            return error_context(err, "initializer '%s'", initializer->name);
        if (!set_constant(import, tensor, &value, err))
            return false;
    }
    if (proto->n_sparse_initializer > 0) {
        const Onnx__TensorProto *values = proto->sparse_initializer[0]->values;
        return FAIL(err, E_UNSUPPORTED, "initializer '%s' is sparse; store it as a dense tensor",
                    values == NULL || values->name == NULL ? "" : values->name);
    }
    return true;
}

static bool set_constant_nodes(struct import *import, struct error *err)
{
    for (size_t i = 0; i < import->proto->n_node; i++) {
        const Onnx__NodeProto *node = import->proto->node[i];
        if (!is_constant(node))
            continue;
        int tensor = node->n_output == 1 ? wanted_tensor(import, node->output[0]) : -1;
        struct tensor value;
        if (tensor < 0)
            continue;
        if (!onnx_node_constant(import->graph->arena, node, &value, err))
            return error_context(err, "the Constant node that gives '%s'", node->output[0]);
        if (!set_constant(import, tensor, &value, err))
            return false;
    }
    return true;
}

static const char *value_name(const Onnx__ValueInfoProto *value)
{
    return value->name == NULL ? "" : value->name;
}

/* "3 inputs ('a', 'b', 'c')"; `skip_initializers` as older files list those among the inputs. */
static bool fail_count(const struct import *import, Onnx__ValueInfoProto *const *values,
                       size_t count, bool skip_initializers, const char *what, struct error *err)
{
    enum { LIST_BYTES_MAX = 600 };
    struct text list;
    text_init(&list, LIST_BYTES_MAX);
    size_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct onnx_name *name = onnx_names_find(&import->names, value_name(values[i]));
        if (!skip_initializers || name == NULL || !name->initializer)
            text_printf(&list, "%s'%s'", listed++ > 0 ? ", " : "", value_name(values[i]));
    }
    bool full = !text_check(&list, NULL);
    FAIL(err, E_UNSUPPORTED, "the network has %zu %ss (%s%s); one is supported", listed, what,
         list.bytes, full ? " …" : "");
    text_finish(&list);
    return false;
}

/* The extent of one axis for one sample; only the leading one may be left open. */
static bool input_extent(const Onnx__TensorShapeProto__Dimension *dimension, size_t axis,
                         const char *name, int64_t *out, struct error *err)
{
    bool known = dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    if (known || axis == 0) {
        *out = known ? dimension->dim_value : 1;
        return true;
    }
    bool symbolic = dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    return FAIL(err, E_UNSUPPORTED,
                "axis %zu of the input '%s' has the open extent '%s'; only axis 0 may be open",
                axis, name, symbolic ? dimension->dim_param : "?");
}

static bool input_shape(const Onnx__TypeProto__Tensor *type, const char *name, struct shape *out,
                        struct error *err)
{
    if (type->shape == NULL)
        return FAIL(err, E_UNSUPPORTED, "the input '%s' has no shape; one is needed", name);
    size_t rank = type->shape->n_dim;
    if (rank > SHAPE_RANK_MAX)
        return FAIL(err, E_UNSUPPORTED, "the input '%s' has %zu axes; up to %d are supported", name,
                    rank, SHAPE_RANK_MAX);
    out->rank = (int)rank;
    for (size_t i = 0; i < rank; i++)
        if (!input_extent(type->shape->dim[i], i, name, &out->dim[i], err))
            return false;
    return true;
}

static bool set_input(struct import *import, const Onnx__ValueInfoProto *input, struct error *err)
{
    const char *name = value_name(input);
    if (input->type == NULL || input->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return FAIL(err, E_UNSUPPORTED, "the input '%s' is not a tensor", name);
    const Onnx__TypeProto__Tensor *type = input->type->tensor_type;
    if (type->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) {
        char buffer[ONNX_TYPE_NAME_BYTES];
        return FAIL(err, E_UNSUPPORTED, "the input '%s' is of %s; float32 is supported", name,
                    onnx_type_name(type->elem_type, buffer));
    }

    struct tensor described = {.name = name, .type = TENSOR_F32};
    int index = wanted_tensor(import, name);
    if (!input_shape(type, name, &described.shape, err))
        return false;
    if (index < 0 && !graph_add_tensor(import->graph, &described, false, &index, err))
        return false;
    struct tensor *tensor = &import->graph->tensors[index];
    if (tensor->producer >= 0)
        return FAIL(err, E_INVALID, "the input '%s' is written by node '%s'", name,
                    import->graph->nodes[tensor->producer].name);
    if (tensor->values != NULL || tensor->integers != NULL)
        return FAIL(err, E_INVALID, "the input '%s' is a Constant node as well", name);
    tensor->shape = described.shape;
    import->graph->input = index;
    return true;
}

static bool find_input(struct import *import, struct error *err)
{
    const Onnx__GraphProto *proto = import->proto;
    const Onnx__ValueInfoProto *input = NULL;
    for (size_t i = 0; i < proto->n_input; i++) {
        const struct onnx_name *name = onnx_names_find(&import->names, value_name(proto->input[i]));
        if (name != NULL && name->initializer)
            continue;
        if (input != NULL)
            return fail_count(import, proto->input, proto->n_input, true, "input", err);
        input = proto->input[i];
    }
    if (input == NULL)
        return FAIL(err, E_UNSUPPORTED, "the network has no input; one is needed");
    return set_input(import, input, err);
}

static bool find_output(struct import *import, struct error *err)
{
    const Onnx__GraphProto *proto = import->proto;
    if (proto->n_output == 0)
        return FAIL(err, E_INVALID, "the network has no output; one is needed");
    if (proto->n_output > 1)
        return fail_count(import, proto->output, proto->n_output, false, "output", err);
    const char *name = value_name(proto->output[0]);
    int tensor = wanted_tensor(import, name);
    if (tensor < 0)
        return FAIL(err, E_INVALID, "the output '%s' is written by no node", name);
    import->graph->output = tensor;
    return true;
}

/* Replaces the reason by the list of unsupported operators when there are such; always false. */
static bool prefer_operators(struct graph *graph, struct error *err)
{
    struct error operators;
    if (err != NULL && (err->code == E_INVALID || err->code == E_UNSUPPORTED) &&
        !graph_resolve(graph, &operators))
        *err = operators;
    return false;
}

bool onnx_graph_import(const struct Onnx__GraphProto *proto, struct arena *scratch,
                       struct graph *graph, struct error *err)
{
    struct import import = {.proto = proto, .scratch = scratch, .graph = graph};
    if (!onnx_names_create(scratch, proto, &import.names, err))
        return false;
    if (add_nodes(&import, err) && set_initializers(&import, err) &&
        set_constant_nodes(&import, err) && find_input(&import, err) && find_output(&import, err))
        return true;
    return prefer_operators(graph, err);
}
