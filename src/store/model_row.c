#include "ptqd/store/model_row.h"

#include "held_row.h"

#include "ptqd/base/clock.h"

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
    statement_bind_integer(&statement, 5, clock_unix_ms());
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
    statement_bind_integer(&statement, 4, clock_unix_ms());
    return statement_run(&statement, NULL);
}

static bool insert(struct database *database, const void *row, struct error *err)
{
    return insert_model(database, row, err) && insert_holder(database, row, err);
}

static const struct held_kind kind = {
    .noun = "model",
    .row_size = sizeof(struct model_row),
    .read = read_row,
    .insert = insert,
    HELD_SQL("model", "id, name, owner, format, detail, bytes, model_holder.created_ms"),
};

bool model_row_insert(struct database *database, const struct model_row *row, bool *out_known,
                      struct error *err)
{
    return held_insert(database, &kind, row->id, row->owner, row->bytes, row, out_known, err);
}

bool model_row_touch(struct database *database, const char *id, struct error *err)
{
    return held_touch(database, &kind, id, err);
}

bool model_row_check(struct database *database, const struct store_viewer *viewer, const char *id,
                     struct error *err)
{
    return held_check(database, &kind, viewer, id, err);
}

bool model_row_find(struct database *database, const struct store_viewer *viewer, const char *id,
                    struct arena *arena, struct model_row *out_row, struct error *err)
{
    return held_find(database, &kind, viewer, id, arena, out_row, err);
}

bool model_row_list(struct database *database, const struct store_viewer *viewer,
                    const struct store_page *page, struct arena *arena, struct model_row **out_rows,
                    size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    void *rows;
    if (!held_list(database, &kind, viewer, page, arena, &rows, out_count, out_next, err))
        return false;
    *out_rows = rows;
    return true;
}

bool model_row_delete(struct database *database, const char *id, const char *owner,
                      struct error *err)
{
    return held_delete(database, &kind, id, owner, err);
}
