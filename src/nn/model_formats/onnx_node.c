#include "ptqd/nn/onnx_node.h"

#include "ptqd/nn/onnx_tensor.h"

#include "ptqd/base/text.h"

#include "onnx.pb-c.h"

#include <string.h>

#define TYPE(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

bool onnx_domain_is_default(const char *domain)
{
    return domain == NULL || domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

const char *onnx_node_op_type(struct arena *arena, const struct Onnx__NodeProto *node,
                              struct error *err)
{
    if (node->op_type == NULL || node->op_type[0] == '\0') {
        FAIL(err, E_INVALID, "it has no operator type (op_type)");
        return NULL;
    }
    if (onnx_domain_is_default(node->domain))
        return node->op_type;
    return arena_printf(arena, err, "%s.%s", node->domain, node->op_type);
}

/* The type, or, as files before IR version 2 don't give it, what the attribute's fields show. */
static Onnx__AttributeProto__AttributeType attribute_type(const Onnx__AttributeProto *attribute)
{
    if (attribute->has_type)
        return attribute->type;
    if (attribute->has_i)
        return TYPE(INT);
    if (attribute->has_f)
        return TYPE(FLOAT);
    if (attribute->has_s)
        return TYPE(STRING);
    if (attribute->t != NULL)
        return TYPE(TENSOR);
    if (attribute->n_floats > 0)
        return TYPE(FLOATS);
    if (attribute->n_ints > 0)
        return TYPE(INTS);
    return TYPE(UNDEFINED);
}

/* Bytes as text with a NUL. */
static const char *copy_text(struct arena *arena, const ProtobufCBinaryData *bytes,
                             struct error *err)
{
    const char *text = bytes->len == 0 ? "" : (const char *)bytes->data;
    if (!text_is_utf8(text, bytes->len)) {
        FAIL(err, E_INVALID, "its text is not UTF-8");
        return NULL;
    }
    return arena_strndup(arena, text, bytes->len, err);
}

/* A tensor of one number stands for that (value of ConstantOfShape). */
static bool read_number(struct arena *arena, const Onnx__TensorProto *proto, struct attribute *out,
                        struct error *err)
{
    struct tensor tensor;
    if (proto == NULL)
        return FAIL(err, E_INVALID, "it has no tensor");
    if (!onnx_tensor_decode(arena, proto, &tensor, err))
        return false;
    if (shape_elements(&tensor.shape) != 1)
        return FAIL(err, E_UNSUPPORTED, "it is a tensor; only one of a single number is supported");
    out->type = tensor.type == TENSOR_I64 ? ATTRIBUTE_INT : ATTRIBUTE_FLOAT;
    if (tensor.type == TENSOR_I64)
        out->integer = tensor.integers[0];
    else
        out->real = (double)tensor.values[0];
    return true;
}

/* The name of the attribute is in `out` already. */
static bool read_value(struct arena *arena, const Onnx__AttributeProto *proto,
                       struct attribute *out, struct error *err)
{
    switch (attribute_type(proto)) {
    case TYPE(INT):
        out->type = ATTRIBUTE_INT;
        out->integer = proto->i;
        return true;
    case TYPE(FLOAT):
        out->type = ATTRIBUTE_FLOAT;
        out->real = (double)proto->f;
        return true;
    case TYPE(STRING):
        out->type = ATTRIBUTE_STRING;
        out->string = copy_text(arena, &proto->s, err);
        return out->string != NULL;
    case TYPE(INTS):
        out->type = ATTRIBUTE_INTS;
        out->integers = proto->ints;
        out->count = proto->n_ints;
        return true;
    case TYPE(FLOATS):
        out->type = ATTRIBUTE_FLOATS;
        out->reals = proto->floats;
        out->count = proto->n_floats;
        return true;
    case TYPE(TENSOR):
        return read_number(arena, proto->t, out, err);
    default:
        return FAIL(err, E_UNSUPPORTED,
                    "it is of type %d; numbers, texts and lists of numbers are supported",
                    (int)attribute_type(proto));
    }
}

bool onnx_node_attributes(struct arena *arena, const struct Onnx__NodeProto *node,
                          struct attribute **out_attributes, int *out_count, struct error *err)
{
    struct attribute *attributes = ARENA_ARRAY(arena, struct attribute, node->n_attribute, err);
    if (attributes == NULL)
        return false;
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *proto = node->attribute[i];
        if (proto->name == NULL || proto->name[0] == '\0')
            return FAIL(err, E_INVALID, "attribute %zu has no name", i);
        attributes[i].name = proto->name;
        attributes[i].tensor = -1;
        if (!read_value(arena, proto, &attributes[i], err))
            return error_context(err, "attribute '%s'", proto->name);
    }
    *out_attributes = attributes;
    *out_count = (int)node->n_attribute; /* at most ONNX_WIRE_MESSAGES_MAX */
    return true;
}

/* A list as a tensor of one axis, or, `rank` 0, its only number as a scalar. */
static bool constant_reals(struct arena *arena, const float *values, size_t count, int rank,
                           struct tensor *out, struct error *err)
{
    *out = (struct tensor){.type = TENSOR_F32, .shape = {rank, {(int64_t)count}}, .producer = -1};
    out->values = arena_memdup(arena, values, count * sizeof(*values), err);
    return out->values != NULL;
}

static bool constant_integers(struct arena *arena, const int64_t *values, size_t count, int rank,
                              struct tensor *out, struct error *err)
{
    *out = (struct tensor){.type = TENSOR_I64, .shape = {rank, {(int64_t)count}}, .producer = -1};
    out->integers = arena_memdup(arena, values, count * sizeof(*values), err);
    return out->integers != NULL;
}

bool onnx_node_constant(struct arena *arena, const struct Onnx__NodeProto *node,
                        struct tensor *out_tensor, struct error *err)
{
    if (node->n_attribute != 1)
        return FAIL(err, E_INVALID, "it has %zu attributes; a Constant has one", node->n_attribute);
    const Onnx__AttributeProto *value = node->attribute[0];
    switch (attribute_type(value)) {
    case TYPE(TENSOR):
        if (value->t == NULL)
            return FAIL(err, E_INVALID, "its attribute has no tensor");
        return onnx_tensor_decode(arena, value->t, out_tensor, err);
    case TYPE(FLOAT):
        return constant_reals(arena, &value->f, 1, 0, out_tensor, err);
    case TYPE(FLOATS):
        return constant_reals(arena, value->floats, value->n_floats, 1, out_tensor, err);
    case TYPE(INT):
        return constant_integers(arena, &value->i, 1, 0, out_tensor, err);
    case TYPE(INTS):
        return constant_integers(arena, value->ints, value->n_ints, 1, out_tensor, err);
    default:
        return FAIL(err, E_UNSUPPORTED,
                    "its value is of type %d; tensors, numbers and lists of numbers are supported",
                    (int)attribute_type(value));
    }
}
