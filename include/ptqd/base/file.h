#pragma once

/* Files and directories. Errors name the path as the caller gave it: E_NOT_FOUND, E_NO_SPACE
 * (also over a file-size limit), E_TOO_LARGE or E_IO with the system's reason. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stddef.h>

/* A regular file to read from, and its size; the descriptor is the caller's to close. */
bool file_open(const char *path, int *out_fd, size_t *out_size, struct error *err);

/* The whole file, NUL-terminated after `*out_size` bytes; above `limit_bytes`: E_TOO_LARGE. */
bool file_read(struct arena *arena, const char *path, size_t limit_bytes, char **out_bytes,
               size_t *out_size, struct error *err);

/* Writes beside the target, fsyncs, renames: a reader sees the old file or the whole new one. */
bool file_write(const char *path, const void *bytes, size_t size, struct error *err);

/* Writes all bytes to a descriptor; `path` is for the message only. */
bool file_write_all(int fd, const void *bytes, size_t size, const char *path, struct error *err);

/* fsync of the directory that holds `path`, so that a rename in it survives a power cut. */
bool file_sync_parent(const char *path, struct error *err);

/* One that is not there is removed already. */
bool file_remove(const char *path, struct error *err);

/* Creates the directory and its parents (mode 0750); one that is there is fine. */
bool file_make_directory(const char *path, struct error *err);

/* Translates errno of a failed call on `path` into an error; always false. */
bool file_fail(struct error *err, int system_errno, const char *action, const char *path);

/* "directory/name" in the arena; `name` alone when it is absolute or the directory is empty. */
char *file_join(struct arena *arena, const char *directory, const char *name, struct error *err);
