/* The checker itself: what it must refuse, or the other tests would prove nothing. */

#include "schema_check.h"

#include "support.h"

#include <string.h>

static const char document[] =
    "{\"components\":{\"schemas\":{\"Pair\":{\"type\":\"object\",\"properties\":{"
    "\"a\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#/components/schemas/Pair\"}},"
    "\"required\":[\"a\"],\"additionalProperties\":false}}}}";

/* Law: a value passes exactly when it is what the schema says, and the error points at it. */
static const struct {
    const char *schema, *value;
    bool passes;
    const char *pointer;
} rows[] = {
    {"{\"type\":\"string\"}", "\"a\"", true, ""},
    {"{\"type\":\"string\"}", "1", false, ""},
    {"{\"type\":\"integer\"}", "1.5", false, ""},
    {"{\"type\":\"integer\"}", "1e3", true, ""},
    {"{\"type\":\"number\"}", "1.5", true, ""},
    {"{\"type\":\"number\"}", "null", false, ""},
    {"{\"type\":[\"string\",\"boolean\"]}", "true", true, ""},
    {"{\"type\":[\"string\",\"boolean\"]}", "1", false, ""},
    {"{\"enum\":[\"a\",\"b\"]}", "\"b\"", true, ""},
    {"{\"enum\":[\"a\",\"b\"]}", "\"c\"", false, ""},
    {"{\"const\":32}", "32", true, ""},
    {"{\"const\":32}", "31", false, ""},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}", "null", true, ""},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}", "2", false, ""},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1,2]", true, ""},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1,\"b\"]", false, "/1"},
    {"{\"minItems\":1}", "[]", false, ""},
    {"{\"uniqueItems\":true}", "[1,2,1]", false, ""},
    {"{\"minimum\":2,\"maximum\":8}", "8", true, ""},
    {"{\"minimum\":2,\"maximum\":8}", "9", false, ""},
    {"{\"minimum\":2,\"maximum\":8}", "1", false, ""},
    {"{\"minLength\":1}", "\"\"", false, ""},
    {"{\"maxLength\":2}", "\"\xc3\xa4\xc3\xa4\"", true, ""},
    {"{\"maxLength\":2}", "\"abc\"", false, ""},
    {"{\"pattern\":\"^a+$\"}", "\"aab\"", false, ""},
    {"{\"format\":\"date-time\"}", "\"2026-01-02T03:04:05Z\"", true, ""},
    {"{\"format\":\"date-time\"}", "\"2026-01-02 03:04:05\"", false, ""},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}", "{\"k\":\"v\"}", true,
     ""},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}", "{\"k\":1}", false,
     "/k"},
    {"{\"$ref\":\"#/components/schemas/Pair\"}", "{\"a\":1,\"next\":{\"a\":2}}", true, ""},
    {"{\"$ref\":\"#/components/schemas/Pair\"}", "{\"next\":{\"a\":2}}", false, ""},
    {"{\"$ref\":\"#/components/schemas/Pair\"}", "{\"a\":1,\"next\":{\"a\":\"2\"}}", false,
     "/next/a"},
    {"{\"$ref\":\"#/components/schemas/Pair\"}", "{\"a\":1,\"b\":2}", false, ""},
};

static struct json *parse(struct arena *arena, const char *text)
{
    struct error err = {.message = ""};
    struct json *value;
    ck_assert_ok(json_parse(arena, text, strlen(text), NULL, &value, &err), &err);
    return value;
}

START_TEST(a_value_passes_when_it_is_what_the_schema_says)
{
    struct error err = {.message = ""};
    struct arena *arena = arena_create(0);
    bool ok = schema_check(parse(arena, document), parse(arena, rows[_i].schema),
                           parse(arena, rows[_i].value), &err);
    ck_assert_msg(ok == rows[_i].passes, "%s of %s: %s", rows[_i].value, rows[_i].schema,
                  err.message);
    if (!ok) {
        ck_assert_int_eq(err.code, E_INVALID);
        ck_assert_str_eq(err.pointer, rows[_i].pointer);
    }
    arena_destroy(arena);
}
END_TEST

/* Law: what the checker doesn't know is no success. */
START_TEST(a_keyword_that_is_not_known_fails)
{
    static const char *const schemas[] = {
        "{\"multipleOf\":2}",
        "{\"anyOf\":[{\"oneOf\":[]},{\"type\":\"integer\"}]}",
        "{\"format\":\"uuid\"}",
        "{\"$ref\":\"#/components/schemas/Nobody\"}",
        "true",
    };
    struct arena *arena = arena_create(0);
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        struct error err = {.message = ""};
        ck_assert(!schema_check(parse(arena, document), parse(arena, schemas[i]), parse(arena, "4"),
                                &err));
        ck_assert_msg(err.code == E_UNSUPPORTED, "%s: %s", schemas[i], err.message);
    }
    arena_destroy(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema_check");
    TCase *tcase = tcase_create("schema_check");
    tcase_add_loop_test(tcase, a_value_passes_when_it_is_what_the_schema_says, 0,
                        (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, a_keyword_that_is_not_known_fails);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
