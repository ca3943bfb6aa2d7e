#include "table.h"

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t display_width(const char *string)
{
    size_t width = 0;
    for (; *string != '\0'; string++)
        width += ((unsigned char)*string & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t widest = display_width(table->title(table->context, column));
    for (size_t line = 0; line < table->lines; line++) {
        char cell[TABLE_CELL_BYTES];
        table->print_cell(table->context, line, column, cell);
        size_t width = display_width(cell);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void pad(struct text *text, const char *string, size_t width)
{
    text_printf(text, "| %s%*s ", string, (int)(width - display_width(string)), "");
}

static void print_head(const struct table *table, const size_t *widths, struct text *text)
{
    for (size_t column = 0; column < table->columns; column++)
        pad(text, table->title(table->context, column), widths[column]);
    text_puts(text, "|\n");
    for (size_t column = 0; column < table->columns; column++) {
        text_puts(text, "|-");
        for (size_t i = 0; i < widths[column]; i++)
            text_puts(text, "-");
        text_puts(text, "-");
    }
    text_puts(text, "|\n");
}

bool table_print(const struct table *table, struct text *text, struct error *err)
{
    size_t widths[TABLE_COLUMNS_MAX];
    if (table->columns > TABLE_COLUMNS_MAX)
        return FAIL(err, E_TOO_LARGE, "the report has %zu columns; a table has at most %d",
                    table->columns, TABLE_COLUMNS_MAX);
    for (size_t column = 0; column < table->columns; column++)
        widths[column] = column_width(table, column);
    print_head(table, widths, text);
    for (size_t line = 0; line < table->lines; line++) {
        for (size_t column = 0; column < table->columns; column++) {
            char cell[TABLE_CELL_BYTES];
            table->print_cell(table->context, line, column, cell);
            pad(text, cell, widths[column]);
        }
        text_puts(text, "|\n");
    }
    return text_check(text, err);
}
