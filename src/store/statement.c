#include "statement.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The cached statement of a text, prepared at its first use; NULL with an error. */
static sqlite3_stmt *find_or_prepare(struct database *database, const char *sql, struct error *err)
{
    for (size_t i = 0; i < database->statement_count; i++) {
        if (database->statements[i].sql == sql)
            return database->statements[i].handle;
    }
    if (database->statement_count == DATABASE_STATEMENTS_MAX) {
        FAIL(err, E_INTERNAL, "more than %d different statements", (int)DATABASE_STATEMENTS_MAX);
        return NULL;
    }
    sqlite3_stmt *handle = NULL;
    if (sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL) !=
        SQLITE_OK) {
        (void)database_fail(database, err);
        return NULL;
    }
    database->statements[database->statement_count].sql = sql;
    database->statements[database->statement_count].handle = handle;
    database->statement_count++;
    return handle;
}

void statement_open(struct statement *statement, struct database *database, const char *sql,
                    struct error *err)
{
    *statement = (struct statement){.database = database, .err = err};
    statement->handle = find_or_prepare(database, sql, err);
    statement->failed = statement->handle == NULL;
}

void statement_fail(struct statement *statement)
{
    statement->failed = true;
}

static void check(struct statement *statement, int status)
{
    if (status == SQLITE_OK || statement->failed)
        return;
    (void)database_fail(statement->database, statement->err);
    statement->failed = true;
}

void statement_bind_text(struct statement *statement, int parameter, const char *text)
{
    if (!statement->failed)
        check(statement, sqlite3_bind_text(statement->handle, parameter, text, -1, SQLITE_STATIC));
}

void statement_bind_integer(struct statement *statement, int parameter, int64_t integer)
{
    if (!statement->failed)
        check(statement, sqlite3_bind_int64(statement->handle, parameter, integer));
}

void statement_bind_real(struct statement *statement, int parameter, double real)
{
    if (!statement->failed)
        check(statement, sqlite3_bind_double(statement->handle, parameter, real));
}

/* True when a test wants this step to fail; the error is filled. */
static bool fault_strikes(struct statement *statement)
{
    const struct store_fault *fault = &statement->database->fault;
    if (fault->strikes == NULL || !fault->strikes(fault->context))
        return false;
    FAIL(statement->err, E_IO, "the step '%s' was made to fail", sqlite3_sql(statement->handle));
    return true;
}

bool statement_step(struct statement *statement)
{
    if (statement->failed)
        return false;
    if (fault_strikes(statement)) {
        statement->failed = true;
        return false;
    }
    int status = sqlite3_step(statement->handle);
    if (status != SQLITE_ROW && status != SQLITE_DONE)
        check(statement, status);
    return status == SQLITE_ROW;
}

const char *statement_text(struct statement *statement, int column, struct arena *arena)
{
    if (statement->failed || statement_is_null(statement, column))
        return NULL;
    const char *text = (const char *)sqlite3_column_text(statement->handle, column);
    size_t length = (size_t)sqlite3_column_bytes(statement->handle, column);
    char *copy = NULL;
    if (text == NULL)
        FAIL(statement->err, E_MEMORY, "no memory for a text of the database");
    else
        copy = arena_strndup(arena, text, length, statement->err);
    statement->failed = copy == NULL;
    return copy;
}

int64_t statement_integer(struct statement *statement, int column)
{
    return statement->failed ? 0 : sqlite3_column_int64(statement->handle, column);
}

double statement_real(struct statement *statement, int column)
{
    if (statement->failed || statement_is_null(statement, column))
        return (double)NAN;
    return sqlite3_column_double(statement->handle, column);
}

bool statement_is_null(struct statement *statement, int column)
{
    return statement->failed || sqlite3_column_type(statement->handle, column) == SQLITE_NULL;
}

void statement_repeat(struct statement *statement)
{
    while (statement_step(statement))
        ;
    if (!statement->failed)
        (void)sqlite3_reset(statement->handle); /* the step went well */
}

bool statement_close(struct statement *statement)
{
    if (statement->handle != NULL) {
        (void)sqlite3_reset(statement->handle);          /* repeats the error of the last step */
        (void)sqlite3_clear_bindings(statement->handle); /* always succeeds */
    }
    return !statement->failed;
}

bool statement_run(struct statement *statement, int64_t *out_changes)
{
    while (statement_step(statement))
        ;
    int64_t changes = sqlite3_changes64(statement->database->handle);
    if (!statement_close(statement))
        return false;
    if (out_changes != NULL)
        *out_changes = changes;
    return true;
}

bool statement_run_text(struct database *database, const char *sql, const char *text,
                        struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, sql, err);
    statement_bind_text(&statement, 1, text);
    return statement_run(&statement, NULL);
}

bool statement_list(struct statement *statement, int64_t limit, size_t row_size,
                    statement_read_fn read, struct arena *arena, void **out_rows, size_t *out_count,
                    char *out_next)
{
    char *rows = NULL;
    char cursor[STORE_CURSOR_BYTES] = "", next[STORE_CURSOR_BYTES] = "";
    size_t count = 0;
    if (!statement->failed)
        rows = arena_array(arena, (size_t)limit, row_size, statement->err);
    if (rows == NULL)
        statement->failed = true;

    while (statement_step(statement)) {
        if (count == (size_t)limit) {
            memcpy(next, cursor, sizeof(next));
            break;
        }
        read(statement, arena, rows + count * row_size);
        count++;
        const unsigned char *text = sqlite3_column_text(statement->handle, 0);
        (void)snprintf(cursor, sizeof(cursor), "%s", text == NULL ? "" : (const char *)text);
    }
    if (!statement_close(statement))
        return false;
    *out_rows = rows;
    *out_count = count;
    if (out_next != NULL)
        memcpy(out_next, next, sizeof(next));
    return true;
}
