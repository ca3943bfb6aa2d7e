#pragma once

/* Answers for people: what a JSON answer says, as tables in Markdown or plain text. They are made
 * from the JSON object, so that both say the same. */

#include "cells.h"

#include "ptqd/http/request.h"
#include "ptqd/json/json.h"

struct view_column {
    const char *title;
    void (*print)(const struct json *item, char out[static TABLE_CELL_BYTES]);
    bool foreign; /* people wrote it */
};

struct view_table {
    const char *list; /* member of the object: a line for each element; NULL: the object itself */
    const struct view_column *columns;
    size_t column_count;
};

/* Lines of text about the object. */
typedef void view_lines(const struct json *object, enum table_style style, struct text *text);

struct view {
    view_lines *head;                /* in front of the tables; NULL: nothing */
    const struct view_table *tables; /* those without a line are left out, but for the first one */
    size_t table_count;
    view_lines *foot; /* NULL: nothing */
};

extern const struct view jobs_view, job_view, runs_view, run_view, queue_view, models_view,
    datasets_view;

/* ---- answering ---- */

enum view_form { VIEW_JSON, VIEW_MARKDOWN, VIEW_PLAIN };

/* In a route's row, behind the reply of JSON. */
#define VIEW_REPLIES                                                                               \
    {200, "A table for people", .type = TYPE_MARKDOWN},                                            \
    {                                                                                              \
        200, "The same, in columns for a terminal", .type = TYPE_PLAIN                             \
    }

/* By Accept; JSON unless text is preferred. E_NOT_ACCEPTABLE for anything else. */
bool view_negotiate(struct http_request *request, enum view_form *out_form, struct error *err);
/* The object as text, in `arena`. Not for VIEW_JSON. */
bool view_print(const struct view *view, enum view_form form, const struct json *object,
                struct arena *arena, const char **out_text, size_t *out_size, struct error *err);
/* Answers 200 with the object, as JSON or as text. */
bool reply_view(struct http_request *request, const struct view *view, enum view_form form,
                const struct json *object, struct error *err);
/* The same with an ETag made from what is sent. */
bool reply_view_tagged(struct http_request *request, const struct view *view, enum view_form form,
                       const struct json *object, struct error *err);

/* ---- reading the object ---- */

double view_number(const struct json *object, const char *key);      /* NaN: not known */
const char *view_string(const struct json *object, const char *key); /* "": not there */
bool view_bool(const struct json *object, const char *key);
/* "2026-05-01 12:00" of an RFC 3339 time; "" when there is none. */
void view_time(const struct json *object, const char *key, char out[static TABLE_CELL_BYTES]);
/* "problem: …" behind an empty line when there is one. */
void view_put_problem(const struct json *object, enum table_style style, struct text *text);

/* Cells that tables of several objects have. */
void view_id(const struct json *item, char out[static TABLE_CELL_BYTES]);
void view_name(const struct json *item, char out[static TABLE_CELL_BYTES]);
void view_owner(const struct json *item, char out[static TABLE_CELL_BYTES]);
void view_bytes(const struct json *item, char out[static TABLE_CELL_BYTES]);
void view_created(const struct json *item, char out[static TABLE_CELL_BYTES]);
