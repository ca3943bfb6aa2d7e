#pragma once

/* Values that several runs of a process compute alike, computed once: a cache that threads share.
 *
 * A key names all that a value depends on by content, so a value that was found is the value that
 * would have been computed, to the bit. The first thread that asks for a value computes it; others
 * that ask meanwhile wait, and one of them computes when the first fails. Values are copied out;
 * together they take at most the cache's ceiling, the one that was not asked for the longest goes
 * first.
 */

#include "ptqd/base/digest.h"
#include "ptqd/recon/monitor.h"

#include <stdint.h>

struct shared;

struct shared_key {
    char hex[DIGEST_HEX_BYTES]; /* of the text that it was made from */
};

/* From a text that tells all values apart ("range <network> tensor=7 bits=4"). */
bool shared_key_print(struct shared_key *out_key, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How a value is computed. */
struct shared_work {
    /* Writes the value. May not ask for the same value again. */
    bool (*compute)(void *context, void *out_value, struct error *err);
    void *context;
};

/* NULL when memory is out. */
struct shared *shared_create(size_t limit_bytes);
/* When no other thread uses it any more. */
void shared_destroy(struct shared *shared);

/* The `size` bytes that the key names, found or computed. `shared` NULL: always computed. A thread
 * that waits reports to the monitor, and gives up with E_CANCELLED as it says. What could not be
 * computed is not remembered. */
bool shared_get(struct shared *shared, const struct shared_key *key, size_t size,
                const struct shared_work *work, const struct recon_monitor *monitor,
                void *out_value, struct error *err);

/* Whether another thread computes it now: who has something else to do need not wait. */
bool shared_is_under_way(struct shared *shared, const struct shared_key *key, size_t size);

struct shared_counts {
    int64_t found, computed; /* answers so far */
    size_t bytes;            /* kept now */
};
struct shared_counts shared_count(struct shared *shared);
