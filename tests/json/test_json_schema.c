/* Tables of members and parameters as JSON Schema. */

#include "ptqd/json/json_schema.h"

#include "support.h"

#include <string.h>

static const char *const colours[] = {"red", "blue", NULL};

static const struct param rows[] = {
    {.name = "weights.bits",
     .type = PARAM_INT,
     .default_text = "4",
     .min = 2,
     .max = 8,
     .also = 32,
     .unit = "",
     .help = "Width.",
     .sweep = true},
    {.name = "colour",
     .type = PARAM_CHOICE,
     .default_text = "red",
     .choices = colours,
     .unit = "",
     .help = "Paint."},
    {.name = "weights.share",
     .type = PARAM_REAL,
     .default_text = "auto",
     .special = "auto",
     .min = 0.5,
     .max = 1,
     .unit = "",
     .help = "Part."},
};
static const struct param_table table = {"rows", rows, sizeof(rows) / sizeof(rows[0])};

static const struct param_table *rows_table(void)
{
    return &table;
}

static const struct schema_member leaf_members[] = {
    {"id", .type = SCHEMA_ID},
    {0},
};
static const struct schema leaf = {.name = "Leaf", .help = "A leaf", .members = leaf_members};

static const struct schema_member tree_members[] = {
    {"colour", .type = SCHEMA_STRING, .choices = colours, .null = true},
    {"leaves", .type = SCHEMA_OBJECT, .of = &leaf, .list = true, .optional = true},
    {"ages", .type = SCHEMA_INTEGER, .or_list = true, .help = "In years"},
    {"names", .type = SCHEMA_STRING, .map = true},
    {"first", .type = SCHEMA_TIME, .of = &leaf},
    {0},
};
static const struct schema tree = {
    .name = "Tree", .help = "A tree", .members = tree_members, .base = &leaf};

static const struct schema settings = {.name = "Settings", .help = "All", .params = rows_table};
static const struct schema some = {
    .name = "Some", .help = "Some", .params = rows_table, .given = true};

#define BITS "{\"type\":\"integer\",\"minimum\":2,\"maximum\":8},{\"const\":32}"
#define WEIGHTS                                                                                    \
    "\"weights\":{\"type\":\"object\",\"properties\":{\"bits\":{\"anyOf\":[{\"anyOf\":[" BITS      \
    "]},{\"type\":\"array\",\"minItems\":1,\"items\":{\"anyOf\":[" BITS "]}}],"                    \
    "\"description\":\"Width.\",\"default\":4},"                                                   \
    "\"share\":{\"anyOf\":[{\"type\":\"number\",\"minimum\":0.5,\"maximum\":1},"                   \
    "{\"const\":\"auto\"}],\"description\":\"Part.\",\"default\":\"auto\"}},"
#define COLOUR                                                                                     \
    "\"colour\":{\"type\":\"string\",\"enum\":[\"red\",\"blue\"],\"description\":\"Paint.\","      \
    "\"default\":\"red\"}"

static const struct {
    const struct schema *schema;
    const char *text;
} printed[] = {
    {&leaf, "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\","
            "\"pattern\":\"^sha256:[0-9a-f]{64}$\"}},\"required\":[\"id\"],"
            "\"additionalProperties\":false,\"description\":\"A leaf\"}"},
    {&tree, "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\","
            "\"pattern\":\"^sha256:[0-9a-f]{64}$\"},"
            "\"colour\":{\"anyOf\":[{\"type\":\"string\",\"enum\":[\"red\",\"blue\"]},"
            "{\"type\":\"null\"}]},"
            "\"leaves\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Leaf\"}},"
            "\"ages\":{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"array\","
            "\"items\":{\"type\":\"integer\"}}],\"description\":\"In years\"},"
            "\"names\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
            "\"first\":{\"anyOf\":[{\"type\":\"string\",\"format\":\"date-time\"},"
            "{\"$ref\":\"#/components/schemas/Leaf\"}]}},"
            "\"required\":[\"id\",\"colour\",\"ages\",\"names\",\"first\"],"
            "\"additionalProperties\":false,\"description\":\"A tree\"}"},
    {&settings, "{\"type\":\"object\",\"properties\":{" WEIGHTS
                "\"required\":[\"bits\",\"share\"],\"additionalProperties\":false}," COLOUR
                "},\"required\":[\"weights\",\"colour\"],\"additionalProperties\":false,"
                "\"description\":\"All\"}"},
    {&some, "{\"type\":\"object\",\"properties\":{" WEIGHTS
            "\"required\":[],\"additionalProperties\":false}," COLOUR
            "},\"required\":[],\"additionalProperties\":false,\"description\":\"Some\"}"},
};

START_TEST(a_table_is_printed_as_a_schema)
{
    struct error err = {.message = ""};
    struct arena *arena = arena_create(0);
    struct json *object = json_object(arena);
    json_schema_print(object, "schema", printed[_i].schema);
    const char *text = json_print_string(object, arena, NULL, &err);
    ck_assert_ok(text != NULL, &err);
    ck_assert_str_eq(text, arena_printf(arena, NULL, "{\"schema\":%s}", printed[_i].text));
    arena_destroy(arena);
}
END_TEST

static bool print(struct arena *arena, void *context, struct error *err)
{
    (void)context;
    struct json *object = json_object(arena);
    json_schema_print(object, "tree", &tree);
    json_schema_print(object, "settings", &settings);
    return json_print_string(object, arena, NULL, err) != NULL;
}

START_TEST(memory_that_runs_out_is_noticed_when_it_is_printed)
{
    ck_assert_uint_gt(support_fail_each_allocation(print, NULL), 50);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_schema");
    TCase *tcase = tcase_create("json_schema");
    tcase_add_loop_test(tcase, a_table_is_printed_as_a_schema, 0,
                        (int)(sizeof(printed) / sizeof(printed[0])));
    tcase_add_test(tcase, memory_that_runs_out_is_noticed_when_it_is_printed);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
