/* One table in each connection, emptied when a look says that somebody has committed. A token has
 * one place, by the first byte of its digest. What was not found is not kept: guesses would push
 * out what is there. */

#include "ptqd/store/token_cache.h"

#include "wal_look.h"

#include "ptqd/base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 256, ARENA_BYTES = 1 << 20 };

struct token_cache {
    struct wal_look look; /* before what is kept was read */
    bool counted;         /* `any` is known */
    bool any;
    struct arena *arena; /* of the rows: each place is filled once before all are emptied */
    struct arena_mark empty;
    struct token_row rows[PLACES]; /* digest NULL: nothing there */
};

void token_cache_destroy(struct token_cache *cache)
{
    if (cache == NULL)
        return;
    arena_destroy(cache->arena);
    free(cache);
}

static void clear(struct token_cache *cache)
{
    arena_reset(cache->arena, cache->empty);
    memset(cache->rows, 0, sizeof(cache->rows));
    cache->counted = false;
}

static bool create(struct database *database, struct error *err)
{
    struct token_cache *cache = calloc(1, sizeof(*cache));
    struct arena *arena = arena_create(ARENA_BYTES);
    if (cache == NULL || arena == NULL) {
        free(cache);
        arena_destroy(arena);
        return FAIL(err, E_MEMORY, "no memory for tokens");
    }
    cache->arena = arena;
    cache->empty = arena_mark(arena);
    database->tokens = cache;
    return true;
}

/* The connection's table, as empty as it has to be. */
static struct token_cache *open_cache(struct database *database, struct error *err)
{
    struct wal_look look;
    if ((database->tokens == NULL && !create(database, err)) || !wal_look(database, &look, err))
        return NULL;
    struct token_cache *cache = database->tokens;
    if (!wal_look_is_same(&cache->look, &look))
        clear(cache);
    cache->look = look;
    return cache;
}

bool token_cache_any(struct database *database, bool *out_any, struct error *err)
{
    struct token_cache *cache = open_cache(database, err);
    if (cache == NULL)
        return false;
    if (!cache->counted && !token_row_any(database, &cache->any, err))
        return false;
    cache->counted = true;
    *out_any = cache->any;
    return true;
}

/* By the first two digits, which spread evenly. */
static struct token_row *place_of(struct token_cache *cache, const char *digest)
{
    char start[3] = {0};
    (void)snprintf(start, sizeof(start), "%s", digest); /* the start is all that is wanted */
    return &cache->rows[strtoul(start, NULL, 16) % PLACES];
}

/* Asks the database; what is found takes the place, for which all make room if it is taken. */
static bool find_anew(struct database *database, struct token_cache *cache, const char *digest,
                      struct token_row *place, bool *out_found, struct error *err)
{
    struct arena_mark mark = arena_mark(cache->arena);
    struct token_row row;
    if (!token_row_find(database, digest, cache->arena, &row, out_found, err))
        return false;
    if (!*out_found) {
        arena_reset(cache->arena, mark);
        return true;
    }
    if (place->digest != NULL) {
        clear(cache);
        return find_anew(database, cache, digest, place, out_found, err);
    }
    *place = row;
    return true;
}

bool token_cache_find(struct database *database, const char *digest, struct token_row *out_row,
                      bool *out_found, struct error *err)
{
    struct token_cache *cache = open_cache(database, err);
    if (cache == NULL)
        return false;
    struct token_row *place = place_of(cache, digest);
    bool found = place->digest != NULL && digest_equal(place->digest, digest);
    if (!found && !find_anew(database, cache, digest, place, &found, err))
        return false;
    if (found)
        *out_row = *place;
    *out_found = found;
    return true;
}
