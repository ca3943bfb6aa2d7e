/* Models and data sets for people. */

#include "view.h"

#include <math.h>
#include <stdio.h>

enum { CELL_BYTES = TABLE_CELL_BYTES };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "1x3x32x32". */
static void print_axes(const struct json *shape, char out[static CELL_BYTES])
{
    int length = 0;
    out[0] = '\0';
    for (const struct json *v = json_first(shape); v != NULL; v = json_next(v)) {
        int64_t axis = 0;
        (void)json_as_integer(v, 0, INT64_MAX, &axis, NULL); /* it is one */
        length += snprintf(out + length, (size_t)(CELL_BYTES - length), "%s%lld",
                           length > 0 ? "x" : "", (long long)axis);
        if (length >= CELL_BYTES)
            return; /* cut: eight axes of the largest size */
    }
}

/* The whole of it: it is what other calls take. */
static void print_digest(const struct json *item, char out[static CELL_BYTES])
{
    (void)snprintf(out, CELL_BYTES, "%s", view_string(item, "id"));
}

static void print_format(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "format"), out);
}

static void print_input(const struct json *item, char out[static CELL_BYTES])
{
    print_axes(json_find(json_find(item, "input"), "shape"), out);
}

static void print_output(const struct json *item, char out[static CELL_BYTES])
{
    print_axes(json_find(json_find(item, "output"), "shape"), out);
}

static void print_macs(const struct json *item, char out[static CELL_BYTES])
{
    cell_count(view_number(item, "macs"), out);
}

static void print_parameters(const struct json *item, char out[static CELL_BYTES])
{
    cell_count(view_number(item, "parameters"), out);
}

static const struct view_column model_columns[] = {
    {"name", view_name, true},
    {"owner", view_owner, true},
    {"format", print_format, false},
    {"input", print_input, false},
    {"output", print_output, false},
    {"MACs", print_macs, false},
    {"parameters", print_parameters, false},
    {"size", view_bytes, false},
    {"created (UTC)", view_created, false},
    {"id", print_digest, false},
};
static const struct view_table model_lines[] = {{"items", model_columns, COUNT(model_columns)}};
const struct view models_view = {.tables = model_lines, .table_count = COUNT(model_lines)};

static void print_samples(const struct json *item, char out[static CELL_BYTES])
{
    (void)snprintf(out, CELL_BYTES, "%.0f", view_number(item, "samples"));
}

static void print_shape(const struct json *item, char out[static CELL_BYTES])
{
    print_axes(json_find(item, "shape"), out);
}

static void print_type(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "dtype"), out);
}

static void print_labels(const struct json *item, char out[static CELL_BYTES])
{
    double classes = view_number(item, "classes");
    out[0] = '\0';
    if (!isnan(classes))
        (void)snprintf(out, CELL_BYTES, "%.0f classes", classes);
}

static void print_range(const struct json *item, char out[static CELL_BYTES])
{
    (void)snprintf(out, CELL_BYTES, "%.4g to %.4g", view_number(item, "min"),
                   view_number(item, "max"));
}

static const struct view_column dataset_columns[] = {
    {"name", view_name, true},
    {"owner", view_owner, true},
    {"samples", print_samples, false},
    {"shape", print_shape, false},
    {"type", print_type, false},
    {"labels", print_labels, false},
    {"range", print_range, false},
    {"size", view_bytes, false},
    {"created (UTC)", view_created, false},
    {"id", print_digest, false},
};
static const struct view_table dataset_lines[] = {
    {"items", dataset_columns, COUNT(dataset_columns)}};
const struct view datasets_view = {.tables = dataset_lines, .table_count = COUNT(dataset_lines)};
