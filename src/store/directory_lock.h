#pragma once

/* The lock of a data directory: who owns it, changes its files as it likes. The system gives it
 * back when its holder ends, however that is. */

#include "ptqd/base/error.h"

/* Takes the lock of a directory that is there. `*out_fd` stays −1 when another process has it,
 * still after so many milliseconds: a command has it only while it opens the store. */
bool directory_lock(const char *directory, int patience_ms, int *out_fd, struct error *err);
/* −1 is fine. */
void directory_unlock(int fd);

/* E_CONFLICT: another one has it; always false. */
bool directory_fail_locked(const char *directory, struct error *err);
