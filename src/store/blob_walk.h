#pragma once

/* Visiting blobs: all, and those that may have no name. */

#include "ptqd/store/blob.h"

/* Calls `visit` with the id of each blob; stops when it returns false. Files that no blob could
 * have as its name are passed over. */
bool blob_walk(struct blobs *blobs, bool (*visit)(void *context, const char *id, struct error *err),
               void *context, struct error *err);

/* A blob that was unpinned and not yet looked at; "" without one. It stays first until it is
 * forgotten, once. */
void blob_first_loose(struct blobs *blobs, char out_id[static DIGEST_ID_BYTES]);
void blob_forget_loose(struct blobs *blobs, const char *id);
