/* Reports as text: CSV (RFC 4180) with full precision for programs, Markdown for people.
 *
 * Both have a column for each swept choice and then fixed ones, which are tables here. The line of
 * the float network comes first. */

#include "ptqd/api/report.h"

#include "cells.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_BYTES = TABLE_CELL_BYTES };

/* One line of the table: a variant, or the float network (`variant` NULL). */
struct line {
    const struct report *report;
    const struct report_variant *variant;
};

static size_t line_count(const struct report *report)
{
    return report->variant_count + 1;
}

static struct line line_at(const struct report *report, size_t index)
{
    return (struct line){.report = report,
                         .variant = index == 0 ? NULL : &report->variants[index - 1]};
}

static const char *line_name(const struct line *line)
{
    return line->variant == NULL ? "float" : line->variant->id;
}

static const struct json *line_cost(const struct line *line)
{
    return line->variant == NULL ? line->report->float_cost : line->variant->cost;
}

static double line_number(const struct line *line, const char *key)
{
    return report_cost(line_cost(line), key);
}

static enum pareto_mark line_front_bops(const struct line *line)
{
    return line->variant == NULL ? PARETO_UNKNOWN : line->variant->front_bops;
}

static enum pareto_mark line_front_peak_bytes(const struct line *line)
{
    return line->variant == NULL ? PARETO_UNKNOWN : line->variant->front_peak_bytes;
}

static struct report_statistic line_accuracy(const struct line *line)
{
    if (line->variant != NULL)
        return line->variant->accuracy;
    return (struct report_statistic){.mean = line->report->float_accuracy,
                                     .deviation = (double)NAN};
}

/* Keys of the swept choices, the same in every variant. */
static const struct json *first_choice(const struct report *report)
{
    return report->variant_count == 0 ? NULL : json_first(report->variants[0].choices);
}

/* A choice as a user would write it. */
static void print_choice(const struct line *line, const char *key, char out[static CELL_BYTES])
{
    struct text text;
    text_init(&text, CELL_BYTES - 1);
    const struct json *value =
        line->variant == NULL ? NULL : json_find(line->variant->choices, key);
    const char *string;
    if (value == NULL)
        out[0] = '\0';
    else if (json_as_string(value, &string, NULL))
        (void)snprintf(out, CELL_BYTES, "%s", string); /* names of choices are short */
    else if (json_print(value, &text, NULL))
        (void)snprintf(out, CELL_BYTES, "%s", text.bytes);
    else
        (void)snprintf(out, CELL_BYTES, "…");
    text_finish(&text);
}

/* ---- CSV ---- */

static void csv_quoted(struct text *text, const char *before, const char *string)
{
    text_printf(text, "\"%s", before);
    for (const char *c = string; *c != '\0'; c++)
        text_append(text, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    text_puts(text, "\"");
}

static void csv_string(struct text *text, const char *string)
{
    if (strpbrk(string, ",\"\r\n") == NULL)
        text_puts(text, string);
    else
        csv_quoted(text, "", string);
}

/* A name from a network: who opens the report in a spreadsheet did not give it, and some would be
 * formulas there. The apostrophe says that it is text. */
static void csv_foreign(struct text *text, const char *string)
{
    if (string[0] != '\0' && strchr("=+-@\t\r", string[0]) != NULL)
        csv_quoted(text, "'", string);
    else
        csv_string(text, string);
}

static void csv_number(struct text *text, double value)
{
    char number[JSON_NUMBER_BYTES];
    if (isnan(value))
        return;
    json_number_print(value, number);
    text_puts(text, number);
}

static const char *const csv_columns[] = {
    "accuracy_mean",       "accuracy_std", "n", "failed", "loss_mean", "loss_std", "agreement_mean",
    "output_sqnr_db_mean", "seconds_mean",
};

static const char *const csv_costs[] = {"macs",         "bops",        "bops_extended",
                                        "weight_bytes", "flash_bytes", "peak_bytes"};

static void csv_head(const struct report *report, struct text *text)
{
    text_puts(text, "variant");
    for (const struct json *v = first_choice(report); v != NULL; v = json_next(v)) {
        text_puts(text, ",");
        csv_string(text, json_key(v));
    }
    for (size_t i = 0; i < sizeof(csv_columns) / sizeof(csv_columns[0]); i++)
        text_printf(text, ",%s", csv_columns[i]);
    for (size_t i = 0; i < sizeof(csv_costs) / sizeof(csv_costs[0]); i++)
        text_printf(text, ",%s", csv_costs[i]);
    text_puts(text, ",peak_layer,pareto_bops,pareto_peak_bytes\r\n");
}

static void csv_statistics(const struct line *line, struct text *text)
{
    static const struct report_variant none = {
        .loss = {.mean = (double)NAN, .deviation = (double)NAN},
        .agreement = {.mean = (double)NAN},
        .output_sqnr_db = {.mean = (double)NAN},
        .seconds = {.mean = (double)NAN},
    };
    const struct report_variant *variant = line->variant != NULL ? line->variant : &none;
    struct report_statistic accuracy = line_accuracy(line);
    const double values[] = {
        accuracy.mean,           accuracy.deviation,           (double)variant->succeeded,
        (double)variant->failed, variant->loss.mean,           variant->loss.deviation,
        variant->agreement.mean, variant->output_sqnr_db.mean, variant->seconds.mean,
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        text_puts(text, ",");
        csv_number(text, values[i]);
    }
}

static void csv_mark(struct text *text, enum pareto_mark mark)
{
    static const char *const names[] = {
        [PARETO_UNKNOWN] = ",", [PARETO_BEATEN] = ",false", [PARETO_FRONT] = ",true"};
    text_puts(text, names[mark]);
}

static void csv_line(const struct line *line, struct text *text)
{
    csv_string(text, line_name(line));
    for (const struct json *v = first_choice(line->report); v != NULL; v = json_next(v)) {
        char cell[CELL_BYTES];
        print_choice(line, json_key(v), cell);
        text_puts(text, ",");
        csv_string(text, cell);
    }
    csv_statistics(line, text);
    for (size_t i = 0; i < sizeof(csv_costs) / sizeof(csv_costs[0]); i++) {
        text_puts(text, ",");
        csv_number(text, line_number(line, csv_costs[i]));
    }
    const char *layer = "";
    const struct json *peak = json_find(line_cost(line), "peak_layer");
    if (peak != NULL)
        (void)json_as_string(peak, &layer, NULL); /* null stays "" */
    text_puts(text, ",");
    csv_foreign(text, layer);
    csv_mark(text, line_front_bops(line));
    csv_mark(text, line_front_peak_bytes(line));
    text_puts(text, "\r\n");
}

bool report_csv(const struct report *report, struct text *text, struct error *err)
{
    csv_head(report, text);
    for (size_t i = 0; i < line_count(report); i++) {
        struct line line = line_at(report, i);
        csv_line(&line, text);
    }
    return text_check(text, err);
}

/* ---- Markdown ---- */

static void print_percent(const struct report_statistic *statistic, char out[static CELL_BYTES])
{
    if (isnan(statistic->mean))
        (void)snprintf(out, CELL_BYTES, "–");
    else if (isnan(statistic->deviation))
        (void)snprintf(out, CELL_BYTES, "%.2f", 100 * statistic->mean);
    else
        (void)snprintf(out, CELL_BYTES, "%.2f ± %.2f", 100 * statistic->mean,
                       100 * statistic->deviation);
}

static void print_accuracy(const struct line *line, char out[static CELL_BYTES])
{
    struct report_statistic accuracy = line_accuracy(line);
    print_percent(&accuracy, out);
}

static void print_loss(const struct line *line, char out[static CELL_BYTES])
{
    if (line->variant == NULL)
        out[0] = '\0';
    else
        print_percent(&line->variant->loss, out);
}

static void print_agreement(const struct line *line, char out[static CELL_BYTES])
{
    if (line->variant == NULL)
        out[0] = '\0';
    else
        print_percent(&line->variant->agreement, out);
}

static void print_star(enum pareto_mark mark, char out[static CELL_BYTES])
{
    size_t length = strlen(out);
    if (mark == PARETO_FRONT)
        (void)snprintf(out + length, CELL_BYTES - length, " *");
}

static void print_bops(const struct line *line, char out[static CELL_BYTES])
{
    cell_count(line_number(line, "bops"), out);
    print_star(line_front_bops(line), out);
}

static void print_weights(const struct line *line, char out[static CELL_BYTES])
{
    cell_bytes(line_number(line, "weight_bytes"), out);
}

static void print_peak(const struct line *line, char out[static CELL_BYTES])
{
    cell_bytes(line_number(line, "peak_bytes"), out);
    print_star(line_front_peak_bytes(line), out);
}

static void print_runs(const struct line *line, char out[static CELL_BYTES])
{
    const struct report_variant *variant = line->variant;
    if (variant == NULL)
        out[0] = '\0';
    else if (variant->succeeded == variant->run_count)
        (void)snprintf(out, CELL_BYTES, "%zu", variant->run_count);
    else
        (void)snprintf(out, CELL_BYTES, "%zu of %zu", variant->succeeded, variant->run_count);
}

static void print_seconds(const struct line *line, char out[static CELL_BYTES])
{
    if (line->variant == NULL || isnan(line->variant->seconds.mean))
        out[0] = '\0';
    else
        (void)snprintf(out, CELL_BYTES, "%.1f", line->variant->seconds.mean);
}

static const struct column {
    const char *title;
    void (*print)(const struct line *line, char out[static CELL_BYTES]);
} columns[] = {
    {"accuracy %", print_accuracy}, {"loss", print_loss},       {"agreement %", print_agreement},
    {"BOPs", print_bops},           {"weights", print_weights}, {"peak memory", print_peak},
    {"runs", print_runs},           {"seconds", print_seconds},
};
enum { FIXED_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static size_t column_count(const struct report *report)
{
    size_t choices = report->variant_count == 0 ? 0 : json_count(report->variants[0].choices);
    return 1 + choices + FIXED_COLUMNS;
}

static const char *choice_key(const struct report *report, size_t index)
{
    const struct json *choice = first_choice(report);
    while (index-- > 0)
        choice = json_next(choice);
    return json_key(choice);
}

/* Cell of the table: the variant's name, then choices, then the fixed columns. */
static void print_cell(const void *context, size_t index, size_t column,
                       char out[static CELL_BYTES])
{
    const struct report *report = context;
    struct line line = line_at(report, index);
    size_t fixed = column_count(report) - FIXED_COLUMNS;
    if (column == 0)
        (void)snprintf(out, CELL_BYTES, "%s", line_name(&line));
    else if (column < fixed)
        print_choice(&line, choice_key(report, column - 1), out);
    else
        columns[column - fixed].print(&line, out);
}

static const char *column_title(const void *context, size_t column)
{
    const struct report *report = context;
    size_t fixed = column_count(report) - FIXED_COLUMNS;
    if (column == 0)
        return "variant";
    return column < fixed ? choice_key(report, column - 1) : columns[column - fixed].title;
}

static bool has_star(const struct report *report)
{
    for (size_t i = 0; i < report->variant_count; i++) {
        const struct report_variant *variant = &report->variants[i];
        if (variant->front_bops == PARETO_FRONT || variant->front_peak_bytes == PARETO_FRONT)
            return true;
    }
    return false;
}

static void put_legend(const struct report *report, struct text *text)
{
    if (has_star(report))
        text_printf(text,
                    "\nCosts that end in * are on the Pareto front: no other variant has at least "
                    "this %s for less, or more of it for no more.\n",
                    report->has_accuracy ? "accuracy" : "agreement");
    size_t failed = 0, runs = 0;
    for (size_t i = 0; i < report->variant_count; i++) {
        failed += report->variants[i].failed;
        runs += report->variants[i].run_count;
    }
    if (failed > 0)
        text_printf(text, "\n%zu of %zu runs failed; their problems say why.\n", failed, runs);
}

bool report_markdown(const struct report *report, struct text *text, struct error *err)
{
    const struct table table = {
        .columns = column_count(report),
        .lines = line_count(report),
        .title = column_title,
        .print_cell = print_cell,
        .context = report,
    };
    if (!table_print(&table, TABLE_MARKDOWN, text, err))
        return false;
    put_legend(report, text);
    return text_check(text, err);
}
