#include "ptqd/nn/model.h"
#include "support.h"
#include "tflite_build.h"

#include <stdlib.h>
#include <string.h>

/* Which operators TFLite's become, and every way to refuse a file. What they compute is in
 * test_tflite_values.c. */

enum { ADD = 0, CONCATENATION = 2, CONV = 3, FLOOR = 8, RELU = 19, SOFTMAX = 25, CUSTOM = 32 };
enum { CONV_OPTIONS = 1, ADD_OPTIONS = 11, CONCATENATION_OPTIONS = 10 };
enum { INPUT, FILTER, BIAS, OUTPUT, TENSORS };

static struct error err;
static struct arena *arena;
static uint8_t file[BUILD_BYTES];

static void setup(void)
{
    arena = arena_create(1 << 22);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const float FILTER_DATA[3 * 3 * 3 * 2] = {1, 2, 3};
static const float BIAS_DATA[3] = {1, 2, 3};

/* x (4x4x2) → convolution, 3x3, SAME, to 3 channels, ReLU → y */
static struct build_model conv_model(void)
{
    return (struct build_model){
        .input = INPUT,
        .output = OUTPUT,
        .tensor_count = TENSORS,
        .tensors = {{.name = "x", .rank = 4, .dim = {1, 4, 4, 2}},
                    {.name = "filter",
                     .rank = 4,
                     .dim = {3, 3, 3, 2},
                     .data = FILTER_DATA,
                     .data_bytes = sizeof(FILTER_DATA)},
                    {.name = "bias",
                     .rank = 1,
                     .dim = {3},
                     .data = BIAS_DATA,
                     .data_bytes = sizeof(BIAS_DATA)},
                    {.name = "y", .rank = 4, .dim = {1, 4, 4, 3}}},
        .operator_count = 1,
        .operators = {{.code = CONV,
                       .input_count = 3,
                       .inputs = {INPUT, FILTER, BIAS},
                       .outputs = {OUTPUT},
                       .options_kind = CONV_OPTIONS,
                       .field_count = 3,
                       .fields = {{.field = 1, .bytes = 4, .integer = 1},
                                  {.field = 2, .bytes = 4, .integer = 1},
                                  {.field = 3, .bytes = 1, .integer = 1}}}},
    };
}

/* In memory of exactly this size, so that a sanitizer sees a read past the end. */
static bool import_bytes(const uint8_t *bytes, size_t size, struct graph **out)
{
    uint8_t *copy = malloc(size + (size == 0));
    memcpy(copy, bytes, size);
    const struct model_format *format;
    bool ok = model_import(arena, copy, size, out, &format, &err);
    free(copy);
    if (ok)
        ck_assert_str_eq(format->name, "tflite");
    return ok;
}

static bool import(const struct build_model *model)
{
    struct graph *graph;
    return import_bytes(file, tflite_build(model, file), &graph);
}

START_TEST(a_convolution_keeps_its_names_and_shapes)
{
    struct build_model model = conv_model();
    struct graph *graph;
    ck_assert_ok(import_bytes(file, tflite_build(&model, file), &graph), &err);
    ck_assert(graph->batchable);
    ck_assert_str_eq(graph->tensors[graph->input].name, "x");
    ck_assert_str_eq(graph->tensors[graph->output].name, "y/nhwc");
    ck_assert(shape_equal(&graph->tensors[graph->output].shape, &(struct shape){4, {1, 4, 4, 3}}));
    int conv = graph_find_node(graph, "y"), relu = graph_find_node(graph, "y/RELU");
    ck_assert_int_ge(conv, 0);
    ck_assert_str_eq(graph->nodes[conv].op_type, "Conv");
    ck_assert_str_eq(graph->tensors[graph->nodes[conv].inputs[1]].name, "filter");
    ck_assert_str_eq(graph->tensors[graph->nodes[conv].inputs[2]].name, "bias");
    ck_assert_int_ge(relu, 0);
    ck_assert_str_eq(graph->tensors[graph->nodes[relu].outputs[0]].name, "y");
}
END_TEST

/* Law: a chain of operators on images has no Transpose that moves values. */
START_TEST(images_stay_as_they_are_between_operators)
{
    struct build_model model = conv_model();
    model.operators[1] = (struct build_operator){
        .code = RELU, .input_count = 1, .inputs = {OUTPUT}, .outputs = {TENSORS}};
    model.tensors[TENSORS] = (struct build_tensor){.name = "z", .rank = 4, .dim = {1, 4, 4, 3}};
    model.tensor_count = TENSORS + 1;
    model.operator_count = 2;
    model.output = TENSORS;
    struct graph *graph;
    ck_assert_ok(import_bytes(file, tflite_build(&model, file), &graph), &err);
    for (int i = 0; i < graph->node_count; i++) {
        const struct attribute *perm = node_attribute(&graph->nodes[i], "perm");
        for (size_t axis = 0; perm && axis < perm->count; axis++)
            ck_assert_int_eq(perm->integers[axis], (int64_t)axis);
    }
}
END_TEST

START_TEST(tensors_without_a_name_or_with_the_same_one_get_their_own)
{
    struct build_model model = conv_model();
    model.tensors[FILTER].name = "bias";
    model.tensors[INPUT].name = NULL;
    struct graph *graph;
    ck_assert_ok(import_bytes(file, tflite_build(&model, file), &graph), &err);
    ck_assert_str_eq(graph->tensors[graph->input].name, "tensor_0");
    ck_assert_int_ge(graph_find_tensor(graph, "bias"), 0);
    ck_assert_int_ge(graph_find_tensor(graph, "bias#2"), 0);
}
END_TEST

/* A change of the model above, and what it is refused with. */
struct refusal {
    void (*change)(struct build_model *model);
    enum error_code code;
    const char *message;
};

#define CHANGE(name, ...)                                                                          \
    static void name(struct build_model *model)                                                    \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

CHANGE(old_version, model->version = 2)
CHANGE(two_subgraphs, model->subgraph_count = 2)
CHANGE(two_inputs, model->input_count = 2)
CHANGE(two_outputs, model->output_count = 2)
CHANGE(input_beyond, model->input = 99)
CHANGE(output_beyond, model->output = -1)
CHANGE(input_constant, model->input = FILTER)
CHANGE(output_constant, model->output = FILTER)
CHANGE(output_unwritten, model->output = TENSORS; model->tensors[TENSORS] = model->tensors[OUTPUT];
       model->tensors[TENSORS].name = "z"; model->tensor_count++)
CHANGE(int8_activation, model->tensors[INPUT].type = BUILD_I8)
CHANGE(int16_output, model->tensors[OUTPUT].type = BUILD_I16)
CHANGE(int4_weights, model->tensors[FILTER].type = BUILD_I4)
CHANGE(int8_without_scale, model->tensors[FILTER].type = BUILD_I8;
       model->tensors[FILTER].data_bytes = 54)
CHANGE(scales_of_no_axis, int8_without_scale(model); model->tensors[FILTER].scale_count = 2)
CHANGE(zero_points_too_many, int8_without_scale(model); model->tensors[FILTER].scale_count = 3;
       model->tensors[FILTER].zero_point_count = 2)
CHANGE(blockwise, int8_without_scale(model); model->tensors[FILTER].blockwise = true)
CHANGE(variable, model->tensors[INPUT].variable = true)
CHANGE(sparse, model->tensors[FILTER].sparse = true)
CHANGE(external, model->tensors[FILTER].external_buffer = 1)
CHANGE(rank_9, model->tensors[FILTER].rank = 9)
CHANGE(unknown_height, model->tensors[INPUT].unknown_axis = 1)
CHANGE(zero_height, model->tensors[INPUT].dim[1] = 0)
CHANGE(negative_height, model->tensors[INPUT].dim[1] = -3)
CHANGE(filter_too_short, model->tensors[FILTER].data_bytes -= 4)
CHANGE(filter_of_zero, model->tensors[FILTER].dim[3] = 0)
CHANGE(filter_computed, model->tensors[FILTER].data = NULL)
CHANGE(filter_rank, model->tensors[FILTER].rank = 3)
CHANGE(filter_channels, model->tensors[FILTER].dim[3] = 3; model->tensors[FILTER].dim[0] = 2)
CHANGE(wrong_output, model->tensors[OUTPUT].dim[1] = 5)
CHANGE(bias_rank, model->tensors[BIAS].rank = 4)
CHANGE(stride_zero, model->operators[0].fields[0].integer = 0)
CHANGE(stride_negative, model->operators[0].fields[1].integer = -2)
CHANGE(padding_unknown, model->operators[0].fields[2].field = 0;
       model->operators[0].fields[2].integer = 2)
CHANGE(dilation_zero,
       model->operators[0].fields[2] = (struct build_field){.field = 5, .bytes = 4, .integer = 0})
CHANGE(activation_sign, model->operators[0].fields[2].integer = 5)
CHANGE(activation_unknown, model->operators[0].fields[2].integer = 6)
CHANGE(options_other, model->operators[0].options_kind = ADD_OPTIONS)
CHANGE(options_none, model->operators[0].options_kind = 0)
CHANGE(no_output, model->operators[0].output_count = -1)
CHANGE(several_outputs, model->operators[0].output_count = 2)
CHANGE(no_filter, model->operators[0].input_count = 1)
CHANGE(input_minus_two, model->operators[0].inputs[2] = -2)
CHANGE(operand_beyond, model->operators[0].inputs[2] = 4)
CHANGE(reads_itself, model->operators[0].inputs[0] = OUTPUT; model->tensors[OUTPUT].dim[3] = 2)
CHANGE(writes_input, model->operators[0].outputs[0] = INPUT)
CHANGE(writes_constant, model->operators[0].outputs[0] = BIAS; model->operators[0].inputs[2] = -1;
       model->tensors[BIAS].rank = 4;
       memcpy(model->tensors[BIAS].dim, (const int32_t[]){1, 4, 4, 3}, 4 * sizeof(int32_t)))
CHANGE(name_latin_1, model->tensors[INPUT].name = "\xe9")
CHANGE(softmax_cold, model->operators[0].code = SOFTMAX; model->operators[0].options_kind = 0)
CHANGE(custom, model->operators[0].code = CUSTOM; model->operators[0].custom = "Fancy")
CHANGE(unknown, model->operators[0].code = 4711)

static const struct refusal REFUSALS[] = {
    {old_version, E_UNSUPPORTED, "TFLite: schema version 2; version 3 is supported"},
    {two_subgraphs, E_UNSUPPORTED, "2 subgraphs; exactly one is supported"},
    {two_inputs, E_UNSUPPORTED, "the network has 2 inputs; exactly one is supported"},
    {two_outputs, E_UNSUPPORTED, "the network has 2 outputs; exactly one is supported"},
    {input_beyond, E_INVALID, "inputs: tensor 99 doesn't exist; there are 4"},
    {output_beyond, E_INVALID, "outputs: tensor -1 doesn't exist; there are 4"},
    {input_constant, E_INVALID, "the network's input 'filter' is a constant"},
    {output_constant, E_INVALID, "the network's output 'filter' is a constant"},
    {output_unwritten, E_INVALID, "'z' is read, but no operator before writes it"},
    {int8_activation, E_UNSUPPORTED,
     "activation 'x' is int8; only float32 networks are supported (of a quantized model, upload "
     "the float model that it was made from)"},
    {int16_output, E_UNSUPPORTED, "operator 'y' (CONV_2D): activation 'y' is int16"},
    {int4_weights, E_UNSUPPORTED,
     "constant 'filter' is int4; float32, float16, int8 and uint8 are supported here"},
    {int8_without_scale, E_INVALID, "constant 'filter' is int8, but has no scale"},
    {scales_of_no_axis, E_INVALID,
     "constant 'filter' has 2 scales along axis 0, which has extent 3"},
    {zero_points_too_many, E_INVALID, "constant 'filter' has 3 scales, but 2 zero points"},
    {blockwise, E_UNSUPPORTED, "constant 'filter' is quantized in blocks"},
    {variable, E_UNSUPPORTED, "tensor 'x' is a variable"},
    {sparse, E_UNSUPPORTED, "tensor 'filter' is sparse"},
    {external, E_UNSUPPORTED, "tensor 'filter' is stored in another file"},
    {unknown_height, E_UNSUPPORTED, "activation 'x': the extent of axis 1 is not known"},
    {zero_height, E_INVALID, "'x' is 1x0x4x2: axis 1 has extent 0"},
    {negative_height, E_INVALID, "'x' is 1x-3x4x2: axis 1 has extent -3"},
    {filter_too_short, E_INVALID,
     "constant 'filter': 3x3x3x2 of float32 is 216 bytes, but its buffer has 212"},
    {filter_of_zero, E_INVALID, "'filter' is 3x3x3x0: axis 3 has extent 0"},
    {filter_computed, E_UNSUPPORTED,
     "operator 'y' (CONV_2D): input 1 'filter' is computed; it must be a constant"},
    {filter_rank, E_INVALID, "image 'x' and filter 'filter' have 4 and 3 axes; both need 4"},
    {filter_channels, E_INVALID, "filter 'filter' has 3 channels, the image 2: not a multiple"},
    {wrong_output, E_INVALID,
     "height 4 with a window of 3 every 1 gives 4 outputs, but the file says 5"},
    {stride_zero, E_INVALID, "the stride is 1x0; both must be at least 1"},
    {stride_negative, E_INVALID, "the stride is -2x1; both must be at least 1"},
    {padding_unknown, E_INVALID, "padding is 2; 0 (SAME) and 1 (VALID) exist"},
    {dilation_zero, E_INVALID, "the dilation is 0x1; both must be at least 1"},
    {activation_sign, E_UNSUPPORTED, "the fused activation function SIGN_BIT is not supported"},
    {activation_unknown, E_INVALID, "there is no fused activation function 6"},
    {options_other, E_INVALID, "its options are of kind 11; kind 1 is needed"},
    {options_none, E_INVALID, "the stride is 0x0; both must be at least 1"},
    {no_output, E_INVALID, "operator 0 (CONV_2D) has no output"},
    {several_outputs, E_INVALID, "2 outputs; it has one"},
    {no_filter, E_INVALID, "input 1 is not given; it is not optional"},
    {input_minus_two, E_INVALID, "operator 0: tensor -2 doesn't exist; there are 4"},
    {operand_beyond, E_INVALID, "operator 0: tensor 4 doesn't exist; there are 4"},
    {reads_itself, E_INVALID, "'y' is read, but no operator before writes it"},
    {writes_input, E_INVALID, "it writes 'x', which has been written already"},
    {writes_constant, E_INVALID, "it writes the constant 'bias'"},
    {name_latin_1, E_SYNTAX, "a text of 1 bytes is not UTF-8"},
    {softmax_cold, E_INVALID, "beta is 0; it must be a finite number above 0"},
    {custom, E_UNSUPPORTED, "'y' (TFLITE:CUSTOM:Fancy)"},
    {unknown, E_UNSUPPORTED, "'y' (TFLITE:4711)"},
    {bias_rank, E_INVALID, ""},
    {rank_9, E_UNSUPPORTED, "tensor 'filter' has 9 axes; at most 8 are supported"},
};
enum { REFUSAL_COUNT = sizeof(REFUSALS) / sizeof(REFUSALS[0]) };

START_TEST(what_is_refused_is_named)
{
    struct build_model model = conv_model();
    REFUSALS[_i].change(&model);
    ck_assert_fails(import(&model), &err, REFUSALS[_i].code, REFUSALS[_i].message);
}
END_TEST

/* What the file says of an output's axes is not believed: the axis of a joint is one of the
 * inputs'. */
START_TEST(a_wrong_rank_of_the_output_does_no_harm)
{
    struct build_model model = conv_model();
    model.operators[1] = (struct build_operator){.code = CONCATENATION,
                                                 .input_count = 2,
                                                 .inputs = {OUTPUT, OUTPUT},
                                                 .outputs = {TENSORS},
                                                 .options_kind = CONCATENATION_OPTIONS,
                                                 .field_count = 1,
                                                 .fields = {{.bytes = 4, .integer = 7}}};
    model.tensors[TENSORS] =
        (struct build_tensor){.name = "z", .rank = 8, .dim = {1, 1, 1, 1, 1, 4, 4, 6}};
    model.tensor_count = TENSORS + 1;
    model.operator_count = 2;
    model.output = TENSORS;
    ck_assert_fails(import(&model), &err, E_INVALID,
                    "operator 'z' (CONCATENATION): axis is 7; -4 to 3 are possible for 4 axes");
    model.operators[1].fields[0].integer = 3;
    ck_assert_fails(import(&model), &err, E_INVALID,
                    "'z' has 8 axes; 4 (N, H, W, C) are needed here");
}
END_TEST

/* Law: an upload is told of everything that is missing, not of the first thing. */
START_TEST(all_unsupported_operators_are_reported_at_once)
{
    struct build_model model = conv_model();
    model.operators[1] = (struct build_operator){
        .code = FLOOR, .input_count = 1, .inputs = {OUTPUT}, .outputs = {TENSORS}};
    model.operators[2] = (struct build_operator){.code = CUSTOM,
                                                 .custom = "Fancy",
                                                 .input_count = 2,
                                                 .inputs = {TENSORS, FILTER},
                                                 .outputs = {TENSORS + 1}};
    model.operators[3] = (struct build_operator){
        .code = RELU, .input_count = 1, .inputs = {TENSORS + 1}, .outputs = {TENSORS + 2}};
    model.tensors[TENSORS] = (struct build_tensor){.name = "f", .rank = 4, .dim = {1, 4, 4, 3}};
    model.tensors[TENSORS + 1] = (struct build_tensor){.name = "c", .rank = 1, .dim = {1}};
    model.tensors[TENSORS + 2] = (struct build_tensor){.name = "z", .rank = 1, .dim = {1}};
    model.tensor_count = TENSORS + 3;
    model.operator_count = 4;
    model.output = TENSORS + 2;
    ck_assert_fails(import(&model), &err, E_UNSUPPORTED, "'f' (TFLITE:FLOOR)");
    ck_assert_fails(import(&model), &err, E_UNSUPPORTED, "'c' (TFLITE:CUSTOM:Fancy)");
}
END_TEST

/* Law: a file cut anywhere, which no longer has all the bytes of its last constant, is refused. */
START_TEST(every_truncation_is_refused)
{
    struct build_model model = conv_model();
    size_t size = tflite_build(&model, file);
    struct graph *graph;
    for (size_t cut = 0; cut < size; cut++)
        ck_assert_fails(import_bytes(file, cut, &graph), &err, E_SYNTAX, "");
    ck_assert_fails(import_bytes(file, size - 1, &graph), &err, E_SYNTAX,
                    "a list of 12 elements of 1 bytes runs past the end of the file");
    ck_assert_ok(import_bytes(file, size, &graph), &err);
}
END_TEST

START_TEST(constants_behind_the_flatbuffer_are_read_and_checked)
{
    struct build_model model = conv_model();
    model.tensors[FILTER].behind = true;
    size_t size = tflite_build(&model, file);
    struct graph *graph;
    ck_assert_ok(import_bytes(file, size, &graph), &err);
    ck_assert_fails(import_bytes(file, size - 1, &graph), &err, E_SYNTAX,
                    "tensor 'filter': its 216 bytes at byte ");
}
END_TEST

/* Law: whatever any one byte is, the importer answers; a sanitizer watches. */
START_TEST(no_byte_brings_the_importer_down)
{
    static const uint8_t values[] = {0, 1, 3, 0x7f, 0x80, 0xff};
    struct build_model model = conv_model();
    size_t size = tflite_build(&model, file);
    struct graph *graph;
    for (size_t at = 0; at < size; at++) {
        uint8_t was = file[at];
        for (size_t i = 0; i < sizeof(values); i++) {
            struct arena_mark mark = arena_mark(arena);
            file[at] = values[i];
            (void)import_bytes(file, size, &graph); /* either answer will do */
            arena_reset(arena, mark);
        }
        file[at] = was;
    }
}
END_TEST

START_TEST(offsets_out_of_the_file_are_refused)
{
    struct graph *graph;
    uint8_t bytes[12] = "\x08\0\0\0TFL3";
    ck_assert_fails(import_bytes(bytes, 8, &graph), &err, E_SYNTAX,
                    "byte 0: an offset of 8 leads past the end of the file (8 bytes)");
    bytes[8] = 20; /* the root's vtable, 20 bytes before it */
    ck_assert_fails(import_bytes(bytes, 12, &graph), &err, E_SYNTAX,
                    "byte 8: a table's vtable is at byte -12, outside of the file (12 bytes)");
    bytes[8] = 0; /* the root is its own vtable, of no bytes */
    ck_assert_fails(import_bytes(bytes, 12, &graph), &err, E_SYNTAX,
                    "byte 8: a table of 0 bytes with a vtable of 0 bytes runs past the end");
    bytes[8] = 8; /* the vtable is the file's head: 8 bytes long, of a table of 0 */
    ck_assert_fails(import_bytes(bytes, 12, &graph), &err, E_SYNTAX,
                    "field 0 is at offset 18004 of a table of 0 bytes");
}
END_TEST

START_TEST(a_list_that_claims_a_gigabyte_is_refused)
{
    struct build build;
    struct graph *graph;
    size_t root = build_begin(&build, file, "TFL3", 5);
    build_value(&build, root, 0, 4, 3);
    size_t list = build_list(&build, root, 2, 1, 4);
    build_put(&build, list - 4, 4, 1 << 28);
    ck_assert_fails(import_bytes(file, build.size, &graph), &err, E_SYNTAX,
                    "a list of 268435456 elements of 4 bytes runs past the end of the file");
}
END_TEST

/* Offsets only lead forward, so that a cycle needs an overlap: every tensor of this list, which
 * takes up most of the file, is the same table, and its shape is the list itself. */
START_TEST(lists_that_overlap_run_out_of_budget)
{
    enum { COUNT = 3000 };
    struct build build;
    struct graph *graph;
    size_t root = build_begin(&build, file, "TFL3", 5);
    build_value(&build, root, 0, 4, 3);
    size_t subgraphs = build_list(&build, root, 2, 1, 4);
    size_t buffers = build_list(&build, root, 4, 1, 4);
    build_element_table(&build, buffers, 0, 3);
    size_t subgraph = build_element_table(&build, subgraphs, 0, 5);
    size_t tensors = build_list(&build, subgraph, 0, COUNT, 4);
    size_t tensor = build_table(&build, 11);
    size_t name = build_list(&build, tensor, 3, 1000, 1); /* read once per tensor */
    memset(file + name, 'n', 1000);
    for (size_t i = 0; i < COUNT; i++)
        build_put(&build, tensors + 4 * i, 4, tensor - (tensors + 4 * i));
    ck_assert_fails(import_bytes(file, build.size, &graph), &err, E_SYNTAX,
                    "the lists of the file overlap: they have more elements than ");
}
END_TEST

/* Law: constants that share a buffer count as often as they are used. */
START_TEST(constants_that_share_a_buffer_run_out_of_budget)
{
    enum { COUNT = 12000, FIRST = 1, SUMS = FIRST + BUILD_LIST - 1 };
    static const uint8_t data[COUNT];
    struct build_model model = {.tensor_count = SUMS + BUILD_LIST - 1,
                                .operator_count = BUILD_LIST - 1};
    model.tensors[0] = (struct build_tensor){.name = "x", .rank = 2, .dim = {1, COUNT}};
    for (int i = 0; i < model.operator_count; i++) {
        model.tensors[FIRST + i] = (struct build_tensor){.type = BUILD_U8,
                                                         .rank = 2,
                                                         .dim = {1, COUNT},
                                                         .data = i == 0 ? data : NULL,
                                                         .data_bytes = COUNT,
                                                         .shares = FIRST,
                                                         .scale_count = 1,
                                                         .scales = {1}};
        model.tensors[SUMS + i] = (struct build_tensor){.rank = 2, .dim = {1, COUNT}};
        model.operators[i] =
            (struct build_operator){.code = ADD,
                                    .input_count = 2,
                                    .inputs = {i == 0 ? 0 : SUMS + i - 1, FIRST + i},
                                    .outputs = {SUMS + i}};
    }
    model.output = SUMS + model.operator_count - 1;
    ck_assert_fails(import(&model), &err, E_TOO_LARGE,
                    "the constants have more values than a file of ");
    model.operator_count = 3;
    model.output = SUMS + 2;
    ck_assert_ok(import(&model), &err);
}
END_TEST

static bool import_small(struct arena *limited, void *context, struct error *error)
{
    struct graph *graph;
    return model_import(limited, file, *(size_t *)context, &graph, NULL, error);
}

START_TEST(a_failing_allocation_is_an_error)
{
    struct build_model model = conv_model();
    size_t size = tflite_build(&model, file);
    ck_assert_uint_ge(support_fail_each_allocation(import_small, &size), 10);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("tflite");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_convolution_keeps_its_names_and_shapes);
    tcase_add_test(cases, images_stay_as_they_are_between_operators);
    tcase_add_test(cases, tensors_without_a_name_or_with_the_same_one_get_their_own);
    tcase_add_loop_test(cases, what_is_refused_is_named, 0, REFUSAL_COUNT);
    tcase_add_test(cases, a_wrong_rank_of_the_output_does_no_harm);
    tcase_add_test(cases, all_unsupported_operators_are_reported_at_once);
    tcase_add_test(cases, every_truncation_is_refused);
    tcase_add_test(cases, constants_behind_the_flatbuffer_are_read_and_checked);
    tcase_add_test(cases, no_byte_brings_the_importer_down);
    tcase_add_test(cases, offsets_out_of_the_file_are_refused);
    tcase_add_test(cases, a_list_that_claims_a_gigabyte_is_refused);
    tcase_add_test(cases, lists_that_overlap_run_out_of_budget);
    tcase_add_test(cases, constants_that_share_a_buffer_run_out_of_budget);
    tcase_add_test(cases, a_failing_allocation_is_an_error);
    Suite *suite = suite_create("tflite");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
