#pragma once

/* Visiting blobs: all, and those that may have no name. */

#include "ptqd/store/blob.h"

#include <limits.h>

struct blob_walk;

/* Files that no blob could have as its name are passed over. What comes or goes meanwhile may be
 * visited or not. */
bool blob_walk_open(struct blobs *blobs, struct blob_walk **out_walk, struct error *err);
void blob_walk_close(struct blob_walk *walk); /* NULL is fine */
/* The id of the next blob; "" behind the last one. */
bool blob_walk_next(struct blob_walk *walk, char out_id[static DIGEST_ID_BYTES], struct error *err);

/* Calls `visit` with the id of each blob; stops when it returns false. */
bool blob_walk(struct blobs *blobs, bool (*visit)(void *context, const char *id, struct error *err),
               void *context, struct error *err);

/* The directory that all are in. */
enum { BLOB_FOLDER_BYTES = PATH_MAX - 8 };
void blob_folder(const struct blobs *blobs, char out_path[static BLOB_FOLDER_BYTES]);

/* A blob that was unpinned and not yet looked at; "" without one. It stays first until it is
 * forgotten, once. */
void blob_first_loose(struct blobs *blobs, char out_id[static DIGEST_ID_BYTES]);
void blob_forget_loose(struct blobs *blobs, const char *id);
