#pragma once

/* Texts that were rendered before, for requests that ask the same again.
 *
 * A text is kept under a key with the version of what it was made from, and found only by the same
 * version. Who puts one must have read the version before what the text says: a change in between
 * then leaves a text that is never found. Any thread may call any function at any time.
 */

#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer_cache;

struct answer_version {
    uint64_t store, jobs; /* counters of changes; both must be the same */
    bool moving;          /* a change is under way: nothing is found, nothing is kept */
};

enum { ANSWER_ETAG_BYTES = 17 }; /* 64 bits tell the versions of one object apart */

/* Read-only; alive until it is released. */
struct answer_text {
    const char *text;
    size_t size;
    char etag[ANSWER_ETAG_BYTES]; /* "": none */
    int retry_seconds;            /* Retry-After; 0: none */
    int fd;                       /* of a file in memory with the text; −1: there is none */
};

/* What is to be kept. */
struct answer_draft {
    const char *text;
    size_t size;
    const char *etag; /* "": none */
    int retry_seconds;
};

/* Holds at most `bytes` of texts and keys; what was not asked for longest goes first. */
bool answer_cache_create(size_t bytes, struct answer_cache **out_cache, struct error *err);
/* No text may be in use any more. */
void answer_cache_destroy(struct answer_cache *cache);

/* NULL when there is none of this version, or its time is over at `now_ms`. */
struct answer_text *answer_cache_find(struct answer_cache *cache, const char *key,
                                      struct answer_version version, int64_t now_ms);
/* Gives up what answer_cache_find returned; NULL is fine. */
void answer_cache_release(void *text);

/* Keeps a copy until `until_ms` (INT64_MAX: for ever), in place of what the key has. Without memory
 * for it, or when it is larger than a tenth of the cache, nothing happens. */
void answer_cache_put(struct answer_cache *cache, const char *key, struct answer_version version,
                      int64_t until_ms, const struct answer_draft *draft);
