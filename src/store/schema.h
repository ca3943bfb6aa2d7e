#pragma once

/* Schema versions and the migrations between them. */

#include "database.h"

struct migration {
    int version; /* after it; the first is 1 */
    const char *name;
    const char *sql;
};

/* Made at build from migrations/NNNN_what.sql, in order. */
extern const struct migration migrations[];
extern const int migration_count;

/* The version of the database; 0 when it is new. E_CONFLICT when it is newer than this program,
 * E_INVALID when it is the database of another program. */
bool schema_version(struct database *database, int *out_version, struct error *err);

/* Applies the first `to` migrations, those that are missing, each in a transaction of its own.
 * `to` above migration_count means all. */
bool schema_migrate(struct database *database, int to, struct error *err);
