/* Models that must be refused, each with its code and message. A user who reads the message must
 * be able to find the fault in the model without reading this program. */

#include "onnx_build.h"
#include "support.h"

#include "ptqd/nn/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct arena *arena;
static struct onnx_build build;
static struct error err;

static void setup(void)
{
    arena = arena_create((size_t)256 << 20);
    ck_assert_ptr_nonnull(arena);
    onnx_build_init(&build, arena);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static bool import(const uint8_t *bytes, size_t size)
{
    struct graph *graph;
    return model_import(arena, bytes, size, &graph, NULL, &err);
}

static bool import_build(void)
{
    size_t size;
    uint8_t *bytes = onnx_build_pack(&build, &size);
    return import(bytes, size);
}

/* ---- a sound model, and what is done to it ---- */

/* x[N,2] → Gemm 'dense' (w[3,2]) → h → Relu 'relu' → y */
static void build_sound(void)
{
    onnx_build_input(&build, "x", 2, (int64_t[]){BUILD_OPEN, 2});
    onnx_build_output(&build, "y", 2, (int64_t[]){BUILD_OPEN, 3});
    onnx_build_floats(&build, "w", 2, (int64_t[]){3, 2}, (float[]){1, 2, 3, 4, 5, 6});
    Onnx__NodeProto *node = onnx_build_node(&build, "Gemm", "dense", "x w", "h");
    onnx_build_int(&build, node, "transB", 1);
    onnx_build_node(&build, "Relu", "relu", "h", "y");
}

static char *text(const char *value)
{
    char *copy = arena_strdup(arena, value, &err);
    ck_assert_ptr_nonnull(copy);
    return copy;
}

static Onnx__TensorProto *weights(void)
{
    return build.graph.initializer[0];
}

static void set_weight(int index, float value)
{
    memcpy(weights()->raw_data.data + (size_t)index * sizeof(value), &value, sizeof(value));
}

static void set_dims(int64_t first, int64_t second)
{
    weights()->dims[0] = first;
    weights()->dims[1] = second;
}

static Onnx__TensorShapeProto__Dimension *input_axis(int axis)
{
    return build.graph.input[0]->type->tensor_type->shape->dim[axis];
}

static void set_input_extent(int axis, int64_t extent)
{
    input_axis(axis)->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    input_axis(axis)->dim_value = extent;
}

static Onnx__NodeProto *node_at(int index)
{
    return build.graph.node[index];
}

static void claim_a_large_tensor(void)
{
    set_dims(16384, 16384);
}

static void make_a_cycle(void)
{
    onnx_build_node(&build, "Add", "back", "h y", "b");
    node_at(0)->input[0] = text("b");
}

static void feed_a_node_its_own_output(void)
{
    node_at(1)->input[0] = text("y");
}

static void drop_the_initializer(void)
{
    build.graph.n_initializer = 0;
}

static void store_a_nan(void)
{
    set_weight(4, NAN);
}

static void store_an_infinity(void)
{
    set_weight(0, -INFINITY);
}

static void make_weights_empty(void)
{
    set_dims(3, 0);
    weights()->raw_data.len = 0;
}

static void make_an_extent_negative(void)
{
    set_dims(3, -2);
}

static void make_the_input_empty(void)
{
    set_input_extent(1, 0);
}

static void overflow_the_weights(void)
{
    set_dims(INT64_C(1) << 40, INT64_C(1) << 40);
}

static void overflow_the_input(void)
{
    set_input_extent(0, INT64_MAX);
    set_input_extent(1, INT64_MAX);
}

static void use_unsupported_operators(void)
{
    node_at(1)->output[0] = text("a");
    onnx_build_node(&build, "Erf", "gelu/erf", "a", "b");
    onnx_build_node(&build, "LSTM", "", "b w", "c");
    Onnx__NodeProto *custom = onnx_build_node(&build, "Fused", "fused", "c", "y");
    custom->domain = text("com.example");
}

/* Two things are wrong: the operator that brings the text along is what the user hears of. */
static void use_an_unsupported_operator_and_a_text_input(void)
{
    build.graph.input[0]->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
    node_at(0)->op_type = text("StringNormalizer");
}

static void move_values_to_another_file(void)
{
    weights()->has_data_location = 1;
    weights()->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    Onnx__StringStringEntryProto *entry = arena_alloc(arena, sizeof(*entry), &err);
    ck_assert_ptr_nonnull(entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = text("location");
    entry->value = text("../weights.bin");
    onnx_build_append(&build, &weights()->external_data, &weights()->n_external_data, entry);
}

static void make_weights_sparse(void)
{
    Onnx__SparseTensorProto *sparse = arena_alloc(arena, sizeof(*sparse), &err);
    ck_assert_ptr_nonnull(sparse);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = weights();
    onnx_build_append(&build, &build.graph.sparse_initializer, &build.graph.n_sparse_initializer,
                      sparse);
    build.graph.n_initializer = 0;
}

static void store_a_name_twice(void)
{
    onnx_build_floats(&build, "w", 1, (int64_t[]){1}, (float[]){1});
}

static void write_to_an_initializer(void)
{
    onnx_build_node(&build, "Relu", "again", "h", "w");
}

static void write_to_the_input(void)
{
    onnx_build_node(&build, "Relu", "again", "h", "x");
}

static void write_a_tensor_twice(void)
{
    onnx_build_node(&build, "Relu", "again", "h", "y");
}

static void add_an_input(void)
{
    onnx_build_input(&build, "state", 1, (int64_t[]){1});
}

static void add_an_output(void)
{
    onnx_build_output(&build, "h", 2, (int64_t[]){BUILD_OPEN, 3});
}

static void drop_the_inputs(void)
{
    build.graph.n_input = 0;
}

static void drop_the_outputs(void)
{
    build.graph.n_output = 0;
}

static void drop_the_nodes(void)
{
    build.graph.n_node = 0;
}

static void ask_for_an_unknown_output(void)
{
    build.graph.output[0]->name = text("z");
}

static void ask_for_a_constant_output(void)
{
    build.graph.output[0]->name = text("w");
}

static void make_the_input_integer(void)
{
    build.graph.input[0]->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
}

static void leave_the_input_without_type(void)
{
    build.graph.input[0]->type = NULL;
}

static void leave_the_input_without_shape(void)
{
    build.graph.input[0]->type->tensor_type->shape = NULL;
}

static void leave_an_axis_open(void)
{
    input_axis(1)->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    input_axis(1)->dim_param = text("length");
}

static void give_the_input_nine_axes(void)
{
    build.graph.n_input = 0;
    onnx_build_input(&build, "x", 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
}

static void add_very_many_nodes(void)
{
    enum { NODES = 1 << 14 };
    Onnx__NodeProto *idle = onnx_build_node(&build, "Relu", "idle", "h", "");
    Onnx__NodeProto **nodes = ARENA_ARRAY(arena, Onnx__NodeProto *, NODES + 1, &err);
    ck_assert_ptr_nonnull(nodes);
    for (int i = 0; i <= NODES; i++)
        nodes[i] = idle;
    build.graph.node = nodes;
    build.graph.n_node = NODES + 1;
}

static void use_operator_set_22(void)
{
    build.opset.version = 22;
}

static void use_another_domain_only(void)
{
    build.opset.domain = text("com.example");
}

static void use_ir_version_2(void)
{
    build.model.ir_version = 2;
}

static void drop_the_graph(void)
{
    build.model.graph = NULL;
}

static void leave_a_node_without_type(void)
{
    node_at(1)->op_type = text("");
}

static void give_a_graph_to_a_known_operator(void)
{
    onnx_build_attribute(&build, node_at(1), "body", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
}

static void write_an_attribute_in_another_encoding(void)
{
    Onnx__AttributeProto *attribute =
        onnx_build_attribute(&build, node_at(1), "mode",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attribute->has_s = 1;
    attribute->s = (ProtobufCBinaryData){2, (uint8_t *)text("\xff\xfe")};
}

static void broadcast_as_operator_set_6_does(void)
{
    build.opset.version = 6;
    Onnx__NodeProto *node = onnx_build_node(&build, "Add", "add", "y h", "z");
    onnx_build_int(&build, node, "broadcast", 1);
    onnx_build_int(&build, node, "axis", 1);
}

/* Before operator set 14 the further outputs say so. */
static void use_training_normalization(void)
{
    build.opset.version = 9;
    onnx_build_node(&build, "BatchNormalization", "norm", "y w w w w", "z mean variance");
}

static const struct {
    const char *what;
    void (*spoil)(void);
    enum error_code code;
    const char *message;
} cases[] = {
    {"a tensor that claims 1 GB", claim_a_large_tensor, E_INVALID,
     "initializer 'w': its shape 16384x16384 of float32 needs 1073741824 bytes; raw_data has 24"},
    {"a cycle", make_a_cycle, E_INVALID,
     "node 'dense' (Gemm) depends on its own output through 'h': the graph has a cycle"},
    {"a node that reads what it writes", feed_a_node_its_own_output, E_INVALID,
     "node 'relu' (Relu) depends on its own output through 'y': the graph has a cycle"},
    {"a missing initializer", drop_the_initializer, E_INVALID,
     "node 'dense' (Gemm) reads 'w', which no node, input or initializer provides"},
    {"a weight that is not a number", store_a_nan, E_INVALID,
     "node 'dense' (Gemm): element 4 of 'w' is nan; weights must be finite"},
    {"an infinite weight", store_an_infinity, E_INVALID,
     "node 'dense' (Gemm): element 0 of 'w' is -inf; weights must be finite"},
    {"weights of zero size", make_weights_empty, E_INVALID,
     "initializer 'w': 'w' is 3x0: axis 1 has extent 0; extents start at 1"},
    {"a negative extent", make_an_extent_negative, E_INVALID,
     "initializer 'w': 'w' is 3x-2: axis 1 has extent -2; extents start at 1"},
    {"an input of zero size", make_the_input_empty, E_INVALID,
     "'x' is 1x0: axis 1 has extent 0; extents start at 1"},
    {"weights whose size overflows", overflow_the_weights, E_INVALID,
     "initializer 'w': 'w' is 1099511627776x1099511627776: more than 2^40 elements"},
    {"an input whose size overflows", overflow_the_input, E_INVALID,
     "'x' is 9223372036854775807x9223372036854775807: more than 2^40 elements"},
    {"several unsupported operators", use_unsupported_operators, E_UNSUPPORTED,
     "3 nodes with an operator that is not supported: 'gelu/erf' (Erf), 'LSTM_3' (LSTM), 'fused' "
     "(com.example.Fused)"},
    {"an unsupported operator and its input", use_an_unsupported_operator_and_a_text_input,
     E_UNSUPPORTED, "1 node with an operator that is not supported: 'dense' (StringNormalizer)"},
    {"external data", move_values_to_another_file, E_UNSUPPORTED,
     "initializer 'w': its values are in another file ('../weights.bin'); save the model as a "
     "single file"},
    {"a sparse initializer", make_weights_sparse, E_UNSUPPORTED,
     "initializer 'w' is sparse; store it as a dense tensor"},
    {"two initializers of one name", store_a_name_twice, E_INVALID,
     "there are two constants of the name 'w'"},
    {"a node that writes an initializer", write_to_an_initializer, E_INVALID,
     "the constant 'w' is written by node 'again' as well"},
    {"a node that writes the input", write_to_the_input, E_INVALID,
     "the input 'x' is written by node 'again'"},
    {"two nodes that write one tensor", write_a_tensor_twice, E_INVALID,
     "node 'again' (Relu) writes 'y', which node 'relu' writes already"},
    {"two inputs", add_an_input, E_UNSUPPORTED,
     "the network has 2 inputs ('x', 'state'); one is supported"},
    {"two outputs", add_an_output, E_UNSUPPORTED,
     "the network has 2 outputs ('y', 'h'); one is supported"},
    {"no input", drop_the_inputs, E_UNSUPPORTED, "the network has no input; one is needed"},
    {"no output", drop_the_outputs, E_INVALID, "the network has no output; one is needed"},
    {"no nodes", drop_the_nodes, E_INVALID, "the output 'y' is written by no node"},
    {"an output that no node writes", ask_for_an_unknown_output, E_INVALID,
     "the output 'z' is written by no node"},
    {"an output that is a constant", ask_for_a_constant_output, E_INVALID,
     "output 'w' does not depend on input 'x'"},
    {"an input of integers", make_the_input_integer, E_UNSUPPORTED,
     "the input 'x' is of uint8; float32 is supported"},
    {"an input without type", leave_the_input_without_type, E_UNSUPPORTED,
     "the input 'x' is not a tensor"},
    {"an input without shape", leave_the_input_without_shape, E_UNSUPPORTED,
     "the input 'x' has no shape; one is needed"},
    {"an open extent behind the first", leave_an_axis_open, E_UNSUPPORTED,
     "axis 1 of the input 'x' has the open extent 'length'; only axis 0 may be open"},
    {"an input of nine axes", give_the_input_nine_axes, E_UNSUPPORTED,
     "the input 'x' has 9 axes; up to 8 are supported"},
    {"a network of very many nodes", add_very_many_nodes, E_TOO_LARGE,
     "the network has more than 16384 nodes"},
    {"a newer operator set", use_operator_set_22, E_UNSUPPORTED,
     "the model uses operator set 22; 1 to 21 are supported"},
    {"no operator set", use_another_domain_only, E_INVALID,
     "the model names no operator set of ONNX (opset_import)"},
    {"an old IR version", use_ir_version_2, E_UNSUPPORTED,
     "the model is of IR version 2; 3 to 13 are supported"},
    {"no graph", drop_the_graph, E_INVALID, "the model has no graph"},
    {"a node without type", leave_a_node_without_type, E_INVALID,
     "node number 1: it has no operator type (op_type)"},
    {"a subgraph", give_a_graph_to_a_known_operator, E_UNSUPPORTED,
     "node 'relu' (Relu): attribute 'body': it is of type 5; numbers, texts and lists of numbers "
     "are supported"},
    {"a text that is not UTF-8", write_an_attribute_in_another_encoding, E_INVALID,
     "node 'relu' (Relu): attribute 'mode': its text is not UTF-8"},
    {"an operator with another meaning then", broadcast_as_operator_set_6_does, E_UNSUPPORTED,
     "node 'add' (Add): in operator set 6 its 'axis' means broadcasting along an axis"},
    {"a normalization that is training", use_training_normalization, E_UNSUPPORTED,
     "node 'norm' (BatchNormalization): in operator set 9 its 'mean' means statistics of the "
     "batch"},
};

START_TEST(the_sound_model_is_imported)
{
    build_sound();
    ck_assert_ok(import_build(), &err);
}
END_TEST

START_TEST(a_spoilt_model_is_refused_with_its_own_message)
{
    build_sound();
    cases[_i].spoil();
    ck_assert_msg(!import_build(), "%s: imported", cases[_i].what);
    ck_assert_msg(err.code == cases[_i].code, "%s: [%s] %s", cases[_i].what,
                  error_code_name(err.code), err.message);
    ck_assert_str_eq(err.message, cases[_i].message);
}
END_TEST

/* ---- bytes ---- */

START_TEST(bytes_of_no_format_are_refused)
{
    static const char bytes[] = "not a model at all";
    ck_assert_fails(import((const uint8_t *)bytes, sizeof(bytes) - 1), &err, E_SYNTAX,
                    "18 bytes in none of the model formats: onnx, tflite");
    ck_assert_fails(import((const uint8_t *)bytes, 0), &err, E_SYNTAX,
                    "0 bytes in none of the model formats: onnx, tflite");
    static const uint8_t data[] = "\x93NUMPY\x01\x00v\x00{'descr': ";
    ck_assert_fails(import(data, sizeof(data) - 1), &err, E_SYNTAX,
                    "they begin like a data set, an .npy or .npz file");
}
END_TEST

START_TEST(a_length_of_1_GB_in_a_file_of_1_KB_is_refused)
{
    /* ir_version 7, graph of 2^30 bytes */
    uint8_t bytes[1024] = {0x08, 0x07, 0x3a, 0x80, 0x80, 0x80, 0x80, 0x04};
    ck_assert_fails(import(bytes, sizeof(bytes)), &err, E_SYNTAX,
                    "byte 8: field 7 (graph) of a ModelProto claims 1073741824 bytes; 1016 are "
                    "left");
}
END_TEST

/* Puts a key and a length before the bytes that end at `end`; returns where they start now. */
static uint8_t *wrap(uint8_t *start, const uint8_t *end, uint8_t key)
{
    uint8_t prefix[11] = {key};
    size_t count = 1;
    for (size_t length = (size_t)(end - start); count == 1 || length > 0; length >>= 7)
        prefix[count++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    return memcpy(start - count, prefix, count);
}

START_TEST(subgraphs_nested_5000_deep_are_refused)
{
    enum { LEVELS = 5000, BYTES_PER_LEVEL = 3 * 5 };
    size_t size = LEVELS * BYTES_PER_LEVEL + 16;
    uint8_t *bytes = arena_alloc(arena, size, &err);
    ck_assert_ptr_nonnull(bytes);
    uint8_t *start = bytes + size;
    for (int level = 0; level < LEVELS; level++) {
        start = wrap(start, bytes + size, 0x32); /* AttributeProto.g */
        start = wrap(start, bytes + size, 0x2a); /* NodeProto.attribute */
        start = wrap(start, bytes + size, 0x0a); /* GraphProto.node */
    }
    start = wrap(start, bytes + size, 0x3a); /* ModelProto.graph */
    *--start = 7;
    *--start = 0x08; /* ir_version */
    ck_assert_fails(import(start, (size_t)(bytes + size - start)), &err, E_TOO_LARGE,
                    "messages are nested deeper than 64 levels");
}
END_TEST

START_TEST(a_file_that_unpacks_to_many_times_its_size_is_refused)
{
    /* a graph of 900 000 empty nodes: 1.8 MB of file, more than 64 MB of messages */
    enum { NODES = 900000 };
    size_t size = 2 * NODES + 16;
    uint8_t *bytes = arena_alloc(arena, size, &err);
    ck_assert_ptr_nonnull(bytes);
    uint8_t *start = bytes + size - 2 * NODES;
    for (int i = 0; i < NODES; i++)
        start[2 * i] = 0x0a;
    start = wrap(start, bytes + size, 0x3a);
    *--start = 7;
    *--start = 0x08;
    size_t length = (size_t)(bytes + size - start);
    char message[128];
    snprintf(message, sizeof(message), "the model of %zu bytes needs more than %zu bytes unpacked",
             length, 4 * length + ((size_t)64 << 20));
    ck_assert_fails(import(start, length), &err, E_TOO_LARGE, message);
}
END_TEST

/* Cut after a field of the outermost message, the rest is a model that lacks something; cut
 * anywhere else, it is no protobuf message. */
START_TEST(a_model_cut_at_any_byte_is_refused)
{
    build_sound();
    size_t size;
    const uint8_t *bytes = onnx_build_pack(&build, &size);
    size_t opset_size = onnx__operator_set_id_proto__get_packed_size(&build.opset) + 2;
    for (size_t cut = 0; cut < size; cut++) {
        /* a copy of exactly this size, so that the address sanitizer sees reads behind it */
        uint8_t *part = arena_memdup(arena, bytes, cut, &err);
        ck_assert_msg(!import(part, cut), "imported the first %zu bytes", cut);
        bool whole_fields = cut == 2 || cut == size - opset_size;
        ck_assert_msg(err.code == (whole_fields ? E_INVALID : E_SYNTAX), "first %zu bytes: [%s] %s",
                      cut, error_code_name(err.code), err.message);
        if (whole_fields)
            ck_assert_str_eq(err.message, "the model names no operator set of ONNX (opset_import)");
    }
}
END_TEST

START_TEST(bytes_after_the_model_are_refused)
{
    build_sound();
    size_t size;
    const uint8_t *bytes = onnx_build_pack(&build, &size);
    uint8_t *longer = arena_alloc(arena, size + 1, &err);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, bytes, size);
    longer[size] = 0xff;
    ck_assert_fails(import(longer, size + 1), &err, E_SYNTAX,
                    "the key of a field in a ModelProto is cut off or longer than 10 bytes");
}
END_TEST

START_TEST(a_field_of_another_type_is_refused)
{
    /* ir_version 7; producer_name (2) as a number */
    static const uint8_t bytes[] = {0x08, 0x07, 0x10, 0x01};
    ck_assert_fails(import(bytes, sizeof(bytes)), &err, E_SYNTAX,
                    "a field of the model has another type than onnx.proto gives it");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_errors");
    TCase *tests = tcase_create("model_errors");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_sound_model_is_imported);
    tcase_add_loop_test(tests, a_spoilt_model_is_refused_with_its_own_message, 0,
                        (int)COUNT(cases));
    tcase_add_test(tests, bytes_of_no_format_are_refused);
    tcase_add_test(tests, a_length_of_1_GB_in_a_file_of_1_KB_is_refused);
    tcase_add_test(tests, subgraphs_nested_5000_deep_are_refused);
    tcase_add_test(tests, a_file_that_unpacks_to_many_times_its_size_is_refused);
    tcase_add_test(tests, a_model_cut_at_any_byte_is_refused);
    tcase_add_test(tests, bytes_after_the_model_are_refused);
    tcase_add_test(tests, a_field_of_another_type_is_refused);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
