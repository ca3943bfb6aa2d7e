#pragma once

/* Tables for people: in Markdown, aligned so that they read well on a terminal as well, or in plain
 * columns. */

#include "ptqd/base/text.h"

enum { TABLE_CELL_BYTES = 96, TABLE_COLUMNS_MAX = 64 };

enum table_style { TABLE_MARKDOWN, TABLE_PLAIN };

struct table {
    size_t columns, lines; /* lines without the one of titles */
    const char *(*title)(const void *context, size_t column);
    void (*print_cell)(const void *context, size_t line, size_t column,
                       char out[static TABLE_CELL_BYTES]);
    /* True for a column of what people wrote: it has no meaning in Markdown. NULL: none has. */
    bool (*is_foreign)(const void *context, size_t column);
    const void *context; /* borrowed */
};

/* E_TOO_LARGE for more than TABLE_COLUMNS_MAX columns. Control characters in cells are shown as
 * U+FFFD. */
bool table_print(const struct table *table, enum table_style style, struct text *text,
                 struct error *err);

/* What people wrote, outside of a table: a part of one line. */
void table_put_foreign(struct text *text, enum table_style style, const char *string);
