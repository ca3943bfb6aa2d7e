#pragma once

/* Visiting all blobs. */

#include "ptqd/store/blob.h"

/* Calls `visit` with the id of each blob; stops when it returns false. Files that no blob could
 * have as its name are passed over. */
bool blob_walk(struct blobs *blobs, bool (*visit)(void *context, const char *id, struct error *err),
               void *context, struct error *err);
