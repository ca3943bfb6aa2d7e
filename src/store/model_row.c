#include "ptqd/store/model_row.h"

#include "row_list.h"

#include "ptqd/store/quota.h"

/* Behind the number that pages follow: of the model, or of the holder where only one owner's are
 * listed. */
#define COLUMNS "id, name, owner, format, detail, bytes, model_holder.created_ms"

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

static bool is_held(struct database *database, const char *id, const char *owner, bool *out_held,
                    struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT 1 FROM model_holder WHERE model = ?1 AND owner = ?2", err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    bool held = statement_step(&statement);
    if (!statement_close(&statement))
        return false;
    *out_held = held;
    return true;
}

/* Only the time is new when somebody holds it already. */
static bool insert_model(struct database *database, const struct model_row *row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO model (id, format, detail, bytes, created_ms)"
                   " VALUES (?1, ?2, ?3, ?4, ?5)"
                   " ON CONFLICT (id) DO UPDATE SET created_ms = excluded.created_ms",
                   err);
    statement_bind_text(&statement, 1, row->id);
    statement_bind_text(&statement, 2, row->format);
    statement_bind_text(&statement, 3, row->detail);
    statement_bind_integer(&statement, 4, row->bytes);
    statement_bind_integer(&statement, 5, database_now_ms());
    return statement_run(&statement, NULL);
}

static bool insert_holder(struct database *database, const struct model_row *row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO model_holder (model, owner, name, created_ms)"
                   " VALUES (?1, ?2, ?3, ?4)",
                   err);
    statement_bind_text(&statement, 1, row->id);
    statement_bind_text(&statement, 2, row->owner);
    statement_bind_text(&statement, 3, row->name);
    statement_bind_integer(&statement, 4, database_now_ms());
    return statement_run(&statement, NULL);
}

bool model_row_insert(struct database *database, const struct model_row *row, bool *out_known,
                      struct error *err)
{
    bool held = false;
    if (!is_held(database, row->id, row->owner, &held, err))
        return false;
    if (!held && (!row_needs_blob(database, row->id, err) ||
                  !quota_fits_bytes(database, row->owner, row->bytes, err) ||
                  !insert_model(database, row, err) || !insert_holder(database, row, err)))
        return false;
    *out_known = held;
    return true;
}

static bool fail_missing(const char *id, struct error *err)
{
    return FAIL(err, E_NOT_FOUND, "there is no model %s", id);
}

bool model_row_check(struct database *database, const struct store_viewer *viewer, const char *id,
                     struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT 1 FROM model_holder WHERE model = ?1 AND (?3 = 0 OR owner = ?2) LIMIT 1",
                   err);
    statement_bind_text(&statement, 1, id);
    bind_viewer(&statement, 2, viewer);
    bool found = statement_step(&statement);
    return statement_close(&statement) && (found || fail_missing(id, err));
}

bool model_row_find(struct database *database, const struct store_viewer *viewer, const char *id,
                    struct arena *arena, struct model_row *out_row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT model.number, " COLUMNS " FROM model JOIN model_holder ON model = id"
                   " WHERE id = ?1 AND (?3 = 0 OR owner = ?2)"
                   " ORDER BY owner IS NOT ?2, model_holder.number LIMIT 1",
                   err);
    statement_bind_text(&statement, 1, id);
    bind_viewer(&statement, 2, viewer);
    struct model_row row;
    bool found = statement_step(&statement);
    if (found)
        read_row(&statement, arena, &row);
    if (!statement_close(&statement))
        return false;
    if (!found)
        return fail_missing(id, err);
    *out_row = row;
    return true;
}

bool model_row_list(struct database *database, const struct store_viewer *viewer,
                    const struct store_page *page, struct arena *arena, struct model_row **out_rows,
                    size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    int64_t limit, below;
    if (!page_limit(page, &limit, err) || !page_number(page, &below, err))
        return false;
    static const char everybodys[] =
        "SELECT model.number, " COLUMNS " FROM model JOIN model_holder ON model_holder.number ="
        " (SELECT number FROM model_holder WHERE model = id ORDER BY owner IS NOT ?2, number"
        "  LIMIT 1)"
        " WHERE model.number < ?1 AND ?3 = 0 ORDER BY model.number DESC LIMIT ?4";
    static const char own[] =
        "SELECT model_holder.number, " COLUMNS " FROM model_holder JOIN model ON id = model"
        " WHERE model_holder.number < ?1 AND owner = ?2 AND ?3 = 1"
        " ORDER BY model_holder.number DESC LIMIT ?4";
    struct statement statement;
    bool own_only = viewer != NULL && viewer->own_only;
    statement_open(&statement, database, own_only ? own : everybodys, err);
    statement_bind_integer(&statement, 1, below);
    bind_viewer(&statement, 2, viewer);
    statement_bind_integer(&statement, 4, limit + 1);
    void *rows;
    if (!statement_list(&statement, limit, sizeof(struct model_row), read_row, arena, &rows,
                        out_count, out_next))
        return false;
    *out_rows = rows;
    return true;
}

bool model_row_delete(struct database *database, const char *id, const char *owner,
                      struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "DELETE FROM model_holder WHERE model = ?1 AND (?2 IS NULL OR owner = ?2)", err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    int64_t holders, models;
    if (!statement_run(&statement, &holders))
        return false;
    if (holders == 0)
        return fail_missing(id, err);
    statement_open(&statement, database,
                   "DELETE FROM model WHERE id = ?1"
                   " AND NOT EXISTS (SELECT 1 FROM model_holder WHERE model = ?1)",
                   err);
    statement_bind_text(&statement, 1, id);
    return statement_run(&statement, &models) &&
           row_is_free(database, "model", id, models == 0 ? owner : NULL, err);
}
