/* The backend test data of ONNX: small models, one operator each, with inputs and the outputs they
 * must give. Debian's package libonnx-testdata; $PTQD_ONNX_TESTDATA names another folder.
 *
 * Law: the output is within the tolerance of the standard runner (onnx/backend/test/runner,
 * numpy's assert_allclose with rtol 1e-3, atol 1e-7; load_model_tests sets both).
 *
 * The first float32 input is the network's input, all others become initializers. A model with
 * several outputs is executed once for each that is float32. A case is
 *   not applicable   when it isn't one operator from float32 to float32,
 *   unsupported      when the model is refused with E_UNSUPPORTED, or because its input has no
 *                    elements: listed with the message,
 *   failed           otherwise, unless it passed.
 */

#include "ptqd/base/file.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/onnx_tensor.h"

#include "support.h"

#include "onnx.pb-c.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double relative_tolerance = 1e-3, absolute_tolerance = 1e-7;

enum { FILE_BYTES_MAX = 64 << 20, CASES_MAX = 4096, REASON_BYTES = ERROR_MESSAGE_BYTES + 64 };

enum verdict { PASSED, NOT_APPLICABLE, UNSUPPORTED, FAILED, VERDICT_COUNT };

struct backend_case {
    char op[64];
    char reason[REASON_BYTES];
    enum verdict verdict;
};

/* Bytes of one file of a case. */
static bool read_file(struct arena *arena, const char *folder, const char *name, uint8_t **bytes,
                      size_t *size, struct error *err)
{
    const char *path = file_join(arena, folder, name, err);
    char *text;
    if (path == NULL || !file_read(arena, path, FILE_BYTES_MAX, &text, size, err))
        return false;
    *bytes = (uint8_t *)text;
    return true;
}

static void *arena_of_protobuf(void *arena, size_t size)
{
    return arena_alloc(arena, size, NULL);
}

static void free_of_protobuf(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static Onnx__ModelProto *read_model(struct arena *arena, const char *folder)
{
    ProtobufCAllocator allocator = {arena_of_protobuf, free_of_protobuf, arena};
    uint8_t *bytes;
    size_t size;
    if (!read_file(arena, folder, "model.onnx", &bytes, &size, NULL))
        return NULL;
    return onnx__model_proto__unpack(&allocator, size, bytes);
}

static Onnx__TensorProto *read_tensor(struct arena *arena, const char *folder, int set,
                                      const char *kind, size_t index)
{
    ProtobufCAllocator allocator = {arena_of_protobuf, free_of_protobuf, arena};
    char name[64];
    snprintf(name, sizeof(name), "test_data_set_%d/%s_%zu.pb", set, kind, index);
    uint8_t *bytes;
    size_t size;
    if (!read_file(arena, folder, name, &bytes, &size, NULL))
        return NULL;
    return onnx__tensor_proto__unpack(&allocator, size, bytes);
}

static bool is_tensor(const Onnx__ValueInfoProto *value)
{
    return value->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
}

static bool is_float(const Onnx__ValueInfoProto *value)
{
    return is_tensor(value) &&
           value->type->tensor_type->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
}

static bool is_empty(const Onnx__ValueInfoProto *value)
{
    const Onnx__TensorShapeProto *shape = value->type->tensor_type->shape;
    for (size_t i = 0; shape != NULL && i < shape->n_dim; i++)
        if (shape->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
            shape->dim[i]->dim_value == 0)
            return true;
    return false;
}

/* The input that stays an input; n_input when there is none. */
static size_t running_input(const Onnx__GraphProto *graph)
{
    size_t i = 0;
    while (i < graph->n_input && !is_float(graph->input[i]))
        i++;
    return i;
}

/* Why the case isn't one operator from float32 to float32, or NULL. */
static const char *not_applicable(const Onnx__GraphProto *graph)
{
    if (graph->n_node != 1)
        return "several nodes";
    for (size_t i = 0; i < graph->n_input; i++)
        if (!is_tensor(graph->input[i]))
            return "sequence or optional input";
    if (running_input(graph) == graph->n_input)
        return "no float32 input";
    if (!is_float(graph->output[0]))
        return "output is not float32";
    const char *domain = graph->node[0]->domain;
    if (domain != NULL && strstr(domain, "training") != NULL)
        return "training";
    return NULL;
}

static bool judge(struct backend_case *result, enum verdict verdict, const char *reason)
{
    result->verdict = verdict;
    snprintf(result->reason, sizeof(result->reason), "%s", reason);
    return false;
}

static bool judge_error(struct backend_case *result, const struct error *err)
{
    if (err->code == E_UNSUPPORTED)
        return judge(result, UNSUPPORTED, err->message);
    char reason[REASON_BYTES];
    snprintf(reason, sizeof(reason), "[%s] %s", error_code_name(err->code), err->message);
    return judge(result, FAILED, reason);
}

static bool is_initializer(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return true;
    return false;
}

/* The model with the values of one data set as initializers. */
static bool bind(struct arena *arena, const char *folder, int set, Onnx__ModelProto *model,
                 const uint8_t **out_bytes, size_t *out_size)
{
    Onnx__GraphProto *graph = model->graph;
    size_t running = running_input(graph), first = graph->n_initializer;
    Onnx__TensorProto **initializers =
        ARENA_ARRAY(arena, Onnx__TensorProto *, first + graph->n_input, NULL);
    if (initializers == NULL)
        return false;
    if (first > 0)
        memcpy(initializers, graph->initializer, first * sizeof(*initializers));
    size_t count = first;
    for (size_t i = 0; i < graph->n_input; i++) {
        if (i == running || is_initializer(graph, graph->input[i]->name))
            continue;
        Onnx__TensorProto *value = read_tensor(arena, folder, set, "input", i);
        if (value == NULL)
            return false;
        value->name = graph->input[i]->name;
        initializers[count++] = value;
    }
    graph->initializer = initializers;
    graph->n_initializer = count;
    *out_size = onnx__model_proto__get_packed_size(model);
    uint8_t *bytes = arena_alloc(arena, *out_size, NULL);
    if (bytes != NULL)
        onnx__model_proto__pack(model, bytes);
    graph->n_initializer = first; /* for the next set */
    *out_bytes = bytes;
    return bytes != NULL;
}

static bool is_close(float actual, float expected)
{
    if (isnan(expected) || isinf(expected))
        return isnan(expected) ? isnan(actual) : actual == expected;
    return fabs((double)actual - (double)expected) <=
           absolute_tolerance + relative_tolerance * fabs((double)expected);
}

static bool compare(const struct graph *graph, const float *actual, const struct tensor *expected,
                    struct backend_case *result)
{
    const struct tensor *output = &graph->tensors[graph->output];
    char text[REASON_BYTES];
    if (!shape_equal(&output->shape, &expected->shape)) {
        char want[64], have[64];
        shape_print(&expected->shape, want, sizeof(want));
        shape_print(&output->shape, have, sizeof(have));
        snprintf(text, sizeof(text), "the output is %s, must be %s", have, want);
        return judge(result, FAILED, text);
    }
    int64_t count = shape_elements(&expected->shape);
    for (int64_t i = 0; i < count; i++) {
        if (is_close(actual[i], expected->values[i]))
            continue;
        snprintf(text, sizeof(text), "element %lld is %.9g, must be %.9g", (long long)i,
                 (double)actual[i], (double)expected->values[i]);
        return judge(result, FAILED, text);
    }
    return true;
}

static bool execute(const struct graph *graph, const float *input, const struct tensor *expected,
                    struct backend_case *result)
{
    struct error err = {.message = ""};
    struct exec *exec = NULL;
    bool ok = exec_create(graph, &(struct exec_options){.batch = 1}, &exec, &err) &&
              exec_forward(exec, input, 1, &err);
    ok = ok ? compare(graph, exec_values(exec, graph->output), expected, result)
            : judge_error(result, &err);
    exec_destroy(exec);
    return ok;
}

/* One data set, with the model's output number `index` as its only one. */
static bool run_output(struct arena *arena, const char *folder, int set, size_t index,
                       Onnx__ModelProto *model, struct backend_case *result)
{
    struct error err = {.message = ""};
    const uint8_t *bytes;
    size_t size;
    if (!bind(arena, folder, set, model, &bytes, &size))
        return judge(result, FAILED, "the inputs can't be read");
    struct graph *graph;
    if (!model_import(arena, bytes, size, &graph, NULL, &err))
        return is_empty(model->graph->input[running_input(model->graph)])
                   ? judge(result, UNSUPPORTED, err.message)
                   : judge_error(result, &err);

    const Onnx__TensorProto *input =
        read_tensor(arena, folder, set, "input", running_input(model->graph));
    const Onnx__TensorProto *output = read_tensor(arena, folder, set, "output", index);
    struct tensor given, expected;
    if (input == NULL || output == NULL)
        return judge(result, FAILED, "input or output can't be read");
    if (!onnx_tensor_decode(arena, input, &given, &err) ||
        !onnx_tensor_decode(arena, output, &expected, &err))
        return judge_error(result, &err);
    if (!shape_equal(&given.shape, &graph->tensors[graph->input].shape))
        return judge(result, FAILED, "the input is of another shape than the model's");
    return execute(graph, given.values, &expected, result);
}

static bool run_set(struct arena *arena, const char *folder, int set, Onnx__ModelProto *model,
                    struct backend_case *result)
{
    Onnx__GraphProto *graph = model->graph;
    Onnx__ValueInfoProto **outputs = graph->output;
    size_t count = graph->n_output;
    bool ok = true;
    graph->n_output = 1;
    for (size_t i = 0; ok && i < count; i++) {
        graph->output = &outputs[i];
        ok = !is_float(outputs[i]) || run_output(arena, folder, set, i, model, result);
    }
    graph->output = outputs; /* for the next set */
    graph->n_output = count;
    return ok;
}

static bool has_set(struct arena *arena, const char *folder, int set)
{
    const char *path = arena_printf(arena, NULL, "%s/test_data_set_%d", folder, set);
    return path != NULL && access(path, R_OK) == 0;
}

static void run_case(struct arena *arena, const char *folder, struct backend_case *result)
{
    Onnx__ModelProto *model = read_model(arena, folder);
    if (model == NULL || model->graph == NULL || model->graph->n_output == 0) {
        judge(result, FAILED, "model.onnx can't be read");
        return;
    }
    const char *reason = not_applicable(model->graph);
    if (reason != NULL) {
        judge(result, NOT_APPLICABLE, reason);
        return;
    }
    snprintf(result->op, sizeof(result->op), "%s", model->graph->node[0]->op_type);
    if (!has_set(arena, folder, 0)) {
        judge(result, FAILED, "there is no test_data_set_0");
        return;
    }
    for (int set = 0; has_set(arena, folder, set); set++)
        if (!run_set(arena, folder, set, model, result))
            return;
    result->verdict = PASSED;
}

static int is_case(const struct dirent *entry)
{
    return strncmp(entry->d_name, "test_", 5) == 0;
}

/* Runs the cases of one folder and appends their results. */
static bool run_folder(struct arena *arena, const char *root, const char *kind,
                       struct backend_case *results, size_t *count)
{
    const char *folder = file_join(arena, root, kind, NULL);
    struct dirent **entries;
    int found = folder == NULL ? -1 : scandir(folder, &entries, is_case, alphasort);
    if (found < 0)
        return false;
    for (int i = 0; i < found; i++) {
        struct arena_mark mark = arena_mark(arena);
        const char *path = file_join(arena, folder, entries[i]->d_name, NULL);
        if (path == NULL || *count == CASES_MAX)
            abort();
        struct backend_case *result = &results[(*count)++];
        run_case(arena, path, result);
        if (result->verdict == FAILED)
            printf("FAILED %s/%s: %s\n", kind, entries[i]->d_name, result->reason);
        arena_reset(arena, mark);
        free(entries[i]);
    }
    free(entries);
    return true;
}

static int by_op_and_reason(const void *a, const void *b)
{
    const struct backend_case *left = a, *right = b;
    int order = strcmp(left->op, right->op);
    return order != 0 ? order : strcmp(left->reason, right->reason);
}

/* Cases of one verdict, those of one operator and reason together. */
static void print_reasons(struct backend_case *results, size_t count, enum verdict verdict)
{
    qsort(results, count, sizeof(*results), by_op_and_reason);
    for (size_t i = 0; i < count; i++) {
        size_t same = 1;
        for (; i + 1 < count && by_op_and_reason(&results[i], &results[i + 1]) == 0; i++)
            same++;
        if (results[i].verdict == verdict)
            printf("  %3zu %s%s%s\n", same, results[i].op, results[i].op[0] != '\0' ? ": " : "",
                   results[i].reason);
    }
}

int main(void)
{
    static const char *const kinds[] = {"node", "simple", "pytorch-operator", "pytorch-converted"};
    const char *root = getenv("PTQD_ONNX_TESTDATA");
    if (root == NULL)
        root = "/usr/share/libonnx-testdata/data";
    if (access(root, R_OK) != 0) {
        printf("no test data of ONNX at %s\n", root);
        return SUPPORT_SKIP;
    }

    struct arena *arena = arena_create(0);
    struct backend_case *results =
        arena == NULL ? NULL : ARENA_ARRAY(arena, struct backend_case, CASES_MAX, NULL);
    if (results == NULL)
        abort();
    size_t count = 0, totals[VERDICT_COUNT] = {0};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!run_folder(arena, root, kinds[i], results, &count))
            printf("no folder %s/%s\n", root, kinds[i]);
    for (size_t i = 0; i < count; i++)
        totals[results[i].verdict]++;

    printf("not applicable:\n");
    print_reasons(results, count, NOT_APPLICABLE);
    printf("unsupported:\n");
    print_reasons(results, count, UNSUPPORTED);
    printf("passed %zu, not applicable %zu, unsupported %zu, failed %zu\n", totals[PASSED],
           totals[NOT_APPLICABLE], totals[UNSUPPORTED], totals[FAILED]);
    arena_destroy(arena);
    return totals[PASSED] > 0 && totals[FAILED] == 0 ? 0 : 1;
}
