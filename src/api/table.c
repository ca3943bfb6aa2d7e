#include "table.h"

#include <string.h>

/* ---- characters ---- */

struct character_range {
    uint32_t first, last;
};

static bool is_in(uint32_t code, const struct character_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

/* What moves the cursor, ends a line, or turns the direction of what follows. */
static bool is_control(uint32_t code)
{
    static const struct character_range controls[] = {{0x00, 0x1f},     {0x7f, 0x9f},
                                                      {0x061c, 0x061c}, {0x200e, 0x200f},
                                                      {0x2028, 0x202e}, {0x2060, 0x206f},
                                                      {0xfeff, 0xfeff}, {0xfff9, 0xfffb}};
    return is_in(code, controls, sizeof(controls) / sizeof(controls[0]));
}

/* Columns of a terminal: after Kuhn, "wcwidth and wcswidth for fixed-width fonts", 2007; with the
 * pictures of later versions of Unicode, and the marks of the common scripts only. */
static size_t character_width(uint32_t code)
{
    static const struct character_range none[] = {
        {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},  {0x064b, 0x065f},
        {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},  {0x200b, 0x200d},
        {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};
    static const struct character_range two[] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3040, 0xa4cf},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
        {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    if (is_in(code, none, sizeof(none) / sizeof(none[0])))
        return 0;
    return is_in(code, two, sizeof(two) / sizeof(two[0])) ? 2 : 1;
}

static bool is_word(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
           (code >= 'a' && code <= 'z') || code > 0x7f;
}

/* Whether Markdown would take the character for more than itself. */
static bool has_meaning(uint32_t code, uint32_t before, uint32_t after, bool foreign)
{
    if (code == '|') /* ends a cell */
        return true;
    if (!foreign || code > 0x7f)
        return false;
    if (code == '_') /* not within a word */
        return !is_word(before) || !is_word(after);
    return code != '\0' && strchr("\\`*[]<>&~$#!", (int)code) != NULL;
}

/* Appends the string as one line and returns how many columns that takes; `text` NULL: only that.
 */
static size_t put_string(struct text *text, enum table_style style, bool foreign,
                         const char *string)
{
    size_t width = 0;
    uint32_t before = ' ';
    while (*string != '\0') {
        uint32_t code, after;
        size_t length = text_character(string, &code);
        (void)text_character(string + length, &after); /* of the end it makes no word */
        if (string[length] == '\0')
            after = ' ';
        bool shown = code != 0xfffd && !is_control(code);
        bool escaped = style == TABLE_MARKDOWN && has_meaning(code, before, after, foreign);
        width += (shown ? character_width(code) : 1) + escaped;
        if (text != NULL && escaped)
            text_puts(text, "\\");
        if (text != NULL && shown)
            text_append(text, string, length);
        else if (text != NULL)
            text_puts(text, "\xef\xbf\xbd"); /* U+FFFD, the replacement character */
        before = code;
        string += length;
    }
    return width;
}

void table_put_foreign(struct text *text, enum table_style style, const char *string)
{
    (void)put_string(text, style, true, string); /* nothing stands below it */
}

/* ---- tables ---- */

struct layout {
    const struct table *table;
    enum table_style style;
    size_t widths[TABLE_COLUMNS_MAX];
    size_t owed; /* blanks that plain columns put in front of what comes next in the line */
};

static bool is_foreign(const struct table *table, size_t column)
{
    return table->is_foreign != NULL && table->is_foreign(table->context, column);
}

static size_t column_width(const struct layout *layout, size_t column)
{
    const struct table *table = layout->table;
    size_t widest = put_string(NULL, layout->style, false, table->title(table->context, column));
    for (size_t line = 0; line < table->lines; line++) {
        char cell[TABLE_CELL_BYTES];
        table->print_cell(table->context, line, column, cell);
        size_t width = put_string(NULL, layout->style, is_foreign(table, column), cell);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void put_blanks(struct text *text, size_t count)
{
    text_printf(text, "%*s", (int)count, "");
}

static void put_cell(struct layout *layout, size_t column, bool foreign, const char *cell,
                     struct text *text)
{
    enum { GAP = 2 }; /* between plain columns */
    size_t width = layout->widths[column];
    if (layout->style == TABLE_MARKDOWN) {
        text_puts(text, "| ");
        put_blanks(text, width - put_string(text, layout->style, foreign, cell));
        text_puts(text, " ");
        return;
    }
    if (cell[0] == '\0') {
        layout->owed += width + GAP;
        return;
    }
    put_blanks(text, layout->owed);
    layout->owed = width - put_string(text, layout->style, foreign, cell) + GAP;
}

static void end_line(struct layout *layout, struct text *text)
{
    layout->owed = 0;
    text_puts(text, layout->style == TABLE_MARKDOWN ? "|\n" : "\n");
}

static void print_head(struct layout *layout, struct text *text)
{
    const struct table *table = layout->table;
    for (size_t column = 0; column < table->columns; column++)
        put_cell(layout, column, false, table->title(table->context, column), text);
    end_line(layout, text);
    if (layout->style != TABLE_MARKDOWN)
        return;
    for (size_t column = 0; column < table->columns; column++) {
        text_puts(text, "|-");
        for (size_t i = 0; i < layout->widths[column]; i++)
            text_puts(text, "-");
        text_puts(text, "-");
    }
    end_line(layout, text);
}

bool table_print(const struct table *table, enum table_style style, struct text *text,
                 struct error *err)
{
    struct layout layout = {.table = table, .style = style};
    if (table->columns > TABLE_COLUMNS_MAX)
        return FAIL(err, E_TOO_LARGE, "the report has %zu columns; a table has at most %d",
                    table->columns, TABLE_COLUMNS_MAX);
    for (size_t column = 0; column < table->columns; column++)
        layout.widths[column] = column_width(&layout, column);
    print_head(&layout, text);
    for (size_t line = 0; line < table->lines; line++) {
        for (size_t column = 0; column < table->columns; column++) {
            char cell[TABLE_CELL_BYTES];
            table->print_cell(table->context, line, column, cell);
            put_cell(&layout, column, is_foreign(table, column), cell, text);
        }
        end_line(&layout, text);
    }
    return text_check(text, err);
}
