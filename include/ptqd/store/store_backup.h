#pragma once

/* Copies of a store's directory, made while a daemon may be using it. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct store_backup {
    size_t files; /* copied, beside the database */
    uint64_t bytes;
    size_t findings;    /* files that are missing or damaged in `from`, and so in the copy */
    const char *report; /* one line for each of them, in the arena */
};

/* Copies database, files and checkpoints to the directory `to`, which must not be there or be empty
 * (E_CONFLICT). What was acknowledged before the call is in the copy; what is acknowledged later
 * may be. Runs that are running are queued in it. The database appears last: a directory without
 * ptqd.db is no whole copy. E_NOT_FOUND when `from` has no database. */
bool store_backup(const char *from, const char *to, struct arena *arena,
                  struct store_backup *out_backup, struct error *err);
