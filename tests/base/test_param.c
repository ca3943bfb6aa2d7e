#include "ptqd/base/param.h"

#include "support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One row of each type and each peculiarity; the laws below loop over the rows. */
enum fruit { APPLE, BANANA, CHERRY };
static const char *const fruits[] = {"apple", "banana", "cherry", NULL};

struct basket {
    int64_t bits;
    int64_t same;
    int64_t wide;
    int64_t huge;
    double share;
    double scale;
    double rate;
    bool fresh;
    const char *label;
    int fruit;
    uint64_t set;
    int64_t required;
};

#define FIELD(name) offsetof(struct basket, name)

static const struct param rows[] = {
    {.name = "weights.bits",
     .type = PARAM_INT,
     .default_text = "4",
     .min = 2,
     .max = 8,
     .unit = "bits",
     .help = "Width.",
     .offset = FIELD(bits),
     .sweep = true},
    {.name = "activations.bits",
     .type = PARAM_INT,
     .default_text = "same",
     .min = 2,
     .max = 8,
     .also = 32,
     .special = "same",
     .unit = "bits",
     .help = "Width.",
     .offset = FIELD(same),
     .sweep = true},
    {.name = "wide",
     .type = PARAM_INT,
     .default_text = "32",
     .min = 2,
     .max = 8,
     .also = 32,
     .unit = "bits",
     .help = "Width.",
     .offset = FIELD(wide)},
    {.name = "huge",
     .type = PARAM_INT,
     .default_text = "-9007199254740991",
     .min = -9007199254740991.0,
     .max = 9007199254740991.0,
     .unit = "",
     .help = "Wide.",
     .offset = FIELD(huge)},
    {.name = "share",
     .type = PARAM_REAL,
     .default_text = "0.1",
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "Part.",
     .offset = FIELD(share),
     .sweep = true},
    {.name = "scale",
     .type = PARAM_REAL,
     .default_text = "1e-300",
     .min = -DBL_MAX,
     .max = DBL_MAX,
     .unit = "",
     .help = "Factor.",
     .offset = FIELD(scale)},
    {.name = "rate",
     .type = PARAM_REAL,
     .default_text = "auto",
     .min = 1e-8,
     .max = 1,
     .special = "auto",
     .unit = "",
     .help = "Step size.",
     .offset = FIELD(rate),
     .sweep = true},
    {.name = "fresh",
     .type = PARAM_BOOL,
     .default_text = "true",
     .unit = "",
     .help = "Fresh.",
     .offset = FIELD(fresh)},
    {.name = "label",
     .type = PARAM_TEXT,
     .default_text = "a label",
     .min = 1,
     .max = 10,
     .unit = "bytes",
     .help = "Name.",
     .offset = FIELD(label)},
    {.name = "fruit",
     .type = PARAM_CHOICE,
     .default_text = "banana",
     .choices = fruits,
     .unit = "",
     .help = "Fruit.",
     .offset = FIELD(fruit),
     .sweep = true},
    {.name = "set",
     .type = PARAM_SET,
     .default_text = "apple,cherry",
     .choices = fruits,
     .unit = "",
     .help = "Fruits.",
     .offset = FIELD(set)},
    {.name = "required",
     .type = PARAM_INT,
     .min = 1,
     .max = 3,
     .unit = "",
     .help = "Needed.",
     .offset = FIELD(required)},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct param_table table = {.name = "basket", .rows = rows, .count = ROWS};

/* Values that each row accepts, and texts that it refuses. */
static const struct {
    const char *name;
    const char *accepted[9];
    const char *refused[9]; /* NULL after the last */
} samples[] = {
    {"weights.bits", {"2", "3", "8"}, {"1", "9", "-4", "0", "", "4.0", "four", "same"}},
    {"activations.bits", {"same", "2", "8", "32"}, {"1", "9", "31", "33", "-1", "0", "Same", ""}},
    {"wide", {"2", "8", "32"}, {"0", "1", "9", "31", "33"}},
    {"huge", {"0", "-9007199254740991", "9007199254740991"}, {"9007199254740993", "1e3"}},
    {"share", {"0", "1", "0.1", "0.30000000000000004", "1e-320"}, {"-0.1", "1.1", "nan", "inf"}},
    {"scale", {"1e308", "-1e-308", "3.141592653589793"}, {"1e309", "", "x"}},
    {"rate", {"auto", "1e-08", "1"}, {"-0.1", "0", "-0.0", "1e-9", "1.1", "nan", "Auto", ""}},
    {"fresh", {"true", "false"}, {"maybe", ""}},
    {"label", {"a", "0123456789", " "}, {"", "01234567890"}},
    {"fruit", {"apple", "banana", "cherry"}, {"pear", "", "Apple", "apple,banana"}},
    {"set",
     {"", "apple", "apple,banana", "apple,banana,cherry", "cherry"},
     {"pear", "apple,pear", ",", "apple,", "apple,,cherry", "apple cherry"}},
    {"required", {"1", "2", "3"}, {"0", "4"}},
};

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

START_TEST(every_row_has_samples_and_is_found_by_name)
{
    ck_assert_uint_eq(sizeof(samples) / sizeof(samples[0]), ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_str_eq(samples[i].name, rows[i].name);
        ck_assert_ptr_eq(param_find(&table, rows[i].name), &rows[i]);
    }
    ck_assert_ptr_null(param_find(&table, "weights"));
    ck_assert_ptr_null(param_find(&table, ""));
}
END_TEST

/* Law: parse, then print, then parse gives the value back, and the text when it is canonical. */
START_TEST(accepted_values_read_back)
{
    for (size_t i = 0; i < ROWS; i++) {
        for (const char *const *text = samples[i].accepted; *text != NULL; text++) {
            struct param_value value;
            struct param_value again;
            char printed[64];
            ck_assert_ok(param_parse(&rows[i], *text, arena, &value, &err), &err);
            ck_assert_ok(param_check(&rows[i], &value, true, &err), &err);
            param_print(&rows[i], &value, printed, sizeof(printed));
            ck_assert_ok(param_parse(&rows[i], printed, arena, &again, &err), &err);
            ck_assert(param_equal(&value, &again));
            if (rows[i].type != PARAM_REAL)
                ck_assert_str_eq(printed, *text);
        }
    }
}
END_TEST

START_TEST(real_numbers_print_short)
{
    const struct param *share = param_find(&table, "share");
    char printed[64];
    param_print(share, &(struct param_value){.type = PARAM_REAL, .real = 0.1}, printed, 64);
    ck_assert_str_eq(printed, "0.1");
    param_print(share, &(struct param_value){.type = PARAM_REAL, .real = 0.1 + 0.2}, printed, 64);
    ck_assert_str_eq(printed, "0.30000000000000004");
}
END_TEST

/* Law: a refusal is E_INVALID, names the row, and leaves the output alone. */
START_TEST(refused_values_name_the_row)
{
    for (size_t i = 0; i < ROWS; i++) {
        for (const char *const *text = samples[i].refused; *text != NULL; text++) {
            struct param_value value = {.type = PARAM_BOOL, .set = 12345};
            ck_assert_fails(param_parse(&rows[i], *text, arena, &value, &err), &err, E_INVALID,
                            rows[i].name);
            ck_assert_uint_eq(value.set, 12345);
        }
    }
}
END_TEST

START_TEST(messages_have_value_rule_and_row)
{
    static const struct {
        const char *row;
        const char *text;
        const char *message;
    } messages[] = {
        {"weights.bits", "9", "weights.bits is 9; 2 to 8 are supported"},
        {"weights.bits", "x", "weights.bits is \"x\"; a whole number (bits) is expected"},
        {"activations.bits", "9", "activations.bits is 9; 2 to 8, 32 and \"same\" are supported"},
        {"wide", "9", "wide is 9; 2 to 8 and 32 are supported"},
        {"activations.bits", "x",
         "activations.bits is \"x\"; a whole number (bits) or \"same\" is expected"},
        {"share", "1.5", "share is 1.5; 0 to 1 are supported"},
        {"rate", "2", "rate is 2; 1e-08 to 1 and \"auto\" are supported"},
        {"rate", "fast", "rate is \"fast\"; a number or \"auto\" is expected"},
        {"label", "", "label has 0 bytes; 1 to 10 are supported"},
        {"fruit", "pear", "fruit is \"pear\"; the choices are apple, banana, cherry"},
        {"set", "apple,pear", "set is \"pear\"; the choices are apple, banana, cherry"},
        {"fresh", "x", "fresh is \"x\"; true or false is expected"},
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct param_value value;
        ck_assert(!param_parse(param_find(&table, messages[i].row), messages[i].text, arena, &value,
                               &err));
        ck_assert_str_eq(err.message, messages[i].message);
    }
}
END_TEST

/* Law: a value that came from elsewhere than text is held to the same rules. */
START_TEST(values_outside_their_rows_are_refused)
{
    static const struct {
        const char *row;
        struct param_value value;
    } wrong[] = {
        {"weights.bits", {.type = PARAM_INT, .integer = 0}},
        {"weights.bits", {.type = PARAM_INT, .integer = INT64_MAX}},
        {"share", {.type = PARAM_REAL, .real = (double)NAN}},
        {"share", {.type = PARAM_REAL, .real = HUGE_VAL}},
        {"fruit", {.type = PARAM_CHOICE, .choice = -1}},
        {"fruit", {.type = PARAM_CHOICE, .choice = 3}},
        {"set", {.type = PARAM_SET, .set = 8}},
        {"label", {.type = PARAM_TEXT, .text = ""}},
        {"weights.bits", {.type = PARAM_REAL, .real = 4.0}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_fails(param_check(param_find(&table, wrong[i].row), &wrong[i].value, true, &err),
                        &err, E_INVALID, wrong[i].row);
}
END_TEST

/* Law: what is stored in an object loads again, and touches no other field. */
START_TEST(stored_values_load_again)
{
    for (size_t i = 0; i < ROWS; i++) {
        for (const char *const *text = samples[i].accepted; *text != NULL; text++) {
            struct basket basket;
            struct basket untouched;
            memset(&basket, 0xa5, sizeof(basket));
            memset(&untouched, 0xa5, sizeof(untouched));
            struct param_value value;
            ck_assert_ok(param_parse(&rows[i], *text, arena, &value, &err), &err);
            param_store(&rows[i], &value, &basket);
            struct param_value loaded = param_load(&rows[i], &basket);
            ck_assert(param_equal(&value, &loaded));

            size_t end = i + 1 < ROWS ? rows[i + 1].offset : sizeof(basket);
            ck_assert_mem_eq(&basket, &untouched, rows[i].offset);
            ck_assert_mem_eq((char *)&basket + end, (char *)&untouched + end, sizeof(basket) - end);
        }
    }
}
END_TEST

START_TEST(defaults_fill_the_object)
{
    struct basket basket = {.required = 77};
    ck_assert_ok(param_defaults(&table, arena, &basket, &err), &err);
    ck_assert_int_eq(basket.bits, 4);
    ck_assert_int_eq(basket.same, 0);
    ck_assert_int_eq(basket.huge, -9007199254740991);
    ck_assert(basket.share == 0.1 && basket.scale == 1e-300);
    ck_assert(basket.fresh);
    ck_assert_str_eq(basket.label, "a label");
    ck_assert_int_eq(basket.fruit, BANANA);
    ck_assert_uint_eq(basket.set, 1 << APPLE | 1 << CHERRY);
    ck_assert_int_eq(basket.required, 77);
}
END_TEST

START_TEST(a_default_that_breaks_its_rule_is_a_bug)
{
    struct param wrong = rows[0];
    wrong.default_text = "9";
    struct param_table wrong_table = {.name = "wrong", .rows = &wrong, .count = 1};
    struct basket basket;
    ck_assert_fails(param_defaults(&wrong_table, arena, &basket, &err), &err, E_INTERNAL,
                    "table 'wrong'");
}
END_TEST

START_TEST(printing_is_cut_at_the_size)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct param_value value;
        char whole[64];
        ck_assert_ok(param_parse(&rows[i], samples[i].accepted[1], arena, &value, &err), &err);
        param_print(&rows[i], &value, whole, sizeof(whole));
        for (size_t size = 1; size < sizeof(whole); size++) {
            char part[64];
            memset(part, '#', sizeof(part));
            param_print(&rows[i], &value, part, size);
            size_t kept = strlen(whole) < size ? strlen(whole) : size - 1;
            ck_assert_uint_eq(strlen(part), kept);
            ck_assert(rows[i].type == PARAM_REAL || strncmp(part, whole, kept) == 0);
            ck_assert_int_eq(part[size], '#');
        }
    }
}
END_TEST

static int sign_of(int number)
{
    return (number > 0) - (number < 0);
}

/* Law: values of different types or contents differ, one way round or the other, and a value equals
 * itself. */
START_TEST(equality_is_by_type_and_value)
{
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < ROWS; j++) {
            struct param_value a;
            struct param_value b;
            ck_assert_ok(param_parse(&rows[i], samples[i].accepted[0], arena, &a, &err), &err);
            ck_assert_ok(param_parse(&rows[j], samples[j].accepted[1], arena, &b, &err), &err);
            ck_assert(param_equal(&a, &a));
            ck_assert_int_eq(sign_of(param_compare(&a, &b)), -sign_of(param_compare(&b, &a)));
            ck_assert(!param_equal(&a, &b) || (i != j && rows[i].type == rows[j].type));
        }
    }
}
END_TEST

static void fill_list(struct param_sweep *sweep, const char *row, const char *const *texts,
                      size_t count)
{
    const struct param *param = param_find(&table, row);
    struct param_list *list = &sweep->rows[param - rows];
    list->values = ARENA_ARRAY(arena, struct param_value, count, &err);
    list->count = count;
    for (size_t i = 0; i < count; i++)
        ck_assert_ok(param_parse(param, texts[i], arena, &list->values[i], &err), &err);
}

START_TEST(a_sweep_starts_from_the_defaults)
{
    struct param_sweep sweep;
    struct basket swept = {0};
    struct basket plain = {0};
    size_t count;
    ck_assert_ok(param_sweep_create(&table, arena, &sweep, &err), &err);
    ck_assert_fails(param_sweep_count(&sweep, 100, &count, &err), &err, E_INVALID,
                    "required must be given");
    fill_list(&sweep, "required", (const char *const[]){"2"}, 1);
    ck_assert_ok(param_sweep_count(&sweep, 1, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    param_sweep_store(&sweep, 0, &swept);
    ck_assert_ok(param_defaults(&table, arena, &plain, &err), &err);
    plain.required = 2;
    for (size_t i = 0; i < ROWS; i++) {
        struct param_value a = param_load(&rows[i], &swept);
        struct param_value b = param_load(&rows[i], &plain);
        ck_assert(param_equal(&a, &b));
    }
}
END_TEST

/* Law: the combinations are all different, as many as the product of the lists, and the last row
 * varies fastest. */
START_TEST(a_sweep_makes_every_combination_once)
{
    static const char *const bits[] = {"2", "3", "4", "8"};
    struct param_sweep sweep;
    size_t count;
    ck_assert_ok(param_sweep_create(&table, arena, &sweep, &err), &err);
    fill_list(&sweep, "required", (const char *const[]){"1", "3"}, 2);
    fill_list(&sweep, "weights.bits", bits, 4);
    fill_list(&sweep, "fruit", fruits, 3);
    ck_assert_ok(param_sweep_count(&sweep, 24, &count, &err), &err);
    ck_assert_uint_eq(count, 24);
    for (size_t i = 0; i < count; i++) {
        struct basket basket;
        param_sweep_store(&sweep, i, &basket);
        ck_assert_int_eq(basket.required, i % 2 == 0 ? 1 : 3);
        ck_assert_int_eq(basket.fruit, (int)(i / 2 % 3));
        ck_assert_int_eq(basket.bits, bits[i / 6][0] - '0');
    }
    ck_assert_fails(param_sweep_count(&sweep, 23, &count, &err), &err, E_TOO_LARGE,
                    "more than 23 combinations");
}
END_TEST

START_TEST(a_sweep_of_more_than_all_numbers_is_refused)
{
    static const char *const one = "apple";
    struct param many[40];
    for (size_t i = 0; i < 40; i++) {
        many[i] = *param_find(&table, "fruit");
        many[i].default_text = one;
    }
    struct param_table wide = {.name = "wide", .rows = many, .count = 40};
    struct param_sweep sweep;
    size_t count = 5;
    ck_assert_ok(param_sweep_create(&wide, arena, &sweep, &err), &err);
    for (size_t i = 0; i < 40; i++)
        sweep.rows[i].count = 1000; /* 10^120 */
    ck_assert_fails(param_sweep_count(&sweep, SIZE_MAX, &count, &err), &err, E_TOO_LARGE, "'wide'");
    ck_assert_uint_eq(count, 5);
}
END_TEST

static bool make_sweep_and_defaults(struct arena *failing, void *context, struct error *error)
{
    (void)context;
    struct param_sweep sweep;
    struct basket basket;
    return param_sweep_create(&table, failing, &sweep, error) &&
           param_defaults(&table, failing, &basket, error);
}

START_TEST(every_allocation_can_fail_cleanly)
{
    ck_assert_uint_eq(support_fail_each_allocation(make_sweep_and_defaults, NULL), 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("param");
    TCase *cases = tcase_create("param");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, every_row_has_samples_and_is_found_by_name);
    tcase_add_test(cases, accepted_values_read_back);
    tcase_add_test(cases, real_numbers_print_short);
    tcase_add_test(cases, refused_values_name_the_row);
    tcase_add_test(cases, messages_have_value_rule_and_row);
    tcase_add_test(cases, values_outside_their_rows_are_refused);
    tcase_add_test(cases, stored_values_load_again);
    tcase_add_test(cases, defaults_fill_the_object);
    tcase_add_test(cases, a_default_that_breaks_its_rule_is_a_bug);
    tcase_add_test(cases, printing_is_cut_at_the_size);
    tcase_add_test(cases, equality_is_by_type_and_value);
    tcase_add_test(cases, a_sweep_starts_from_the_defaults);
    tcase_add_test(cases, a_sweep_makes_every_combination_once);
    tcase_add_test(cases, a_sweep_of_more_than_all_numbers_is_refused);
    tcase_add_test(cases, every_allocation_can_fail_cleanly);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
