/* Job specifications: what is accepted, what every default is, and the exact errors. */

#include "ptqd/base/file.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/jobs/spec.h"
#include "ptqd/json/json.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

#define M     "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define C     "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define E     "sha256:3333333333333333333333333333333333333333333333333333333333333333"
#define L     "sha256:4444444444444444444444444444444444444444444444444444444444444444"
#define FILES "\"model\":\"" M "\",\"calibration\":\"" C "\""

static struct arena *arena;
static struct error err;
static struct job_spec spec;
static const struct job_spec_options ids_only = {.allow_paths = false};
static const struct job_spec_options with_paths = {.allow_paths = true};

static void setup(void)
{
    arena = arena_create((size_t)64 << 20);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static bool parse(const char *text)
{
    return job_spec_parse_text(text, strlen(text), &ids_only, arena, &spec, &err);
}

START_TEST(a_model_and_a_calibration_set_are_enough)
{
    ck_assert_ok(parse("{" FILES "}"), &err);
    ck_assert_str_eq(spec.name, "");
    ck_assert_uint_eq(spec.label_count, 0);
    ck_assert_int_eq(spec.priority, 0);
    ck_assert_str_eq(spec.model.id, M);
    ck_assert_ptr_null(spec.model.path);
    ck_assert_str_eq(spec.calibration.samples.id, C);
    ck_assert(!spec.has_evaluation);
    ck_assert_uint_eq(spec.seed_count, 1);
    ck_assert_int_eq(spec.seeds[0], 0);
    ck_assert_uint_eq(spec.variant_count, 1);
}
END_TEST

START_TEST(every_field_is_read)
{
    ck_assert_ok(parse(
                     "{\"name\":\"x\",\"labels\":{\"team\":\"a\",\"net\":\"kws\"},\"priority\":-7,"
                     "\"model\":{\"id\":\"" M "\"},"
                     "\"calibration\":{\"id\":\"" C "\",\"labels\":\"" L "\",\"scale\":0.5},"
                     "\"evaluation\":{\"id\":\"" E "\",\"zero_point\":-128},"
                     "\"seeds\":[7,0,11],\"pipeline\":{\"weights\":{\"bits\":[2,4]}}}"),
                 &err);
    ck_assert_str_eq(spec.name, "x");
    ck_assert_uint_eq(spec.label_count, 2);
    ck_assert_str_eq(spec.labels[1].key, "net");
    ck_assert_str_eq(spec.labels[1].value, "kws");
    ck_assert_int_eq(spec.priority, -7);
    ck_assert_str_eq(spec.model.id, M);
    ck_assert_str_eq(spec.calibration.labels.id, L);
    ck_assert(spec.calibration.has_scale);
    ck_assert(!spec.calibration.has_zero_point);
    ck_assert(spec.calibration.scale == 0.5);
    ck_assert(spec.has_evaluation);
    ck_assert_str_eq(spec.evaluation.samples.id, E);
    ck_assert(spec.evaluation.has_zero_point);
    ck_assert(spec.evaluation.zero_point == -128);
    ck_assert_uint_eq(spec.seed_count, 3);
    ck_assert_int_eq(spec.seeds[2], 11);
    ck_assert_uint_eq(spec.variant_count, 2);
}
END_TEST

START_TEST(a_number_of_seeds_counts_from_0)
{
    ck_assert_ok(parse("{" FILES ",\"seeds\":5}"), &err);
    ck_assert_uint_eq(spec.seed_count, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(spec.seeds[i], i);
}
END_TEST

START_TEST(ids_are_written_in_lower_case)
{
    ck_assert_ok(parse("{\"model\":\"sha256:ABCDEF1111111111111111111111111111111111111111111111"
                       "111111111111\",\"calibration\":\"" C "\"}"),
                 &err);
    ck_assert_ptr_nonnull(strstr(spec.model.id, "sha256:abcdef1"));
}
END_TEST

/* Law: an error has the value, the rule, and a pointer to the field. */
START_TEST(errors_name_field_value_and_rule)
{
    static const struct {
        const char *text;
        enum error_code code;
        const char *pointer, *fragment;
    } cases[] = {
        {"[]", E_INVALID, "", "an object"},
        {"{\"model\":", E_SYNTAX, "", "line 1"},
        {"{}", E_INVALID, "/model", "model"},
        {"{\"model\":\"" M "\"}", E_INVALID, "/calibration", "calibration"},
        {"{" FILES ",\"seed\":5}", E_INVALID, "/seed", "seed"},
        {"{\"model\":\"m.onnx\",\"calibration\":\"" C "\"}", E_INVALID, "/model",
         "\"m.onnx\" is not an id"},
        {"{\"model\":{\"path\":\"m.onnx\"},\"calibration\":\"" C "\"}", E_INVALID, "/model/path",
         "path"},
        {"{\"model\":7,\"calibration\":\"" C "\"}", E_INVALID, "/model",
         "\"model\" is a number; a string or an object is expected"},
        {"{\"model\":\"" M "\",\"calibration\":{}}", E_INVALID, "/calibration/id", "id"},
        {"{\"model\":\"" M "\",\"calibration\":{\"id\":\"" C "\",\"scale\":0}}", E_INVALID,
         "/calibration/scale", "0"},
        {"{\"model\":\"" M "\",\"calibration\":{\"id\":\"" C "\",\"labels\":\"x\"}}", E_INVALID,
         "/calibration/labels", "\"x\" is not an id"},
        {"{" FILES ",\"evaluation\":null}", E_INVALID, "/evaluation", "null"},
        {"{" FILES ",\"evaluation\":{\"id\":\"" E "\",\"zeropoint\":1}}", E_INVALID,
         "/evaluation/zeropoint", "zero_point"},
        {"{" FILES ",\"seeds\":0}", E_INVALID, "/seeds", "0"},
        {"{" FILES ",\"seeds\":1001}", E_INVALID, "/seeds", "1001"},
        {"{" FILES ",\"seeds\":[]}", E_INVALID, "/seeds", "0 seeds; 1 to 1000 are allowed"},
        {"{" FILES ",\"seeds\":[1,2,1]}", E_INVALID, "/seeds/2", "seed 1 is given twice"},
        {"{" FILES ",\"seeds\":[-1]}", E_INVALID, "/seeds/0", "-1"},
        {"{" FILES ",\"seeds\":[0.5]}", E_INVALID, "/seeds/0", "whole number"},
        {"{" FILES ",\"priority\":101}", E_INVALID, "/priority", "101"},
        {"{" FILES ",\"memory_limit\":15}", E_INVALID, "/memory_limit", "15"},
        {"{" FILES ",\"evaluation\":{\"path\":\"x\"}}", E_INVALID, "/evaluation/path",
         "\"path\" is not a known field; there are id, labels, scale and zero_point"},
        {"{" FILES ",\"name\":5}", E_INVALID, "/name", "string"},
        {"{" FILES ",\"labels\":[\"a\"]}", E_INVALID, "/labels", "object"},
        {"{" FILES ",\"labels\":{\"a b\":\"c\"}}", E_INVALID, "/labels/a b",
         "\"a b\" is not the key of a label"},
        {"{" FILES ",\"labels\":{\"\":\"c\"}}", E_INVALID, "/labels/", "not the key of a label"},
        {"{" FILES ",\"labels\":{\"a\":1}}", E_INVALID, "/labels/a", "string"},
        {"{" FILES ",\"pipeline\":[]}", E_INVALID, "/pipeline", "object"},
        {"{" FILES ",\"pipeline\":{\"weights\":{\"bits\":9}}}", E_INVALID, "/pipeline/weights/bits",
         "9"},
        {"{" FILES ",\"pipeline\":{\"weights\":{\"bits\":[2,9]}}}", E_INVALID,
         "/pipeline/weights/bits/1", "9"},
        {"{" FILES ",\"pipeline\":{\"weights\":{\"bits\":[32,31]}}}", E_INVALID,
         "/pipeline/weights/bits/1", "weights.bits is 31; 2 to 8 and 32 are supported"},
        {"{" FILES ",\"pipeline\":{\"activations\":{\"bits\":16}}}", E_INVALID,
         "/pipeline/activations/bits",
         "activations.bits is 16; 2 to 8, 32 and \"same\" are supported"},
        {"{" FILES ",\"pipeline\":{\"activations\":{\"input_bits\":32}}}", E_INVALID,
         "/pipeline/activations/input_bits", "activations.input_bits is 32; 2 to 8 are supported"},
        {"{" FILES ",\"pipeline\":{\"weights\":{\"bit\":4}}}", E_INVALID, "/pipeline/weights/bit",
         "bits"},
        {"{" FILES ",\"pipeline\":{\"layers\":{}}}", E_INVALID, "/pipeline/layers", "a list"},
        {"{" FILES ",\"pipeline\":{\"layers\":[7]}}", E_INVALID, "/pipeline/layers/0", "an object"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\"},{\"skip\":true}]}}", E_INVALID,
         "/pipeline/layers/1/match", "match must be given"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"\"}]}}", E_INVALID,
         "/pipeline/layers/0/match", "match has 0 bytes; 1 to 200 are supported"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\",\"skip\":1}]}}", E_INVALID,
         "/pipeline/layers/0/skip", "true or false"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\",\"bits\":4}]}}", E_INVALID,
         "/pipeline/layers/0/bits",
         "\"bits\" is not a known field; did you mean \"weights.bits\"?"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\"},{\"match\":\"b\",\"weights\":"
         "{\"bits\":9}}]}}",
         E_INVALID, "/pipeline/layers/1/weights/bits",
         "weights.bits is 9; 2 to 8 and 32 are supported"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\",\"weights\":{\"bits\":[2,4]}}]}}",
         E_INVALID, "/pipeline/layers/0/weights/bits",
         "weights.bits is a list; one value is expected"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\",\"activations\":{\"init\":"
         "\"output\"}}]}}",
         E_INVALID, "/pipeline/layers/0/activations/init", "output"},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\",\"weights\":{\"narrow\":true,"
         "\"scheme\":\"asymmetric\"}}]}}",
         E_INVALID, "/pipeline/layers/0/weights/narrow",
         "weights.narrow is true with weights.scheme \"asymmetric\""},
        {"{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"a\"},{\"match\":\"b\",\"skip\":true,"
         "\"weights\":{\"bits\":8}}]}}",
         E_INVALID, "/pipeline/layers/1/weights/bits", "weights.bits is 8 in the rule for 'b'"},
        {"{" FILES ",\"pipeline\":{\"optimize\":{\"variable\":\"magic\"}}}", E_INVALID,
         "/pipeline/optimize/variable", "magic"},
        {"{" FILES ",\"pipeline\":{\"activations\":{\"init\":\"output\"}}}", E_INVALID,
         "/pipeline/activations/init", "\"output\"; the choices are minmax, mse"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err = (struct error){.message = ""};
        ck_assert_fails(parse(cases[i].text), &err, cases[i].code, cases[i].fragment);
        ck_assert_msg(strcmp(err.pointer, cases[i].pointer) == 0, "%s: pointer is '%s', not '%s'",
                      cases[i].text, err.pointer, cases[i].pointer);
    }
}
END_TEST

START_TEST(rules_between_rows_are_checked_in_every_variant)
{
    ck_assert_fails(parse("{" FILES ",\"pipeline\":{\"weights\":{\"narrow\":[false,true],"
                          "\"scheme\":[\"symmetric\",\"asymmetric\"]}}}"),
                    &err, E_INVALID, "weights.narrow is true with weights.scheme \"asymmetric\"");
    ck_assert_str_eq(err.pointer, "/pipeline/weights/narrow");
}
END_TEST

START_TEST(rules_for_layers_are_read_in_their_order)
{
    ck_assert_ok(
        parse("{" FILES ",\"pipeline\":{\"weights\":{\"bits\":[2,4]},\"layers\":["
              "{\"match\":\"first\",\"weights\":{\"bits\":8,\"scheme\":\"asymmetric\"},"
              "\"activations\":{\"bits\":\"same\"}},{\"match\":\"block*\",\"skip\":true}]}}"),
        &err);
    ck_assert_uint_eq(spec.variant_count, 2);
    ck_assert_uint_eq(spec.rule_count, 2);
    const struct param_table *table = layer_rule_table();
    for (size_t i = 0; i < table->count; i++) {
        static const char *const given[] = {"match", "weights.bits", "weights.scheme",
                                            "activations.bits"};
        bool is_given = false;
        for (int j = 0; j < 4; j++)
            is_given |= strcmp(table->rows[i].name, given[j]) == 0;
        ck_assert_msg((spec.rules[0].given >> i & 1) == is_given, "%s", table->rows[i].name);
    }
    for (size_t variant = 0; variant < 2; variant++) {
        struct pipeline pipeline = {0};
        job_spec_variant(&spec, variant, &pipeline);
        ck_assert_uint_eq(pipeline.rule_count, 2);
        ck_assert_str_eq(pipeline.rules[0].match, "first");
        ck_assert_int_eq(pipeline.rules[0].weights.bits, 8);
        ck_assert_int_eq(pipeline.rules[0].weights.scheme, SCHEME_ASYMMETRIC);
        ck_assert_int_eq(pipeline.rules[0].activations.bits, 0);
        ck_assert_str_eq(pipeline.rules[1].match, "block*");
        ck_assert(pipeline.rules[1].skip);
    }
}
END_TEST

START_TEST(a_pipeline_has_a_limit_of_rules)
{
    static char text[16384];
    for (int rules = LAYER_RULES_MAX; rules <= LAYER_RULES_MAX + 1; rules++) {
        size_t length =
            (size_t)snprintf(text, sizeof(text), "{" FILES ",\"pipeline\":{\"layers\":[");
        for (int i = 0; i < rules; i++)
            length += (size_t)snprintf(text + length, sizeof(text) - length,
                                       "%s{\"match\":\"c%d\"}", i == 0 ? "" : ",", i);
        (void)snprintf(text + length, sizeof(text) - length, "]}}");
        ck_assert(parse(text) == (rules == LAYER_RULES_MAX));
    }
    ck_assert_msg(support_contains(err.message, "257 rules for layers; a pipeline may have 256"),
                  "%s", err.message);
    ck_assert_str_eq(err.pointer, "/pipeline/layers");
}
END_TEST

START_TEST(names_and_labels_have_limits)
{
    static char text[20000];
    char name[JOB_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[JOB_NAME_MAX + 1] = '\0';
    (void)snprintf(text, sizeof(text), "{" FILES ",\"name\":\"%s\"}", name);
    ck_assert_fails(parse(text), &err, E_INVALID, "201 bytes; at most 200");

    size_t length = (size_t)snprintf(text, sizeof(text), "{" FILES ",\"labels\":{");
    for (int i = 0; i <= JOB_LABELS_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\"k%d\":\"\"",
                                   i == 0 ? "" : ",", i);
    (void)snprintf(text + length, sizeof(text) - length, "}}");
    err = (struct error){.message = ""};
    ck_assert_fails(parse(text), &err, E_INVALID, "33 labels; a job may have 32");
}
END_TEST

START_TEST(too_many_variants_or_runs_are_refused)
{
    static const char bits[] = "[2,3,4,5,6,7,8]";
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   "{" FILES
                   ",\"pipeline\":{\"weights\":{\"bits\":%s},\"activations\":{\"bits\":%s,"
                   "\"input_bits\":%s},\"postprocess\":{\"epochs\":%s,\"batch\":%s}}}",
                   bits, bits, bits, bits, bits);
    ck_assert_fails(parse(text), &err, E_TOO_LARGE, "more than 4096 combinations");
    ck_assert_str_eq(err.pointer, "/pipeline");

    (void)snprintf(text, sizeof(text),
                   "{" FILES ",\"seeds\":1000,\"pipeline\":{\"weights\":{\"bits\":%s},"
                   "\"activations\":{\"bits\":%s,\"input_bits\":%s}}}",
                   bits, bits, bits);
    err = (struct error){.message = ""};
    ck_assert_fails(parse(text), &err, E_TOO_LARGE,
                    "343 variants with 1000 seeds each make more than 20480 runs");
}
END_TEST

START_TEST(paths_are_taken_where_they_are_allowed)
{
    static const char text[] =
        "{\"model\":\"m.onnx\",\"calibration\":{\"path\":\"c.npy\",\"labels\":\"l.npy\"},"
        "\"evaluation\":\"" E "\"}";
    ck_assert_ok(job_spec_parse_text(text, strlen(text), &with_paths, arena, &spec, &err), &err);
    ck_assert_str_eq(spec.model.path, "m.onnx");
    ck_assert_ptr_null(spec.model.id);
    ck_assert_str_eq(spec.calibration.samples.path, "c.npy");
    ck_assert_str_eq(spec.calibration.labels.path, "l.npy");
    ck_assert_str_eq(spec.evaluation.samples.id, E);

    struct job_insert insert;
    ck_assert_fails(job_spec_insert(&spec, job_spec_json(&spec, NULL, arena), arena, &insert, &err),
                    &err, E_INVALID, "'m.onnx' is a path");
    ck_assert_str_eq(err.pointer, "/model");

    static const char both[] =
        "{\"model\":{\"id\":\"" M "\",\"path\":\"x\"},\"calibration\":\"" C "\"}";
    ck_assert_fails(job_spec_parse_text(both, strlen(both), &with_paths, arena, &spec, &err), &err,
                    E_INVALID, "both \"id\" and \"path\"");
    static const char empty[] = "{\"model\":{\"path\":\"\"},\"calibration\":\"" C "\"}";
    ck_assert_fails(job_spec_parse_text(empty, strlen(empty), &with_paths, arena, &spec, &err),
                    &err, E_INVALID, "the path is empty");
}
END_TEST

/* Law: what is printed parses to what prints the same, and has every row of the pipeline. */
START_TEST(a_printed_specification_is_complete_and_stable)
{
    static const char *const texts[] = {
        "{" FILES "}",
        "{\"name\":\"\\u00e4\\\"\",\"labels\":{\"a/"
        "b\":\"\"},\"priority\":100,\"memory_limit\":64," FILES ",\"evaluation\":{\"id\":\"" E
        "\",\"labels\":\"" L "\",\"scale\":0.1,\"zero_point\":3},\"seeds\":[9007199254740991,3],"
        "\"pipeline\":{\"weights\":{\"bits\":[2,4],\"init\":[\"minmax\",\"mse\"]},"
        "\"activations\":{\"bits\":[\"same\",8]},\"artifacts\":[]}}",
        "{\"model\":{\"path\":\"m\"},\"calibration\":{\"path\":\"c\",\"scale\":2}}",
        "{" FILES ",\"pipeline\":{\"layers\":[{\"match\":\"*\",\"weights\":{\"bits\":3,"
        "\"percentile\":99.5},\"activations\":{\"bits\":\"same\",\"init\":\"minmax\"}},"
        "{\"match\":\"\\u00e4\\\"\",\"skip\":false}]}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *once, *twice;
        struct json *root;
        ck_assert_ok(
            job_spec_parse_text(texts[i], strlen(texts[i]), &with_paths, arena, &spec, &err), &err);
        ck_assert_ok(job_spec_print(&spec, arena, &once, &err), &err);
        ck_assert_ok(job_spec_parse_text(once, strlen(once), &with_paths, arena, &spec, &err),
                     &err);
        ck_assert_ok(job_spec_print(&spec, arena, &twice, &err), &err);
        ck_assert_str_eq(once, twice);
        ck_assert_ok(json_parse(arena, once, strlen(once), NULL, &root, &err), &err);
        const struct json *pipeline = json_find(root, "pipeline");
        ck_assert_ptr_nonnull(json_find(json_find(pipeline, "weights"), "bits"));
        ck_assert_ptr_nonnull(json_find(json_find(pipeline, "postprocess"), "epochs"));
        ck_assert_ptr_nonnull(json_find(pipeline, "artifacts"));
        ck_assert_uint_eq(json_count(json_find(pipeline, "layers")), spec.rule_count);
        ck_assert_ptr_nonnull(json_find(root, "seeds"));
    }
}
END_TEST

START_TEST(variants_are_the_combinations_of_what_is_swept)
{
    static const struct {
        const char *choices;
        int64_t weights, activations;
    } expected[] = {
        {"{\"weights.bits\":2,\"activations.bits\":\"same\"}", 2, 0},
        {"{\"weights.bits\":2,\"activations.bits\":8}", 2, 8},
        {"{\"weights.bits\":4,\"activations.bits\":\"same\"}", 4, 0},
        {"{\"weights.bits\":4,\"activations.bits\":8}", 4, 8},
    };
    ck_assert_ok(parse("{" FILES ",\"pipeline\":{\"activations\":{\"bits\":[\"same\",8]},"
                       "\"weights\":{\"bits\":[2,4]}}}"),
                 &err);
    ck_assert_uint_eq(spec.variant_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const char *choices;
        struct pipeline pipeline = {0};
        job_spec_variant(&spec, i, &pipeline);
        ck_assert_int_eq(pipeline.weights.bits, expected[i].weights);
        ck_assert_int_eq(pipeline.activations.bits, expected[i].activations);
        ck_assert_int_eq(pipeline.activations.input_bits, 8);
        ck_assert_ok(job_spec_choices(&spec, i, false, arena, &choices, &err), &err);
        ck_assert_str_eq(choices, expected[i].choices);
        ck_assert_ok(job_spec_choices(&spec, i, true, arena, &choices, &err), &err);
        ck_assert_ptr_nonnull(strstr(choices, "\"preprocess.equalize\":\""));
        ck_assert_ptr_nonnull(strstr(choices, "\"layers\":[]"));
    }
}
END_TEST

START_TEST(the_only_variant_has_no_choices)
{
    const char *choices;
    ck_assert_ok(parse("{" FILES ",\"pipeline\":{\"weights\":{\"bits\":[4]}}}"), &err);
    ck_assert_ok(job_spec_choices(&spec, 0, false, arena, &choices, &err), &err);
    ck_assert_str_eq(choices, "{}");
    ck_assert_ok(job_spec_choices(&spec, 0, true, arena, &choices, &err), &err);
    ck_assert_ptr_nonnull(strstr(choices, "\"weights.bits\":4"));
}
END_TEST

/* What tells runs apart has the rules, too. */
START_TEST(all_choices_of_a_variant_have_the_rules)
{
    const char *choices;
    ck_assert_ok(parse("{" FILES ",\"pipeline\":{\"weights\":{\"bits\":[2,4]},\"layers\":["
                       "{\"match\":\"last\",\"weights\":{\"bits\":8}}]}}"),
                 &err);
    ck_assert_ok(job_spec_choices(&spec, 1, true, arena, &choices, &err), &err);
    ck_assert_ptr_nonnull(
        strstr(choices, "\"layers\":[{\"match\":\"last\",\"weights\":{\"bits\":8}}]"));
    ck_assert_ok(job_spec_choices(&spec, 1, false, arena, &choices, &err), &err);
    ck_assert_str_eq(choices, "{\"weights.bits\":4}");
}
END_TEST

START_TEST(a_job_for_the_store_has_all_of_the_specification)
{
    struct job_insert insert;
    ck_assert_ok(parse("{\"name\":\"n\",\"labels\":{\"a\":\"b\"},\"priority\":3," FILES
                       ",\"evaluation\":{\"id\":\"" E "\",\"labels\":\"" L "\"},\"seeds\":2,"
                       "\"pipeline\":{\"weights\":{\"bits\":[2,4]}}}"),
                 &err);
    ck_assert_ok(job_spec_insert(&spec, job_spec_json(&spec, NULL, arena), arena, &insert, &err),
                 &err);
    ck_assert_str_eq(insert.row.name, "n");
    ck_assert_int_eq(insert.row.priority, 3);
    ck_assert_str_eq(insert.row.model, M);
    ck_assert_str_eq(insert.row.calibration, C);
    ck_assert_ptr_null(insert.row.calibration_labels);
    ck_assert_str_eq(insert.row.evaluation, E);
    ck_assert_str_eq(insert.row.evaluation_labels, L);
    ck_assert_uint_eq(insert.variant_count, 2);
    ck_assert_str_eq(insert.choices[1], "{\"weights.bits\":4}");
    ck_assert_uint_eq(insert.seed_count, 2);
    ck_assert_uint_eq(insert.label_count, 1);
    ck_assert_ptr_nonnull(strstr(insert.row.spec, "\"seeds\":[0,1]"));
}
END_TEST

static bool parse_and_print(struct arena *scratch, void *context, struct error *reason)
{
    static const char text[] = "{\"name\":\"n\",\"labels\":{\"a\":\"b\"}," FILES
                               ",\"evaluation\":{\"id\":\"" E "\",\"scale\":2},\"seeds\":2,"
                               "\"pipeline\":{\"weights\":{\"bits\":[2,4]},"
                               "\"layers\":[{\"match\":\"a\",\"skip\":true}]}}";
    struct job_insert insert;
    struct job_spec parsed;
    (void)context;
    return job_spec_parse_text(text, strlen(text), &ids_only, scratch, &parsed, reason) &&
           job_spec_insert(&parsed, job_spec_json(&parsed, NULL, scratch), scratch, &insert,
                           reason);
}

/* The specifications of etc/studies name no files: what a form sends beside them. */
static const struct {
    const char *file;
    size_t variants, seeds;
} studies[] = {
    {"etc/studies/table2.json", 7 * 4, 5},   {"etc/studies/fig4.json", 7 * 2 * 2 * 2, 1},
    {"etc/studies/fig5.json", 7 * 4, 5},     {"etc/studies/fig6.json", 7 * 3 * 2, 5},
    {"etc/studies/fig7.json", 7 * 4 * 2, 5}, {"etc/studies/fig8.json", 7, 5},
    {"etc/studies/best.json", 3, 5},
};

START_TEST(the_specifications_of_the_study_are_valid)
{
    char path[1024], *text;
    size_t size;
    support_source_path(studies[_i].file, path, sizeof(path));
    ck_assert_ok(file_read(arena, path, 1 << 16, &text, &size, &err), &err);
    ck_assert_int_eq(text[0], '{');
    ck_assert_ok(parse(arena_printf(arena, &err, "{" FILES ",%s", text + 1)), &err);
    ck_assert_uint_eq(spec.variant_count, studies[_i].variants);
    ck_assert_uint_eq(spec.seed_count, studies[_i].seeds);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    ck_assert_uint_gt(support_fail_each_allocation(parse_and_print, NULL), 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spec");
    TCase *cases = tcase_create("spec");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_model_and_a_calibration_set_are_enough);
    tcase_add_test(cases, every_field_is_read);
    tcase_add_test(cases, a_number_of_seeds_counts_from_0);
    tcase_add_test(cases, ids_are_written_in_lower_case);
    tcase_add_test(cases, errors_name_field_value_and_rule);
    tcase_add_test(cases, rules_between_rows_are_checked_in_every_variant);
    tcase_add_test(cases, rules_for_layers_are_read_in_their_order);
    tcase_add_test(cases, a_pipeline_has_a_limit_of_rules);
    tcase_add_test(cases, names_and_labels_have_limits);
    tcase_add_test(cases, too_many_variants_or_runs_are_refused);
    tcase_add_test(cases, paths_are_taken_where_they_are_allowed);
    tcase_add_test(cases, a_printed_specification_is_complete_and_stable);
    tcase_add_test(cases, variants_are_the_combinations_of_what_is_swept);
    tcase_add_test(cases, the_only_variant_has_no_choices);
    tcase_add_test(cases, all_choices_of_a_variant_have_the_rules);
    tcase_add_test(cases, a_job_for_the_store_has_all_of_the_specification);
    tcase_add_loop_test(cases, the_specifications_of_the_study_are_valid, 0,
                        (int)(sizeof(studies) / sizeof(studies[0])));
    tcase_add_test(cases, every_allocation_may_fail);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
