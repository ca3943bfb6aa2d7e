#include "tflite_build.h"

#include <assert.h>
#include <string.h>

enum { SLOT = 8 }; /* every field has room for the largest scalar */

static size_t reserve(struct build *build, size_t bytes, size_t alignment)
{
    size_t at = (build->size + alignment - 1) / alignment * alignment;
    assert(at + bytes <= BUILD_BYTES);
    memset(build->bytes + build->size, 0, at + bytes - build->size);
    build->size = at + bytes;
    return at;
}

void build_put(struct build *build, size_t at, int bytes, uint64_t value)
{
    for (int i = 0; i < bytes; i++)
        build->bytes[at + (size_t)i] = (uint8_t)(value >> 8 * i);
}

size_t build_table(struct build *build, int fields)
{
    size_t vtable_bytes = 4 + 2 * (size_t)fields;
    size_t vtable = reserve(build, vtable_bytes, 4);
    size_t table = reserve(build, 4 + SLOT * (size_t)fields, 4);
    build_put(build, vtable, 2, vtable_bytes);
    build_put(build, vtable + 2, 2, 4 + SLOT * (size_t)fields);
    build_put(build, table, 4, table - vtable);
    return table;
}

/* The slot of a field, which is there from now on. */
static size_t open_field(struct build *build, size_t table, int field)
{
    size_t distance = 0;
    for (int i = 0; i < 4; i++)
        distance |= (size_t)build->bytes[table + (size_t)i] << 8 * i;
    size_t offset = 4 + SLOT * (size_t)field;
    build_put(build, table - distance + 4 + 2 * (size_t)field, 2, offset);
    return table + offset;
}

void build_value(struct build *build, size_t table, int field, int bytes, uint64_t value)
{
    build_put(build, open_field(build, table, field), bytes, value);
}

size_t build_child_table(struct build *build, size_t table, int field, int fields)
{
    size_t slot = open_field(build, table, field);
    size_t child = build_table(build, fields);
    build_put(build, slot, 4, child - slot);
    return child;
}

size_t build_list(struct build *build, size_t table, int field, uint32_t count, int element_bytes)
{
    size_t slot = open_field(build, table, field);
    size_t list = reserve(build, 4 + count * (size_t)element_bytes, 4);
    build_put(build, slot, 4, list - slot);
    build_put(build, list, 4, count);
    return list + 4;
}

size_t build_element_table(struct build *build, size_t list, int index, int fields)
{
    size_t slot = list + 4 * (size_t)index;
    size_t table = build_table(build, fields);
    build_put(build, slot, 4, table - slot);
    return table;
}

size_t build_begin(struct build *build, uint8_t *bytes, const char *identifier, int fields)
{
    *build = (struct build){.bytes = bytes};
    reserve(build, 8, 4);
    memcpy(bytes + 4, identifier, 4);
    size_t root = build_table(build, fields);
    build_put(build, 0, 4, root);
    return root;
}

static void put_text(struct build *build, size_t table, int field, const char *text)
{
    size_t length = strlen(text);
    size_t list = build_list(build, table, field, (uint32_t)length, 1);
    memcpy(build->bytes + list, text, length);
    reserve(build, 1, 1);
}

static void put_integers(struct build *build, size_t table, int field, const int32_t *values,
                         int count)
{
    size_t list = build_list(build, table, field, (uint32_t)count, 4);
    for (int i = 0; i < count; i++)
        build_put(build, list + 4 * (size_t)i, 4, (uint32_t)values[i]);
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void put_quantization(struct build *build, size_t table, const struct build_tensor *tensor)
{
    size_t quantization = build_child_table(build, table, 4, 7);
    size_t scales = build_list(build, quantization, 2, (uint32_t)tensor->scale_count, 4);
    for (int i = 0; i < tensor->scale_count; i++)
        build_put(build, scales + 4 * (size_t)i, 4, float_bits(tensor->scales[i]));
    size_t zeros = build_list(build, quantization, 3, (uint32_t)tensor->zero_point_count, 8);
    for (int i = 0; i < tensor->zero_point_count; i++)
        build_put(build, zeros + 8 * (size_t)i, 8, (uint64_t)tensor->zero_points[i]);
    build_value(build, quantization, 6, 4, (uint32_t)tensor->scale_axis);
    if (tensor->blockwise)
        build_value(build, quantization, 4, 1, 2);
}

/* Buffer 0 is empty; a constant has the one after its own index. */
static void put_tensor(struct build *build, size_t list, int index,
                       const struct build_tensor *tensor)
{
    size_t table = build_element_table(build, list, index, 11);
    build_value(build, table, 1, 1, (uint64_t)tensor->type);
    int buffer = tensor->shares > 0 ? tensor->shares : index;
    build_value(build, table, 2, 4, tensor->data || tensor->shares ? (uint64_t)buffer + 1 : 0);
    build_value(build, table, 5, 1, tensor->variable);
    if (tensor->external_buffer)
        build_value(build, table, 10, 4, tensor->external_buffer);
    put_integers(build, table, 0, tensor->dim, tensor->rank);
    if (tensor->name)
        put_text(build, table, 3, tensor->name);
    if (tensor->scale_count > 0 || tensor->blockwise)
        put_quantization(build, table, tensor);
    if (tensor->sparse)
        build_child_table(build, table, 6, 3);
    if (tensor->unknown_axis > 0) {
        int32_t signature[BUILD_LIST];
        memcpy(signature, tensor->dim, sizeof(signature));
        signature[tensor->unknown_axis] = -1;
        put_integers(build, table, 7, signature, tensor->rank);
    }
}

static void put_field(struct build *build, size_t options, const struct build_field *field)
{
    if (field->bytes == 0)
        build_value(build, options, field->field, 4, float_bits(field->real));
    else if (field->bytes < 0)
        put_integers(build, options, field->field, field->list, field->count);
    else
        build_value(build, options, field->field, field->bytes, (uint64_t)field->integer);
}

static void put_operator(struct build *build, size_t list, int index,
                         const struct build_operator *entry)
{
    size_t table = build_element_table(build, list, index, 5);
    int outputs = entry->output_count < 0 ? 0 : entry->output_count ? entry->output_count : 1;
    build_value(build, table, 0, 4, (uint64_t)index);
    put_integers(build, table, 1, entry->inputs, entry->input_count);
    put_integers(build, table, 2, entry->outputs, outputs);
    if (entry->options_kind == 0)
        return;
    build_value(build, table, 3, 1, (uint64_t)entry->options_kind);
    size_t options = build_child_table(build, table, 4, BUILD_LIST);
    for (int i = 0; i < entry->field_count; i++)
        put_field(build, options, &entry->fields[i]);
}

static void put_code(struct build *build, size_t list, int index,
                     const struct build_operator *entry)
{
    size_t table = build_element_table(build, list, index, 4);
    /* What converters write: the real number in the new field, and in the old one as far as it
     * fits there, else 127. */
    build_value(build, table, 0, 1, (uint64_t)(entry->code < 127 ? entry->code : 127));
    build_value(build, table, 3, 4, (uint64_t)entry->code);
    if (entry->custom)
        put_text(build, table, 1, entry->custom);
}

static void put_subgraph(struct build *build, size_t list, int index,
                         const struct build_model *model)
{
    const int32_t inputs[] = {model->input, model->input};
    const int32_t outputs[] = {model->output, model->output};
    size_t subgraph = build_element_table(build, list, index, 5);
    put_integers(build, subgraph, 1, inputs, model->input_count ? model->input_count : 1);
    put_integers(build, subgraph, 2, outputs, model->output_count ? model->output_count : 1);
    size_t tensors = build_list(build, subgraph, 0, (uint32_t)model->tensor_count, 4);
    for (int i = 0; i < model->tensor_count; i++)
        put_tensor(build, tensors, i, &model->tensors[i]);
    size_t operators = build_list(build, subgraph, 3, (uint32_t)model->operator_count, 4);
    for (int i = 0; i < model->operator_count; i++)
        put_operator(build, operators, i, &model->operators[i]);
}

/* Data inside of the flatbuffer; those behind it are put there, and their place noted. */
static void put_buffers(struct build *build, size_t root, const struct build_model *model)
{
    size_t tables[2 * BUILD_LIST + 1];
    size_t list = build_list(build, root, 4, (uint32_t)model->tensor_count + 1, 4);
    for (int i = 0; i <= model->tensor_count; i++)
        tables[i] = build_element_table(build, list, i, 3);
    for (int i = 0; i < model->tensor_count; i++) {
        const struct build_tensor *tensor = &model->tensors[i];
        if (!tensor->data || tensor->behind)
            continue;
        size_t data = build_list(build, tables[i + 1], 0, (uint32_t)tensor->data_bytes, 1);
        memcpy(build->bytes + data, tensor->data, tensor->data_bytes);
    }
    for (int i = 0; i < model->tensor_count; i++) {
        const struct build_tensor *tensor = &model->tensors[i];
        if (!tensor->data || !tensor->behind)
            continue;
        size_t data = reserve(build, tensor->data_bytes, 16);
        memcpy(build->bytes + data, tensor->data, tensor->data_bytes);
        build_value(build, tables[i + 1], 1, 8, data);
        build_value(build, tables[i + 1], 2, 8, tensor->data_bytes);
    }
}

size_t tflite_build(const struct build_model *model, uint8_t out[static BUILD_BYTES])
{
    struct build build;
    size_t root = build_begin(&build, out, "TFL3", 5);
    build_value(&build, root, 0, 4, (uint64_t)(model->version ? model->version : 3));
    size_t codes = build_list(&build, root, 1, (uint32_t)model->operator_count, 4);
    for (int i = 0; i < model->operator_count; i++)
        put_code(&build, codes, i, &model->operators[i]);
    int subgraphs = model->subgraph_count ? model->subgraph_count : 1;
    size_t list = build_list(&build, root, 2, (uint32_t)subgraphs, 4);
    for (int i = 0; i < subgraphs; i++)
        put_subgraph(&build, list, i, model);
    put_buffers(&build, root, model);
    return build.size;
}

int build_add_tensor(struct build_model *model, int type, int rank, const int32_t *dim,
                     const void *data, size_t data_bytes)
{
    assert(model->tensor_count < 2 * BUILD_LIST);
    struct build_tensor *tensor = &model->tensors[model->tensor_count];
    *tensor =
        (struct build_tensor){.type = type, .rank = rank, .data = data, .data_bytes = data_bytes};
    if (rank > 0)
        memcpy(tensor->dim, dim, (size_t)rank * sizeof(*dim));
    return model->tensor_count++;
}

int build_activation(struct build_model *model, int rank, const int32_t *dim)
{
    return build_add_tensor(model, BUILD_F32, rank, dim, NULL, 0);
}

int build_constant(struct build_model *model, int rank, const int32_t *dim, const float *values)
{
    size_t bytes = sizeof(*values);
    for (int i = 0; i < rank; i++)
        bytes *= (size_t)dim[i];
    return build_add_tensor(model, BUILD_F32, rank, dim, values, bytes);
}

int build_integers(struct build_model *model, int32_t count, const int32_t *values)
{
    return build_add_tensor(model, BUILD_I32, 1, &count, values, (size_t)count * sizeof(*values));
}

struct build_operator *build_add_operator(struct build_model *model, int code, int output, int a,
                                          int b, int c)
{
    assert(model->operator_count < BUILD_LIST);
    struct build_operator *entry = &model->operators[model->operator_count++];
    *entry = (struct build_operator){.code = code, .inputs = {a, b, c}, .outputs = {output}};
    entry->input_count = b == BUILD_NO_INPUT ? 1 : c == BUILD_NO_INPUT ? 2 : 3;
    return entry;
}

static void add_field(struct build_operator *entry, int kind, const struct build_field *field)
{
    assert(entry->field_count < BUILD_LIST);
    entry->options_kind = kind;
    entry->fields[entry->field_count++] = *field;
}

void build_set_integer(struct build_operator *entry, int kind, int field, int bytes, int value)
{
    add_field(entry, kind, &(struct build_field){.field = field, .bytes = bytes, .integer = value});
}

void build_set_real(struct build_operator *entry, int kind, int field, float value)
{
    add_field(entry, kind, &(struct build_field){.field = field, .real = value});
}

void build_set_list(struct build_operator *entry, int kind, int field, int count,
                    const int32_t *values)
{
    struct build_field list = {.field = field, .bytes = -1, .count = count};
    memcpy(list.list, values, (size_t)count * sizeof(*values));
    add_field(entry, kind, &list);
}
