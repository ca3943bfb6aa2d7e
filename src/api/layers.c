/* The layers of a run as a table for people. */

#include "ptqd/api/layers.h"

#include "ptqd/api/result.h"

#include "result_sensitivity.h"
#include "view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_CHARS = 40, CELL_BYTES = TABLE_CELL_BYTES };

static const struct schema_member layers_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"sensitivity", .type = SCHEMA_OBJECT, .of = &sensitivity_schema, .null = true},
    {"layers", .type = SCHEMA_OBJECT, .of = &layer_schema, .list = true},
    {0},
};
const struct schema layers_schema = {
    .name = "RunLayers",
    .help = "The layers of a run that succeeded",
    .members = layers_members,
};

void layers_add(struct json *object, const struct json *result)
{
    json_add_copy(object, "sensitivity", json_find(result, "sensitivity"));
    json_add_copy(object, "layers", json_find(result, "layers"));
}

/* ---- lines ---- */

/* A layer, or something that only sums read. */
struct line {
    const struct json *sensitivity; /* of the network; NULL: not measured */
    const struct json *worst;       /* {"name", "part"}, or NULL */
    const struct json *object;
    bool is_sum;
};

struct layers {
    const struct json *sensitivity, *layers, *sums;
};

static struct layers layers_of(const struct json *result)
{
    const struct json *sensitivity = json_find(result, "sensitivity");
    return (struct layers){
        .sensitivity = json_type(sensitivity) == JSON_OBJECT ? sensitivity : NULL,
        .layers = json_find(result, "layers"),
        .sums = json_find(sensitivity, "sums"),
    };
}

static const struct json *element(const struct json *array, size_t index)
{
    const struct json *value = json_first(array);
    while (index-- > 0)
        value = json_next(value);
    return value;
}

static struct line line_at(const struct layers *layers, size_t index)
{
    size_t count = json_count(layers->layers);
    return (struct line){
        .sensitivity = layers->sensitivity,
        .worst = json_find(layers->sensitivity, "worst"),
        .object =
            index < count ? element(layers->layers, index) : element(layers->sums, index - count),
        .is_sum = index >= count,
    };
}

static bool is_worst(const struct line *line, const char *part)
{
    return strcmp(view_string(line->worst, "part"), part) == 0 &&
           strcmp(view_string(line->worst, "name"), view_string(line->object, "name")) == 0;
}

/* What a part of the line costs alone; NULL when it was not measured. */
static const struct json *effect_of(const struct line *line, const char *part)
{
    if (line->is_sum)
        return strcmp(part, "input") == 0 ? line->object : NULL;
    return json_find(json_find(line->object, "sensitivity"), part);
}

/* ---- cells ---- */

static void print_db(double value, char out[static CELL_BYTES])
{
    if (isnan(value))
        (void)snprintf(out, CELL_BYTES, "–");
    else
        (void)snprintf(out, CELL_BYTES, "%.1f", value);
}

/* The end of a long name tells it from others. */
static void print_name(const struct line *line, char out[static CELL_BYTES])
{
    const char *name = view_string(line->object, "name");
    size_t length = strlen(name);
    const char *end = length > NAME_CHARS ? name + length - NAME_CHARS : name;
    while (end > name && ((unsigned char)*end & 0xc0) == 0x80) /* within a character */
        end++;
    (void)snprintf(out, CELL_BYTES, "%s%s", end > name ? "…" : "", end);
}

static void print_op(const struct line *line, char out[static CELL_BYTES])
{
    (void)snprintf(out, CELL_BYTES, "%s", line->is_sum ? "sum" : view_string(line->object, "op"));
}

static void print_bits(const struct line *line, char out[static CELL_BYTES])
{
    out[0] = '\0';
    if (!line->is_sum)
        (void)snprintf(out, CELL_BYTES, "%.0f/%.0f", view_number(line->object, "weight_bits"),
                       view_number(line->object, "input_bits"));
}

static void print_ratio(const struct line *line, const char *key, char out[static CELL_BYTES])
{
    out[0] = '\0';
    if (!line->is_sum)
        print_db(view_number(line->object, key), out);
}

static void print_weights(const struct line *line, char out[static CELL_BYTES])
{
    print_ratio(line, "weight_sqnr_db", out);
}

static void print_input(const struct line *line, char out[static CELL_BYTES])
{
    print_ratio(line, "input_sqnr_db", out);
}

static void print_before(const struct line *line, char out[static CELL_BYTES])
{
    print_ratio(line, "output_sqnr_before_db", out);
}

static void print_after(const struct line *line, char out[static CELL_BYTES])
{
    print_ratio(line, "output_sqnr_after_db", out);
}

static void print_final(const struct line *line, char out[static CELL_BYTES])
{
    print_ratio(line, "output_sqnr_final_db", out);
}

/* Points of accuracy that are lost, or, without labels, of samples that change their class. */
static double points_of(const struct json *effect)
{
    double drop = view_number(effect, "accuracy_drop");
    return 100 * (isnan(drop) ? 1 - view_number(effect, "agreement") : drop);
}

/* "8.98, 9.2 dB": the points, and what is left of the output. */
static void print_effect(const struct line *line, const char *part, char out[static CELL_BYTES])
{
    const struct json *effect = effect_of(line, part);
    double left_db = view_number(effect, "output_sqnr_db");
    out[0] = '\0';
    if (isnan(view_number(effect, "agreement")))
        return;
    const char *mark = is_worst(line, line->is_sum ? "sum" : part) ? " <== worst" : "";
    if (isnan(left_db)) /* infinite: nothing changed */
        (void)snprintf(out, CELL_BYTES, "%.2f, unchanged%s", points_of(effect), mark);
    else
        (void)snprintf(out, CELL_BYTES, "%.2f, %.1f dB%s", points_of(effect), left_db, mark);
}

static void print_only_weights(const struct line *line, char out[static CELL_BYTES])
{
    print_effect(line, "weights", out);
}

static void print_only_input(const struct line *line, char out[static CELL_BYTES])
{
    print_effect(line, "input", out);
}

static const struct column {
    const char *title;
    void (*print)(const struct line *line, char out[static CELL_BYTES]);
} columns[] = {
    {"layer", print_name},
    {"op", print_op},
    {"bits", print_bits},
    {"weights dB", print_weights},
    {"input dB", print_input},
    {"output dB", print_before},
    {"solved", print_after},
    {"final", print_final},
    {"only weights", print_only_weights},
    {"only input", print_only_input},
};
enum {
    ALL_COLUMNS = sizeof(columns) / sizeof(columns[0]),
    EFFECT_COLUMNS = 2, /* the last ones */
};

/* ---- the table ---- */

static const char *column_title(const void *context, size_t column)
{
    (void)context;
    return columns[column].title;
}

static void print_cell(const void *context, size_t index, size_t column,
                       char out[static CELL_BYTES])
{
    struct line line = line_at(context, index);
    columns[column].print(&line, out);
}

static bool is_name(const void *context, size_t column)
{
    (void)context;
    return column == 0;
}

static const struct json *find_named(const struct json *array, const char *name)
{
    for (const struct json *value = json_first(array); value != NULL; value = json_next(value))
        if (strcmp(view_string(value, "name"), name) == 0)
            return value;
    return NULL;
}

/* "conv_1 breaks the network most, by its input (4 bits): …" */
static void put_worst(const struct layers *layers, struct text *text)
{
    const struct json *worst = json_find(layers->sensitivity, "worst");
    const char *name = view_string(worst, "name"), *part = view_string(worst, "part");
    bool is_sum = strcmp(part, "sum") == 0, is_input = strcmp(part, "input") == 0;
    struct line line = {.object = find_named(is_sum ? layers->sums : layers->layers, name),
                        .is_sum = is_sum};
    const struct json *effect = effect_of(&line, is_sum ? "input" : part);
    if (json_type(worst) != JSON_OBJECT || effect == NULL) {
        text_puts(text, "No quantizer changes the output.\n");
        return;
    }
    table_put_foreign(text, TABLE_MARKDOWN, name);
    text_printf(text, " breaks the network most, by its %s", is_sum ? "quantizer in a sum" : part);
    if (!is_sum)
        text_printf(text, " (%.0f bits)",
                    view_number(line.object, is_input ? "input_bits" : "weight_bits"));
    bool has_labels = !isnan(view_number(effect, "accuracy_drop"));
    text_printf(text, ": alone, that %s %.2f %s and leaves %.1f dB of the output.\n",
                has_labels ? "costs" : "changes the class of", points_of(effect),
                has_labels ? "points of accuracy" : "% of the samples",
                view_number(effect, "output_sqnr_db"));
}

static void put_legend(const struct layers *layers, struct text *text)
{
    text_puts(text,
              "\nBits of weights/input. dB are signal-to-noise ratios: of the weights, of the "
              "layer's input, and of its output with weights rounded to nearest, when they "
              "were solved for, and in the finished network.\n");
    if (layers->sensitivity == NULL)
        return;
    bool has_labels = !isnan(view_number(layers->sensitivity, "float_accuracy"));
    text_printf(text,
                "Only weights, only input: with nothing else quantized, %s and dB of the network's "
                "output, on %.0f samples of the %s set.\n",
                has_labels ? "points of accuracy lost" : "% of the samples that change their class",
                view_number(layers->sensitivity, "samples"),
                view_string(layers->sensitivity, "set"));
    put_worst(layers, text);
}

bool layers_markdown(const struct json *result, struct text *text, struct error *err)
{
    const struct layers layers = layers_of(result);
    const struct table table = {
        .columns = layers.sensitivity != NULL ? ALL_COLUMNS : ALL_COLUMNS - EFFECT_COLUMNS,
        .lines = json_count(layers.layers) + json_count(layers.sums),
        .title = column_title,
        .print_cell = print_cell,
        .is_foreign = is_name,
        .context = &layers,
    };
    if (!table_print(&table, TABLE_MARKDOWN, text, err))
        return false;
    put_legend(&layers, text);
    return text_check(text, err);
}
