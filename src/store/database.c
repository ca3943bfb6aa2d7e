#include "database.h"

#include "statement.h"
#include "wal_gather.h"

#include "ptqd/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

/* How long a connection waits for another process (a command beside the daemon) to commit. */
enum { BUSY_TIMEOUT_MS = 5000 };

static const char reader_settings[] = "PRAGMA foreign_keys = ON;"
                                      "PRAGMA query_only = ON;";

/* A WAL that a burst made large shrinks to 64 MiB at the next checkpoint. One is due after 16 MiB,
 * not 4: it writes each page once and waits for the disk twice, and the pages of the indexes are in
 * every commit; a flood of submissions gets through a tenth more. What statements would undo is
 * kept in memory: in files it is three of four writes that a submission makes. */
static const char writer_settings[] = "PRAGMA journal_mode = WAL;"
                                      "PRAGMA synchronous = FULL;"
                                      "PRAGMA temp_store = MEMORY;"
                                      "PRAGMA cache_size = -16384;"
                                      "PRAGMA foreign_keys = ON;"
                                      "PRAGMA wal_autocheckpoint = 4096;"
                                      "PRAGMA journal_size_limit = 67108864;";

/* Counting the bytes in use takes one lock of the whole process at each allocation, which costs
 * those who read and write at the same time a tenth of theirs; nobody asks for the count. */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* before anything else: can't fail */
}

bool database_make(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) /* one that is there is not opened: to close it would end locks of this process */
        return errno == EEXIST || file_fail(err, errno, "make the database", path);
    (void)close(fd); /* nothing was written */
    return true;
}

bool database_open(const char *path, enum database_access access, struct database **out_database,
                   struct error *err)
{
    static uv_once_t configured = UV_ONCE_INIT;
    uv_once(&configured, configure);
    if (access == DATABASE_WRITE && !database_make(path, err))
        return false;
    struct database *database = calloc(1, sizeof(*database));
    if (database == NULL)
        return FAIL(err, E_MEMORY, "no memory for a connection to the database");

    bool writes = access == DATABASE_WRITE;
    int flags = SQLITE_OPEN_NOMUTEX |
                (writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    bool ok = sqlite3_open_v2(path, &database->handle, flags, writes ? wal_gather_name() : NULL) ==
              SQLITE_OK;
    if (ok) {
        (void)sqlite3_extended_result_codes(database->handle, 1); /* a flag of an open handle */
        (void)sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS); /* the same */
        if (writes)
            wal_gather_watch(database->handle);
        ok = database_script(database, writes ? writer_settings : reader_settings, err);
    } else {
        (void)database_fail(database, err);
    }
    if (!ok) {
        database_close(database);
        return error_context(err, "can't open '%s'", path);
    }
    *out_database = database;
    return true;
}

void database_close(struct database *database)
{
    if (database == NULL)
        return;
    token_cache_destroy(database->tokens);
    for (size_t i = 0; i < database->statement_count; i++)
        (void)sqlite3_finalize(database->statements[i].handle); /* repeats an error of its step */
    (void)sqlite3_close(database->handle); /* every statement is finalized: can't be busy */
    free(database);
}

/* A write that the system refused: for want of space or for another reason. */
static enum error_code code_of_system_error(int system_errno)
{
    return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG ? E_NO_SPACE
                                                                                     : E_IO;
}

static enum error_code code_of_status(int status, int system_errno)
{
    switch (status & 0xff) { /* the primary part of an extended code */
    case SQLITE_FULL:
        return E_NO_SPACE;
    case SQLITE_IOERR:
        return code_of_system_error(system_errno);
    case SQLITE_NOMEM:
        return E_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return E_UNAVAILABLE;
    case SQLITE_TOOBIG:
        return E_TOO_LARGE;
    case SQLITE_CONSTRAINT:
        return E_CONFLICT;
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_PERM:
        return E_IO;
    default:
        return E_INTERNAL;
    }
}

/* Why the system refused. SQLite's own note is errno as it was when it gave up, which the clearing
 * up before that may have changed; for a write, the file of the WAL remembers. */
static int system_errno_of(struct database *database, int status)
{
    sqlite3_file *wal = NULL;
    int reason = 0;
    if (status == SQLITE_IOERR_WRITE &&
        sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) ==
            SQLITE_OK &&
        wal != NULL && wal->pMethods != NULL &&
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &reason) == SQLITE_OK &&
        reason != 0)
        return reason;
    return sqlite3_system_errno(database->handle);
}

bool database_fail(struct database *database, struct error *err)
{
    if (database->handle == NULL)
        return FAIL(err, E_MEMORY, "no memory for a connection to the database");
    int status = sqlite3_extended_errcode(database->handle);
    FAIL(err, code_of_status(status, system_errno_of(database, status)),
         "the database says: %s (SQLite error %d)", sqlite3_errmsg(database->handle), status);
    return error_internal(err);
}

bool database_run(struct database *database, const char *sql, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, sql, err);
    while (statement_step(&statement))
        ;
    return statement_close(&statement);
}

bool database_script(struct database *database, const char *sql, struct error *err)
{
    return sqlite3_exec(database->handle, sql, NULL, NULL, NULL) == SQLITE_OK ||
           database_fail(database, err);
}

bool database_number(struct database *database, const char *sql, int64_t *out_number,
                     struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, sql, err);
    int64_t number = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    if (!statement_close(&statement))
        return false;
    *out_number = number;
    return true;
}
