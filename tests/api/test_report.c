/* Reports: the numbers over seeds, what failed runs do to them, and the three forms of the text. */

#include "ptqd/api/report.h"
#include "ptqd/api/result.h"

#include "support.h"

#include <math.h>
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

static const char *result(double accuracy, double seconds)
{
    struct cost cost = {.macs = 1000,
                        .bops = 16e6,
                        .bops_extended = 17e6,
                        .weight_bytes = 2048,
                        .flash_bytes = 2100,
                        .peak_bytes = 3 << 20,
                        .peak_layer = "a \"strange\", name"};
    struct run_result run = {.float_accuracy = 0.95,
                             .accuracy = accuracy,
                             .loss = 0.95 - accuracy,
                             .agreement = 0.5,
                             .output_sqnr_db = 20,
                             .float_cost = cost,
                             .cost = cost,
                             .seconds = seconds};
    const char *text = result_print(&run, arena, &err);
    ck_assert_ok(text != NULL, &err);
    return text;
}

/* Golden: python3 -c "import statistics as s; print(s.mean(x), s.stdev(x))". */
START_TEST(mean_and_sample_deviation_are_right)
{
    const double values[] = {0.91, 0.89, 0.93, (double)NAN, 0.90};
    struct report_statistic statistic = report_statistic(values, 5);
    ck_assert_uint_eq(statistic.count, 4);
    ck_assert_double_eq_tol(statistic.mean, 0.9075, 1e-15);
    ck_assert_double_eq_tol(statistic.deviation, 0.01707825127659934, 1e-15);
    statistic = report_statistic(values, 1);
    ck_assert_double_eq_tol(statistic.mean, 0.91, 1e-15);
    ck_assert_double_nan(statistic.deviation);
    statistic = report_statistic(values + 3, 1);
    ck_assert_uint_eq(statistic.count, 0);
    ck_assert_double_nan(statistic.mean);
}
END_TEST

/* Two variants of three seeds; one run of the second failed, one has not run. */
static struct report make_report(void)
{
    struct report_run runs[] = {
        {"r0", 0, "{\"weights.bits\":4}", result(0.90, 1), false},
        {"r1", 0, "{\"weights.bits\":4}", result(0.92, 2), false},
        {"r2", 0, "{\"weights.bits\":4}", result(0.94, 3), false},
        {"r3", 1, "{\"weights.bits\":8}", result(0.95, 4), false},
        {"r4", 1, "{\"weights.bits\":8}", NULL, true},
        {"r5", 1, "{\"weights.bits\":8}", NULL, false},
    };
    struct report report;
    ck_assert_ok(report_create(arena, "j1", runs, 6, &report, &err), &err);
    return report;
}

START_TEST(runs_are_aggregated_per_variant)
{
    struct report report = make_report();
    ck_assert_uint_eq(report.variant_count, 2);
    ck_assert_double_eq_tol(report.float_accuracy, 0.95, 1e-15);
    const struct report_variant *first = &report.variants[0], *second = &report.variants[1];
    ck_assert_str_eq(first->id, "v000");
    ck_assert_double_eq_tol(first->accuracy.mean, 0.92, 1e-12);
    ck_assert_double_eq_tol(first->accuracy.deviation, 0.02, 1e-12);
    ck_assert_double_eq_tol(first->loss.mean, 0.03, 1e-12);
    ck_assert_double_eq_tol(first->seconds.mean, 2, 1e-12);
    ck_assert_uint_eq(second->run_count, 3);
    ck_assert_uint_eq(second->succeeded, 1);
    ck_assert_uint_eq(second->failed, 1);
    ck_assert_uint_eq(second->accuracy.count, 1);
    ck_assert_double_nan(second->accuracy.deviation);
}
END_TEST

START_TEST(the_json_has_every_member_of_the_design)
{
    struct report report = make_report();
    const struct json *object = report_json(&report, arena);
    const struct json *second = json_next(json_first(json_find(object, "variants")));
    static const char *const members[] = {"id",        "choices", "accuracy", "loss",
                                          "agreement", "cost",    "seconds",  "runs"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        ck_assert_msg(json_find(second, members[i]) != NULL, "%s", members[i]);
    static const char *const costs[] = {"macs",         "bops",        "bops_extended",
                                        "weight_bytes", "flash_bytes", "peak_bytes",
                                        "peak_layer"};
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++)
        ck_assert_msg(json_find(json_find(second, "cost"), costs[i]) != NULL, "%s", costs[i]);
    ck_assert_int_eq(json_type(json_find(json_find(second, "accuracy"), "std")), JSON_NULL);
    ck_assert_uint_eq(json_count(json_find(second, "runs")), 3);
    ck_assert_ptr_nonnull(json_find(json_find(object, "float"), "cost"));
    ck_assert_ptr_nonnull(json_print_string(object, arena, NULL, &err));
}
END_TEST

static const char *print(bool (*form)(const struct report *report, struct text *text,
                                      struct error *err),
                         const struct report *report)
{
    struct text text;
    text_init(&text, 1 << 20);
    ck_assert_ok(form(report, &text, &err), &err);
    const char *copy = text_dup(&text, arena, &err);
    text_finish(&text);
    return copy;
}

START_TEST(csv_quotes_and_leaves_unknown_numbers_empty)
{
    struct report report = make_report();
    const char *csv = print(report_csv, &report);
    ck_assert_msg(support_contains(csv, "variant,weights.bits,accuracy_mean,accuracy_std,n,failed"),
                  "%s", csv);
    ck_assert_msg(support_contains(csv, "\r\nv001,8,0.95,,1,1,"), "%s", csv);
    ck_assert_msg(support_contains(csv, ",\"a \"\"strange\"\", name\"\r\n"), "%s", csv);
}
END_TEST

/* Law: every line of the table has the same number of columns and the same width. */
START_TEST(markdown_is_aligned)
{
    struct report report = make_report();
    const char *table = print(report_markdown, &report);
    ck_assert_msg(support_contains(table, "| 92.00 ± 2.00 | 3.00 ± 2.00 |"), "%s", table);
    ck_assert_msg(support_contains(table, "| 1 of 3 |"), "%s", table);
    ck_assert_msg(support_contains(table, "| 16.0 M | 2.00 KiB | 3.00 MiB "), "%s", table);
    size_t first_width = 0, first_bars = 0, lines = 0;
    for (const char *line = table; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        size_t width = 0, bars = 0;
        for (const char *c = line; *c != '\n'; c++) {
            width += ((unsigned char)*c & 0xc0) != 0x80;
            bars += *c == '|';
        }
        first_width = lines == 0 ? width : first_width;
        first_bars = lines == 0 ? bars : first_bars;
        ck_assert_uint_eq(width, first_width);
        ck_assert_uint_eq(bars, first_bars);
    }
    ck_assert_uint_eq(lines, 5);
}
END_TEST

START_TEST(a_job_without_results_has_a_report)
{
    const struct report_run run = {"r0", 0, "{}", NULL, true};
    struct report report;
    ck_assert_ok(report_create(arena, "j1", &run, 1, &report, &err), &err);
    ck_assert_double_nan(report.float_accuracy);
    ck_assert_msg(support_contains(print(report_markdown, &report), "| 0 of 1 |"), "no line");
    ck_assert_ptr_nonnull(print(report_csv, &report));
    ck_assert_ok(report_create(arena, "j1", NULL, 0, &report, &err), &err);
    ck_assert_uint_eq(report.variant_count, 0);
    ck_assert_ptr_nonnull(print(report_markdown, &report));
}
END_TEST

/* Law: what is not known is null in the text and NaN when read; the rest reads back exactly. */
START_TEST(results_read_back)
{
    struct result_summary summary;
    ck_assert_ok(result_read(result(1.0 / 3, 0.1), arena, &summary, &err), &err);
    ck_assert(summary.accuracy == 1.0 / 3 && summary.seconds == 0.1);
    ck_assert_ok(result_read(result((double)NAN, 0.1), arena, &summary, &err), &err);
    ck_assert_double_nan(summary.accuracy);
    ck_assert_double_nan(summary.loss);
    ck_assert_fails(result_read("{}", arena, &summary, &err), &err, E_INVALID,
                    "the field \"float_accuracy\" is missing");
}
END_TEST

static bool make_and_print(struct arena *memory, void *context, struct error *error)
{
    const struct report_run *run = context;
    struct report report;
    return report_create(memory, "j1", run, 1, &report, error) &&
           json_print_string(report_json(&report, memory), memory, NULL, error) != NULL;
}

START_TEST(each_failed_allocation_is_reported)
{
    struct report_run run = {"r0", 0, "{\"weights.bits\":4}", result(0.9, 1), false};
    ck_assert_uint_ge(support_fail_each_allocation(make_and_print, &run), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tcase = tcase_create("report");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, mean_and_sample_deviation_are_right);
    tcase_add_test(tcase, runs_are_aggregated_per_variant);
    tcase_add_test(tcase, the_json_has_every_member_of_the_design);
    tcase_add_test(tcase, csv_quotes_and_leaves_unknown_numbers_empty);
    tcase_add_test(tcase, markdown_is_aligned);
    tcase_add_test(tcase, a_job_without_results_has_a_report);
    tcase_add_test(tcase, results_read_back);
    tcase_add_test(tcase, each_failed_allocation_is_reported);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
