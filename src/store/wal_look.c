/* SQLite keeps the state of its write-ahead log in shared memory, which begins with a header of 48
 * bytes (https://sqlite.org/walformat.html, "The WAL-Index Header"): the number of the last change,
 * how long the log is, checksums, salts. A commit of any connection in any process has replaced it
 * when it returns, and SQLite itself compares it to learn whether the pages that it holds are still
 * good. It stays mapped as long as the connection is open. One that is being replaced is like
 * neither the old nor the new one. `PRAGMA data_version` says the same for two system calls, which
 * are a third of what a small request costs.
 */

#include "wal_look.h"

#include <string.h>

/* Opens the log, which the first read does, and finds the header. */
static bool map(struct database *database, struct error *err)
{
    enum { REGION_BYTES = 32 << 10 }; /* the shared memory comes in pieces of this size */
    int64_t unused;
    sqlite3_file *file = NULL;
    void volatile *region = NULL;
    if (!database_number(database, "PRAGMA data_version", &unused, err))
        return false;
    if (sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) ==
            SQLITE_OK &&
        file != NULL && file->pMethods != NULL && file->pMethods->iVersion >= 2 &&
        file->pMethods->xShmMap(file, 0, REGION_BYTES, 0, &region) == SQLITE_OK)
        database->wal_header = region;
    return true;
}

bool wal_look(struct database *database, struct wal_look *out_look, struct error *err)
{
    struct wal_look look = {.known = false};
    if (database->wal_header == NULL && !map(database, err))
        return false;
    for (size_t i = 0; database->wal_header != NULL && i < WAL_LOOK_WORDS; i++) {
        look.words[i] = atomic_load_explicit(&database->wal_header[i], memory_order_relaxed);
        look.known |= look.words[i] != 0;
    }
    atomic_thread_fence(memory_order_acquire); /* what is read next is read after it */
    *out_look = look;
    return true;
}

bool wal_look_is_same(const struct wal_look *a, const struct wal_look *b)
{
    return a->known && b->known && memcmp(a->words, b->words, sizeof(a->words)) == 0;
}
