/* Tensors of a TFLite file, and the values of its constants.
 *
 * A constant is float32, float16, or int8 or uint8 with scales, the value being
 * (stored − zero point) · scale: weights of "dynamic range" and "hybrid" models, whose activations
 * are float32. There is one scale for the tensor, or one per index of an axis. Shapes and axes are
 * int32 or int64.
 */

#include "tflite_import.h"

#include "ptqd/base/mem.h"
#include "ptqd/nn/half.h"
#include "tflite_schema.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* TensorType */
static const char *const TYPE_NAMES[] = {
    "float32", "float16", "int32",    "uint8",      "int64",  "string",   "bool",    "int16",
    "complex", "int8",    "float64",  "complex128", "uint64", "resource", "variant", "uint32",
    "uint16",  "int4",    "bfloat16", "int2",       "uint4",  "float8",   "float8",
};

const char *tflite_type_name(int type)
{
    bool known = type >= 0 && (size_t)type < sizeof(TYPE_NAMES) / sizeof(TYPE_NAMES[0]);
    return known ? TYPE_NAMES[type] : "of an unknown type";
}

/* The bytes of a tensor's buffer; none for an activation. */
static bool read_data(struct tflite_import *import, const struct flat_list *buffers,
                      const struct flat_table *table, struct tflite_tensor *tensor,
                      struct error *err)
{
    struct flat *flat = &import->flat;
    if (flat_int(flat, table, TENSOR_EXTERNAL_BUFFER, 4, 0) != 0)
        return FAIL(err, E_UNSUPPORTED, "tensor '%s' is stored in another file", tensor->name);
    uint32_t index = (uint32_t)flat_int(flat, table, TENSOR_BUFFER, 4, 0);
    struct flat_table buffer = flat_list_table(flat, buffers, index);
    struct flat_list data = flat_list(flat, &buffer, BUFFER_DATA, 1);
    uint64_t at = data.at, bytes = data.count;
    uint64_t offset = (uint64_t)flat_int(flat, &buffer, BUFFER_OFFSET, 8, 0);
    if (bytes == 0 && offset > 1) { /* 0 and 1 stand for "not used" */
        at = offset;
        bytes = (uint64_t)flat_int(flat, &buffer, BUFFER_SIZE, 8, 0);
        if (at > flat->size || bytes > flat->size - at)
            return FAIL(err, E_SYNTAX,
                        "tensor '%s': its %" PRIu64 " bytes at byte %" PRIu64
                        " run past the end of the file (%zu bytes)",
                        tensor->name, bytes, at, flat->size);
    }
    if (bytes > 0) {
        tensor->data = flat->bytes + at;
        tensor->data_bytes = (size_t)bytes;
    }
    return flat_check(flat, err);
}

static bool read_shape(struct flat *flat, const struct flat_table *table,
                       struct tflite_tensor *tensor, struct error *err)
{
    struct flat_list shape = flat_list(flat, table, TENSOR_SHAPE, 4);
    if (shape.count > SHAPE_RANK_MAX)
        return FAIL(err, E_UNSUPPORTED, "tensor '%s' has %zu axes; at most %d are supported",
                    tensor->name, shape.count, SHAPE_RANK_MAX);
    tensor->shape.rank = (int)shape.count;
    for (size_t i = 0; i < shape.count; i++)
        tensor->shape.dim[i] = flat_list_int(flat, &shape, i);

    /* The signature has −1 where the converter knew no extent: fine for samples, else not. */
    struct flat_list signature = flat_list(flat, table, TENSOR_SHAPE_SIGNATURE, 4);
    for (size_t i = 1; i < signature.count; i++) {
        if (flat_list_int(flat, &signature, i) < 0 && i < shape.count)
            tensor->shape.dim[i] = -1;
    }
    return flat_check(flat, err);
}

static bool read_tensor(struct tflite_import *import, const struct flat_table *table,
                        const struct flat_list *buffers, int index, struct tflite_tensor *tensor,
                        struct error *err)
{
    struct flat *flat = &import->flat;
    for (int form = 0; form < FORM_COUNT; form++)
        tensor->forms[form] = -1;
    tensor->name = flat_text(flat, table, TENSOR_NAME, import->scratch, err);
    if (tensor->name && tensor->name[0] == '\0')
        tensor->name = arena_printf(import->scratch, err, "tensor_%d", index);
    if (!tensor->name)
        return false;
    tensor->type = (int)flat_int(flat, table, TENSOR_TYPE, 1, TFLITE_FLOAT32);
    tensor->quantization = flat_table(flat, table, TENSOR_QUANTIZATION);
    if (flat_int(flat, table, TENSOR_IS_VARIABLE, 1, 0))
        return FAIL(err, E_UNSUPPORTED,
                    "tensor '%s' is a variable (it keeps its value between samples)", tensor->name);
    if (flat_has(flat, table, TENSOR_SPARSITY))
        return FAIL(err, E_UNSUPPORTED,
                    "tensor '%s' is sparse; convert the model with dense tensors", tensor->name);
    return read_shape(flat, table, tensor, err) && read_data(import, buffers, table, tensor, err);
}

static int compare_names(const void *a, const void *b)
{
    struct tflite_tensor *const *left = a, *const *right = b;
    int order = strcmp((*left)->name, (*right)->name);
    return order ? order : (*left > *right) - (*left < *right);
}

/* Names are for debugging in this format and need not differ; in a report they must. */
static bool make_names_unique(struct tflite_import *import, struct error *err)
{
    size_t count = (size_t)import->tensor_count;
    struct tflite_tensor **sorted =
        ARENA_ARRAY(import->scratch, struct tflite_tensor *, count, err);
    if (!sorted)
        return false;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &import->tensors[i];
    qsort(sorted, count, sizeof(sorted[0]), compare_names);
    const char *name = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!name || strcmp(name, sorted[i]->name) != 0) {
            name = sorted[i]->name;
            continue;
        }
        sorted[i]->name =
            arena_printf(import->scratch, err, "%s#%d", name, (int)(sorted[i] - import->tensors));
        if (!sorted[i]->name)
            return false;
    }
    return true;
}

bool tflite_read_tensors(struct tflite_import *import, const struct flat_table *subgraph,
                         const struct flat_list *buffers, struct error *err)
{
    enum { TENSORS_MAX = 1 << 18 };
    struct flat_list list = flat_list(&import->flat, subgraph, SUBGRAPH_TENSORS, 4);
    if (list.count > TENSORS_MAX)
        return FAIL(err, E_TOO_LARGE, "%zu tensors; at most %d are supported", list.count,
                    TENSORS_MAX);
    import->tensors = ARENA_ARRAY(import->scratch, struct tflite_tensor, list.count, err);
    if (!import->tensors)
        return false;
    import->tensor_count = (int)list.count;
    for (int i = 0; i < import->tensor_count; i++) {
        struct flat_table table = flat_list_table(&import->flat, &list, (size_t)i);
        if (!flat_check(&import->flat, err) ||
            !read_tensor(import, &table, buffers, i, &import->tensors[i], err))
            return false;
    }
    return flat_check(&import->flat, err) && make_names_unique(import, err);
}

/* Elements of a constant, whose buffer must have just as many. Buffers can be shared, so that a
 * small file may claim any number of large constants: what they expand to is budgeted. */
static bool count_elements(struct tflite_import *import, const struct tflite_tensor *tensor,
                           size_t element_bytes, size_t *out_count, struct error *err)
{
    size_t count = 1, bytes;
    bool counted = true;
    for (int i = 0; i < tensor->shape.rank; i++)
        counted = counted && tensor->shape.dim[i] >= 0 &&
                  mem_mul(count, (size_t)tensor->shape.dim[i], &count);
    char text[128];
    shape_print(&tensor->shape, text, sizeof(text));
    if (!counted || !mem_mul(count, element_bytes, &bytes))
        return FAIL(err, E_INVALID, "constant '%s': %s is not a shape", tensor->name, text);
    if (bytes != tensor->data_bytes)
        return FAIL(err, E_INVALID, "constant '%s': %s of %s is %zu bytes, but its buffer has %zu",
                    tensor->name, text, tflite_type_name(tensor->type), bytes, tensor->data_bytes);
    if (count > import->constants_budget)
        return FAIL(err, E_TOO_LARGE,
                    "constant '%s': the constants have more values than a file of %zu bytes can "
                    "hold; their buffers overlap",
                    tensor->name, import->flat.size);
    import->constants_budget -= count;
    *out_count = count;
    return true;
}

/* Scales and zero points: per tensor (count 1), or per index of `axis`. */
struct quantization {
    struct flat_list scales, zero_points;
    int axis;
};

static bool read_quantization(struct tflite_import *import, const struct tflite_tensor *tensor,
                              struct quantization *out, struct error *err)
{
    struct flat *flat = &import->flat;
    const struct flat_table *table = &tensor->quantization;
    struct quantization q = {
        .scales = flat_list(flat, table, QUANTIZATION_SCALE, 4),
        .zero_points = flat_list(flat, table, QUANTIZATION_ZERO_POINT, 8),
        .axis = (int)flat_int(flat, table, QUANTIZATION_DIMENSION, 4, 0),
    };
    if (flat_int(flat, table, QUANTIZATION_DETAILS_TYPE, 1, 0) != 0)
        return FAIL(err, E_UNSUPPORTED,
                    "constant '%s' is quantized in blocks; only scales per "
                    "tensor or per channel are supported",
                    tensor->name);
    if (q.scales.count == 0)
        return FAIL(err, E_INVALID, "constant '%s' is %s, but has no scale", tensor->name,
                    tflite_type_name(tensor->type));
    if (q.scales.count > 1) {
        int64_t extent = q.axis >= 0 && q.axis < tensor->shape.rank ? tensor->shape.dim[q.axis] : 0;
        if ((int64_t)q.scales.count != extent)
            return FAIL(err, E_INVALID,
                        "constant '%s' has %zu scales along axis %d, which has extent %" PRId64,
                        tensor->name, q.scales.count, q.axis, extent);
    }
    if (q.zero_points.count > 1 && q.zero_points.count != q.scales.count)
        return FAIL(err, E_INVALID, "constant '%s' has %zu scales, but %zu zero points",
                    tensor->name, q.scales.count, q.zero_points.count);
    *out = q;
    return flat_check(flat, err);
}

/* A list's element, the only one where there is one, 0 where there is none. */
static double zero_point_at(struct flat *flat, const struct flat_list *list, size_t index)
{
    return list->count == 0 ? 0 : (double)flat_list_int(flat, list, list->count == 1 ? 0 : index);
}

static bool dequantize(struct tflite_import *import, const struct tflite_tensor *tensor,
                       size_t count, float *out, struct error *err)
{
    struct quantization q;
    if (!read_quantization(import, tensor, &q, err))
        return false;
    size_t run = count; /* values in a row that share a scale */
    if (q.scales.count > 1) {
        run = 1;
        for (int i = q.axis + 1; i < tensor->shape.rank; i++)
            run *= (size_t)tensor->shape.dim[i];
    }
    for (size_t first = 0; first < count; first += run) {
        size_t channel = first / run % q.scales.count;
        double scale = (double)flat_list_float(&import->flat, &q.scales, channel);
        double zero_point = zero_point_at(&import->flat, &q.zero_points, channel);
        for (size_t i = first; i < first + run; i++) {
            int stored = tensor->type == TFLITE_INT8 ? (int8_t)tensor->data[i] : tensor->data[i];
            out[i] = (float)((stored - zero_point) * scale);
        }
    }
    return flat_check(&import->flat, err);
}

static void widen_halves(const uint8_t *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = half_decode((uint16_t)(data[2 * i] | data[2 * i + 1] << 8));
}

/* Bytes of an element of the types that have float32 values; 0 for others. */
static size_t real_bytes(int type)
{
    switch (type) {
    case TFLITE_FLOAT32:
        return 4;
    case TFLITE_FLOAT16:
        return 2;
    case TFLITE_INT8:
    case TFLITE_UINT8:
        return 1;
    default:
        return 0;
    }
}

bool tflite_constant_values(struct tflite_import *import, struct arena *arena,
                            const struct tflite_tensor *tensor, const float **out_values,
                            struct error *err)
{
    size_t count = 0, element_bytes = real_bytes(tensor->type);
    if (element_bytes == 0)
        return FAIL(err, E_UNSUPPORTED,
                    "constant '%s' is %s; float32, float16, int8 and uint8 are supported here",
                    tensor->name, tflite_type_name(tensor->type));
    if (!shape_check(&tensor->shape, tensor->name, err) ||
        !count_elements(import, tensor, element_bytes, &count, err))
        return false;
    float *values = ARENA_ARRAY(arena, float, count, err);
    if (!values)
        return false;
    if (tensor->type == TFLITE_FLOAT32)
        memcpy(values, tensor->data, count * sizeof(*values));
    else if (tensor->type == TFLITE_FLOAT16)
        widen_halves(tensor->data, count, values);
    else if (!dequantize(import, tensor, count, values, err))
        return false;
    *out_values = values;
    return true;
}

bool tflite_constant_integers(struct tflite_import *import, const struct tflite_tensor *tensor,
                              struct tflite_integers *out, struct error *err)
{
    size_t count = 0, element_bytes = tensor->type == TFLITE_INT64 ? 8 : 4;
    if (tensor->type != TFLITE_INT32 && tensor->type != TFLITE_INT64)
        return FAIL(err, E_INVALID, "'%s' is %s; int32 or int64 is needed here", tensor->name,
                    tflite_type_name(tensor->type));
    if (!count_elements(import, tensor, element_bytes, &count, err))
        return false;
    int64_t *values = ARENA_ARRAY(import->scratch, int64_t, count, err);
    if (!values)
        return false;
    struct flat_list list = {.at = (size_t)(tensor->data - import->flat.bytes),
                             .count = count,
                             .element_bytes = element_bytes};
    for (size_t i = 0; i < count; i++)
        values[i] = flat_list_int(&import->flat, &list, i);
    *out = (struct tflite_integers){.values = values, .count = count};
    return flat_check(&import->flat, err);
}
