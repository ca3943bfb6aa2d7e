/* Tables for people: aligned whatever the names are made of, and names stay names. */

#include "cells.h"
#include "table.h"

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 3, LINES = 2 };

static struct error err;
static struct text text;
static const char *cells[LINES][COLUMNS];

static void setup(void)
{
    text_init(&text, 1 << 20);
}

static void teardown(void)
{
    text_finish(&text);
}

static const char *title(const void *context, size_t column)
{
    static const char *const titles[COLUMNS] = {"name", "state", "left"};
    (void)context;
    return titles[column];
}

static void print_cell(const void *context, size_t line, size_t column,
                       char out[static TABLE_CELL_BYTES])
{
    (void)context;
    (void)snprintf(out, TABLE_CELL_BYTES, "%s", cells[line][column]);
}

static bool is_foreign(const void *context, size_t column)
{
    (void)context;
    return column == 0;
}

static void check_table(enum table_style style, const char *expected)
{
    const struct table table = {.columns = COLUMNS,
                                .lines = LINES,
                                .title = title,
                                .print_cell = print_cell,
                                .is_foreign = is_foreign};
    text_finish(&text);
    text_init(&text, 1 << 20);
    ck_assert_ok(table_print(&table, style, &text, &err), &err);
    ck_assert_str_eq(text.bytes, expected);
}

static void set(size_t line, const char *name, const char *state, const char *left)
{
    cells[line][0] = name;
    cells[line][1] = state;
    cells[line][2] = left;
}

/* Law: columns begin at the same place of a terminal in every line, and no line ends in blanks. */
START_TEST(columns_are_aligned)
{
    set(0, "a", "running", "");
    set(1, "a longer one", "", "37 s");
    check_table(TABLE_PLAIN, "name          state    left\n"
                             "a             running\n"
                             "a longer one           37 s\n");
    check_table(TABLE_MARKDOWN, "| name         | state   | left |\n"
                                "|--------------|---------|------|\n"
                                "| a            | running |      |\n"
                                "| a longer one |         | 37 s |\n");
}
END_TEST

/* Two bytes and one column; three bytes and two columns; a mark of no column; four bytes and two.
 */
START_TEST(characters_of_many_bytes_are_aligned)
{
    set(0,
        "pr\xc3\xbc"
        "fung",
        "x", "y");
    set(1, "\xe6\xb8\xac\xe8\xa9\xa6", "x", "y");
    check_table(TABLE_PLAIN, "name     state  left\n"
                             "pr\xc3\xbc"
                             "fung  x      y\n"
                             "\xe6\xb8\xac\xe8\xa9\xa6     x      y\n");
    set(0, "e\xcc\x81t\xc3\xa9", "x", "y");
    set(1, "\xf0\x9f\x98\x80\xf0\x9f\x98\x80!", "x", "y");
    check_table(TABLE_PLAIN, "name   state  left\n"
                             "e\xcc\x81t\xc3\xa9    x      y\n"
                             "\xf0\x9f\x98\x80\xf0\x9f\x98\x80!  x      y\n");
}
END_TEST

/* Law: a name never moves the cursor, ends a line or a cell, or turns the direction. */
START_TEST(control_characters_are_shown)
{
    set(0, "\x1b[2J", "a\nb", "\x7f");
    set(1,
        "\xe2\x80\xae"
        "x\xff",
        "\xc2\x9b", "");
    check_table(TABLE_PLAIN, "name  state  left\n"
                             "\xef\xbf\xbd[2J  a\xef\xbf\xbd"
                             "b    \xef\xbf\xbd\n"
                             "\xef\xbf\xbdx\xef\xbf\xbd   \xef\xbf\xbd\n");
}
END_TEST

START_TEST(names_have_no_meaning_in_markdown)
{
    set(0, "a|b\\", "c|d *", "");
    set(1, "*_x_y* <i>", "", "");
    check_table(TABLE_MARKDOWN, "| name            | state  | left |\n"
                                "|-----------------|--------|------|\n"
                                "| a\\|b\\\\          | c\\|d * |      |\n"
                                "| \\*\\_x_y\\* \\<i\\> |        |      |\n");
    check_table(TABLE_PLAIN, "name        state  left\n"
                             "a|b\\        c|d *\n"
                             "*_x_y* <i>\n");
}
END_TEST

START_TEST(cells_say_what_they_hold)
{
    static const struct {
        void (*print)(double value, char out[static TABLE_CELL_BYTES]);
        double value;
        const char *expected;
    } rows[] = {
        {cell_bar, 0, "[..........]   0 %"},
        {cell_bar, 0.42, "[####......]  42 %"},
        {cell_bar, 0.9999, "[#########.]  99 %"},
        {cell_bar, 1, "[##########] 100 %"},
        {cell_bar, 7, "[##########] 100 %"},
        {cell_bar, -1, "[..........]   0 %"},
        {cell_bar, (double)NAN, "–"},
        {cell_duration, 0, "0 s"},
        {cell_duration, 36.2, "37 s"},
        {cell_duration, 59.5, "1 min 00 s"},
        {cell_duration, 245, "4 min 05 s"},
        {cell_duration, 7500, "2 h 05 min"},
        {cell_duration, 90000, "1 d 1 h"},
        {cell_duration, HUGE_VAL, "11574074074 d 1 h"},
        {cell_duration, (double)NAN, "–"},
        {cell_percent, 0.9125, "91.25"},
        {cell_percent, (double)NAN, "–"},
        {cell_bytes, 1536, "1.50 KiB"},
        {cell_bytes, 10, "10 B"},
        {cell_count, 2310000, "2.31 M"},
    };
    char cell[TABLE_CELL_BYTES];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rows[i].print(rows[i].value, cell);
        ck_assert_str_eq(cell, rows[i].expected);
    }
}
END_TEST

/* Law: a text that is too long ends in "…", and no character is cut in two. */
START_TEST(long_texts_are_cut_between_characters)
{
    char cell[TABLE_CELL_BYTES], name[400];
    for (size_t bytes = 1; bytes <= 4; bytes++) {
        static const char *const characters[] = {"x", "\xc3\xbc", "\xe6\xb8\xac",
                                                 "\xf0\x9f\x98\x80"};
        for (size_t count = 0; count * bytes < sizeof(name) - 4; count++) {
            name[0] = '\0';
            for (size_t i = 0; i < count; i++)
                memcpy(name + i * bytes, characters[bytes - 1], bytes + 1);
            cell_text(name, cell);
            size_t length = strlen(cell);
            ck_assert(text_is_utf8(cell, length));
            if (strcmp(cell, name) == 0)
                continue;
            ck_assert_uint_gt(count, 20);
            ck_assert_str_eq(cell + length - 3, "…");
            ck_assert_int_eq(strncmp(cell, name, length - 3), 0);
            ck_assert_uint_ge(length, 40);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *tcase = tcase_create("table");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, columns_are_aligned);
    tcase_add_test(tcase, characters_of_many_bytes_are_aligned);
    tcase_add_test(tcase, control_characters_are_shown);
    tcase_add_test(tcase, names_have_no_meaning_in_markdown);
    tcase_add_test(tcase, cells_say_what_they_hold);
    tcase_add_test(tcase, long_texts_are_cut_between_characters);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
