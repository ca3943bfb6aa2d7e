#include "ptqd/nn/onnx_wire.h"

#include "onnx_build.h"
#include "support.h"

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

static bool check_wire(const void *bytes, size_t size)
{
    return onnx_wire_check(&onnx__model_proto__descriptor, bytes, size, &err);
}

START_TEST(a_model_is_recognized_by_its_first_fields)
{
    onnx_build_node(&build, "Relu", "relu", "x", "y");
    size_t size;
    uint8_t *bytes = onnx_build_pack(&build, &size);
    ck_assert(onnx_wire_recognize(bytes, size));
    ck_assert(!onnx_wire_recognize(bytes + 2, size - 2));
}
END_TEST

START_TEST(other_files_are_not_recognized)
{
    static const struct {
        const char *what, *bytes;
        size_t size;
    } files[] = {
        {"nothing", "", 0},
        {"one byte", "\x08", 1},
        {"version 0", "\x08\x00", 2},
        {"tflite", "\x1c\x00\x00\x00TFL3", 8},
        {"tflite with a near root", "\x08\x00\x00\x00TFL3", 8},
        {"npy", "\x93NUMPY\x01\x00", 8},
        {"npz", "PK\x03\x04\x14\x00", 6},
        {"JSON", "{\"model\": 1}", 12},
        {"unknown second field", "\x08\x07\xfa\x07", 4},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        ck_assert_msg(!onnx_wire_recognize((const uint8_t *)files[i].bytes, files[i].size),
                      "recognized: %s", files[i].what);
}
END_TEST

START_TEST(fields_that_the_schema_does_not_know_are_skipped)
{
    /* numbers 100, 101, 102 of wire types 0, 2, 5, and 103 of type 1 */
    static const char bytes[] = "\x08\x07"
                                "\xa0\x06\x01"
                                "\xaa\x06\x02zz"
                                "\xb5\x06\x01\x02\x03\x04"
                                "\xb9\x06\x01\x02\x03\x04\x05\x06\x07\x08";
    ck_assert_ok(check_wire(bytes, sizeof(bytes) - 1), &err);
}
END_TEST

START_TEST(a_length_beyond_its_message_is_refused_with_both_numbers)
{
    /* graph (7) of 3 bytes, in it a node (1) of 5 */
    ck_assert_fails(check_wire("\x3a\x03\x0a\x05\x00", 5), &err, E_SYNTAX,
                    "byte 4: field 1 (node) of a GraphProto claims 5 bytes; 1 are left");
}
END_TEST

START_TEST(a_number_that_is_cut_off_is_refused)
{
    ck_assert_fails(check_wire("\x08\xff", 2), &err, E_SYNTAX,
                    "byte 1: the number in a ModelProto");
    ck_assert_fails(check_wire("\xff", 1), &err, E_SYNTAX, "byte 0: the key of a field");
    ck_assert_fails(check_wire("\x3a", 1), &err, E_SYNTAX, "byte 1: the length in a ModelProto");
    ck_assert_fails(check_wire("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12), &err,
                    E_SYNTAX, "is cut off or longer than 10 bytes");
}
END_TEST

START_TEST(groups_are_refused)
{
    ck_assert_fails(check_wire("\x0b", 1), &err, E_SYNTAX, "byte 0: wire type 3 in a ModelProto");
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused)
{
    ck_assert_fails(check_wire("\x12\x02g\xff", 4), &err, E_SYNTAX,
                    "byte 2: the field 'producer_name' of a ModelProto is not UTF-8 text");
}
END_TEST

START_TEST(more_messages_than_the_limit_are_refused)
{
    /* opset_import (8) of 0 bytes, again and again */
    size_t size = 2 * (ONNX_WIRE_MESSAGES_MAX + 1);
    uint8_t *bytes = arena_alloc(arena, size, &err);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i += 2)
        bytes[i] = 0x42;
    ck_assert_fails(check_wire(bytes, size), &err, E_TOO_LARGE, "more than 1000000 messages");
    ck_assert_ok(check_wire(bytes, size - 4), &err);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx_wire");
    TCase *tests = tcase_create("onnx_wire");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_model_is_recognized_by_its_first_fields);
    tcase_add_test(tests, other_files_are_not_recognized);
    tcase_add_test(tests, fields_that_the_schema_does_not_know_are_skipped);
    tcase_add_test(tests, a_length_beyond_its_message_is_refused_with_both_numbers);
    tcase_add_test(tests, a_number_that_is_cut_off_is_refused);
    tcase_add_test(tests, groups_are_refused);
    tcase_add_test(tests, text_that_is_not_utf8_is_refused);
    tcase_add_test(tests, more_messages_than_the_limit_are_refused);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
