/* Deleting a row puts its blob on the list `garbage`, in the same transaction (triggers of
 * migrations 1 and 2). The list is worked off after the commit: first the file goes, then its
 * entry, so that a crash between the two leaves an entry whose file is gone, which is fine.
 *
 * A blob that is pinned (blob.h) stays, and its entry goes all the same: whoever pinned it unpins
 * it, and what was unpinned is looked at here as well. */

#include "collect.h"

#include "blob_walk.h"
#include "statement.h"

#include "ptqd/store/blob.h"

#include <stdio.h>
#include <string.h>

bool collect_is_named(struct database *database, const char *id, bool *out_named, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT EXISTS (SELECT 1 FROM model WHERE id = ?1)"
                   "    OR EXISTS (SELECT 1 FROM dataset WHERE id = ?1)"
                   "    OR EXISTS (SELECT 1 FROM artifact WHERE blob = ?1)",
                   err);
    statement_bind_text(&statement, 1, id);
    bool named = statement_step(&statement) && statement_integer(&statement, 0) != 0;
    if (!statement_close(&statement))
        return false;
    *out_named = named;
    return true;
}

bool collect_list_named(struct database *database, struct arena *arena, const char ***out_ids,
                        size_t *out_count, struct error *err)
{
    int64_t count;
    if (!database_number(database,
                         "SELECT (SELECT count(*) FROM model) + (SELECT count(*) FROM dataset) +"
                         " (SELECT count(*) FROM artifact)",
                         &count, err))
        return false;
    const char **ids = ARENA_ARRAY(arena, const char *, (size_t)count, err);
    if (ids == NULL)
        return false;
    size_t used = 0;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT id FROM model UNION SELECT id FROM dataset UNION SELECT blob FROM"
                   " artifact",
                   err);
    while (used < (size_t)count && statement_step(&statement))
        ids[used++] = statement_text(&statement, 0, arena);
    if (!statement_close(&statement))
        return false;
    *out_ids = ids;
    *out_count = used;
    return true;
}

bool collect_unnamed(struct database *database, const char *id, struct error *err)
{
    bool named;
    if (!collect_is_named(database, id, &named, err))
        return false;
    struct error reason = {.message = ""};
    if (named || blob_remove(database->blobs, id, &reason) || reason.code == E_NOT_FOUND)
        return true;
    *err = reason;
    return false;
}

/* The first entry of the list; `out_id` is "" when it is empty. */
static bool first_garbage(struct database *database, char out_id[static DIGEST_ID_BYTES],
                          struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT id FROM garbage LIMIT 1", err);
    const unsigned char *id =
        statement_step(&statement) ? sqlite3_column_text(statement.handle, 0) : NULL;
    (void)snprintf(out_id, DIGEST_ID_BYTES, "%s", id == NULL ? "" : (const char *)id);
    return statement_close(&statement);
}

static bool forget_garbage(struct database *database, const char *id, struct error *err)
{
    return statement_run_text(database, "DELETE FROM garbage WHERE id = ?1", id, err);
}

/* Works off the list from its entry `id` on, inside a transaction. */
static bool work_off(struct database *database, char id[static DIGEST_ID_BYTES], struct error *err)
{
    while (id[0] != '\0') {
        if (!collect_unnamed(database, id, err) || !forget_garbage(database, id, err) ||
            !first_garbage(database, id, err))
            return false;
    }
    return true;
}

static bool collect_loose(struct database *database, struct error *err)
{
    char id[DIGEST_ID_BYTES];
    for (;;) {
        blob_first_loose(database->blobs, id);
        if (id[0] == '\0')
            return true;
        if (!collect_unnamed(database, id, err))
            return false;
        blob_forget_loose(database->blobs, id);
    }
}

bool collect_garbage(struct database *database, struct error *err)
{
    char id[DIGEST_ID_BYTES];
    if (!collect_loose(database, err) || !first_garbage(database, id, err))
        return false;
    if (id[0] == '\0')
        return true;
    if (!database_run(database, "BEGIN IMMEDIATE", err))
        return false;
    if (work_off(database, id, err) && database_run(database, "COMMIT", err))
        return true;
    struct error ignored; /* the writer rolls back what is left open before its next group */
    if (!sqlite3_get_autocommit(database->handle))
        (void)database_run(database, "ROLLBACK", &ignored);
    return false;
}

static bool visit(void *context, const char *id, struct error *err)
{
    return collect_unnamed(context, id, err);
}

bool collect_orphans(struct database *database, struct error *err)
{
    return blob_walk(database->blobs, visit, database, err);
}
