#include "ptqd/store/dataset_row.h"

#include "row_list.h"

#include "ptqd/store/quota.h"

/* Behind the number that pages follow, as in model_row.c. */
#define COLUMNS                                                                                    \
    "id, name, owner, detail, bytes, samples, scale, zero_point, dataset_holder.created_ms"

static void read_row(struct statement *statement, struct arena *arena, void *out_row)
{
    struct dataset_row *row = out_row;
    *row = (struct dataset_row){
        .id = statement_text(statement, 1, arena),
        .name = statement_text(statement, 2, arena),
        .owner = statement_text(statement, 3, arena),
        .detail = statement_text(statement, 4, arena),
        .bytes = statement_integer(statement, 5),
        .samples = statement_integer(statement, 6),
        .scale = statement_real(statement, 7),
        .zero_point = statement_real(statement, 8),
        .created_ms = statement_integer(statement, 9),
    };
}

static bool is_held(struct database *database, const char *id, const char *owner, bool *out_held,
                    struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT 1 FROM dataset_holder WHERE dataset = ?1 AND owner = ?2", err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    bool held = statement_step(&statement);
    if (!statement_close(&statement))
        return false;
    *out_held = held;
    return true;
}

/* Only the time is new when somebody holds it already. */
static bool insert_dataset(struct database *database, const struct dataset_row *row,
                           struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO dataset (id, bytes, samples, created_ms) VALUES (?1, ?2, ?3, ?4)"
                   " ON CONFLICT (id) DO UPDATE SET created_ms = excluded.created_ms",
                   err);
    statement_bind_text(&statement, 1, row->id);
    statement_bind_integer(&statement, 2, row->bytes);
    statement_bind_integer(&statement, 3, row->samples);
    statement_bind_integer(&statement, 4, database_now_ms());
    return statement_run(&statement, NULL);
}

static bool insert_holder(struct database *database, const struct dataset_row *row,
                          struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO dataset_holder (dataset, owner, name, detail, scale, zero_point,"
                   " created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   err);
    statement_bind_text(&statement, 1, row->id);
    statement_bind_text(&statement, 2, row->owner);
    statement_bind_text(&statement, 3, row->name);
    statement_bind_text(&statement, 4, row->detail);
    statement_bind_real(&statement, 5, row->scale);
    statement_bind_real(&statement, 6, row->zero_point);
    statement_bind_integer(&statement, 7, database_now_ms());
    return statement_run(&statement, NULL);
}

bool dataset_row_insert(struct database *database, const struct dataset_row *row, bool *out_known,
                        struct error *err)
{
    bool held = false;
    if (!is_held(database, row->id, row->owner, &held, err))
        return false;
    if (!held && (!row_needs_blob(database, row->id, err) ||
                  !quota_fits_bytes(database, row->owner, row->bytes, err) ||
                  !insert_dataset(database, row, err) || !insert_holder(database, row, err)))
        return false;
    *out_known = held;
    return true;
}

bool dataset_row_find(struct database *database, const struct store_viewer *viewer, const char *id,
                      struct arena *arena, struct dataset_row *out_row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT dataset.number, " COLUMNS
                   " FROM dataset JOIN dataset_holder ON dataset = id"
                   " WHERE id = ?1 AND (?3 = 0 OR owner = ?2)"
                   " ORDER BY owner IS NOT ?2, dataset_holder.number LIMIT 1",
                   err);
    statement_bind_text(&statement, 1, id);
    bind_viewer(&statement, 2, viewer);
    struct dataset_row row;
    bool found = statement_step(&statement);
    if (found)
        read_row(&statement, arena, &row);
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "there is no data set %s", id);
    *out_row = row;
    return true;
}

bool dataset_row_list(struct database *database, const struct store_viewer *viewer,
                      const struct store_page *page, struct arena *arena,
                      struct dataset_row **out_rows, size_t *out_count,
                      char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    int64_t limit, below;
    if (!page_limit(page, &limit, err) || !page_number(page, &below, err))
        return false;
    static const char everybodys[] =
        "SELECT dataset.number, " COLUMNS
        " FROM dataset JOIN dataset_holder ON dataset_holder.number ="
        " (SELECT number FROM dataset_holder WHERE dataset = id ORDER BY owner IS NOT ?2, number"
        "  LIMIT 1)"
        " WHERE dataset.number < ?1 AND ?3 = 0 ORDER BY dataset.number DESC LIMIT ?4";
    static const char own[] =
        "SELECT dataset_holder.number, " COLUMNS " FROM dataset_holder JOIN dataset ON id = dataset"
        " WHERE dataset_holder.number < ?1 AND owner = ?2 AND ?3 = 1"
        " ORDER BY dataset_holder.number DESC LIMIT ?4";
    struct statement statement;
    bool own_only = viewer != NULL && viewer->own_only;
    statement_open(&statement, database, own_only ? own : everybodys, err);
    statement_bind_integer(&statement, 1, below);
    bind_viewer(&statement, 2, viewer);
    statement_bind_integer(&statement, 4, limit + 1);
    void *rows;
    if (!statement_list(&statement, limit, sizeof(struct dataset_row), read_row, arena, &rows,
                        out_count, out_next))
        return false;
    *out_rows = rows;
    return true;
}

bool dataset_row_delete(struct database *database, const char *id, const char *owner,
                        struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "DELETE FROM dataset_holder WHERE dataset = ?1 AND (?2 IS NULL OR owner = ?2)",
                   err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    int64_t holders, datasets;
    if (!statement_run(&statement, &holders))
        return false;
    if (holders == 0)
        return FAIL(err, E_NOT_FOUND, "there is no data set %s", id);
    statement_open(&statement, database,
                   "DELETE FROM dataset WHERE id = ?1"
                   " AND NOT EXISTS (SELECT 1 FROM dataset_holder WHERE dataset = ?1)",
                   err);
    statement_bind_text(&statement, 1, id);
    return statement_run(&statement, &datasets) &&
           row_is_free(database, "data set", id, datasets == 0 ? owner : NULL, err);
}
