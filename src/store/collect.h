#pragma once

/* Blobs that nothing names any more. Runs where rows are changed, so that no row can come to name a
 * blob that is being removed. */

#include "database.h"

/* True when a model, a data set or an artifact names the blob. */
bool collect_is_named(struct database *database, const char *id, bool *out_named,
                      struct error *err);

/* The ids of all that are named. Who then looks at the files takes as long as it takes: a query
 * that is open for so long keeps the write-ahead log from beginning anew. */
bool collect_list_named(struct database *database, struct arena *arena, const char ***out_ids,
                        size_t *out_count, struct error *err);

/* Removes the blobs in table garbage that nothing names, and empties it. */
bool collect_garbage(struct database *database, struct error *err);

/* Removes every blob that nothing names: what a crash left between a file and its row. */
bool collect_orphans(struct database *database, struct error *err);

/* The same, a few blobs at a time, between writes. */
struct collect_search;
bool collect_search_open(struct database *database, struct collect_search **out_search,
                         struct error *err);
void collect_search_close(struct collect_search *search); /* NULL is fine */
/* `*out_done` true: all have been looked at. */
bool collect_search_some(struct collect_search *search, bool *out_done, struct error *err);

/* Removes the blob unless something names it, or it is pinned. */
bool collect_unnamed(struct database *database, const char *id, struct error *err);
