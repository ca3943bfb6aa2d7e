#pragma once

/* One use of a prepared statement: open, bind, step, close.
 *
 * Errors stick: after the first one every call does nothing and statement_close returns false, the
 * error being in what statement_open was given. Statements are cached by the address of their text.
 */

#include "database.h"

#include "ptqd/base/arena.h"

struct statement {
    struct database *database; /* borrowed */
    sqlite3_stmt *handle;      /* the cache's; NULL when it could not be prepared */
    struct error *err;         /* borrowed */
    bool failed;
};

/* `sql` must be a literal (or live as long as the connection). */
void statement_open(struct statement *statement, struct database *database, const char *sql,
                    struct error *err);
/* Parameters count from 1. Text is borrowed until statement_close; NULL and NaN are null. */
void statement_bind_text(struct statement *statement, int parameter, const char *text);
void statement_bind_integer(struct statement *statement, int parameter, int64_t integer);
void statement_bind_real(struct statement *statement, int parameter, double real);

/* True when there is a row. */
bool statement_step(struct statement *statement);

/* Columns count from 0. Null text is NULL, a null integer 0, a null real NaN. */
const char *statement_text(struct statement *statement, int column, struct arena *arena);
int64_t statement_integer(struct statement *statement, int column);
double statement_real(struct statement *statement, int column);
bool statement_is_null(struct statement *statement, int column);

/* Notes an error found in a row. */
void statement_fail(struct statement *statement);

/* Runs it once with the parameters as they are; it can be bound and run again. */
void statement_repeat(struct statement *statement);

/* Ends the use; false when anything failed since statement_open. */
bool statement_close(struct statement *statement);
/* Steps to the end and closes. `out_changes` (may be NULL): rows changed. */
bool statement_run(struct statement *statement, int64_t *out_changes);
/* All of it, with one text as the parameter. */
bool statement_run_text(struct database *database, const char *sql, const char *text,
                        struct error *err);

/* How one row becomes a struct; `out_row` is zeroed. Column 0 is the row's cursor. */
typedef void (*statement_read_fn)(struct statement *statement, struct arena *arena, void *out_row);

/* Reads at most `limit` rows of `row_size` bytes and closes. `out_next` (may be NULL): the cursor
 * of the last of them when there are more, else "". */
bool statement_list(struct statement *statement, int64_t limit, size_t row_size,
                    statement_read_fn read, struct arena *arena, void **out_rows, size_t *out_count,
                    char *out_next);
