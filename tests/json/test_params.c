/* Parameter tables as JSON, over a table with one row of each kind. */

#include "ptqd/json/params.h"

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const inits[] = {"minmax", "mse", NULL};
static const char *const formats[] = {"onnx", "tflite", "c", NULL};

struct settings {
    int64_t samples;
    int64_t bits;
    int init;
    double rate;
    bool narrow;
    const char *note;
    uint64_t artifacts;
};

static const struct param rows[] = {
    {.name = "samples",
     .type = PARAM_INT,
     .default_text = "all",
     .min = 1,
     .max = 1000,
     .also = 9999,
     .special = "all",
     .unit = "samples",
     .help = "How many.",
     .offset = offsetof(struct settings, samples)},
    {.name = "weights.bits",
     .type = PARAM_INT,
     .default_text = "8",
     .min = 2,
     .max = 8,
     .unit = "bits",
     .help = "Width.",
     .offset = offsetof(struct settings, bits),
     .sweep = true},
    {.name = "weights.init",
     .type = PARAM_CHOICE,
     .default_text = "mse",
     .choices = inits,
     .unit = "",
     .help = "Range.",
     .offset = offsetof(struct settings, init),
     .sweep = true},
    {.name = "weights.narrow",
     .type = PARAM_BOOL,
     .default_text = "false",
     .unit = "",
     .help = "Narrow.",
     .offset = offsetof(struct settings, narrow),
     .sweep = true},
    {.name = "tune.rate",
     .type = PARAM_REAL,
     .default_text = "auto",
     .min = 0.001,
     .max = 1,
     .special = "auto",
     .unit = "",
     .help = "Step.",
     .offset = offsetof(struct settings, rate),
     .sweep = true},
    {.name = "tune.note",
     .type = PARAM_TEXT,
     .default_text = "",
     .min = 0,
     .max = 10,
     .unit = "",
     .help = "Note.",
     .offset = offsetof(struct settings, note)},
    {.name = "artifacts",
     .type = PARAM_SET,
     .default_text = "onnx",
     .choices = formats,
     .unit = "",
     .help = "Files.",
     .offset = offsetof(struct settings, artifacts)},
};
static const struct param_table table = {.name = "settings",
                                         .rows = rows,
                                         .count = sizeof(rows) / sizeof(rows[0])};
static const char *const others[] = {"layers", NULL};

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

static bool read_params(const char *text, struct param_sweep *sweep)
{
    /* One level down, so that pointers show where the object stands. */
    const char *document = arena_printf(arena, NULL, "{\"pipeline\":%s}", text);
    return json_params_parse(arena, json_find(parse(document), "pipeline"), &table, others, sweep,
                             &err);
}

static const char *print(const struct param_sweep *sweep)
{
    struct json *object = json_object(arena);
    json_params_print(object, sweep);
    return json_print_string(object, arena, NULL, &err);
}

static const char defaults_text[] =
    "{\"samples\":\"all\",\"weights\":{\"bits\":8,\"init\":\"mse\",\"narrow\":false},"
    "\"tune\":{\"rate\":\"auto\",\"note\":\"\"},\"artifacts\":[\"onnx\"]}";

START_TEST(what_is_not_given_has_its_default)
{
    struct param_sweep sweep;
    ck_assert_ok(read_params("{\"layers\":[]}", &sweep), &err);
    ck_assert_str_eq(print(&sweep), defaults_text);
    ck_assert_ok(json_params_parse(arena, NULL, &table, NULL, &sweep, &err), &err);
    ck_assert_str_eq(print(&sweep), defaults_text);
}
END_TEST

/* Law: parsing what was printed gives the same text again. */
START_TEST(printed_parameters_parse_to_themselves)
{
    struct param_sweep sweep;
    ck_assert_ok(read_params("{\"weights\":{\"bits\":[2,4],\"init\":[\"mse\",\"minmax\"],"
                             "\"narrow\":[false,true]},\"samples\":7,\"artifacts\":[\"c\","
                             "\"onnx\"],\"tune\":{\"rate\":0.5,\"note\":\"hi\"}}",
                             &sweep),
                 &err);
    size_t count;
    ck_assert_ok(param_sweep_count(&sweep, 100, &count, &err), &err);
    ck_assert_uint_eq(count, 8);
    const char *first = print(&sweep);
    ck_assert_ok(read_params(first, &sweep), &err);
    ck_assert_str_eq(print(&sweep), first);
}
END_TEST

static const struct {
    const char *text, *fragment, *pointer;
} bad[] = {
    {"[]", "\"pipeline\" is a list; an object is expected", "/pipeline"},
    {"{\"wieghts\":{}}", "\"wieghts\" is not a known field; did you mean \"weights\"?",
     "/pipeline/wieghts"},
    {"{\"weights\":{\"bit\":4}}",
     "\"weights.bit\" is not a known field; did you mean \"weights.bits\"?",
     "/pipeline/weights/bit"},
    {"{\"weights\":{\"rate\":4}}",
     "\"weights.rate\" is not a known field; did you mean \"tune.rate\"?",
     "/pipeline/weights/rate"},
    {"{\"tune\":{\"something\":4}}", "\"tune.something\" is not a known field; there ",
     "/pipeline/tune/something"},
    {"{\"weights\":{\"layers\":4}}", "\"weights.layers\" is not a known field",
     "/pipeline/weights/layers"},
    {"{\"weights.bits\":4}", "\"weights.bits\" is not a known field", "/pipeline/weights.bits"},
    {"{\"weights\":4}", "\"weights\" is a number; an object is expected", "/pipeline/weights"},
    {"{\"weights\":{\"bits\":9}}", "weights.bits is 9; 2 to 8 are supported",
     "/pipeline/weights/bits"},
    {"{\"weights\":{\"bits\":2.5}}", "weights.bits is 2.5; a whole number is expected",
     "/pipeline/weights/bits"},
    {"{\"weights\":{\"bits\":\"four\"}}", "weights.bits is a string; a whole number is expected",
     "/pipeline/weights/bits"},
    {"{\"weights\":{\"bits\":[]}}", "weights.bits is an empty list", "/pipeline/weights/bits"},
    {"{\"weights\":{\"bits\":[2,4,2]}}", "weights.bits has 2 twice in its list",
     "/pipeline/weights/bits/2"},
    {"{\"tune\":{\"rate\":[0.5,\"auto\",0.25,0.5]}}", "tune.rate has 0.5 twice in its list",
     "/pipeline/tune/rate/3"},
    {"{\"weights\":{\"bits\":[2,99]}}", "weights.bits is 99", "/pipeline/weights/bits/1"},
    {"{\"weights\":{\"init\":\"max\"}}", "weights.init is \"max\"; the choices are minmax, mse",
     "/pipeline/weights/init"},
    {"{\"weights\":{\"narrow\":1}}", "weights.narrow is a number; true or false is expected",
     "/pipeline/weights/narrow"},
    {"{\"samples\":[1,2]}", "samples is a list; one value is expected", "/pipeline/samples"},
    {"{\"samples\":\"some\"}", "samples is \"some\"; a whole number or \"all\" is expected",
     "/pipeline/samples"},
    {"{\"samples\":0}", "samples is 0; 1 to 1000, 9999 and \"all\" are supported",
     "/pipeline/samples"},
    {"{\"tune\":{\"rate\":-0.0}}", "tune.rate is -0; 0.001 to 1 and \"auto\" are supported",
     "/pipeline/tune/rate"},
    {"{\"samples\":5000}", "samples is 5000; 1 to 1000, 9999 and \"all\" are supported",
     "/pipeline/samples"},
    {"{\"tune\":{\"rate\":null}}", "tune.rate is null; a number is expected",
     "/pipeline/tune/rate"},
    {"{\"tune\":{\"rate\":2}}", "tune.rate is 2; 0.001 to 1 and \"auto\" are supported",
     "/pipeline/tune/rate"},
    {"{\"tune\":{\"rate\":\"fast\"}}", "tune.rate is \"fast\"; a number or \"auto\" is expected",
     "/pipeline/tune/rate"},
    {"{\"tune\":{\"note\":\"far too long a note\"}}", "tune.note has 19 bytes",
     "/pipeline/tune/note"},
    {"{\"artifacts\":\"onnx\"}", "artifacts is a string; a list of names is expected",
     "/pipeline/artifacts"},
    {"{\"artifacts\":[\"onnx\",\"elf\"]}", "artifacts is \"elf\"; the choices are onnx, tflite, c",
     "/pipeline/artifacts/1"},
    {"{\"artifacts\":[\"onnx\",\"onnx\"]}", "artifacts names \"onnx\" twice",
     "/pipeline/artifacts/1"},
};

START_TEST(a_bad_field_is_named_with_value_rule_and_pointer)
{
    struct param_sweep sweep;
    ck_assert_fails(read_params(bad[_i].text, &sweep), &err, E_INVALID, bad[_i].fragment);
    ck_assert_str_eq(err.pointer, bad[_i].pointer);
}
END_TEST

START_TEST(values_reach_the_owner_s_struct)
{
    struct settings settings;
    ck_assert_ok(json_params_read(arena,
                                  parse("{\"weights\":{\"bits\":3,\"narrow\":true},"
                                        "\"artifacts\":[\"c\",\"onnx\"],\"tune\":{\"rate\":1}}"),
                                  &table, NULL, &settings, &err),
                 &err);
    ck_assert_int_eq(settings.bits, 3);
    ck_assert(settings.narrow);
    ck_assert_uint_eq(settings.artifacts, 5);
    ck_assert_double_eq(settings.rate, 1.0);
    ck_assert_int_eq(settings.samples, 0);
    ck_assert_int_eq(settings.init, 1);
    struct json *object = json_object(arena);
    json_params_print_object(object, &table, &settings);
    ck_assert_str_eq(
        json_print_string(object, arena, NULL, &err),
        "{\"samples\":\"all\",\"weights\":{\"bits\":3,\"init\":\"mse\",\"narrow\":true},"
        "\"tune\":{\"rate\":1,\"note\":\"\"},\"artifacts\":[\"onnx\",\"c\"]}");
}
END_TEST

START_TEST(a_list_where_one_value_is_wanted_is_refused)
{
    struct settings settings;
    ck_assert_fails(json_params_read(arena, parse("{\"weights\":{\"bits\":[2,3]}}"), &table, NULL,
                                     &settings, &err),
                    &err, E_INVALID, "weights.bits is a list; one value is expected");
    ck_assert_str_eq(err.pointer, "/weights/bits");
}
END_TEST

/* CPU time of a list of so many values, the least of several. */
static double list_seconds(int count)
{
    enum { ROUNDS = 3 };
    struct text text;
    struct param_sweep sweep;
    double least = HUGE_VAL;
    text_init(&text, 1 << 20);
    for (int i = 0; i < count; i++)
        text_printf(&text, "%s%.5f", i > 0 ? "," : "{\"tune\":{\"rate\":[", 0.001 + 1e-5 * i);
    text_puts(&text, "]}}");
    const struct json *value = parse(text.bytes);
    for (int round = 0; round < ROUNDS; round++) {
        double start = support_cpu_seconds();
        ck_assert_ok(json_params_parse(arena, value, &table, NULL, &sweep, &err), &err);
        least = fmin(least, support_cpu_seconds() - start);
    }
    text_finish(&text);
    return least;
}

/* Law: eight times as many values take some ten times as long, n log n: a list as long as a request
 * may be takes nobody's thread for seconds. (With every pair compared it was 64 times.) */
START_TEST(the_time_of_a_list_grows_with_its_length)
{
    double few = list_seconds(10 * 1000), many = list_seconds(80 * 1000);
    printf("# 10000 values: %.1f ms, 80000: %.1f ms\n", 1e3 * few, 1e3 * many);
    ck_assert_double_lt(many, 24 * few);
}
END_TEST

START_TEST(a_row_without_default_must_be_given)
{
    const struct param required = {.name = "path",
                                   .type = PARAM_TEXT,
                                   .min = 1,
                                   .max = 10,
                                   .unit = "",
                                   .help = "Where.",
                                   .offset = 0};
    const struct param_table one = {.name = "one", .rows = &required, .count = 1};
    const char *path = NULL;
    ck_assert_fails(json_params_read(arena, parse("{}"), &one, NULL, &path, &err), &err, E_INVALID,
                    "path must be given");
    ck_assert_str_eq(err.pointer, "/path");
    ck_assert_ok(json_params_read(arena, parse("{\"path\":\"x\"}"), &one, NULL, &path, &err), &err);
    ck_assert_str_eq(path, "x");
}
END_TEST

/* Law: what is not given stays as it was, and what is given prints alone and reads back. */
START_TEST(some_fields_may_be_given)
{
    static const char text[] = "{\"weights\":{\"bits\":3,\"narrow\":true},\"tune\":{\"rate\":0.5}}";
    struct settings settings = {.samples = 77, .init = 1, .note = "as it was"};
    uint64_t given;
    ck_assert_ok(json_params_read_given(arena, parse(text), &table, &settings, &given, &err), &err);
    ck_assert_int_eq(settings.bits, 3);
    ck_assert(settings.narrow);
    ck_assert_double_eq(settings.rate, 0.5);
    ck_assert_int_eq(settings.samples, 77);
    ck_assert_int_eq(settings.init, 1);
    ck_assert_str_eq(settings.note, "as it was");
    for (size_t i = 0; i < table.count; i++) {
        const char *name = rows[i].name;
        bool is_given = !strcmp(name, "weights.bits") || !strcmp(name, "weights.narrow") ||
                        !strcmp(name, "tune.rate");
        ck_assert_msg((given >> i & 1) == is_given, "%s", name);
    }
    struct json *object = json_object(arena);
    json_params_print_given(object, &table, &settings, given);
    ck_assert_str_eq(json_print_string(object, arena, NULL, &err), text);
    ck_assert_ok(json_params_read_given(arena, parse("{}"), &table, &settings, &given, &err), &err);
    ck_assert_uint_eq(given, 0);
}
END_TEST

START_TEST(fields_that_are_given_are_held_to_their_rows)
{
    struct settings settings;
    uint64_t given;
    ck_assert_fails(json_params_read_given(arena, parse("{\"weights\":{\"bits\":9}}"), &table,
                                           &settings, &given, &err),
                    &err, E_INVALID, "weights.bits is 9; 2 to 8 are supported");
    ck_assert_str_eq(err.pointer, "/weights/bits");
    ck_assert_fails(json_params_read_given(arena, parse("{\"weights\":{\"bits\":[2]}}"), &table,
                                           &settings, &given, &err),
                    &err, E_INVALID, "weights.bits is a list; one value is expected");
    ck_assert_fails(json_params_read_given(arena, parse("{\"weight\":{}}"), &table, &settings,
                                           &given, &err),
                    &err, E_INVALID, "\"weight\" is not a known field; did you mean \"weights\"?");
    ck_assert_fails(json_params_read_given(arena, parse("[]"), &table, &settings, &given, &err),
                    &err, E_INVALID, "an object");
}
END_TEST

START_TEST(the_catalogue_has_every_row)
{
    struct json *list = json_array(arena);
    json_params_catalog(list, &table);
    ck_assert_uint_eq(json_count(list), table.count);
    ck_assert_ok(json_print_string(list, arena, NULL, &err) != NULL, &err);
    const struct json *samples = json_first(list);
    ck_assert_str_eq(json_print_string(samples, arena, NULL, &err),
                     "{\"name\":\"samples\",\"type\":\"integer\",\"default\":\"all\",\"minimum\":1,"
                     "\"maximum\":1000,\"also\":9999,\"special\":\"all\",\"unit\":\"samples\","
                     "\"help\":\"How many.\",\"sweep\":false}");
    const struct json *bits = json_next(samples);
    ck_assert_str_eq(json_print_string(bits, arena, NULL, &err),
                     "{\"name\":\"weights.bits\",\"type\":\"integer\",\"default\":8,\"minimum\":2,"
                     "\"maximum\":8,\"unit\":\"bits\",\"help\":\"Width.\",\"sweep\":true}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("params");
    TCase *tcase = tcase_create("params");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_not_given_has_its_default);
    tcase_add_test(tcase, printed_parameters_parse_to_themselves);
    tcase_add_loop_test(tcase, a_bad_field_is_named_with_value_rule_and_pointer, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, values_reach_the_owner_s_struct);
    tcase_add_test(tcase, a_list_where_one_value_is_wanted_is_refused);
    tcase_add_test(tcase, the_time_of_a_list_grows_with_its_length);
    tcase_add_test(tcase, a_row_without_default_must_be_given);
    tcase_add_test(tcase, some_fields_may_be_given);
    tcase_add_test(tcase, fields_that_are_given_are_held_to_their_rows);
    tcase_add_test(tcase, the_catalogue_has_every_row);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
