#pragma once

/* Content-addressed files: blobs/ab/abcdef… is the file whose SHA-256 is abcdef….
 *
 * A file is written under tmp/, synced, renamed to its name, and the directories synced: a name
 * that is there has its content, also after a power cut. A row that names a blob is written after
 * the blob; until then the blob is pinned, so that a deletion of the same content meanwhile does
 * not take it away. The same content twice is one file. Ids are "sha256:<hex>".
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/digest.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blobs;
struct blob_writer;

/* Opens or creates blobs/ and tmp/ in `directory`. `clear`: remove what a crash left in tmp/. */
bool blobs_open(const char *directory, bool clear, struct blobs **out_blobs, struct error *err);
void blobs_close(struct blobs *blobs);

/* A new blob of at most `limit_bytes` (0: any size). A writer belongs to one thread at a time. */
bool blob_create(struct blobs *blobs, uint64_t limit_bytes, struct blob_writer **out_writer,
                 struct error *err);
/* E_TOO_LARGE above the limit, E_NO_SPACE when the disk is full; the writer can then only be
 * abandoned. */
bool blob_append(struct blob_writer *writer, const void *bytes, size_t size, struct error *err);
/* blob_commit fails with E_INVALID unless the content has this id. E_INVALID for what is no id. */
bool blob_expect(struct blob_writer *writer, const char *id, struct error *err);
/* The file as it was written so far, to be read by offset or mapped; borrowed. */
int blob_descriptor(const struct blob_writer *writer);
/* Puts the blob in place, on disk and pinned when this returns true. The writer is gone in either
 * case. */
bool blob_commit(struct blob_writer *writer, char out_id[static DIGEST_ID_BYTES],
                 uint64_t *out_size, struct error *err);
/* Gives the blob up; NULL is fine. */
void blob_abandon(struct blob_writer *writer);
/* Once for each blob_commit, when the row is written or won't be: from now on the blob is there for
 * as long as a row names it. The store looks after its next write, or at once (store_collect). */
void blob_unpin(struct blobs *blobs, const char *id);
/* Also when it is unpinned, until the store has looked. */
bool blob_is_pinned(struct blobs *blobs, const char *id);

/* Opens for reading, from the start; the caller closes the descriptor. E_NOT_FOUND without it. */
bool blob_open(struct blobs *blobs, const char *id, int *out_fd, uint64_t *out_size,
               struct error *err);
/* The path of a blob that is there, for code that reads files; E_NOT_FOUND without it. */
bool blob_path(struct blobs *blobs, const char *id, struct arena *arena, const char **out_path,
               struct error *err);
/* Moves the file to lost/ in the directory, under its digest; E_NOT_FOUND without it. */
bool blob_set_aside(struct blobs *blobs, const char *id, struct error *err);
/* Removes the file, but leaves one that is pinned; E_NOT_FOUND without it. Readers that have it
 * open keep it. */
bool blob_remove(struct blobs *blobs, const char *id, struct error *err);
