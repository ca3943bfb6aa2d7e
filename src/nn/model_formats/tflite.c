/* TFLite model files; their format is specified in tflite_schema.h and tflite_flatbuffer.c.
 *
 * Supported are float32 networks with one subgraph, one input and one output, whose weights may be
 * float16 or quantized. An operator that is not supported becomes a node "TFLITE:<name>", so that
 * graph_finish reports all of them at once.
 */

#include "ptqd/nn/model.h"
#include "tflite_import.h"
#include "tflite_schema.h"

#include <inttypes.h>
#include <string.h>

enum {
    IDENTIFIER_AT = 4,
    IDENTIFIER_BYTES = 4,
    OPSET = 13,             /* of the nodes that are written here */
    CONSTANTS_FACTOR = 4,   /* one int8 value per byte, read in up to four forms */
    CONSTANTS_LEAST = 4096, /* values that the constants of any file may have */
};

static bool tflite_recognize(const uint8_t *bytes, size_t size)
{
    return size >= IDENTIFIER_AT + IDENTIFIER_BYTES &&
           memcmp(bytes + IDENTIFIER_AT, "TFL3", IDENTIFIER_BYTES) == 0;
}

/* A list of tensors' indices, in scratch memory; −1 is allowed where `optional`. */
static bool read_indices(struct tflite_import *import, const struct flat_table *table, int field,
                         bool optional, const int **out_indices, int *out_count, struct error *err)
{
    struct flat_list list = flat_list(&import->flat, table, field, 4);
    int *indices = ARENA_ARRAY(import->scratch, int, list.count, err);
    if (!indices)
        return false;
    for (size_t i = 0; i < list.count && !import->flat.failed; i++) {
        int64_t index = flat_list_int(&import->flat, &list, i);
        if (index >= import->tensor_count || index < (optional ? -1 : 0))
            return FAIL(err, E_INVALID, "tensor %" PRId64 " doesn't exist; there are %d", index,
                        import->tensor_count);
        indices[i] = (int)index;
    }
    *out_indices = indices;
    *out_count = (int)list.count;
    return flat_check(&import->flat, err);
}

/* The only tensor of a list. */
static bool read_only_index(struct tflite_import *import, const struct flat_table *subgraph,
                            int field, const char *what, struct tflite_tensor **out,
                            struct error *err)
{
    const int *indices = NULL;
    int count = 0;
    if (!read_indices(import, subgraph, field, false, &indices, &count, err))
        return error_context(err, "%ss", what);
    if (count != 1)
        return FAIL(err, E_UNSUPPORTED, "the network has %d %ss; exactly one is supported", count,
                    what);
    *out = &import->tensors[indices[0]];
    return true;
}

/* The number of the builtin operator: new files have it in the second field, old ones in the first,
 * and some of either have it in both. */
static bool read_code(struct tflite_import *import, const struct flat_table *table,
                      int64_t *out_number, const char **out_custom, struct error *err)
{
    struct flat *flat = &import->flat;
    uint32_t index = (uint32_t)flat_int(flat, table, OPERATOR_CODE, 4, 0);
    struct flat_table code = flat_list_table(flat, &import->codes, index);
    int64_t old = flat_int(flat, &code, CODE_DEPRECATED_BUILTIN, 1, 0);
    int64_t new = flat_int(flat, &code, CODE_BUILTIN, 4, 0);
    *out_number = old > new ? old : new;
    *out_custom = flat_text(flat, &code, CODE_CUSTOM, import->scratch, err);
    return *out_custom && flat_check(flat, err);
}

/* True when everything the operator writes is an integer: it computes shapes, and Reshape takes
 * those from the file. */
static bool computes_shapes(const struct tflite_op *op)
{
    for (int i = 0; i < op->output_count; i++) {
        int type = op->import->tensors[op->outputs[i]].type;
        if (type != TFLITE_INT32 && type != TFLITE_INT64)
            return false;
    }
    return true;
}

/* A node of a type that doesn't exist, with what it reads and writes as far as that is float32. */
static bool add_unsupported(struct tflite_op *op, const char *op_type, struct error *err)
{
    struct tflite_import *import = op->import;
    struct arena *scratch = import->scratch;
    int *inputs = ARENA_ARRAY(scratch, int, op->input_count, err);
    int *outputs = ARENA_ARRAY(scratch, int, op->output_count, err);
    if (!inputs || !outputs)
        return false;
    struct node node = {.name = op->name, .op_type = op_type, .inputs = inputs, .outputs = outputs};
    for (int i = 0; i < op->input_count; i++) {
        const struct tflite_tensor *tensor =
            op->inputs[i] < 0 ? NULL : &import->tensors[op->inputs[i]];
        if (!tensor || tensor->data || tensor->type != TFLITE_FLOAT32)
            continue;
        if (!tflite_input(op, i, FORM_FILE, &inputs[node.input_count++], err))
            return false;
    }
    for (int i = 0; i < op->output_count; i++) {
        struct tflite_tensor *tensor = &import->tensors[op->outputs[i]];
        struct tensor output = {.name = tensor->name};
        if (!graph_add_tensor(import->graph, &output, false, &outputs[i], err))
            return false;
        tensor->forms[FORM_FILE] = outputs[i];
    }
    node.output_count = op->output_count;
    int index;
    return graph_add_node(import->graph, &node, &index, err);
}

/* The operator's options, which must be of the kind that it has. */
static bool read_options(struct tflite_op *op, const struct flat_table *table, struct error *err)
{
    struct flat *flat = &op->import->flat;
    int64_t kind = flat_int(flat, table, OPERATOR_OPTIONS_TYPE, 1, 0) & UINT8_MAX;
    if (op->builtin->options == 0 || kind == 0)
        return true;
    if (kind != op->builtin->options)
        return FAIL(err, E_INVALID, "its options are of kind %" PRId64 "; kind %d is needed", kind,
                    op->builtin->options);
    op->options = flat_table(flat, table, OPERATOR_OPTIONS);
    return flat_check(flat, err);
}

static bool translate(struct tflite_op *op, const struct flat_table *table, int64_t number,
                      const char *custom, struct error *err)
{
    struct arena *scratch = op->import->scratch;
    if (computes_shapes(op))
        return true;
    if (op->builtin && op->builtin->translate)
        return read_options(op, table, err) && op->builtin->translate(op, err);
    const char *type;
    if (number == TFLITE_CUSTOM)
        type = arena_printf(scratch, err, "TFLITE:CUSTOM:%s", custom);
    else if (op->builtin)
        type = arena_printf(scratch, err, "TFLITE:%s", op->builtin->name);
    else
        type = arena_printf(scratch, err, "TFLITE:%" PRId64, number);
    return type && add_unsupported(op, type, err);
}

static bool import_operator(struct tflite_import *import, const struct flat_table *table,
                            size_t index, struct error *err)
{
    struct tflite_op op = {.import = import};
    int64_t number = 0;
    const char *custom = NULL;
    if (!read_code(import, table, &number, &custom, err) ||
        !read_indices(import, table, OPERATOR_INPUTS, true, &op.inputs, &op.input_count, err) ||
        !read_indices(import, table, OPERATOR_OUTPUTS, false, &op.outputs, &op.output_count, err))
        return error_context(err, "operator %zu", index);
    op.builtin = tflite_builtin_find(number);
    const char *type = op.builtin ? op.builtin->name : "unknown";
    if (op.output_count == 0)
        return FAIL(err, E_INVALID, "operator %zu (%s) has no output", index, type);
    op.name = import->tensors[op.outputs[0]].name;
    if (!translate(&op, table, number, custom, err) || !flat_check(&import->flat, err))
        return error_context(err, "operator '%s' (%s)", op.name, type);
    return true;
}

static bool import_operators(struct tflite_import *import, const struct flat_table *subgraph,
                             struct error *err)
{
    struct flat_list list = flat_list(&import->flat, subgraph, SUBGRAPH_OPERATORS, 4);
    for (size_t i = 0; i < list.count; i++) {
        struct arena_mark mark = arena_mark(import->scratch);
        struct flat_table table = flat_list_table(&import->flat, &list, i);
        if (!import_operator(import, &table, i, err))
            return false;
        arena_reset(import->scratch, mark);
    }
    return flat_check(&import->flat, err);
}

/* The network's input in the graph, as the file has it. */
static bool add_input(struct tflite_import *import, struct tflite_tensor *input, struct error *err)
{
    if (input->data)
        return FAIL(err, E_INVALID, "the network's input '%s' is a constant", input->name);
    struct tensor tensor = {.name = input->name, .type = TENSOR_F32, .shape = input->shape};
    if (!graph_add_tensor(import->graph, &tensor, false, &input->forms[FORM_FILE], err))
        return false;
    return tflite_tensor_form(import, input, FORM_FILE, &import->graph->input, err);
}

static bool import_subgraph(struct tflite_import *import, const struct flat_table *subgraph,
                            const struct flat_list *buffers, struct error *err)
{
    struct tflite_tensor *input = NULL, *output = NULL;
    if (!tflite_read_tensors(import, subgraph, buffers, err) ||
        !read_only_index(import, subgraph, SUBGRAPH_INPUTS, "input", &input, err) ||
        !read_only_index(import, subgraph, SUBGRAPH_OUTPUTS, "output", &output, err) ||
        !add_input(import, input, err) || !import_operators(import, subgraph, err))
        return false;
    if (output->data)
        return FAIL(err, E_INVALID, "the network's output '%s' is a constant", output->name);
    return tflite_tensor_form(import, output, FORM_FILE, &import->graph->output, err);
}

static bool import_model(struct tflite_import *import, const struct flat_table *model,
                         struct error *err)
{
    struct flat *flat = &import->flat;
    int64_t version = flat_int(flat, model, MODEL_VERSION, 4, 0);
    struct flat_list subgraphs = flat_list(flat, model, MODEL_SUBGRAPHS, 4);
    struct flat_list buffers = flat_list(flat, model, MODEL_BUFFERS, 4);
    import->codes = flat_list(flat, model, MODEL_OPERATOR_CODES, 4);
    if (!flat_check(flat, err))
        return false;
    if (version != TFLITE_SCHEMA_VERSION)
        return FAIL(err, E_UNSUPPORTED, "schema version %" PRId64 "; version %d is supported",
                    version, TFLITE_SCHEMA_VERSION);
    if (subgraphs.count != 1)
        return FAIL(err, E_UNSUPPORTED, "%zu subgraphs; exactly one is supported", subgraphs.count);
    struct flat_table subgraph = flat_list_table(flat, &subgraphs, 0);
    return flat_check(flat, err) && import_subgraph(import, &subgraph, &buffers, err);
}

static bool tflite_import(const uint8_t *bytes, size_t size, struct graph *graph, struct error *err)
{
    struct tflite_import import = {
        .graph = graph,
        .constants_budget = CONSTANTS_LEAST + CONSTANTS_FACTOR * size,
    };
    import.scratch = arena_create(0);
    if (!import.scratch)
        return FAIL(err, E_MEMORY, "no memory to import a model");
    graph->opset = OPSET;
    struct flat_table model = flat_open(&import.flat, bytes, size);
    bool ok = flat_check(&import.flat, err) && import_model(&import, &model, err);
    arena_destroy(import.scratch);
    return ok || error_context(err, "TFLite");
}

const struct model_format model_format_tflite = {
    .name = "tflite",
    .recognize = tflite_recognize,
    .import = tflite_import,
};
