#include "view.h"

#include "api_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_BYTES = TABLE_CELL_BYTES };

/* ---- reading the object ---- */

double view_number(const struct json *object, const char *key)
{
    double value = (double)NAN;
    const struct json *member = json_find(object, key);
    if (json_type(member) == JSON_NUMBER)
        (void)json_as_number(member, -HUGE_VAL, HUGE_VAL, &value, NULL); /* it is one */
    return value;
}

const char *view_string(const struct json *object, const char *key)
{
    const char *value = "";
    const struct json *member = json_find(object, key);
    if (json_type(member) == JSON_STRING)
        (void)json_as_string(member, &value, NULL); /* it is one */
    return value;
}

bool view_bool(const struct json *object, const char *key)
{
    bool value = false;
    const struct json *member = json_find(object, key);
    if (json_type(member) == JSON_BOOL)
        (void)json_as_bool(member, &value, NULL); /* it is one */
    return value;
}

void view_time(const struct json *object, const char *key, char out[static CELL_BYTES])
{
    enum { DAY = 10, HOUR = 11, MINUTES = 5 }; /* where they stand in RFC 3339, and how long */
    const char *time = view_string(object, key);
    out[0] = '\0';
    if (strlen(time) >= HOUR + MINUTES)
        (void)snprintf(out, CELL_BYTES, "%.*s %.*s", DAY, time, MINUTES, time + HOUR);
}

void view_put_problem(const struct json *object, enum table_style style, struct text *text)
{
    const struct json *problem = json_find(object, "problem");
    if (json_type(problem) != JSON_OBJECT)
        return;
    text_puts(text, "\nproblem: ");
    table_put_foreign(text, style, view_string(problem, "detail"));
    text_puts(text, "\n");
}

void view_id(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "id"), out);
}

void view_name(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "name"), out);
}

void view_owner(const struct json *item, char out[static CELL_BYTES])
{
    cell_text(view_string(item, "owner"), out);
}

void view_bytes(const struct json *item, char out[static CELL_BYTES])
{
    cell_bytes(view_number(item, "bytes"), out);
}

void view_created(const struct json *item, char out[static CELL_BYTES])
{
    view_time(item, "created", out);
}

/* ---- tables ---- */

struct lines {
    const struct view_table *table;
    const struct json **items;
    size_t count;
};

static const char *column_title(const void *context, size_t column)
{
    const struct lines *lines = context;
    return lines->table->columns[column].title;
}

static void print_cell(const void *context, size_t line, size_t column, char out[static CELL_BYTES])
{
    const struct lines *lines = context;
    lines->table->columns[column].print(lines->items[line], out);
}

static bool is_foreign(const void *context, size_t column)
{
    const struct lines *lines = context;
    return lines->table->columns[column].foreign;
}

static bool find_lines(const struct view_table *table, const struct json *object,
                       struct arena *arena, struct lines *out_lines, struct error *err)
{
    const struct json *list = table->list != NULL ? json_find(object, table->list) : NULL;
    struct lines lines = {.table = table, .count = table->list != NULL ? json_count(list) : 1};
    lines.items = ARENA_ARRAY(arena, const struct json *, lines.count, err);
    if (lines.items == NULL)
        return false;
    if (table->list == NULL)
        lines.items[0] = object;
    size_t line = 0;
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v))
        lines.items[line++] = v;
    *out_lines = lines;
    return true;
}

static bool put_table(const struct view_table *row, enum table_style style, bool first,
                      const struct json *object, struct arena *arena, struct text *text,
                      struct error *err)
{
    struct lines lines;
    if (!find_lines(row, object, arena, &lines, err))
        return false;
    if (lines.count == 0 && !first)
        return true;
    if (text->length > 0)
        text_puts(text, "\n");
    const struct table table = {
        .columns = row->column_count,
        .lines = lines.count,
        .title = column_title,
        .print_cell = print_cell,
        .is_foreign = is_foreign,
        .context = &lines,
    };
    return table_print(&table, style, text, err);
}

/* The rest of a list is another request. */
static void put_next(const struct json *object, struct text *text)
{
    const char *next = view_string(object, "next");
    if (next[0] != '\0')
        text_printf(text, "\nmore: ?cursor=%s\n", next);
}

static bool put_view(const struct view *view, enum table_style style, const struct json *object,
                     struct arena *arena, struct text *text, struct error *err)
{
    if (!json_check(object, err))
        return false;
    if (view->head != NULL)
        view->head(object, style, text);
    for (size_t i = 0; i < view->table_count; i++) {
        if (!put_table(&view->tables[i], style, i == 0, object, arena, text, err))
            return false;
    }
    if (view->foot != NULL)
        view->foot(object, style, text);
    put_next(object, text);
    return text_check(text, err);
}

bool view_print(const struct view *view, enum view_form form, const struct json *object,
                struct arena *arena, const char **out_text, size_t *out_size, struct error *err)
{
    enum { VIEW_BYTES_MAX = 16 << 20 };
    struct text text;
    text_init(&text, VIEW_BYTES_MAX);
    const char *copy = NULL;
    if (put_view(view, form == VIEW_PLAIN ? TABLE_PLAIN : TABLE_MARKDOWN, object, arena, &text,
                 err))
        copy = text_dup(&text, arena, err);
    if (copy != NULL) {
        *out_text = copy;
        *out_size = text.length;
    }
    text_finish(&text);
    return copy != NULL;
}

/* ---- answering ---- */

bool view_negotiate(struct http_request *request, enum view_form *out_form, struct error *err)
{
    int reply;
    http_add_header(request, "Vary", "Accept");
    if (!http_negotiate(request, &reply, err))
        return false;
    *out_form = (enum view_form)reply; /* in the order of the row: JSON, VIEW_REPLIES */
    return true;
}

static bool reply_form(struct http_request *request, const struct view *view, enum view_form form,
                       const struct json *object, bool tagged, struct error *err)
{
    const char *text;
    size_t size;
    char etag[ANSWER_ETAG_BYTES];
    if (!view_print(view, form, object, http_arena(request), &text, &size, err) ||
        (tagged && !make_etag(text, size, etag, err)))
        return false;
    if (tagged)
        http_set_etag(request, etag);
    http_answer(request, 200, http_media_type(request), text, size, false);
    return true;
}

bool reply_view(struct http_request *request, const struct view *view, enum view_form form,
                const struct json *object, struct error *err)
{
    return form == VIEW_JSON ? reply_json(request, 200, object, err)
                             : reply_form(request, view, form, object, false, err);
}

bool reply_view_tagged(struct http_request *request, const struct view *view, enum view_form form,
                       const struct json *object, struct error *err)
{
    return form == VIEW_JSON ? reply_json_tagged(request, object, err)
                             : reply_form(request, view, form, object, true, err);
}
