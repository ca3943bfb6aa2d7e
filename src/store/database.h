#pragma once

/* One connection to the database. */

#include "ptqd/store/store.h"

#include <sqlite3.h>
#include <stdatomic.h>

enum { DATABASE_STATEMENTS_MAX = 128 }; /* distinct statements of the room, with room to grow */

struct token_cache;

struct database {
    sqlite3 *handle;
    struct blobs *blobs; /* borrowed */
    bool collects;       /* the writer removes blobs that nothing names */
    struct store_limits limits;
    struct store_fault fault; /* none for readers */
    struct {
        const char *sql; /* borrowed; a literal of this room, compared by address */
        sqlite3_stmt *handle;
    } statements[DATABASE_STATEMENTS_MAX];
    size_t statement_count;
    struct token_cache *tokens;                  /* of a reader; NULL before it is asked */
    const volatile _Atomic uint32_t *wal_header; /* shared memory; see wal_look.c */
};

/* An empty file unless there is one, which others on the machine may not read; SQLite gives its log
 * the same mode, and would let everybody read both. */
bool database_make(const char *path, struct error *err);

enum database_access { DATABASE_READ, DATABASE_WRITE }; /* the latter creates it */

bool database_open(const char *path, enum database_access access, struct database **out_database,
                   struct error *err);
void database_close(struct database *database);
void token_cache_destroy(struct token_cache *cache); /* token_cache.c; NULL is fine */

/* The last error of the connection as one of ours; always false. */
bool database_fail(struct database *database, struct error *err);

/* One statement without parameters and results: BEGIN, COMMIT … */
bool database_run(struct database *database, const char *sql, struct error *err);
/* Several statements in one text, prepared for this once. */
bool database_script(struct database *database, const char *sql, struct error *err);
/* The number that a PRAGMA or a query answers with. */
bool database_number(struct database *database, const char *sql, int64_t *out_number,
                     struct error *err);
