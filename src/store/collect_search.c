/* Orphans are searched for behind the start, on the writer's thread and between its groups: no row
 * can come to name a blob that is just being removed, and a blob whose row is still to come is
 * pinned (blob.h). The start costs the same however many files there are. */

#include "collect.h"

#include "blob_walk.h"

#include <stdlib.h>

/* At about 10 us each: what a write may have to wait for. */
enum { BLOBS_AT_ONCE = 64 };

struct collect_search {
    struct database *database; /* borrowed */
    struct blob_walk *walk;
};

bool collect_search_open(struct database *database, struct collect_search **out_search,
                         struct error *err)
{
    struct collect_search *search = calloc(1, sizeof(*search));
    if (search == NULL)
        return FAIL(err, E_MEMORY, "no memory to look for files that nothing names");
    search->database = database;
    if (!blob_walk_open(database->blobs, &search->walk, err)) {
        collect_search_close(search);
        return false;
    }
    *out_search = search;
    return true;
}

void collect_search_close(struct collect_search *search)
{
    if (search == NULL)
        return;
    blob_walk_close(search->walk);
    free(search);
}

static bool look(struct collect_search *search, bool *out_done, struct error *err)
{
    for (int i = 0; i < BLOBS_AT_ONCE; i++) {
        char id[DIGEST_ID_BYTES];
        if (!blob_walk_next(search->walk, id, err))
            return false;
        *out_done = id[0] == '\0';
        if (*out_done)
            return true;
        if (!collect_unnamed(search->database, id, err))
            return false;
    }
    return true;
}

bool collect_search_some(struct collect_search *search, bool *out_done, struct error *err)
{
    /* Faults of a test are meant for its writes. */
    struct store_fault fault = search->database->fault;
    search->database->fault = (struct store_fault){.strikes = NULL};
    bool ok = look(search, out_done, err);
    search->database->fault = fault;
    return ok;
}
