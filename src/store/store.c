#include "ptqd/store/store.h"

#include "blob_walk.h"
#include "collect.h"
#include "database.h"
#include "directory_lock.h"
#include "schema.h"
#include "store_reader.h"
#include "store_writer.h"

#include "ptqd/base/file.h"
#include "ptqd/store/blob.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { OWNER_PATIENCE_MS = 2000 }; /* while guests come in */

struct store {
    char directory[PATH_MAX - 32]; /* room for the names in it */
    int lock_fd; /* of the directory; −1 without the lock, and for guests once they are open */
    bool alone;  /* there was no other owner */
    struct store_schema schema;
    struct store_limits limits;
    struct blobs *blobs;
    struct store_writer *writer;
    struct store_readers *readers;
};

static void unlock_directory(struct store *store)
{
    directory_unlock(store->lock_fd);
    store->lock_fd = -1;
}

/* A new database would name none of the files that are there, and all would be removed. */
static bool need_no_files(struct store *store, struct error *err)
{
    struct blob_walk *walk;
    char id[DIGEST_ID_BYTES];
    if (!blob_walk_open(store->blobs, &walk, err))
        return false;
    bool ok = blob_walk_next(walk, id, err);
    blob_walk_close(walk);
    return ok && (id[0] == '\0' ||
                  FAIL(err, E_CONFLICT,
                       "the database is missing or empty, but files that it named are there: bring "
                       "it back, or move the directory away"));
}

static bool prepare_schema(struct store *store, struct database *database, struct error *err)
{
    if (!schema_version(database, &store->schema.before, err) ||
        (store->schema.before == 0 && !need_no_files(store, err)))
        return false;
    store->schema.now = migration_count;
    if (store->lock_fd >= 0)
        return schema_migrate(database, INT_MAX, err);
    if (store->schema.before < migration_count)
        return FAIL(err, E_CONFLICT,
                    "the database has schema version %d, this program needs %d, and an older "
                    "ptqd is using it: stop that one first",
                    store->schema.before, migration_count);
    return true;
}

static bool print_path(const char *directory, char out_path[static PATH_MAX], struct error *err)
{
    int length = snprintf(out_path, PATH_MAX, "%s/ptqd.db", directory);
    return (length >= 0 && length < PATH_MAX) ||
           file_fail(err, ENAMETOOLONG, "open the database in", directory);
}

static bool need_database(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    return print_path(directory, path, err) &&
           (access(path, F_OK) == 0 || file_fail(err, errno, "open the database", path));
}

/* So that there is no new one where the old one is missed. */
static bool check_not_lost(struct store *store, const char *path, struct error *err)
{
    struct stat status;
    return (stat(path, &status) == 0 && status.st_size > 0) || need_no_files(store, err) ||
           error_context(err, "'%s'", path);
}

static bool open_database(struct store *store, const char *directory,
                          const struct store_options *options, struct error *err)
{
    char path[PATH_MAX];
    struct database *database;
    if (!print_path(directory, path, err) || !check_not_lost(store, path, err) ||
        !database_open(path, DATABASE_WRITE, &database, err))
        return false;
    database->blobs = store->blobs;
    database->limits = options->limits;
    struct collect_search *search = NULL;
    bool searches = store->lock_fd >= 0 && !options->guest && !options->keep_orphans;
    if (!prepare_schema(store, database, err) || !file_sync_parent(path, err) ||
        (searches && !collect_search_open(database, &search, err))) {
        database_close(database);
        return error_context(err, "'%s'", path);
    }
    database->fault = options->fault;
    database->collects = !options->guest;
    if (!store_writer_create(database, search, &store->writer, err)) {
        database_close(database);
        return false;
    }
    return store_readers_create(path, &store->readers, err);
}

bool store_open(const char *directory, const struct store_options *options,
                struct store **out_store, struct error *err)
{
    if ((options->existing && !need_database(directory, err)) ||
        !file_make_directory(directory, err))
        return false;
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return FAIL(err, E_MEMORY, "no memory for the store '%s'", directory);
    store->lock_fd = -1;
    store->limits = options->limits;
    (void)snprintf(store->directory, sizeof(store->directory), "%s",
                   directory); /* see blobs_open */

    bool ok =
        directory_lock(directory, options->guest ? 0 : OWNER_PATIENCE_MS, &store->lock_fd, err);
    bool owned = store->alone = store->lock_fd >= 0;
    if (ok && !owned && !options->guest)
        ok = directory_fail_locked(directory, err);
    ok = ok && blobs_open(directory, owned, &store->blobs, err) &&
         open_database(store, directory, options, err);
    if (options->guest)
        unlock_directory(store);
    if (!ok) {
        store_close(store);
        return false;
    }
    *out_store = store;
    return true;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_writer_stop(store->writer); /* first: its answers may read */
    store_readers_destroy(store->readers);
    /* Last: SQLite puts the log into the database when the last connection is one that writes. */
    store_writer_destroy(store->writer);
    blobs_close(store->blobs);
    unlock_directory(store);
    free(store);
}

struct store_schema store_schema(const struct store *store)
{
    return store->schema;
}

struct blobs *store_blobs(struct store *store)
{
    return store->blobs;
}

bool store_is_alone(const struct store *store)
{
    return store->alone;
}

static uint64_t file_bytes(const struct store *store, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/%s", store->directory, name); /* names are short */
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

void store_read_stats(struct store *store, struct store_stats *out_stats)
{
    struct store_stats stats = {.database_bytes = file_bytes(store, "ptqd.db"),
                                .wal_bytes = file_bytes(store, "ptqd.db-wal")};
    struct statvfs disk;
    if (statvfs(store->directory, &disk) == 0) {
        stats.disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
        stats.disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    }
    store_writer_read_stats(store->writer, &stats);
    *out_stats = stats;
}

bool store_reader(struct store *store, struct database **out_database, struct error *err)
{
    return store_readers_get(store->readers, store->blobs, &store->limits, out_database, err);
}

bool store_data_version(struct store *store, int64_t *out_version, struct error *err)
{
    struct database *database;
    return store_reader(store, &database, err) &&
           database_number(database, "PRAGMA data_version", out_version, err);
}

uint64_t store_changes(const struct store *store)
{
    return store_writer_changes(store->writer);
}

uint64_t store_job_changes(const struct store *store, const char *job)
{
    return store_writer_job_changes(store->writer, job);
}

uint64_t store_object_changes(const struct store *store)
{
    return store_writer_object_changes(store->writer);
}

void store_submit(struct store *store, struct store_write *write)
{
    store_writer_submit(store->writer, write);
}

bool store_wait(struct store *store, struct store_write *write, struct error *err)
{
    return store_writer_wait(store->writer, write, err);
}

void store_collect(struct store *store)
{
    store_writer_collect(store->writer);
}

bool store_write_now(struct store *store,
                     bool (*apply)(struct database *database, void *context, struct error *err),
                     void *context, struct error *err)
{
    struct store_write write = {.apply = apply, .context = context};
    store_submit(store, &write);
    return store_wait(store, &write, err);
}
