/* JSON values: what is accepted, what is refused and where, pointers, printing. */

#include "ptqd/json/json.h"

#include "support.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){0};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static struct json *parse(const char *text)
{
    struct json *root = NULL;
    ck_assert_ok(json_parse(arena, text, strlen(text), NULL, &root, &err), &err);
    return root;
}

/* Law: what was printed reads back as an equal value, and prints the same again. */
START_TEST(printing_and_parsing_are_inverse)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "0.1",
        "1e+300",
        "1.7976931348623157e+308",
        "[]",
        "{}",
        "[1,[2,[3,{}]]]",
        "{\"a\":{\"b\":[null,\"x\"]},\"c\":1.5}",
        "\"\\\"\\\\\\n\\t\\r\\u0001\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct json *value = parse(texts[i]);
        char *printed = json_print_string(value, arena, NULL, &err);
        ck_assert_str_eq(printed, texts[i]);
        ck_assert(json_equal(value, parse(printed)));
    }
}
END_TEST

/* Law: the printed decimal reads back as the same double, and none of fewer digits does. */
START_TEST(doubles_are_printed_shortest_and_exact)
{
    const double values[] = {0.1,        1.0 / 3.0, 2.0 / 3.0, 0.30000000000000004,
                             123456.789, 1e-7,      5e-324,    8.0};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[JSON_NUMBER_BYTES], other[JSON_NUMBER_BYTES];
        json_number_print(values[i], text);
        ck_assert(strtod(text, NULL) == values[i]);
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(other, sizeof(other), "%.*g", digits, values[i]);
            if (strtod(other, NULL) == values[i])
                ck_assert_uint_le(strlen(text), strlen(other));
        }
    }
    char text[JSON_NUMBER_BYTES];
    json_number_print(0.1, text);
    ck_assert_str_eq(text, "0.1");
}
END_TEST

/* Law: whole numbers have the digits that the C library gives them, at the ends of their ranges,
 * too.
 */
START_TEST(whole_numbers_are_printed_as_the_library_does)
{
    const double doubles[] = {0,    -0.0, 1,     -1,   9,    10,    99,  -1234567, 999999999999999,
                              1e14, 1e15, -1e15, 1e16, 1e22, 1e300, 0.5, -1e14,    1e15 - 1};
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        char text[JSON_NUMBER_BYTES], expected[JSON_NUMBER_BYTES];
        json_number_print(doubles[i], text);
        (void)snprintf(expected, sizeof(expected), "%.15g", doubles[i]);
        ck_assert_str_eq(text, expected);
    }
    const int64_t integers[] = {0, 7, -7, 10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        struct json *list = json_array(arena);
        char expected[64];
        size_t size;
        json_add_integer(list, NULL, integers[i]);
        (void)snprintf(expected, sizeof(expected), "[%" PRId64 "]", integers[i]);
        ck_assert_str_eq(json_print_string(list, arena, &size, &err), expected);
    }
}
END_TEST

/* Law: decimals of few digits are printed as 15 digits by the library, from where those would have
 * an exponent to where they would be more than 15; and so are their neighbours, which need 16
 * or 17.
 */
START_TEST(short_decimals_are_printed_as_the_library_does)
{
    static const double sizes[] = {1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 1e3, 1e6, 1e8, 1e9, 1e12};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int digits = 1; digits < 4000; digits += 7) {
            for (int neighbour = -1; neighbour <= 1; neighbour++) {
                double value = sizes[i] * digits / 1000;
                value = neighbour == 0 ? -value : nextafter(value, neighbour * (double)INFINITY);
                char text[JSON_NUMBER_BYTES], expected[JSON_NUMBER_BYTES];
                json_number_print(value, text);
                for (int length = 15; length <= 17; length++) {
                    (void)snprintf(expected, sizeof(expected), "%.*g", length, value);
                    double again = strtod(expected, NULL);
                    if (again >= value && again <= value)
                        break;
                }
                ck_assert_str_eq(text, expected);
            }
        }
    }
}
END_TEST

START_TEST(escapes_become_utf8)
{
    const char *string;
    ck_assert_ok(json_as_string(parse("\"\\u00e9\\ud83d\\ude00\\/\""), &string, &err), &err);
    ck_assert_str_eq(string, "\xc3\xa9\xf0\x9f\x98\x80/");
}
END_TEST

static const struct {
    const char *text, *fragment;
} bad[] = {
    {"", "line 1, column 1: a value should be here, not the end of the text"},
    {"{\n  \"a\": nul}", "line 2, column 8: a value should be here, not 'nul'"},
    {"[1,]", "column 4: a value should be here, not ']'; the comma before it is too many"},
    {"[1 2]", "a ',' or ']' should be here, not '2'"},
    {"{\"a\" 1}", "a ':' should be here, not '1'"},
    {"{\"a\":1,\n}", "line 2, column 1: a key in double quotes should be here, not '}'; the comma"},
    {"{a:1}", "a key in double quotes should be here, not 'a'"},
    {"{'a':1}", "a key in double quotes should be here, not '''"},
    {"[1}", "a ',' or ']' should be here, not '}'"},
    {"[1, // one\n2]", "column 5: a value should be here, not '/'; JSON has no comments"},
    {"{\"a\":1 # one\n}", "a ',' or '}' should be here, not '#'; JSON has no comments"},
    {"1 2", "text after the end of the document"},
    {"True", "a value should be here, not 'True'"},
    {"NaN", "a value should be here, not 'NaN'"},
    {"-Infinity", "a value should be here, not '-Infinity'"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaa", "not 'aaaaaaaaaaaaaaaaaaaa'"},
    {"\xef\xbb\xbf{}", "a value should be here, not the byte \\xef"},
    {"01", "superfluous 0"},
    {"1.", "no digit after its point"},
    {"1e", "no digit in its exponent"},
    {"+1", "a value should be here, not '+1'"},
    {"1e999", "too large for a double"},
    {"1000000000000000000000000000000000000000000000000000000000000000000",
     "more than 63 characters"},
    {"\"abc", "a string that does not end"},
    {"\"a\nb\"", "a control character in a string"},
    {"\"\\x\"", "an unknown escape"},
    {"\"\\u12g4\"", "four hexadecimal digits"},
    {"\"\\u0000\"", "\\u0000 in a string"},
    {"\"\\ud800\"", "the first half of a surrogate pair without the second"},
    {"\"\\udc00\"", "the second half of a surrogate pair without the first"},
    {"\"\xff\"", "not UTF-8"},
    {"\"\xc0\xaf\"", "not UTF-8"},
    {"\"\xed\xa0\x80\"", "not UTF-8"},
    {"\"\xe2\x82\"", "not UTF-8"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "the key \"a\" is twice"},
};

START_TEST(text_that_is_not_json_is_refused_with_its_place)
{
    struct json *root = NULL;
    const char *text = bad[_i].text;
    ck_assert_fails(json_parse(arena, text, strlen(text), NULL, &root, &err), &err, E_SYNTAX,
                    bad[_i].fragment);
    ck_assert_ptr_null(root);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    struct json *root = NULL;
    ck_assert_fails(json_parse(arena, "[1\0]", 4, NULL, &root, &err), &err, E_SYNTAX, "column 3");
}
END_TEST

START_TEST(five_thousand_levels_are_refused_without_recursion)
{
    static char text[5000];
    memset(text, '[', sizeof(text));
    struct json *root = NULL;
    ck_assert_fails(json_parse(arena, text, sizeof(text), NULL, &root, &err), &err, E_TOO_LARGE,
                    "deeper than 32");
    const struct json_limits deep = {.bytes = 10000, .depth = 100000, .values = 10000};
    ck_assert_fails(json_parse(arena, text, sizeof(text), &deep, &root, &err), &err, E_TOO_LARGE,
                    "deeper than 500");
}
END_TEST

START_TEST(the_deepest_allowed_document_parses)
{
    static char text[2 * JSON_DEPTH_MAX];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    const struct json_limits deep = {.bytes = sizeof(text),
                                     .depth = JSON_DEPTH_MAX,
                                     .values = JSON_DEPTH_MAX};
    struct json *root = NULL;
    ck_assert_ok(json_parse(arena, text, sizeof(text), &deep, &root, &err), &err);
}
END_TEST

START_TEST(limits_of_bytes_and_values_are_in_the_message)
{
    struct json *root = NULL;
    const struct json_limits small = {.bytes = 10, .depth = 4, .values = 3};
    ck_assert_fails(json_parse(arena, "[1,2,3,4,5]", 11, &small, &root, &err), &err, E_TOO_LARGE,
                    "11 bytes; 10 are allowed");
    ck_assert_fails(json_parse(arena, "[1,2,3]", 7, &small, &root, &err), &err, E_TOO_LARGE,
                    "more than 3 values");
    ck_assert_ok(json_parse(arena, "[1,2]", 5, &small, &root, &err), &err);
}
END_TEST

START_TEST(errors_point_at_the_field)
{
    const struct json *root = parse("{\"a/b\":[{\"m~n\":\"x\"}]}");
    const struct json *inner = json_find(json_first(json_find(root, "a/b")), "m~n");
    int64_t integer = 0;
    ck_assert_fails(json_as_integer(inner, 0, 9, &integer, &err), &err, E_INVALID,
                    "\"m~n\" is a string; a number is expected");
    ck_assert_str_eq(err.pointer, "/a~1b/0/m~0n");
}
END_TEST

/* Law: a pointer is whole or not there, wherever it would be cut. */
START_TEST(a_pointer_is_never_cut)
{
    enum { AROUND = 4 };
    for (int length = ERROR_POINTER_BYTES - 2 * AROUND; length < ERROR_POINTER_BYTES + AROUND;
         length++) {
        char key[ERROR_POINTER_BYTES + AROUND] = "", whole[2 * ERROR_POINTER_BYTES];
        memset(key, 'k', (size_t)length);
        const char *text = arena_printf(arena, NULL, "{\"%s\":{\"a/b\":[0,\"x\"]}}", key);
        const struct json *inner = json_find(json_find(parse(text), key), "a/b");
        double number;
        (void)snprintf(whole, sizeof(whole), "/%s/a~1b/1", key);
        ck_assert_fails(json_as_number(json_next(json_first(inner)), 0, 9, &number, &err), &err,
                        E_INVALID, "a number is expected");
        ck_assert_str_eq(err.pointer, strlen(whole) < ERROR_POINTER_BYTES ? whole : "");
    }
}
END_TEST

START_TEST(numbers_are_checked_against_range_and_kind)
{
    const struct json *root = parse("{\"i\":7,\"r\":1.5,\"big\":9007199254740993,\"m\":-0}");
    int64_t integer = 0;
    double real = 0;
    ck_assert_ok(json_as_integer(json_find(root, "i"), 0, 7, &integer, &err), &err);
    ck_assert_int_eq(integer, 7);
    ck_assert_fails(json_as_integer(json_find(root, "i"), 0, 6, &integer, &err), &err, E_INVALID,
                    "\"i\" is 7; 0 to 6 are allowed");
    ck_assert_fails(json_as_integer(json_find(root, "r"), 0, 6, &integer, &err), &err, E_INVALID,
                    "\"r\" is 1.5; a whole number");
    ck_assert_fails(json_as_integer(json_find(root, "big"), 0, INT64_MAX, &integer, &err), &err,
                    E_INVALID, "a whole number below 2^53");
    ck_assert_fails(json_as_number(json_find(root, "r"), 2, 3, &real, &err), &err, E_INVALID,
                    "\"r\" is 1.5; 2 to 3 are allowed");
    ck_assert_ok(json_as_integer(json_find(root, "m"), 0, 0, &integer, &err), &err);
}
END_TEST

START_TEST(a_missing_member_is_named)
{
    const struct json *root = parse("{\"inner\":{}}");
    const struct json *value = NULL;
    ck_assert_fails(json_member(json_find(root, "inner"), "model", &value, &err), &err, E_INVALID,
                    "the field \"model\" is missing");
    ck_assert_str_eq(err.pointer, "/inner/model");
    err = (struct error){.message = ""};
    ck_assert_fails(json_member(root, "a", &value, &err), &err, E_INVALID, "\"a\" is missing");
    ck_assert_str_eq(err.pointer, "/a");
}
END_TEST

START_TEST(an_unknown_key_comes_with_the_nearest_known_one)
{
    static const char *const known[] = {"model", "calibration", "evaluation", NULL};
    ck_assert(json_check_keys(parse("{\"model\":1}"), known, &err));
    ck_assert_fails(json_check_keys(parse("{\"calibraton\":1}"), known, &err), &err, E_INVALID,
                    "\"calibraton\" is not a known field; did you mean \"calibration\"?");
    ck_assert_str_eq(err.pointer, "/calibraton");
    ck_assert_fails(json_check_keys(parse("{\"zzz\":1}"), known, &err), &err, E_INVALID,
                    "\"zzz\" is not a known field; there are model, calibration and evaluation");
    ck_assert_ptr_null(strstr(err.message, "did you mean"));
    /* More edits than half the word: another word. */
    ck_assert(!json_check_keys(parse("{\"mxxxx\":1}"), known, &err));
    ck_assert_ptr_null(strstr(err.message, "did you mean"));
}
END_TEST

START_TEST(built_values_print_in_order)
{
    struct json *root = json_object(arena);
    json_add_string(root, "s", "a\"b");
    json_add_integer(root, "i", INT64_C(9223372036854775807));
    json_add_number(root, "nan", (double)NAN);
    json_add_number(root, "four", 4.0);
    json_add_bool(root, "b", true);
    json_add_string(root, "none", NULL);
    json_add_raw(root, "raw", "{\"kept\": 1}");
    struct json *list = json_add_array(json_add_object(root, "o"), "l");
    json_add_integer(list, NULL, 1);
    json_add_copy(list, NULL, parse("{\"x\":[0.5,null]}"));
    ck_assert_str_eq(
        json_print_string(root, arena, NULL, &err),
        "{\"s\":\"a\\\"b\",\"i\":9223372036854775807,\"nan\":null,\"four\":4,\"b\":true,"
        "\"none\":null,\"raw\":{\"kept\": 1},\"o\":{\"l\":[1,{\"x\":[0.5,null]}]}}");
}
END_TEST

/* Law: what is printed is JSON, whatever bytes came from a URL or a file. */
START_TEST(bytes_that_are_not_utf8_are_replaced)
{
    struct json *root = json_object(arena);
    json_add_string(root, "k\xff", "a\"\xe2\x82\xac\xc3");
    const char *text = json_print_string(root, arena, NULL, &err);
    ck_assert_str_eq(text, "{\"k\xef\xbf\xbd\":\"a\\\"\xe2\x82\xac\xef\xbf\xbd\"}");
    parse(text);
}
END_TEST

START_TEST(pretty_printing_indents_by_two)
{
    struct text text;
    text_init(&text, 1000);
    ck_assert_ok(json_print_pretty(parse("{\"a\":[1,{}],\"b\":{\"c\":null}}"), &text, &err), &err);
    ck_assert_str_eq(text.bytes,
                     "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n"
                     "  }\n}\n");
    text_finish(&text);
}
END_TEST

static bool build_and_print(struct arena *memory, void *context, struct error *error)
{
    (void)context;
    struct json *root = json_object(memory);
    struct json *list = json_add_array(root, "list");
    json_add_string(list, NULL, "text");
    json_add_number(json_add_object(list, NULL), "x", 0.5);
    return json_print_string(root, memory, NULL, error) != NULL;
}

START_TEST(a_failed_allocation_while_building_is_reported_by_print)
{
    ck_assert_uint_ge(support_fail_each_allocation(build_and_print, NULL), 6);
}
END_TEST

static bool build_and_check(struct arena *memory, void *context, struct error *error)
{
    (void)context;
    struct json *root = json_object(memory);
    json_add_string(json_add_object(json_add_array(root, "list"), NULL), "x", "text");
    return json_check(root, error);
}

START_TEST(a_failed_allocation_while_building_is_seen_without_printing)
{
    ck_assert_uint_ge(support_fail_each_allocation(build_and_check, NULL), 4);
}
END_TEST

static bool parse_document(struct arena *memory, void *context, struct error *error)
{
    const char *text = context;
    struct json *root;
    return json_parse(memory, text, strlen(text), NULL, &root, error);
}

START_TEST(a_failed_allocation_while_parsing_is_reported)
{
    char text[] = "{\"a\":[1,\"x\"],\"b\":{\"c\":null}}";
    ck_assert_uint_ge(support_fail_each_allocation(parse_document, text), 6);
}
END_TEST

START_TEST(the_order_of_members_does_not_matter_for_equality)
{
    ck_assert(json_equal(parse("{\"a\":1,\"b\":[2]}"), parse("{\"b\":[2],\"a\":1}")));
    ck_assert(!json_equal(parse("[1,2]"), parse("[2,1]")));
    ck_assert(!json_equal(parse("[1]"), parse("[1,2]")));
    ck_assert(!json_equal(parse("[1,2]"), parse("[1]")));
    ck_assert(!json_equal(parse("{\"a\":1}"), parse("{\"a\":1,\"b\":1}")));
    ck_assert(!json_equal(parse("1"), parse("\"1\"")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, printing_and_parsing_are_inverse);
    tcase_add_test(tcase, doubles_are_printed_shortest_and_exact);
    tcase_add_test(tcase, whole_numbers_are_printed_as_the_library_does);
    tcase_add_test(tcase, short_decimals_are_printed_as_the_library_does);
    tcase_add_test(tcase, escapes_become_utf8);
    tcase_add_loop_test(tcase, text_that_is_not_json_is_refused_with_its_place, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, a_nul_byte_is_refused);
    tcase_add_test(tcase, five_thousand_levels_are_refused_without_recursion);
    tcase_add_test(tcase, the_deepest_allowed_document_parses);
    tcase_add_test(tcase, limits_of_bytes_and_values_are_in_the_message);
    tcase_add_test(tcase, errors_point_at_the_field);
    tcase_add_test(tcase, a_pointer_is_never_cut);
    tcase_add_test(tcase, numbers_are_checked_against_range_and_kind);
    tcase_add_test(tcase, a_missing_member_is_named);
    tcase_add_test(tcase, an_unknown_key_comes_with_the_nearest_known_one);
    tcase_add_test(tcase, built_values_print_in_order);
    tcase_add_test(tcase, bytes_that_are_not_utf8_are_replaced);
    tcase_add_test(tcase, pretty_printing_indents_by_two);
    tcase_add_test(tcase, a_failed_allocation_while_building_is_reported_by_print);
    tcase_add_test(tcase, a_failed_allocation_while_building_is_seen_without_printing);
    tcase_add_test(tcase, a_failed_allocation_while_parsing_is_reported);
    tcase_add_test(tcase, the_order_of_members_does_not_matter_for_equality);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
