#include "ptqd/store/token_row.h"

#include "row_list.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/digest.h"

#include <stdio.h>

#define COLUMNS "name, name, role, digest, created_ms, queued_runs, running_runs, stored_bytes"

static void read_row(struct statement *statement, struct arena *arena, void *out_row)
{
    struct token_row *row = out_row;
    *row = (struct token_row){
        .name = statement_text(statement, 1, arena),
        .role = statement_text(statement, 2, arena),
        .digest = statement_text(statement, 3, arena),
        .created_ms = statement_integer(statement, 4),
        .quota = {.queued_runs = statement_integer(statement, 5),
                  .running_runs = statement_integer(statement, 6),
                  .stored_bytes = statement_integer(statement, 7)},
    };
}

/* E_CONFLICT when the name is taken, E_LIMIT when no list would hold one more. */
static bool check_room(struct database *database, const char *name, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT count(*), count(*) FILTER (WHERE name = ?1) FROM token", err);
    statement_bind_text(&statement, 1, name);
    bool counted = statement_step(&statement);
    int64_t tokens = counted ? statement_integer(&statement, 0) : 0;
    int64_t same = counted ? statement_integer(&statement, 1) : 0;
    if (!statement_close(&statement))
        return false;
    if (same > 0)
        return FAIL(err, E_CONFLICT, "there is a token '%s' already", name);
    return tokens < STORE_PAGE_MAX ||
           FAIL(err, E_LIMIT, "there are %d tokens already; revoke one", (int)STORE_PAGE_MAX);
}

/* The first five parameters: the name, and what can be changed. */
static void bind_terms(struct statement *statement, const struct token_row *row)
{
    statement_bind_text(statement, 1, row->name);
    statement_bind_text(statement, 2, row->role);
    statement_bind_integer(statement, 3, row->quota.queued_runs);
    statement_bind_integer(statement, 4, row->quota.running_runs);
    statement_bind_integer(statement, 5, row->quota.stored_bytes);
}

bool token_row_insert(struct database *database, const struct token_row *row, struct error *err)
{
    if (!check_room(database, row->name, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO token (name, role, queued_runs, running_runs, stored_bytes, digest,"
                   " created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   err);
    bind_terms(&statement, row);
    statement_bind_text(&statement, 6, row->digest);
    statement_bind_integer(&statement, 7, clock_unix_ms());
    return statement_run(&statement, NULL);
}

bool token_row_change(struct database *database, const struct token_row *row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE token SET role = ?2, queued_runs = ?3, running_runs = ?4,"
                   " stored_bytes = ?5 WHERE name = ?1",
                   err);
    bind_terms(&statement, row);
    int64_t changed;
    if (!statement_run(&statement, &changed))
        return false;
    return changed == 1 || FAIL(err, E_NOT_FOUND, "there is no token '%s'", row->name);
}

bool token_row_any(struct database *database, bool *out_any, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT EXISTS (SELECT 1 FROM token)", err);
    bool any = statement_step(&statement) && statement_integer(&statement, 0) != 0;
    if (!statement_close(&statement))
        return false;
    *out_any = any;
    return true;
}

/* The index finds those that begin alike; which of them it is, is found out in constant time: how
 * long an answer takes tells nothing that a guesser does not have already. */
bool token_row_find(struct database *database, const char *digest, struct arena *arena,
                    struct token_row *out_row, bool *out_found, struct error *err)
{
    enum { PREFIX_CHARS = 8 };
    char prefix[PREFIX_CHARS + 1];
    struct statement statement;
    (void)snprintf(prefix, sizeof(prefix), "%s", digest); /* the start is all that is wanted */
    statement_open(&statement, database,
                   "SELECT " COLUMNS " FROM token WHERE digest BETWEEN ?1 AND ?1 || 'g'", err);
    statement_bind_text(&statement, 1, prefix);
    struct token_row row;
    bool found = false;
    while (!found && statement_step(&statement)) {
        read_row(&statement, arena, &row);
        found = row.digest != NULL && digest_equal(row.digest, digest);
    }
    if (!statement_close(&statement))
        return false;
    if (found)
        *out_row = row;
    *out_found = found;
    return true;
}

bool token_row_list(struct database *database, struct arena *arena, struct token_row **out_rows,
                    size_t *out_count, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT " COLUMNS " FROM token ORDER BY name", err);
    void *rows;
    if (!statement_list(&statement, STORE_PAGE_MAX, sizeof(struct token_row), read_row, arena,
                        &rows, out_count, NULL))
        return false;
    *out_rows = rows;
    return true;
}

bool token_row_delete(struct database *database, const char *name, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "DELETE FROM token WHERE name = ?1", err);
    statement_bind_text(&statement, 1, name);
    int64_t deleted;
    if (!statement_run(&statement, &deleted))
        return false;
    return deleted == 1 || FAIL(err, E_NOT_FOUND, "there is no token '%s'", name);
}
