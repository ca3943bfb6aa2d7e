/* The schema's version is PRAGMA user_version, changed in the transaction of each migration, and
 * PRAGMA application_id tells our databases from those of others. */

#include "schema.h"

#include <inttypes.h>
#include <stdio.h>

enum { APPLICATION_ID = 0x70747164 }; /* "ptqd" */

bool schema_version(struct database *database, int *out_version, struct error *err)
{
    int64_t version, application, objects;
    if (!database_number(database, "PRAGMA user_version", &version, err) ||
        !database_number(database, "PRAGMA application_id", &application, err) ||
        !database_number(database, "SELECT count(*) FROM sqlite_schema", &objects, err))
        return false;
    bool untouched = objects == 0 && version == 0 && application == 0;
    if (!untouched && application != APPLICATION_ID)
        return FAIL(err, E_INVALID,
                    "the database is not one of ptqd: its application id is %" PRId64 ", not %d",
                    application, (int)APPLICATION_ID);
    if (version > migration_count)
        return FAIL(err, E_CONFLICT,
                    "the database has schema version %" PRId64
                    "; this program knows versions up to %d: use a newer ptqd",
                    version, migration_count);
    *out_version = (int)version;
    return true;
}

static bool apply(struct database *database, const struct migration *migration, struct error *err)
{
    char stamp[96];
    (void)snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
                   (int)APPLICATION_ID, migration->version);
    if (!database_run(database, "BEGIN IMMEDIATE", err))
        return false;
    if (database_script(database, migration->sql, err) && database_script(database, stamp, err) &&
        database_run(database, "COMMIT", err))
        return true;
    struct error ignored; /* the first error is the one to report */
    if (!sqlite3_get_autocommit(database->handle))
        (void)database_run(database, "ROLLBACK", &ignored);
    return error_context(err, "migration %s", migration->name);
}

bool schema_migrate(struct database *database, int to, struct error *err)
{
    int version;
    if (!schema_version(database, &version, err))
        return false;
    for (int i = version; i < migration_count && i < to; i++) {
        if (!apply(database, &migrations[i], err))
            return false;
    }
    return true;
}
