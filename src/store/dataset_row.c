#include "ptqd/store/dataset_row.h"

#include "held_row.h"

#include "ptqd/base/clock.h"

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
    statement_bind_integer(&statement, 4, clock_unix_ms());
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
    statement_bind_integer(&statement, 7, clock_unix_ms());
    return statement_run(&statement, NULL);
}

static bool insert(struct database *database, const void *row, struct error *err)
{
    return insert_dataset(database, row, err) && insert_holder(database, row, err);
}

static const struct held_kind kind = {
    .noun = "data set",
    .row_size = sizeof(struct dataset_row),
    .read = read_row,
    .insert = insert,
    HELD_SQL(
        "dataset",
        "id, name, owner, detail, bytes, samples, scale, zero_point, dataset_holder.created_ms"),
};

bool dataset_row_insert(struct database *database, const struct dataset_row *row, bool *out_known,
                        struct error *err)
{
    return held_insert(database, &kind, row->id, row->owner, row->bytes, row, out_known, err);
}

bool dataset_row_touch(struct database *database, const char *id, struct error *err)
{
    return held_touch(database, &kind, id, err);
}

bool dataset_row_find(struct database *database, const struct store_viewer *viewer, const char *id,
                      struct arena *arena, struct dataset_row *out_row, struct error *err)
{
    return held_find(database, &kind, viewer, id, arena, out_row, err);
}

bool dataset_row_list(struct database *database, const struct store_viewer *viewer,
                      const struct store_page *page, struct arena *arena,
                      struct dataset_row **out_rows, size_t *out_count,
                      char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    void *rows;
    if (!held_list(database, &kind, viewer, page, arena, &rows, out_count, out_next, err))
        return false;
    *out_rows = rows;
    return true;
}

bool dataset_row_delete(struct database *database, const char *id, const char *owner,
                        struct error *err)
{
    return held_delete(database, &kind, id, owner, err);
}
