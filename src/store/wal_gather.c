/* A VFS that writes the log of a commit in one piece.
 *
 * SQLite writes each page of a commit as two writes, a header of 24 bytes and the page, which takes
 * the system six times as long as the same bytes at once: a commit of ten submissions has twenty
 * pages. This VFS is the system's own but for the file of the write-ahead log: what is written
 * there end to end gathers in memory, and goes out before anything else happens to the file.
 *
 * Nobody else misses what is still in memory: others look at pages of the log that the index in
 * shared memory has, where they are entered after the sync of their commit. A write that fails is
 * an error of that sync, and SQLite takes the commit back. What a transaction has written that is
 * taken back before, because it did not fit into SQLite's cache, is forgotten: in its place there
 * may soon be what another process has committed.
 *
 * The system's methods find their own data at the start of a file, so that they are called with the
 * very same file; ours is behind it.
 */

#include "wal_gather.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* The system's VFS writes no more at once (seekAndWriteFd of SQLite's os_unix.c); SQLite itself
 * writes a page of at most 64 KiB. */
enum { GATHER_BYTES = (128 << 10) - 1 };

struct gather {
    const sqlite3_io_methods *system;
    sqlite3_io_methods methods; /* the system's but for those below */
    char *bytes;
    int size;
    sqlite3_int64 offset; /* of the first of them in the file */
};

static sqlite3_vfs *system_vfs; /* borrowed; set once, with the following */
static sqlite3_vfs gather_vfs;

static struct gather *gather_of(sqlite3_file *file)
{
    return (struct gather *)(void *)((char *)file + system_vfs->szOsFile);
}

/* What could not be written is forgotten: its commit is not there. */
static int put(sqlite3_file *file)
{
    struct gather *gather = gather_of(file);
    int size = gather->size;
    gather->size = 0;
    return size == 0 ? SQLITE_OK
                     : gather->system->xWrite(file, gather->bytes, size, gather->offset);
}

static int write_later(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    struct gather *gather = gather_of(file);
    bool fits = gather->size <= GATHER_BYTES - size;
    int status = fits && offset == gather->offset + gather->size ? SQLITE_OK : put(file);
    if (status != SQLITE_OK)
        return status;
    if (gather->size == 0)
        gather->offset = offset;
    memcpy(gather->bytes + gather->size, bytes, (size_t)size);
    gather->size += size;
    return SQLITE_OK;
}

static int read_file(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    int status = put(file);
    return status != SQLITE_OK ? status : gather_of(file)->system->xRead(file, bytes, size, offset);
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    int status = put(file);
    return status != SQLITE_OK ? status : gather_of(file)->system->xTruncate(file, size);
}

static int sync_file(sqlite3_file *file, int flags)
{
    int status = put(file);
    return status != SQLITE_OK ? status : gather_of(file)->system->xSync(file, flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    int status = put(file);
    return status != SQLITE_OK ? status : gather_of(file)->system->xFileSize(file, out_size);
}

/* Only what no commit needs has not been written by now. */
static int close_file(sqlite3_file *file)
{
    struct gather *gather = gather_of(file);
    free(gather->bytes);
    return gather->system->xClose(file);
}

static int gather_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *out_flags)
{
    int status = system_vfs->xOpen(vfs, name, file, flags, out_flags);
    if (status != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0)
        return status;
    char *bytes = malloc(GATHER_BYTES);
    if (bytes == NULL) {
        (void)file->pMethods->xClose(file); /* nothing was written */
        file->pMethods = NULL;
        return SQLITE_NOMEM;
    }
    struct gather *gather = gather_of(file);
    *gather = (struct gather){.system = file->pMethods, .methods = *file->pMethods, .bytes = bytes};
    gather->methods.xWrite = write_later;
    gather->methods.xRead = read_file;
    gather->methods.xTruncate = truncate_file;
    gather->methods.xSync = sync_file;
    gather->methods.xFileSize = file_size;
    gather->methods.xClose = close_file;
    file->pMethods = &gather->methods;
    return SQLITE_OK;
}

static void make_known(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    if (system_vfs == NULL)
        return;
    gather_vfs = *system_vfs;
    gather_vfs.zName = "gather";
    gather_vfs.pNext = NULL;
    gather_vfs.szOsFile = system_vfs->szOsFile + (int)sizeof(struct gather);
    gather_vfs.xOpen = gather_open;
    if (sqlite3_vfs_register(&gather_vfs, 0) != SQLITE_OK)
        gather_vfs.zName = NULL;
}

/* The lock of the transaction was given back just now, and nothing was written since. */
static void on_rollback(void *handle)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK &&
        file != NULL && file->pMethods != NULL && file->pMethods->xWrite == write_later)
        gather_of(file)->size = 0;
}

void wal_gather_watch(sqlite3 *handle)
{
    (void)sqlite3_rollback_hook(handle, on_rollback, handle); /* there was none */
}

const char *wal_gather_name(void)
{
    static uv_once_t known = UV_ONCE_INIT;
    uv_once(&known, make_known);
    return gather_vfs.zName;
}
