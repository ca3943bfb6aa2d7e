/* Reports: the numbers over seeds, what failed runs do to them, and the three forms of the text. */

#include "ptqd/api/report.h"
#include "ptqd/api/result.h"

#include "support.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static const char *peak_layer; /* of every result */

static void setup(void)
{
    arena = arena_create(0);
    peak_layer = "a \"strange\", name";
    err = (struct error){0};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* What a run may differ in. */
struct outcome {
    double accuracy, agreement, seconds, bops;
    int64_t peak_bytes;
};

static const char *result_of(const struct outcome *outcome)
{
    struct cost cost = {.macs = 1000,
                        .bops = outcome->bops,
                        .bops_extended = 17e6,
                        .weight_bytes = 2048,
                        .flash_bytes = 2100,
                        .peak_bytes = outcome->peak_bytes,
                        .peak_layer = peak_layer};
    struct run_result run = {.float_accuracy = 0.95,
                             .accuracy = outcome->accuracy,
                             .loss = 0.95 - outcome->accuracy,
                             .agreement = outcome->agreement,
                             .output_sqnr_db = 20,
                             .float_cost = cost,
                             .cost = cost,
                             .seconds = outcome->seconds};
    const char *text = result_print(&run, arena, &err);
    ck_assert_ok(text != NULL, &err);
    return text;
}

static const char *result(double accuracy, double seconds)
{
    const struct outcome outcome = {.accuracy = accuracy,
                                    .agreement = 0.5,
                                    .seconds = seconds,
                                    .bops = 16e6,
                                    .peak_bytes = 3 << 20};
    return result_of(&outcome);
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
    ck_assert_msg(support_contains(csv, ",\"a \"\"strange\"\", name\",true,true\r\n"), "%s", csv);
    ck_assert_msg(support_contains(csv, ",peak_layer,pareto_bops,pareto_peak_bytes\r\n"), "%s",
                  csv);
    ck_assert_msg(support_contains(csv, "name\",,\r\nv000"), "the float network is not ranked: %s",
                  csv);
}
END_TEST

/* Law: what a network calls its layers is no formula to a spreadsheet. */
START_TEST(csv_has_no_formulas)
{
    static const char *const names[][2] = {{"=1+1", ",\"'=1+1\","},
                                           {"+a\"", ",\"'+a\"\"\","},
                                           {"-1,2", ",\"'-1,2\","},
                                           {"@SUM", ",\"'@SUM\","},
                                           {"a=1", ",a=1,"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        peak_layer = names[i][0];
        struct report report = make_report();
        const char *csv = print(report_csv, &report);
        ck_assert_msg(support_contains(csv, names[i][1]), "%s", csv);
    }
}
END_TEST

/* Law: every line of the table, up to the empty one before the legend, has the same number of
 * columns and the same width. */
START_TEST(markdown_is_aligned)
{
    struct report report = make_report();
    const char *table = print(report_markdown, &report);
    ck_assert_msg(support_contains(table, "| 92.00 ± 2.00 | 3.00 ± 2.00 |"), "%s", table);
    ck_assert_msg(support_contains(table, "| 1 of 3 |"), "%s", table);
    ck_assert_msg(support_contains(table, "| 16.0 M   | 2.00 KiB | 3.00 MiB    |"), "%s", table);
    ck_assert_msg(support_contains(table, "| 16.0 M * | 2.00 KiB | 3.00 MiB *  |"), "%s", table);
    ck_assert_msg(support_contains(table, "|\n\nCosts that end in * "), "%s", table);
    ck_assert_msg(support_contains(table, "at least this accuracy for less"), "%s", table);
    size_t first_width = 0, first_bars = 0, lines = 0;
    for (const char *line = table; *line != '\n'; line = strchr(line, '\n') + 1, lines++) {
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
    const char *table = print(report_markdown, &report);
    ck_assert_msg(support_contains(table, "| 0 of 1 |"), "%s", table);
    ck_assert_msg(!support_contains(table, "Costs that end in *"), "%s", table); /* none does */
    ck_assert_msg(support_contains(table, "\n\n1 of 1 runs failed;"), "%s", table);
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

/* The report of a job whose variants have one run each; an outcome of 0 BOPs is a failed run. */
static struct report ranked_report(const struct outcome *outcomes, size_t count)
{
    struct report_run *runs = ARENA_ARRAY(arena, struct report_run, count, &err);
    struct report report;
    for (size_t i = 0; i < count; i++)
        runs[i] =
            (struct report_run){.id = "r",
                                .variant = (int64_t)i,
                                .choices = "{}",
                                .result = outcomes[i].bops > 0 ? result_of(&outcomes[i]) : NULL,
                                .failed = !(outcomes[i].bops > 0)};
    ck_assert_ok(report_create(arena, "j1", runs, count, &report, &err), &err);
    return report;
}

/* By hand: in BOPs v1 gives more for v0's price, v2 ties with v1, v3 is cheaper, v4 costs more than
 * v1 for less; in memory v0 is the smallest and v4 ties with v1 in memory alone. */
START_TEST(the_front_is_what_no_variant_beats)
{
    const struct outcome outcomes[] = {
        {.accuracy = 0.80, .bops = 10e6, .peak_bytes = 100},
        {.accuracy = 0.90, .bops = 10e6, .peak_bytes = 200},
        {.accuracy = 0.90, .bops = 10e6, .peak_bytes = 200},
        {.accuracy = 0.70, .bops = 5e6, .peak_bytes = 300},
        {.accuracy = 0.89, .bops = 20e6, .peak_bytes = 200},
        {.accuracy = 0.99}, /* failed: neither ranked nor a rival */
    };
    static const bool bops[] = {false, true, true, true, false};
    static const bool peak_bytes[] = {true, true, true, false, false};
    struct report report = ranked_report(outcomes, 6);
    for (size_t i = 0; i < 5; i++) {
        const struct report_variant *variant = &report.variants[i];
        ck_assert_int_eq(variant->front_bops, bops[i] ? PARETO_FRONT : PARETO_BEATEN);
        ck_assert_int_eq(variant->front_peak_bytes, peak_bytes[i] ? PARETO_FRONT : PARETO_BEATEN);
    }
    ck_assert_int_eq(report.variants[5].front_bops, PARETO_UNKNOWN);
    const struct json *variants = json_find(report_json(&report, arena), "variants");
    const struct json *first = json_find(json_first(variants), "pareto"), *last = NULL;
    for (const struct json *v = json_first(variants); v != NULL; v = json_next(v))
        last = json_find(v, "pareto");
    const char *text = json_print_string(first, arena, NULL, &err);
    ck_assert_str_eq(text, "{\"bops\":false,\"peak_bytes\":true}");
    text = json_print_string(last, arena, NULL, &err);
    ck_assert_str_eq(text, "{\"bops\":null,\"peak_bytes\":null}");
}
END_TEST

/* Law: without an evaluation set agreement takes the place of accuracy. */
START_TEST(without_accuracies_agreement_makes_the_front)
{
    const struct outcome outcomes[] = {
        {.accuracy = (double)NAN, .agreement = 0.6, .bops = 10e6, .peak_bytes = 100},
        {.accuracy = (double)NAN, .agreement = 0.7, .bops = 10e6, .peak_bytes = 200},
    };
    struct report report = ranked_report(outcomes, 2);
    ck_assert_int_eq(report.variants[0].front_bops, PARETO_BEATEN);
    ck_assert_int_eq(report.variants[0].front_peak_bytes, PARETO_FRONT);
    ck_assert_int_eq(report.variants[1].front_bops, PARETO_FRONT);
    const char *table = print(report_markdown, &report);
    ck_assert_msg(support_contains(table, "at least this agreement for less"), "%s", table);
}
END_TEST

/* Law: a tie in value is a tie whatever the order in which the seeds were added up, and then the
 * cheaper one wins; NaN is never on a front. */
START_TEST(values_that_differ_by_rounding_tie)
{
    const struct pareto_point points[] = {
        {.value = 0.9, .cost = 1},         {.value = 0.1 + 0.8 + 4e-16, .cost = 2},
        {.value = 0.9 + 1e-6, .cost = 3},  {.value = (double)NAN, .cost = 0},
        {.value = 1, .cost = (double)NAN},
    };
    static const enum pareto_mark expected[] = {PARETO_FRONT, PARETO_BEATEN, PARETO_FRONT,
                                                PARETO_UNKNOWN, PARETO_UNKNOWN};
    enum pareto_mark marks[5];
    pareto_front(points, 5, marks);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(marks[i], expected[i]);
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
    tcase_add_test(tcase, csv_has_no_formulas);
    tcase_add_test(tcase, markdown_is_aligned);
    tcase_add_test(tcase, the_front_is_what_no_variant_beats);
    tcase_add_test(tcase, without_accuracies_agreement_makes_the_front);
    tcase_add_test(tcase, values_that_differ_by_rounding_tie);
    tcase_add_test(tcase, a_job_without_results_has_a_report);
    tcase_add_test(tcase, results_read_back);
    tcase_add_test(tcase, each_failed_allocation_is_reported);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
