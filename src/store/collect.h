#pragma once

/* Blobs that nothing names any more. Runs where rows are changed, so that no row can come to name a
 * blob that is being removed. */

#include "database.h"

/* True when a model, a data set or an artifact names the blob. */
bool collect_is_named(struct database *database, const char *id, bool *out_named,
                      struct error *err);

/* Removes the blobs in table garbage that nothing names, and empties it. */
bool collect_garbage(struct database *database, struct error *err);

/* Removes every blob that nothing names: what a crash left between a file and its row. */
bool collect_orphans(struct database *database, struct error *err);
