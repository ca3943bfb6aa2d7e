#include "held_row.h"

#include "ptqd/base/clock.h"
#include "ptqd/store/quota.h"

static bool fail_missing(const struct held_kind *kind, const char *id, struct error *err)
{
    return FAIL(err, E_NOT_FOUND, "there is no %s %s", kind->noun, id);
}

static bool is_held(struct database *database, const struct held_kind *kind, const char *id,
                    const char *owner, bool *out_held, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, kind->held, err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    bool held = statement_step(&statement);
    if (!statement_close(&statement))
        return false;
    *out_held = held;
    return true;
}

/* Who has sent it again has the time to use it (retention.h). */
bool held_touch(struct database *database, const struct held_kind *kind, const char *id,
                struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, kind->touch, err);
    statement_bind_text(&statement, 1, id);
    statement_bind_integer(&statement, 2, clock_unix_ms());
    return statement_run(&statement, NULL);
}

bool held_insert(struct database *database, const struct held_kind *kind, const char *id,
                 const char *owner, int64_t bytes, const void *row, bool *out_known,
                 struct error *err)
{
    bool held = false;
    if (!is_held(database, kind, id, owner, &held, err))
        return false;
    bool ok = held ? held_touch(database, kind, id, err)
                   : row_needs_blob(database, id, err) &&
                         quota_fits_bytes(database, owner, bytes, err) &&
                         kind->insert(database, row, err);
    if (!ok)
        return false;
    *out_known = held;
    return true;
}

bool held_check(struct database *database, const struct held_kind *kind,
                const struct store_viewer *viewer, const char *id, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, kind->seen, err);
    statement_bind_text(&statement, 1, id);
    bind_viewer(&statement, 2, viewer);
    bool found = statement_step(&statement);
    return statement_close(&statement) && (found || fail_missing(kind, id, err));
}

bool held_find(struct database *database, const struct held_kind *kind,
               const struct store_viewer *viewer, const char *id, struct arena *arena,
               void *out_row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, kind->find, err);
    statement_bind_text(&statement, 1, id);
    bind_viewer(&statement, 2, viewer);
    bool found = statement_step(&statement);
    if (found)
        kind->read(&statement, arena, out_row);
    return statement_close(&statement) && (found || fail_missing(kind, id, err));
}

bool held_list(struct database *database, const struct held_kind *kind,
               const struct store_viewer *viewer, const struct store_page *page,
               struct arena *arena, void **out_rows, size_t *out_count,
               char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    int64_t limit, below;
    if (!page_limit(page, &limit, err) || !page_number(page, &below, err))
        return false;
    struct statement statement;
    bool own_only = viewer != NULL && viewer->own_only;
    statement_open(&statement, database, own_only ? kind->list_own : kind->list, err);
    statement_bind_integer(&statement, 1, below);
    bind_viewer(&statement, 2, viewer);
    statement_bind_integer(&statement, 4, limit + 1);
    return statement_list(&statement, limit, kind->row_size, kind->read, arena, out_rows, out_count,
                          out_next);
}

bool held_delete(struct database *database, const struct held_kind *kind, const char *id,
                 const char *owner, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, kind->release, err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    int64_t holders, removed;
    if (!statement_run(&statement, &holders))
        return false;
    if (holders == 0)
        return fail_missing(kind, id, err);
    statement_open(&statement, database, kind->remove, err);
    statement_bind_text(&statement, 1, id);
    return statement_run(&statement, &removed) &&
           row_is_free(database, kind->noun, id, removed == 0 ? owner : NULL, err);
}
