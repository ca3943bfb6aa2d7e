#pragma once

/* What models and data sets share: content by the digest of its file, which several owners hold
 * under names of their own. Tables T and T_holder. */

#include "row_list.h"

struct held_kind {
    const char *noun; /* in messages */
    size_t row_size;
    statement_read_fn read;
    /* Both rows: the content unless it is there, and the holder. */
    bool (*insert)(struct database *database, const void *row, struct error *err);
    /* SQL of HELD_SQL; ?1 is the id, or the number that pages are below. */
    const char *held, *seen, *find, *list, *list_own, *touch, *release, *remove;
};

/* `columns` stand behind the number that pages follow: of the content, or of the holder where only
 * one owner's are listed. */
#define HELD_SQL(table, columns)                                                                   \
    .held = "SELECT 1 FROM " table "_holder WHERE " table " = ?1 AND owner = ?2",                  \
    .seen = "SELECT 1 FROM " table "_holder WHERE " table " = ?1 AND (?3 = 0 OR owner = ?2)"       \
            " LIMIT 1",                                                                            \
    .find = "SELECT " table ".number, " columns " FROM " table " JOIN " table "_holder"            \
            " ON " table " = id WHERE id = ?1 AND (?3 = 0 OR owner = ?2)"                          \
            " ORDER BY owner IS NOT ?2, " table "_holder.number LIMIT 1",                          \
    .list = "SELECT " table ".number, " columns " FROM " table " JOIN " table "_holder"            \
            " ON " table "_holder.number = (SELECT number FROM " table "_holder"                   \
            "  WHERE " table " = id ORDER BY owner IS NOT ?2, number LIMIT 1)"                     \
            " WHERE " table ".number < ?1 AND ?3 = 0 ORDER BY " table ".number DESC LIMIT ?4",     \
    .list_own = "SELECT " table "_holder.number, " columns " FROM " table "_holder"                \
                " JOIN " table " ON id = " table " WHERE " table                                   \
                "_holder.number < ?1 AND owner = ?2 AND ?3 = 1"                                    \
                " ORDER BY " table "_holder.number DESC LIMIT ?4",                                 \
    .touch = "UPDATE " table " SET created_ms = ?2 WHERE id = ?1",                                 \
    .release = "DELETE FROM " table "_holder WHERE " table " = ?1"                                 \
               " AND (?2 IS NULL OR owner = ?2)",                                                  \
    .remove = "DELETE FROM " table " WHERE id = ?1"                                                \
              " AND NOT EXISTS (SELECT 1 FROM " table "_holder WHERE " table " = ?1)"

/* The functions of model_row.h and dataset_row.h. */
bool held_insert(struct database *database, const struct held_kind *kind, const char *id,
                 const char *owner, int64_t bytes, const void *row, bool *out_known,
                 struct error *err);
bool held_touch(struct database *database, const struct held_kind *kind, const char *id,
                struct error *err);
bool held_check(struct database *database, const struct held_kind *kind,
                const struct store_viewer *viewer, const char *id, struct error *err);
bool held_find(struct database *database, const struct held_kind *kind,
               const struct store_viewer *viewer, const char *id, struct arena *arena,
               void *out_row, struct error *err);
bool held_list(struct database *database, const struct held_kind *kind,
               const struct store_viewer *viewer, const struct store_page *page,
               struct arena *arena, void **out_rows, size_t *out_count,
               char out_next[static STORE_CURSOR_BYTES], struct error *err);
bool held_delete(struct database *database, const struct held_kind *kind, const char *id,
                 const char *owner, struct error *err);
