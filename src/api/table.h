#pragma once

/* Tables in Markdown, aligned so that they read well on a terminal. */

#include "ptqd/base/text.h"

enum { TABLE_CELL_BYTES = 96, TABLE_COLUMNS_MAX = 64 };

struct table {
    size_t columns, lines; /* lines without the one of titles */
    const char *(*title)(const void *context, size_t column);
    void (*print_cell)(const void *context, size_t line, size_t column,
                       char out[static TABLE_CELL_BYTES]);
    const void *context; /* borrowed */
};

/* E_TOO_LARGE for more than TABLE_COLUMNS_MAX columns. */
bool table_print(const struct table *table, struct text *text, struct error *err);
