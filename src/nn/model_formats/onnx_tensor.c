/* Values of a TensorProto are either in raw_data, packed and little-endian, or in a list of wider
 * numbers (`field` below). In memory such a list is little-endian as well, so element i starts at
 * i · stride in both cases: the low bytes of an int32 are the int8 or the float16 that it carries.
 * (A machine of the other byte order would need a copy here; none is supported.)
 */

#include "ptqd/nn/onnx_tensor.h"

#include "ptqd/nn/half.h"

#include "onnx.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum field { FIELD_NONE, FIELD_FLOAT, FIELD_DOUBLE, FIELD_INT32, FIELD_INT64, FIELD_UINT64 };

struct element_type {
    int32_t data_type;
    const char *name;
    size_t bytes;     /* in raw_data */
    enum field field; /* where values are that are not in raw_data */
    float (*real)(const uint8_t *element);
    int64_t (*integer)(const uint8_t *element); /* one of the two */
};

/* Elements as they lie in memory. */
struct stored {
    const char *field;
    const uint8_t *bytes;
    size_t stride, count;
};

static uint16_t read_u16(const uint8_t *element)
{
    uint16_t bits;
    memcpy(&bits, element, sizeof(bits));
    return bits;
}

static uint32_t read_u32(const uint8_t *element)
{
    uint32_t bits;
    memcpy(&bits, element, sizeof(bits));
    return bits;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float real_float32(const uint8_t *element)
{
    return float_of_bits(read_u32(element));
}

static float real_float64(const uint8_t *element)
{
    double value;
    memcpy(&value, element, sizeof(value));
    return (float)value;
}

static float real_float16(const uint8_t *element)
{
    return half_decode(read_u16(element));
}

static float real_bfloat16(const uint8_t *element)
{
    return float_of_bits((uint32_t)read_u16(element) << 16);
}

static int64_t integer_int64(const uint8_t *element)
{
    int64_t value;
    memcpy(&value, element, sizeof(value));
    return value;
}

static int64_t integer_int32(const uint8_t *element)
{
    return (int32_t)read_u32(element);
}

static int64_t integer_uint32(const uint8_t *element)
{
    return read_u32(element);
}

static int64_t integer_int16(const uint8_t *element)
{
    return (int16_t)read_u16(element);
}

static int64_t integer_uint16(const uint8_t *element)
{
    return read_u16(element);
}

static int64_t integer_int8(const uint8_t *element)
{
    return (int8_t)*element;
}

static int64_t integer_uint8(const uint8_t *element)
{
    return *element;
}

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

static const struct element_type element_types[] = {
    {TYPE(FLOAT), "float32", 4, FIELD_FLOAT, .real = real_float32},
    {TYPE(DOUBLE), "float64", 8, FIELD_DOUBLE, .real = real_float64},
    {TYPE(FLOAT16), "float16", 2, FIELD_INT32, .real = real_float16},
    {TYPE(BFLOAT16), "bfloat16", 2, FIELD_INT32, .real = real_bfloat16},
    {TYPE(INT64), "int64", 8, FIELD_INT64, .integer = integer_int64},
    {TYPE(INT32), "int32", 4, FIELD_INT32, .integer = integer_int32},
    {TYPE(INT16), "int16", 2, FIELD_INT32, .integer = integer_int16},
    {TYPE(INT8), "int8", 1, FIELD_INT32, .integer = integer_int8},
    {TYPE(UINT32), "uint32", 4, FIELD_UINT64, .integer = integer_uint32},
    {TYPE(UINT16), "uint16", 2, FIELD_INT32, .integer = integer_uint16},
    {TYPE(UINT8), "uint8", 1, FIELD_INT32, .integer = integer_uint8},
    {TYPE(BOOL), "bool", 1, FIELD_INT32, .integer = integer_uint8},
    /* Only names: no values of these are read. */
    {TYPE(UINT64), "uint64", 0, FIELD_NONE, NULL, NULL},
    {TYPE(STRING), "string", 0, FIELD_NONE, NULL, NULL},
    {TYPE(COMPLEX64), "complex64", 0, FIELD_NONE, NULL, NULL},
    {TYPE(COMPLEX128), "complex128", 0, FIELD_NONE, NULL, NULL},
};

static const struct element_type *find_type(int32_t data_type)
{
    for (size_t i = 0; i < sizeof(element_types) / sizeof(element_types[0]); i++)
        if (element_types[i].data_type == data_type)
            return &element_types[i];
    return NULL;
}

const char *onnx_type_name(int32_t data_type, char buffer[static ONNX_TYPE_NAME_BYTES])
{
    const struct element_type *type = find_type(data_type);
    if (type != NULL)
        return type->name;
    snprintf(buffer, ONNX_TYPE_NAME_BYTES, "type %" PRId32, data_type);
    return buffer;
}

#define LIST(proto, list)                                                                          \
    (struct stored)                                                                                \
    {                                                                                              \
#list, (const uint8_t *)(proto)->list, sizeof(*(proto)->list), (proto)->n_##list           \
    }

static struct stored stored_list(const Onnx__TensorProto *proto, enum field field)
{
    switch (field) {
    case FIELD_FLOAT:
        return LIST(proto, float_data);
    case FIELD_DOUBLE:
        return LIST(proto, double_data);
    case FIELD_INT32:
        return LIST(proto, int32_data);
    case FIELD_INT64:
        return LIST(proto, int64_data);
    case FIELD_UINT64:
        return LIST(proto, uint64_data);
    case FIELD_NONE:
        break;
    }
    return (struct stored){"no data", NULL, 0, 0};
}

static bool decode_shape(const Onnx__TensorProto *proto, struct shape *out, struct error *err)
{
    if (proto->n_dims > SHAPE_RANK_MAX)
        return FAIL(err, E_UNSUPPORTED, "it has %zu axes; up to %d are supported", proto->n_dims,
                    SHAPE_RANK_MAX);
    struct shape shape = {.rank = (int)proto->n_dims};
    for (size_t i = 0; i < proto->n_dims; i++)
        shape.dim[i] = proto->dims[i];
    if (!shape_is_empty_list(&shape) &&
        !shape_check(&shape, proto->name != NULL ? proto->name : "", err))
        return false;
    *out = shape;
    return true;
}

/* The elements, of which there are exactly `count`. */
static bool find_elements(const Onnx__TensorProto *proto, const struct element_type *type,
                          const struct shape *shape, struct stored *out, struct error *err)
{
    size_t count = (size_t)shape_elements(shape);
    char shape_text[128];
    shape_print(shape, shape_text, sizeof(shape_text));
    if (!proto->has_raw_data) {
        *out = stored_list(proto, type->field);
        if (out->count != count)
            return FAIL(err, E_INVALID, "its shape %s needs %zu values; %s has %zu", shape_text,
                        count, out->field, out->count);
        return true;
    }
    size_t bytes = count * type->bytes; /* count ≤ 2^40 */
    if (proto->raw_data.len != bytes)
        return FAIL(err, E_INVALID, "its shape %s of %s needs %zu bytes; raw_data has %zu",
                    shape_text, type->name, bytes, proto->raw_data.len);
    *out = (struct stored){"raw_data", proto->raw_data.data, type->bytes, count};
    return true;
}

static bool decode_values(struct arena *arena, const struct element_type *type,
                          const struct stored *stored, struct tensor *tensor, struct error *err)
{
    if (type->real != NULL) {
        float *values = ARENA_ARRAY(arena, float, stored->count, err);
        for (size_t i = 0; values != NULL && i < stored->count; i++)
            values[i] = type->real(stored->bytes + i * stored->stride);
        tensor->type = TENSOR_F32;
        tensor->values = values;
        return values != NULL;
    }
    int64_t *integers = ARENA_ARRAY(arena, int64_t, stored->count, err);
    for (size_t i = 0; integers != NULL && i < stored->count; i++)
        integers[i] = type->integer(stored->bytes + i * stored->stride);
    tensor->type = TENSOR_I64;
    tensor->integers = integers;
    return integers != NULL;
}

/* The file that EXTERNAL values are in. */
static const char *external_location(const Onnx__TensorProto *proto)
{
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (entry->key != NULL && entry->value != NULL && strcmp(entry->key, "location") == 0)
            return entry->value;
    }
    return "";
}

static bool check_storage(const Onnx__TensorProto *proto, struct error *err)
{
    if (proto->has_data_location &&
        proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return FAIL(err, E_UNSUPPORTED,
                    "its values are in another file ('%s'); save the model as a single file",
                    external_location(proto));
    if (proto->segment != NULL)
        return FAIL(err, E_UNSUPPORTED, "its values are split into segments");
    return true;
}

bool onnx_tensor_decode(struct arena *arena, const struct Onnx__TensorProto *proto,
                        struct tensor *out_tensor, struct error *err)
{
    char name[ONNX_TYPE_NAME_BYTES];
    const struct element_type *type = find_type(proto->data_type);
    if (type == NULL || type->field == FIELD_NONE)
        return FAIL(err, E_UNSUPPORTED,
                    "its elements are of %s; float16, float32, float64, bool and integers up to "
                    "int64 are supported",
                    onnx_type_name(proto->data_type, name));

    struct tensor tensor = {.name = proto->name == NULL ? "" : proto->name, .producer = -1};
    struct stored stored;
    if (!check_storage(proto, err) || !decode_shape(proto, &tensor.shape, err) ||
        !find_elements(proto, type, &tensor.shape, &stored, err) ||
        !decode_values(arena, type, &stored, &tensor, err))
        return false;
    *out_tensor = tensor;
    return true;
}
