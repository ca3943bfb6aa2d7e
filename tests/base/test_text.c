#include "ptqd/base/text.h"

#include "support.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error err;

START_TEST(an_untouched_text_is_empty)
{
    struct text text;
    text_init(&text, 10);
    ck_assert_str_eq(text.bytes, "");
    ck_assert_uint_eq(text.length, 0);
    ck_assert_ok(text_check(&text, &err), &err);
    text_finish(&text);
    text_finish(&text);
}
END_TEST

/* Law: the text is the concatenation of its appends, terminated after each. */
START_TEST(appends_add_up)
{
    struct text text;
    text_init(&text, 100000);
    for (int i = 0; i < 5000; i++) {
        size_t before = text.length;
        char number[16];
        int length = snprintf(number, sizeof(number), "%d,", i);
        if (i % 3 == 0)
            text_printf(&text, "%d,", i);
        else if (i % 3 == 1)
            text_puts(&text, number);
        else
            text_append(&text, number, (size_t)length);
        ck_assert_uint_eq(text.length, before + (size_t)length);
        ck_assert_str_eq(text.bytes + before, number);
    }
    ck_assert_ok(text_check(&text, &err), &err);
    text_finish(&text);
}
END_TEST

/* Law: exactly `limit` bytes fit; one more breaks the text for good, without changing it. */
START_TEST(the_ceiling_holds_to_the_byte)
{
    for (size_t limit = 0; limit < 300; limit += 7) {
        struct text text;
        text_init(&text, limit);
        for (size_t i = 0; i < limit; i++)
            text_puts(&text, "x");
        ck_assert_ok(text_check(&text, &err), &err);
        ck_assert_uint_eq(text.length, limit);

        if (limit % 2 == 0)
            text_puts(&text, "y");
        else
            text_printf(&text, "%d", 1);
        ck_assert_fails(text_check(&text, &err), &err, E_TOO_LARGE, "bytes");
        ck_assert_uint_eq(text.length, limit);
        text_append(&text, "", 0);
        ck_assert(!text_check(&text, &err));
        text_finish(&text);
    }
}
END_TEST

static bool copy_a_text(struct arena *arena, void *context, struct error *error)
{
    struct text text;
    text_init(&text, 100);
    text_puts(&text, "abc");
    char *copy = text_dup(&text, arena, error);
    text_finish(&text);
    if (copy == NULL)
        return false;
    *(bool *)context = strcmp(copy, "abc") == 0;
    return true;
}

START_TEST(a_copy_outlives_the_text)
{
    bool equal = false;
    ck_assert_uint_eq(support_fail_each_allocation(copy_a_text, &equal), 1);
    ck_assert(equal);
}
END_TEST

START_TEST(a_broken_text_has_no_copy)
{
    struct arena *arena = arena_create(0);
    struct text text;
    text_init(&text, 2);
    text_puts(&text, "abc");
    ck_assert_ptr_null(text_dup(&text, arena, &err));
    ck_assert_int_eq(err.code, E_TOO_LARGE);
    text_finish(&text);
    arena_destroy(arena);
}
END_TEST

/* Law: what prints as %d reads back, and only inside the range. */
START_TEST(whole_numbers_read_back)
{
    static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -10, -1, 0, 1, 9, 10, INT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[32];
        int64_t value = 0;
        snprintf(text, sizeof(text), "%" PRId64, numbers[i]);
        ck_assert_ok(text_parse_i64(text, INT64_MIN, INT64_MAX, &value, &err), &err);
        ck_assert_int_eq(value, numbers[i]);
        bool inside = numbers[i] >= -1 && numbers[i] <= 9;
        value = 12345;
        ck_assert_int_eq(text_parse_i64(text, -1, 9, &value, &err), inside);
        ck_assert_int_eq(value, inside ? numbers[i] : 12345);
    }
}
END_TEST

START_TEST(what_is_not_a_whole_number_is_refused)
{
    static const char *const words[] = {"",
                                        " ",
                                        "-",
                                        "+",
                                        "--1",
                                        "1 ",
                                        " 1",
                                        "1.0",
                                        "0x10",
                                        "1e3",
                                        "9223372036854775808",
                                        "1,",
                                        "one",
                                        "1-2",
                                        "١",
                                        "\n1",
                                        "inf",
                                        "-9223372036854775809"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        int64_t value = 12345;
        ck_assert_fails(text_parse_i64(words[i], INT64_MIN, INT64_MAX, &value, &err), &err,
                        E_INVALID, words[i]);
        ck_assert_int_eq(value, 12345);
    }
}
END_TEST

START_TEST(real_numbers_read_back)
{
    static const double numbers[] = {-DBL_MAX, -1.5, -0.0, 0.0,    DBL_TRUE_MIN,
                                     0.1,      1.0,  1e22, DBL_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[64];
        double value = 0;
        snprintf(text, sizeof(text), "%.17g", numbers[i]);
        ck_assert_ok(text_parse_f64(text, -HUGE_VAL, HUGE_VAL, &value, &err), &err);
        ck_assert(value == numbers[i]);
        ck_assert_int_eq(text_parse_f64(text, 0.0, 1.0, &value, &err),
                         numbers[i] >= 0.0 && numbers[i] <= 1.0);
    }
}
END_TEST

START_TEST(what_is_not_a_finite_decimal_is_refused)
{
    static const char *const words[] = {"",   " 1", "1 ",   "nan", "inf", "-inf", "0x1p3",
                                        "1e", "1e", "1..2", "e5",  "-",   ".",    "1e999"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        double value = 12345.0;
        ck_assert_fails(text_parse_f64(words[i], -HUGE_VAL, HUGE_VAL, &value, &err), &err,
                        E_INVALID, words[i]);
        ck_assert(value == 12345.0);
    }
}
END_TEST

START_TEST(truth_has_four_spellings)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        bool value = false;
        ck_assert_ok(text_parse_bool(yes[i], &value, &err), &err);
        ck_assert(value);
        ck_assert_ok(text_parse_bool(no[i], &value, &err), &err);
        ck_assert(!value);
    }
    bool value;
    ck_assert_fails(text_parse_bool("True", &value, &err), &err, E_INVALID, "\"True\"");
    ck_assert_fails(text_parse_bool("", &value, &err), &err, E_INVALID, "\"\"");
}
END_TEST

START_TEST(sizes_have_units)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {{"0", 0},
                 {"1", 1},
                 {"1K", 1024},
                 {"64M", 64 << 20},
                 {"3G", (uint64_t)3 << 30},
                 {"2T", (uint64_t)2 << 40},
                 {"16777215T", (uint64_t)16777215 << 40},
                 {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes = 12345;
        ck_assert_ok(text_parse_bytes(sizes[i].text, &bytes, &err), &err);
        ck_assert_uint_eq(bytes, sizes[i].bytes);
    }
    static const char *const words[] = {"",     "M",  "-1",  "1k",        "1MB",
                                        "1.5M", " 1", "1 M", "16777216T", "18446744073709551616",
                                        "+1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint64_t bytes = 12345;
        ck_assert_fails(text_parse_bytes(words[i], &bytes, &err), &err, E_INVALID, words[i]);
        ck_assert_uint_eq(bytes, 12345);
    }
}
END_TEST

START_TEST(prefixes)
{
    ck_assert(text_has_prefix("sha256:ab", "sha256:"));
    ck_assert(text_has_prefix("abc", ""));
    ck_assert(text_has_prefix("", ""));
    ck_assert(!text_has_prefix("sha", "sha256:"));
    ck_assert(!text_has_prefix("", "a"));
}
END_TEST

/* The encoding of a code point, as RFC 3629 section 3 has it; 0 bytes for what it has no place for.
 */
static size_t encode(uint32_t code, char out[static 4])
{
    if (code == 0 || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
        return 0;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned heads[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(heads[tail] | code >> (6 * tail));
    for (size_t i = 1; i <= tail; i++)
        out[i] = (char)(0x80 | ((code >> (6 * (tail - i))) & 0x3f));
    return tail + 1;
}

/* Law: of all sequences of one, two and three bytes exactly those are accepted that are encodings
 * of code points one after the other; checked by marking the encodings of one code point first. */
START_TEST(short_sequences_are_utf8_or_not)
{
    static bool whole[1 << 24];
    static bool valid[1 << 24];
    char bytes[4];
    for (uint32_t code = 1; code < 0x10000; code++) {
        size_t length = encode(code, bytes);
        uint32_t index = 0;
        for (size_t i = 0; i < length; i++)
            index = index << 8 | (unsigned char)bytes[i];
        whole[index] = length > 0; /* no encoding starts with a NUL: the length is in the index */
    }
    size_t wrong = 0;
    for (uint32_t index = 1; index < 1 << 24; index++) {
        size_t length = index < 1 << 8 ? 1 : index < 1 << 16 ? 2 : 3;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)(index >> (8 * (length - 1 - i)));
        bool last_two = (index & 0xff00) != 0 && whole[index & 0xffff];
        valid[index] = whole[index] || (whole[index & 0xff] && valid[index >> 8]) ||
                       (length == 3 && last_two && valid[index >> 16]);
        wrong += valid[index] != text_is_utf8(bytes, length);
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(long_sequences_are_utf8_or_not)
{
    size_t wrong = 0;
    for (uint32_t code = 0x10000; code < 0x110000; code++) {
        char bytes[4];
        wrong += encode(code, bytes) != 4 || !text_is_utf8(bytes, 4) || text_is_utf8(bytes, 3);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert(!text_is_utf8("\xf4\x90\x80\x80", 4)); /* beyond U+10FFFF */
    ck_assert(!text_is_utf8("\xf0\x8f\xbf\xbf", 4)); /* longer than needed */
    ck_assert(!text_is_utf8("\xf8\x88\x80\x80\x80", 5));
    ck_assert(!text_is_utf8("a\0b", 3));
    ck_assert(text_is_utf8("", 0));
}
END_TEST

/* Law: a character is its bytes and its code point; what is none is one byte of U+FFFD. */
START_TEST(characters_are_read_one_by_one)
{
    static const struct {
        const char *string;
        size_t bytes;
        uint32_t code;
    } rows[] = {
        {"ab", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80x", 2, 0x80},
        {"\xc3\xbc", 2, 0xfc},
        {"\xe6\xb8\xac", 3, 0x6e2c},
        {"\xef\xbf\xbd", 3, 0xfffd},
        {"\xf0\x9f\x98\x80!", 4, 0x1f600},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\xc3", 1, 0xfffd},         /* cut */
        {"\xe6\xb8", 1, 0xfffd},     /* cut */
        {"\xc0\x80", 1, 0xfffd},     /* overlong */
        {"\xed\xa0\x80", 1, 0xfffd}, /* a surrogate */
        {"\xff", 1, 0xfffd},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t code = 0;
        ck_assert_uint_eq(text_character(rows[i].string, &code), rows[i].bytes);
        ck_assert_uint_eq(code, rows[i].code);
    }
}
END_TEST

/* Law: RFC 8259 section 7; bytes that are no character become U+FFFD one by one. */
START_TEST(strings_are_escaped_as_json_wants_it)
{
    static const struct {
        const char *string, *json;
    } rows[] = {
        {"", "\"\""},
        {"conv1/weights", "\"conv1/weights\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\r\t\x01\x1f\x7f", "\"\\n\\r\\t\\u0001\\u001f\x7f\""},
        {"\xc3\xbc\xf0\x9f\x98\x80", "\"\xc3\xbc\xf0\x9f\x98\x80\""},
        {"a\xff\xc3", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text text;
        text_init(&text, 100);
        text_put_json_string(&text, rows[i].string);
        ck_assert_str_eq(text.bytes, rows[i].json);
        text_finish(&text);
    }
}
END_TEST

/* Golden values: date -u -d @SECONDS +%FT%TZ of GNU coreutils. */
START_TEST(times_are_rfc_3339_in_utc)
{
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {-1, "1969-12-31T23:59:59.999Z"},
                 {1714564800123, "2024-05-01T12:00:00.123Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {-2208988800000, "1900-01-01T00:00:00.000Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"}};
    char text[TEXT_TIME_BYTES];
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        text_time(times[i].ms, text);
        ck_assert_str_eq(text, times[i].text);
    }
    /* Years of more than four digits, and what no calendar has. */
    static const int64_t beyond[] = {253402300800000, -62167219200001, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        text_time(beyond[i], text);
        ck_assert(text_has_prefix(text, "1970-01-01T00:00:00."));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *cases = tcase_create("text");
    tcase_add_test(cases, an_untouched_text_is_empty);
    tcase_add_test(cases, appends_add_up);
    tcase_add_test(cases, the_ceiling_holds_to_the_byte);
    tcase_add_test(cases, a_copy_outlives_the_text);
    tcase_add_test(cases, a_broken_text_has_no_copy);
    tcase_add_test(cases, whole_numbers_read_back);
    tcase_add_test(cases, what_is_not_a_whole_number_is_refused);
    tcase_add_test(cases, real_numbers_read_back);
    tcase_add_test(cases, what_is_not_a_finite_decimal_is_refused);
    tcase_add_test(cases, truth_has_four_spellings);
    tcase_add_test(cases, sizes_have_units);
    tcase_add_test(cases, prefixes);
    tcase_add_test(cases, short_sequences_are_utf8_or_not);
    tcase_add_test(cases, long_sequences_are_utf8_or_not);
    tcase_add_test(cases, characters_are_read_one_by_one);
    tcase_add_test(cases, strings_are_escaped_as_json_wants_it);
    tcase_add_test(cases, times_are_rfc_3339_in_utc);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
