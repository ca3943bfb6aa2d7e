/* A copy is made in this order:
 *
 *   1. the files that rows name now: the long part
 *   2. the database, as of one moment
 *   3. the files that this database names and step 1 has not seen
 *   4. checkpoints
 *
 * Meanwhile the copy has the lock of its directory: a daemon that was told to start there would
 * make a database of its own, which the last step would replace.
 *
 * A file that step 3 does not find was deleted between 2 and 3, together with its row: then the
 * database is copied again, and when that happens every time, the copy forgets the row as well. A
 * file whose row is there in spite of that is a finding. Files are copied through blob_create and
 * blob_commit, so that each one is compared with its name, and is on disk before the database takes
 * its place. */

#include "ptqd/store/store_backup.h"

#include "collect.h"
#include "database.h"
#include "directory_lock.h"
#include "row_id.h"
#include "schema.h"
#include "statement.h"

#include "ptqd/base/file.h"
#include "ptqd/base/text.h"
#include "ptqd/store/blob.h"
#include "ptqd/store/run_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    TRIES = 3, /* of the database */
    CHUNK_BYTES = 1 << 18,
    REPORT_LIMIT_BYTES = 1 << 20
};

struct copier {
    const char *from, *to;   /* borrowed */
    struct database *source; /* `from`, for reading */
    struct blobs *target;    /* `to` */
    int lock_fd;             /* of `to`; −1: not yet */
    struct arena *arena;     /* of this copy */
    char partial[PATH_MAX];  /* the database until it is whole */
    char complete[PATH_MAX]; /* then */
    struct text report;
    size_t findings;
    struct store_backup done; /* files and bytes so far */
};

/* ---- files ---- */

static bool has_blob(struct blobs *blobs, const char *id)
{
    struct error unused;
    uint64_t size;
    int fd;
    if (!blob_open(blobs, id, &fd, &size, &unused))
        return false;
    (void)close(fd); /* opened for reading */
    return true;
}

static bool append_all(struct blob_writer *writer, int fd, struct error *err)
{
    static _Thread_local char chunk[CHUNK_BYTES];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return FAIL(err, E_IO, "can't read: %s", strerrorname_np(errno));
        if (!blob_append(writer, chunk, (size_t)got, err))
            return false;
    }
    return true;
}

static void note(struct copier *copier, const char *what, const char *id)
{
    text_printf(&copier->report, "%s: %s\n", what, id);
    copier->findings++;
}

static bool copy_open_file(struct copier *copier, int fd, const char *id, struct error *err)
{
    struct blob_writer *writer;
    char copied[DIGEST_ID_BYTES];
    uint64_t size;
    if (!blob_create(copier->target, 0, &writer, err))
        return false;
    if (!append_all(writer, fd, err)) {
        blob_abandon(writer);
        return error_context(err, "%s", id);
    }
    if (!blob_commit(writer, copied, &size, err))
        return false;
    blob_unpin(copier->target, copied); /* nobody else looks after the copy */
    if (strcmp(copied, id) != 0) { /* under the other name it is removed with what nothing names */
        note(copier, "file with other content", id);
        return true;
    }
    copier->done.files++;
    copier->done.bytes += size;
    return true;
}

/* Copies what the target does not have; `*out_found` false when the source does not either. */
static bool copy_file(struct copier *copier, const char *id, bool *out_found, struct error *err)
{
    struct error reason;
    int fd;
    uint64_t size;
    *out_found = true;
    if (has_blob(copier->target, id))
        return true;
    if (!blob_open(copier->source->blobs, id, &fd, &size, &reason)) {
        *out_found = false;
        if (reason.code == E_NOT_FOUND)
            return true;
        *err = reason;
        return false;
    }
    bool ok = copy_open_file(copier, fd, id, err);
    (void)close(fd); /* opened for reading */
    return ok;
}

/* Step 1. What is not there now is looked at again in step 3. */
static bool copy_files(struct copier *copier, struct error *err)
{
    const char **ids;
    size_t count;
    if (!collect_list_named(copier->source, copier->arena, &ids, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool found;
        if (!copy_file(copier, ids[i], &found, err))
            return false;
    }
    return true;
}

/* ---- database ---- */

/* Step 2: one step over all pages is one read transaction of the source. */
static bool copy_database(struct copier *copier, struct error *err)
{
    if (!file_remove(copier->partial, err) || !database_make(copier->partial, err))
        return false;
    sqlite3 *target;
    bool ok = sqlite3_open_v2(copier->partial, &target,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                              NULL) == SQLITE_OK;
    sqlite3_backup *copy =
        ok ? sqlite3_backup_init(target, "main", copier->source->handle, "main") : NULL;
    if (copy != NULL)
        (void)sqlite3_backup_step(copy, -1); /* its result comes again from the next line */
    ok = copy != NULL && sqlite3_backup_finish(copy) == SQLITE_OK;
    if (!ok) {
        int status = sqlite3_extended_errcode(target);
        FAIL(err, (status & 0xff) == SQLITE_FULL ? E_NO_SPACE : E_IO,
             "can't copy the database to '%s': %s", copier->partial, sqlite3_errmsg(target));
    }
    (void)sqlite3_close(target); /* the copy is finished: can't be busy */
    return ok;
}

/* An artifact is deleted with its job only. */
static bool forget(struct database *copy, const char *id, struct error *err)
{
    return statement_run_text(copy, "DELETE FROM model WHERE id = ?1", id, err) &&
           statement_run_text(copy, "DELETE FROM dataset WHERE id = ?1", id, err) &&
           statement_run_text(copy,
                              "DELETE FROM job WHERE number IN (SELECT job FROM artifact JOIN run"
                              " ON run.number = artifact.run WHERE blob = ?1)",
                              id, err);
}

/* Step 3. `*out_stale`: the copy names a file that was deleted meanwhile; never in the last try. */
static bool copy_late_files(struct copier *copier, struct database *copy, bool last,
                            bool *out_stale, struct error *err)
{
    const char **ids;
    size_t count;
    if (!collect_list_named(copy, copier->arena, &ids, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool found, named;
        if (!copy_file(copier, ids[i], &found, err))
            return false;
        if (found)
            continue;
        if (!collect_is_named(copier->source, ids[i], &named, err))
            return false;
        if (!named && !last) {
            *out_stale = true;
            return true;
        }
        if (named)
            note(copier, "missing file", ids[i]);
        else if (!forget(copy, ids[i], err))
            return false;
    }
    *out_stale = false;
    return true;
}

static bool next_running(struct database *database, char out_id[static RUN_ID_BYTES],
                         struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT job, variant, seed FROM run WHERE state = 'running' LIMIT 1", err);
    out_id[0] = '\0';
    if (statement_step(&statement)) {
        const struct run_key key = {.job = statement_integer(&statement, 0),
                                    .variant = statement_integer(&statement, 1),
                                    .seed = statement_integer(&statement, 2)};
        run_id_print(&key, out_id);
    }
    return statement_close(&statement);
}

/* Whoever starts with the copy must not take the copy's moment for a crash. */
static bool requeue_running(struct database *database, struct error *err)
{
    char id[RUN_ID_BYTES];
    for (;;) {
        if (!next_running(database, id, err))
            return false;
        if (id[0] == '\0')
            return true;
        if (!run_row_requeue(database, id, err))
            return false;
    }
}

/* Step 4: of every run that is not finished. A run has none, or a newer one than the database
 * knows of, which gives the same bits. */
static bool copy_checkpoints(struct copier *copier, struct database *copy, struct error *err)
{
    bool ok = true;
    struct statement statement;
    statement_open(&statement, copy,
                   "SELECT job, variant, seed FROM run WHERE state IN ('queued', 'running')", err);
    while (ok && statement_step(&statement)) {
        const struct run_key key = {.job = statement_integer(&statement, 0),
                                    .variant = statement_integer(&statement, 1),
                                    .seed = statement_integer(&statement, 2)};
        char id[RUN_ID_BYTES];
        struct arena_mark mark = arena_mark(copier->arena);
        struct error reason = {.message = ""};
        const uint8_t *bytes;
        size_t size;
        run_id_print(&key, id);
        if (run_file_read(copier->arena, copier->from, id, SIZE_MAX - 1, &bytes, &size, &reason)) {
            ok = run_file_write(copier->to, id, bytes, size, err);
            copier->done.files += ok;
            copier->done.bytes += ok ? size : 0;
        } else if (reason.code != E_NOT_FOUND) {
            *err = reason;
            ok = false;
        }
        arena_reset(copier->arena, mark);
    }
    return statement_close(&statement) && ok;
}

/* Steps 2 and 3 once. The copy is one plain file in the end, also readable where nothing can be
 * written. */
static bool try_database(struct copier *copier, bool last, bool *out_stale, struct error *err)
{
    struct database *copy;
    if (!copy_database(copier, err) || !database_open(copier->partial, DATABASE_WRITE, &copy, err))
        return false;
    copy->blobs = copier->target;
    bool ok = copy_late_files(copier, copy, last, out_stale, err);
    if (ok && !*out_stale)
        ok = database_run(copy, "BEGIN IMMEDIATE", err) && requeue_running(copy, err) &&
             database_run(copy, "COMMIT", err) && copy_checkpoints(copier, copy, err) &&
             collect_orphans(copy, err) &&
             database_script(copy, "PRAGMA journal_mode = DELETE", err);
    database_close(copy);
    return ok;
}

static bool put_database_in_place(struct copier *copier, struct error *err)
{
    if (rename(copier->partial, copier->complete) != 0)
        return file_fail(err, errno, "rename the copy to", copier->complete);
    return file_sync_parent(copier->complete, err) && file_sync_parent(copier->to, err);
}

static bool copy_all(struct copier *copier, struct error *err)
{
    bool stale = true;
    if (!copy_files(copier, err))
        return false;
    for (int i = 0; stale; i++) {
        struct arena_mark mark = arena_mark(copier->arena);
        copier->findings = 0;
        text_finish(&copier->report);
        text_init(&copier->report, REPORT_LIMIT_BYTES);
        if (!try_database(copier, i == TRIES - 1, &stale, err))
            return false;
        arena_reset(copier->arena, mark);
    }
    return put_database_in_place(copier, err);
}

/* ---- source and target ---- */

static bool need_empty(const char *path, struct error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return errno == ENOENT || file_fail(err, errno, "open the directory", path);
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(directory)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(directory); /* it was only read */
    return empty || FAIL(err, E_CONFLICT, "the directory '%s' is not empty", path);
}

static bool open_source(struct copier *copier, struct error *err)
{
    char path[PATH_MAX];
    int version;
    int length = snprintf(path, sizeof(path), "%s/ptqd.db", copier->from);
    if (length < 0 || (size_t)length >= sizeof(path))
        return file_fail(err, ENAMETOOLONG, "open the database in", copier->from);
    if (access(path, R_OK) != 0)
        return file_fail(err, errno, "open the database", path);
    return database_open(path, DATABASE_READ, &copier->source, err) &&
           schema_version(copier->source, &version, err) &&
           blobs_open(copier->from, false, &copier->source->blobs, err);
}

static bool open_target(struct copier *copier, struct error *err)
{
    int length = snprintf(copier->partial, PATH_MAX, "%s/ptqd.db.partial", copier->to);
    if (length < 0 || length >= PATH_MAX)
        return file_fail(err, ENAMETOOLONG, "copy to", copier->to);
    (void)snprintf(copier->complete, PATH_MAX, "%s/ptqd.db", copier->to); /* is shorter */
    return need_empty(copier->to, err) && file_make_directory(copier->to, err) &&
           directory_lock(copier->to, 0, &copier->lock_fd, err) &&
           (copier->lock_fd >= 0 || directory_fail_locked(copier->to, err)) &&
           blobs_open(copier->to, false, &copier->target, err);
}

static void close_both(struct copier *copier)
{
    if (copier->source != NULL)
        blobs_close(copier->source->blobs);
    database_close(copier->source);
    blobs_close(copier->target);
    directory_unlock(copier->lock_fd);
    arena_destroy(copier->arena);
}

bool store_backup(const char *from, const char *to, struct arena *arena,
                  struct store_backup *out_backup, struct error *err)
{
    struct copier copier = {.from = from, .to = to, .lock_fd = -1, .arena = arena_create(0)};
    text_init(&copier.report, REPORT_LIMIT_BYTES);
    bool ok = copier.arena != NULL || FAIL(err, E_MEMORY, "no memory for a copy");
    ok = ok && open_source(&copier, err) && open_target(&copier, err) && copy_all(&copier, err);
    if (ok) {
        *out_backup = copier.done;
        out_backup->findings = copier.findings;
        out_backup->report = text_dup(&copier.report, arena, err);
        ok = out_backup->report != NULL;
    }
    text_finish(&copier.report);
    close_both(&copier);
    return ok;
}
