/* A hash table of chains, and a list by last use. An entry is counted: once for the table, once for
 * each caller who has it, so that a text may be sent while its key has a newer one. */

#include "answer_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct entry {
    struct answer_text answer; /* first: what callers have */
    atomic_size_t uses;
    struct answer_version version;
    int64_t until_ms;
    size_t bytes;       /* of all of it */
    struct entry *next; /* of the chain */
    struct entry *newer, *older;
    char *key;
    char memory[]; /* text, 0, key, 0 */
};

struct answer_cache {
    pthread_mutex_t lock;
    size_t bytes, limit_bytes;
    struct entry *newest, *oldest;
    struct entry *buckets[BUCKETS];
};

bool answer_cache_create(size_t bytes, struct answer_cache **out_cache, struct error *err)
{
    struct answer_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return FAIL(err, E_MEMORY, "no memory for answers");
    pthread_mutex_init(&cache->lock, NULL);
    cache->limit_bytes = bytes;
    *out_cache = cache;
    return true;
}

void answer_cache_release(void *text)
{
    struct entry *entry = text;
    if (entry != NULL && atomic_fetch_sub(&entry->uses, 1) == 1)
        free(entry);
}

/* FNV-1a, 64 bits: offset basis and prime of the definition (isthe.com/chongo/tech/comp/fnv). */
static struct entry **bucket_of(struct answer_cache *cache, const char *key)
{
    uint64_t hash = 14695981039346656037u;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return &cache->buckets[(hash ^ hash >> 32) % BUCKETS];
}

/* What points to the entry of the key, or to the end of the chain. */
static struct entry **find_link(struct answer_cache *cache, const char *key)
{
    struct entry **link = bucket_of(cache, key);
    while (*link != NULL && strcmp((*link)->key, key) != 0)
        link = &(*link)->next;
    return link;
}

static void unlist(struct answer_cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void list_newest(struct answer_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

/* With the lock held: takes the entry that `link` points to out of the table. */
static void drop(struct answer_cache *cache, struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    unlist(cache, entry);
    cache->bytes -= entry->bytes;
    answer_cache_release(entry);
}

void answer_cache_destroy(struct answer_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->oldest != NULL)
        drop(cache, find_link(cache, cache->oldest->key));
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct answer_text *answer_cache_find(struct answer_cache *cache, const char *key,
                                      struct answer_version version, int64_t now_ms)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = *find_link(cache, key);
    if (entry != NULL && (entry->version.store != version.store ||
                          entry->version.jobs != version.jobs || entry->until_ms <= now_ms))
        entry = NULL;
    if (entry != NULL) {
        atomic_fetch_add(&entry->uses, 1);
        unlist(cache, entry);
        list_newest(cache, entry);
    }
    pthread_mutex_unlock(&cache->lock);
    return entry != NULL ? &entry->answer : NULL;
}

static struct entry *create_entry(const char *key, const char *text, size_t size, const char *etag)
{
    size_t key_size = strlen(key) + 1;
    size_t bytes = sizeof(struct entry) + size + 1 + key_size;
    struct entry *entry = malloc(bytes);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->memory, text, size);
    entry->memory[size] = '\0';
    entry->key = entry->memory + size + 1;
    memcpy(entry->key, key, key_size);
    entry->answer.text = entry->memory;
    entry->answer.size = size;
    size_t etag_size = strnlen(etag, ANSWER_ETAG_BYTES - 1);
    memcpy(entry->answer.etag, etag, etag_size);
    entry->bytes = bytes;
    atomic_init(&entry->uses, 1);
    return entry;
}

void answer_cache_put(struct answer_cache *cache, const char *key, struct answer_version version,
                      int64_t until_ms, const char *text, size_t size, const char *etag)
{
    enum { LARGEST_PART = 10 };
    if (size > cache->limit_bytes / LARGEST_PART)
        return;
    struct entry *entry = create_entry(key, text, size, etag);
    if (entry == NULL)
        return; /* rendered again, then */
    entry->version = version;
    entry->until_ms = until_ms;

    pthread_mutex_lock(&cache->lock);
    struct entry **link = find_link(cache, key);
    if (*link != NULL)
        drop(cache, link);
    link = bucket_of(cache, key);
    entry->next = *link;
    *link = entry;
    list_newest(cache, entry);
    cache->bytes += entry->bytes;
    while (cache->bytes > cache->limit_bytes)
        drop(cache, find_link(cache, cache->oldest->key));
    pthread_mutex_unlock(&cache->lock);
}
