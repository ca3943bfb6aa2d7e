#include "ptqd/store/model_row.h"

#include "row_list.h"

#define COLUMNS "number, id, name, owner, format, detail, bytes, created_ms"

static void read_row(struct statement *statement, struct arena *arena, void *out_row)
{
    struct model_row *row = out_row;
    *row = (struct model_row){
        .id = statement_text(statement, 1, arena),
        .name = statement_text(statement, 2, arena),
        .owner = statement_text(statement, 3, arena),
        .format = statement_text(statement, 4, arena),
        .detail = statement_text(statement, 5, arena),
        .bytes = statement_integer(statement, 6),
        .created_ms = statement_integer(statement, 7),
    };
}

bool model_row_insert(struct database *database, const struct model_row *row, bool *out_known,
                      struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT 1 FROM model WHERE id = ?1", err);
    statement_bind_text(&statement, 1, row->id);
    bool known = statement_step(&statement);
    if (!statement_close(&statement))
        return false;
    if (known) {
        *out_known = true;
        return true;
    }
    if (!row_needs_blob(database, row->id, err) ||
        !row_fits_limit(database, row->owner, row->bytes, err))
        return false;

    statement_open(&statement, database,
                   "INSERT INTO model (id, name, owner, format, detail, bytes, created_ms)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   err);
    statement_bind_text(&statement, 1, row->id);
    statement_bind_text(&statement, 2, row->name);
    statement_bind_text(&statement, 3, row->owner);
    statement_bind_text(&statement, 4, row->format);
    statement_bind_text(&statement, 5, row->detail);
    statement_bind_integer(&statement, 6, row->bytes);
    statement_bind_integer(&statement, 7, database_now_ms());
    if (!statement_run(&statement, NULL))
        return false;
    *out_known = false;
    return true;
}

bool model_row_find(struct database *database, const char *id, struct arena *arena,
                    struct model_row *out_row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT " COLUMNS " FROM model WHERE id = ?1", err);
    statement_bind_text(&statement, 1, id);
    struct model_row row;
    bool found = statement_step(&statement);
    if (found)
        read_row(&statement, arena, &row);
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "there is no model %s", id);
    *out_row = row;
    return true;
}

bool model_row_list(struct database *database, const char *owner, const struct store_page *page,
                    struct arena *arena, struct model_row **out_rows, size_t *out_count,
                    char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    int64_t limit, below;
    if (!page_limit(page, &limit, err) || !page_number(page, &below, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT " COLUMNS " FROM model"
                   " WHERE number < ?1 AND (?2 IS NULL OR owner = ?2)"
                   " ORDER BY number DESC LIMIT ?3",
                   err);
    statement_bind_integer(&statement, 1, below);
    statement_bind_text(&statement, 2, owner);
    statement_bind_integer(&statement, 3, limit + 1);
    void *rows;
    if (!statement_list(&statement, limit, sizeof(struct model_row), read_row, arena, &rows,
                        out_count, out_next))
        return false;
    *out_rows = rows;
    return true;
}

bool model_row_delete(struct database *database, const char *id, struct error *err)
{
    if (!row_is_free(database, "model", id, err))
        return false;
    struct statement statement;
    statement_open(&statement, database, "DELETE FROM model WHERE id = ?1", err);
    statement_bind_text(&statement, 1, id);
    int64_t deleted;
    if (!statement_run(&statement, &deleted))
        return false;
    return deleted == 1 || FAIL(err, E_NOT_FOUND, "there is no model %s", id);
}
