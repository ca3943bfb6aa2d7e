/* A cache of values with a ceiling: a hash table for finding, a list by last use for evicting.
 *
 * An entry is there from the moment somebody computes its value; until it is ready it can't be
 * evicted, and those who want it sleep on one condition for the whole cache. They wake every now
 * and then to ask their monitors, and look the entry up again each time: it may be gone.
 */

#include "ptqd/flow/shared.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/text.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 1024,
    KEY_BYTES_MAX = 4096, /* texts of keys: names and numbers */
    WAIT_MS = 20,         /* a run stops within 100 ms */
};

struct entry {
    struct entry *next;          /* in its bucket */
    struct entry *newer, *older; /* by last use; only when ready */
    struct shared_key key;
    size_t size; /* of the value */
    bool ready;
    unsigned char value[];
};

struct shared {
    size_t limit_bytes;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    struct entry *buckets[BUCKETS];
    struct entry *newest, *oldest;
    struct shared_counts counts;
};

bool shared_key_print(struct shared_key *out_key, struct error *err, const char *format, ...)
{
    struct text text;
    text_init(&text, KEY_BYTES_MAX);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    bool ok = text_check(&text, err) && digest_bytes(text.bytes, text.length, out_key->hex, err);
    text_finish(&text);
    return ok;
}

struct shared *shared_create(size_t limit_bytes)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    if (!shared)
        return NULL;
    shared->limit_bytes = limit_bytes;
    pthread_mutex_init(&shared->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&shared->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return shared;
}

void shared_destroy(struct shared *shared)
{
    if (!shared)
        return;
    for (struct entry *entry = shared->oldest, *newer; entry; entry = newer) {
        newer = entry->newer;
        free(entry);
    }
    pthread_cond_destroy(&shared->change);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

/* ---- entries; with the lock held ---- */

/* Where the pointer to the entry is, or would be. */
static struct entry **find(struct shared *shared, const struct shared_key *key, size_t size)
{
    unsigned long start = strtoul((char[]){key->hex[0], key->hex[1], key->hex[2], key->hex[3], 0},
                                  NULL, 16); /* a digest is as good as random */
    struct entry **place = &shared->buckets[start % BUCKETS];
    while (*place && ((*place)->size != size || strcmp((*place)->key.hex, key->hex) != 0))
        place = &(*place)->next;
    return place;
}

static size_t entry_bytes(size_t size)
{
    return sizeof(struct entry) + size;
}

static void list_remove(struct shared *shared, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shared->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shared->oldest) = entry->newer;
}

static void list_add(struct shared *shared, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shared->newest;
    *(shared->newest ? &shared->newest->newer : &shared->oldest) = entry;
    shared->newest = entry;
}

static void forget(struct shared *shared, struct entry *entry)
{
    *find(shared, &entry->key, entry->size) = entry->next;
    free(entry);
}

static void evict(struct shared *shared)
{
    while (shared->counts.bytes > shared->limit_bytes) {
        struct entry *entry = shared->oldest;
        shared->counts.bytes -= entry_bytes(entry->size);
        list_remove(shared, entry);
        forget(shared, entry);
    }
}

static void wait_a_little(struct shared *shared)
{
    const struct timespec until = clock_after_ms(WAIT_MS);
    (void)pthread_cond_timedwait(&shared->change, &shared->lock, &until); /* early is fine */
}

/* ---- the three ways to a value ---- */

enum outcome { FOUND, MINE, GIVEN_UP };

static struct entry *entry_create(const struct shared_key *key, size_t size)
{
    struct entry *entry = calloc(1, entry_bytes(size));
    if (entry) {
        entry->key = *key;
        entry->size = size;
    }
    return entry;
}

/* Copies the value when it is there, waits while somebody computes it, else leaves that to the
 * caller: *out_entry is to be filled, or NULL when there is no memory to keep it. */
static enum outcome look(struct shared *shared, const struct shared_key *key, size_t size,
                         const struct recon_monitor *monitor, void *out_value,
                         struct entry **out_entry, struct error *err)
{
    enum outcome outcome = GIVEN_UP;
    pthread_mutex_lock(&shared->lock);
    for (;;) {
        struct entry **place = find(shared, key, size);
        if (!*place) {
            *out_entry = *place = entry_create(key, size);
            shared->counts.computed++;
            outcome = MINE;
            break;
        }
        if ((*place)->ready) {
            memcpy(out_value, (*place)->value, size);
            list_remove(shared, *place);
            list_add(shared, *place);
            shared->counts.found++;
            outcome = FOUND;
            break;
        }
        wait_a_little(shared);
        pthread_mutex_unlock(&shared->lock);
        bool wanted = recon_monitor_report(monitor, 0.0, (double)NAN, err);
        pthread_mutex_lock(&shared->lock);
        if (!wanted)
            break;
    }
    pthread_mutex_unlock(&shared->lock);
    return outcome;
}

/* Keeps the value that was computed for an entry, or forgets the entry. */
static void settle(struct shared *shared, struct entry *entry, const void *value, bool computed)
{
    pthread_mutex_lock(&shared->lock);
    if (computed) {
        memcpy(entry->value, value, entry->size);
        entry->ready = true;
        list_add(shared, entry);
        shared->counts.bytes += entry_bytes(entry->size);
        evict(shared);
    } else {
        forget(shared, entry);
    }
    pthread_cond_broadcast(&shared->change);
    pthread_mutex_unlock(&shared->lock);
}

bool shared_get(struct shared *shared, const struct shared_key *key, size_t size,
                const struct shared_work *work, const struct recon_monitor *monitor,
                void *out_value, struct error *err)
{
    if (!shared || entry_bytes(size) > shared->limit_bytes)
        return work->compute(work->context, out_value, err);
    struct entry *entry = NULL;
    enum outcome outcome = look(shared, key, size, monitor, out_value, &entry, err);
    if (outcome != MINE)
        return outcome == FOUND;
    bool computed = work->compute(work->context, out_value, err);
    if (entry)
        settle(shared, entry, out_value, computed);
    return computed;
}

bool shared_is_under_way(struct shared *shared, const struct shared_key *key, size_t size)
{
    pthread_mutex_lock(&shared->lock);
    const struct entry *entry = *find(shared, key, size);
    bool under_way = entry && !entry->ready;
    pthread_mutex_unlock(&shared->lock);
    return under_way;
}

struct shared_counts shared_count(struct shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    struct shared_counts counts = shared->counts;
    pthread_mutex_unlock(&shared->lock);
    return counts;
}
