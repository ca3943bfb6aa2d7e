/* The ONNX importer alone: what reaches the graph before graph_finish. Whole models that must be
 * refused are in test_model_errors.c. */

#include "onnx_build.h"
#include "support.h"

#include "ptqd/nn/model.h"

#include <string.h>

static struct arena *arena;
static struct onnx_build build;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    ck_assert_ptr_nonnull(arena);
    onnx_build_init(&build, arena);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const struct model_format *onnx_format(void)
{
    const struct model_format *const *row = model_format_table();
    while (*row != NULL && strcmp((*row)->name, "onnx") != 0)
        row++;
    ck_assert_ptr_nonnull(*row);
    return *row;
}

static bool import(struct arena *memory, struct graph **graph, struct error *error)
{
    size_t size;
    uint8_t *bytes = onnx_build_pack(&build, &size);
    return graph_create(memory, graph, error) && onnx_format()->import(bytes, size, *graph, error);
}

static const struct node *find_node(const struct graph *graph, const char *name)
{
    int index = graph_find_node(graph, name);
    ck_assert_msg(index >= 0, "there is no node '%s'", name);
    return &graph->nodes[index];
}

static const struct tensor *find_tensor(const struct graph *graph, const char *name)
{
    int index = graph_find_tensor(graph, name);
    ck_assert_msg(index >= 0, "there is no tensor '%s'", name);
    return &graph->tensors[index];
}

/* x[N,2] → Gemm(w[3,2], transB) → y, with an attribute of each kind that fits. */
static void build_gemm(void)
{
    onnx_build_input(&build, "x", 2, (int64_t[]){BUILD_OPEN, 2});
    onnx_build_output(&build, "y", 2, (int64_t[]){BUILD_OPEN, 3});
    onnx_build_floats(&build, "w", 2, (int64_t[]){3, 2}, (float[]){1, 2, 3, 4, 5, 6});
    Onnx__NodeProto *node = onnx_build_node(&build, "Gemm", "dense", "x w", "y");
    onnx_build_int(&build, node, "transB", 1);
    Onnx__AttributeProto *alpha =
        onnx_build_attribute(&build, node, "alpha", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    alpha->has_f = 1;
    alpha->f = 0.5f;
}

START_TEST(a_node_arrives_with_names_tensors_and_attributes)
{
    build_gemm();
    build.opset.version = 11;
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_int_eq(graph->opset, 11);
    ck_assert_int_eq(graph->node_count, 1);

    const struct node *node = find_node(graph, "dense");
    ck_assert_str_eq(node->op_type, "Gemm");
    ck_assert_int_eq(node->input_count, 2);
    ck_assert_int_eq(node->inputs[0], graph->input);
    ck_assert_int_eq(node->outputs[0], graph->output);
    ck_assert_int_eq(node_attribute(node, "transB")->integer, 1);
    ck_assert_double_eq(node_attribute(node, "alpha")->real, 0.5);

    const struct tensor *weights = &graph->tensors[node->inputs[1]];
    ck_assert_str_eq(weights->name, "w");
    ck_assert_int_eq(weights->shape.dim[0], 3);
    ck_assert_double_eq((double)weights->values[5], 6);
    const struct tensor *input = find_tensor(graph, "x");
    ck_assert_int_eq(input->shape.rank, 2);
    ck_assert_int_eq(input->shape.dim[0], 1);
    ck_assert_int_eq(input->shape.dim[1], 2);
}
END_TEST

START_TEST(lists_and_texts_arrive_as_attributes)
{
    onnx_build_input(&build, "x", 3, (int64_t[]){1, 1, 4});
    onnx_build_output(&build, "y", 3, (int64_t[]){1, 1, 2});
    Onnx__NodeProto *node = onnx_build_node(&build, "MaxPool", "", "x", "y");
    onnx_build_ints(&build, node, "kernel_shape", 1, (int64_t[]){2});
    Onnx__AttributeProto *text =
        onnx_build_attribute(&build, node, "auto_pad",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    text->has_s = 1;
    text->s = (ProtobufCBinaryData){5, (uint8_t *)arena_strdup(arena, "VALID", &err)};
    Onnx__AttributeProto *reals =
        onnx_build_attribute(&build, node, "reals", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    reals->n_floats = 2;
    reals->floats = arena_memdup(arena, (float[]){1, 2}, 2 * sizeof(float), &err);

    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    const struct node *pool = find_node(graph, "MaxPool_0");
    ck_assert_str_eq(node_attribute(pool, "auto_pad")->string, "VALID");
    ck_assert_uint_eq(node_attribute(pool, "kernel_shape")->count, 1);
    ck_assert_int_eq(node_attribute(pool, "kernel_shape")->integers[0], 2);
    ck_assert_uint_eq(node_attribute(pool, "reals")->count, 2);
    ck_assert_double_eq((double)node_attribute(pool, "reals")->reals[1], 2);
}
END_TEST

/* A number that comes as a tensor, as it does with ConstantOfShape, is that number. */
START_TEST(a_tensor_of_one_number_arrives_as_that)
{
    int32_t type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    build_gemm();
    Onnx__TensorProto *number = onnx_build_tensor(&build, "number", type, 1, (int64_t[]){1});
    number->n_int64_data = 1;
    number->int64_data = (int64_t[]){7};
    Onnx__AttributeProto *value =
        onnx_build_attribute(&build, build.graph.node[0], "value",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    value->t = number;
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    const struct attribute *attribute = node_attribute(find_node(graph, "dense"), "value");
    ck_assert_int_eq(attribute->type, ATTRIBUTE_INT);
    ck_assert_int_eq(attribute->integer, 7);

    number->dims[0] = 2;
    number->n_int64_data = 2;
    number->int64_data = (int64_t[]){7, 8};
    ck_assert_fails(import(arena, &graph, &err), &err, E_UNSUPPORTED,
                    "attribute 'value': it is a tensor; only one of a single number is supported");
}
END_TEST

START_TEST(an_attribute_without_type_is_read_by_its_field)
{
    build_gemm();
    for (size_t i = 0; i < 2; i++)
        build.graph.node[0]->attribute[i]->has_type = 0;
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    const struct node *node = find_node(graph, "dense");
    ck_assert_int_eq(node_attribute(node, "transB")->type, ATTRIBUTE_INT);
    ck_assert_int_eq(node_attribute(node, "alpha")->type, ATTRIBUTE_FLOAT);
}
END_TEST

START_TEST(inputs_that_are_not_given_are_absent)
{
    onnx_build_input(&build, "x", 1, (int64_t[]){2});
    onnx_build_output(&build, "y", 1, (int64_t[]){2});
    onnx_build_floats(&build, "max", 0, NULL, (float[]){1});
    onnx_build_node(&build, "Clip", "clip", "x - max", "z");
    onnx_build_node(&build, "Clip", "open", "z - -", "y");
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    const struct node *clip = find_node(graph, "clip");
    ck_assert_int_eq(clip->input_count, 3);
    ck_assert_int_eq(clip->inputs[1], NODE_ABSENT);
    ck_assert_str_eq(graph->tensors[clip->inputs[2]].name, "max");
    ck_assert_int_eq(find_node(graph, "open")->input_count, 1);
}
END_TEST

START_TEST(initializers_that_are_inputs_as_well_are_constants)
{
    build_gemm();
    onnx_build_input(&build, "w", 2, (int64_t[]){3, 2});
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_str_eq(graph->tensors[graph->input].name, "x");
    ck_assert_ptr_nonnull(find_tensor(graph, "w")->values);
}
END_TEST

START_TEST(initializers_that_nobody_reads_are_left_out)
{
    build_gemm();
    onnx_build_tensor(&build, "spare", ONNX__TENSOR_PROTO__DATA_TYPE__STRING, 0, NULL);
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_int_eq(graph_find_tensor(graph, "spare"), -1);
}
END_TEST

/* A Constant node whose only attribute is set by the caller; it gives "c" to an Add. */
static Onnx__AttributeProto *build_constant(Onnx__AttributeProto__AttributeType type)
{
    onnx_build_input(&build, "x", 1, (int64_t[]){2});
    onnx_build_output(&build, "y", 1, (int64_t[]){2});
    onnx_build_node(&build, "Add", "add", "x c", "y");
    Onnx__NodeProto *constant = onnx_build_node(&build, "Constant", "", "", "c");
    return onnx_build_attribute(&build, constant, "value", type);
}

static const struct tensor *import_constant(void)
{
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_int_eq(graph->node_count, 1);
    return find_tensor(graph, "c");
}

START_TEST(a_constant_node_with_a_tensor_is_a_constant)
{
    Onnx__AttributeProto *value = build_constant(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
    int64_t dims[] = {2};
    float floats[] = {5, 6};
    tensor.n_dims = 1;
    tensor.dims = dims;
    tensor.has_data_type = 1;
    tensor.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor.n_float_data = 2;
    tensor.float_data = floats;
    value->t = &tensor;
    const struct tensor *constant = import_constant();
    ck_assert_int_eq(constant->shape.rank, 1);
    ck_assert_double_eq((double)constant->values[1], 6);
}
END_TEST

START_TEST(a_constant_node_with_a_number_is_a_scalar)
{
    Onnx__AttributeProto *value = build_constant(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    value->has_f = 1;
    value->f = 7;
    const struct tensor *constant = import_constant();
    ck_assert_int_eq(constant->shape.rank, 0);
    ck_assert_double_eq((double)constant->values[0], 7);
}
END_TEST

START_TEST(a_constant_node_with_a_list_has_one_axis)
{
    Onnx__AttributeProto *value = build_constant(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t integers[] = {8, 9, 10};
    value->n_ints = 3;
    value->ints = integers;
    const struct tensor *constant = import_constant();
    ck_assert_int_eq(constant->type, TENSOR_I64);
    ck_assert_int_eq(constant->shape.rank, 1);
    ck_assert_int_eq(constant->shape.dim[0], 3);
    ck_assert_int_eq(constant->integers[2], 10);
}
END_TEST

START_TEST(a_constant_node_with_a_text_is_refused)
{
    build_constant(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    struct graph *graph;
    ck_assert_fails(import(arena, &graph, &err), &err, E_UNSUPPORTED,
                    "the Constant node that gives 'c': its value is of type 3");
}
END_TEST

START_TEST(operators_of_other_domains_carry_the_domain)
{
    build_gemm();
    build.graph.node[0]->domain = arena_strdup(arena, "com.example", &err);
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_str_eq(find_node(graph, "dense")->op_type, "com.example.Gemm");
    build.graph.node[0]->domain = arena_strdup(arena, "ai.onnx", &err);
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_str_eq(find_node(graph, "dense")->op_type, "Gemm");
}
END_TEST

START_TEST(unknown_operators_reach_the_graph_with_whatever_they_have)
{
    build_gemm();
    Onnx__NodeProto *loop = onnx_build_node(&build, "Loop", "loop", "y", "z");
    onnx_build_attribute(&build, loop, "body", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
    struct graph *graph;
    ck_assert_ok(import(arena, &graph, &err), &err);
    ck_assert_str_eq(find_node(graph, "loop")->op_type, "Loop");
    ck_assert_int_eq(find_node(graph, "loop")->attribute_count, 0);
}
END_TEST

START_TEST(each_failing_allocation_is_a_clean_error)
{
    build_gemm();
    for (size_t failures = 1;; failures++) {
        struct arena *memory = arena_create(0);
        ck_assert_ptr_nonnull(memory);
        struct graph *graph;
        arena_fail_at(memory, failures);
        bool ok = import(memory, &graph, &err);
        arena_destroy(memory);
        if (ok)
            break;
        ck_assert_msg(err.code == E_MEMORY, "[%s] %s", error_code_name(err.code), err.message);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("onnx");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_node_arrives_with_names_tensors_and_attributes);
    tcase_add_test(tests, lists_and_texts_arrive_as_attributes);
    tcase_add_test(tests, a_tensor_of_one_number_arrives_as_that);
    tcase_add_test(tests, an_attribute_without_type_is_read_by_its_field);
    tcase_add_test(tests, inputs_that_are_not_given_are_absent);
    tcase_add_test(tests, initializers_that_are_inputs_as_well_are_constants);
    tcase_add_test(tests, initializers_that_nobody_reads_are_left_out);
    tcase_add_test(tests, a_constant_node_with_a_tensor_is_a_constant);
    tcase_add_test(tests, a_constant_node_with_a_number_is_a_scalar);
    tcase_add_test(tests, a_constant_node_with_a_list_has_one_axis);
    tcase_add_test(tests, a_constant_node_with_a_text_is_refused);
    tcase_add_test(tests, operators_of_other_domains_carry_the_domain);
    tcase_add_test(tests, unknown_operators_reach_the_graph_with_whatever_they_have);
    tcase_add_test(tests, each_failing_allocation_is_a_clean_error);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
