/* A hash table of chains, and a list by last use. An entry is counted: once for the table, once for
 * each caller who has it, so that a text may be sent while its key has a newer one.
 *
 * A large text is in a file in memory, from which sendfile takes the pages as they are: copying
 * 130 kB into a socket takes 70 us, three times what the rest of a request does. */

#include "answer_cache.h"

#include "ptqd/base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUCKETS = 4096, FILE_BYTES_MIN = 32 << 10, FILES_MAX = 64 };

struct file { /* in memory */
    int fd;   /* −1: none */
    void *text;
    size_t size;
};

struct entry {
    struct answer_text answer; /* first: what callers have */
    atomic_size_t uses;
    struct answer_version version;
    int64_t until_ms;
    size_t bytes;               /* of all of it */
    struct answer_cache *cache; /* borrowed */
    struct entry *next;         /* of the chain */
    struct entry *newer, *older;
    struct file file;
    char *key;
    char memory[]; /* key, 0; then the text, 0, unless a file has it */
};

struct answer_cache {
    pthread_mutex_t lock;
    size_t bytes, limit_bytes;
    atomic_int files;
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

/* With the text, when it is large; else, and when the system refuses, the descriptor is −1. */
static struct file open_file(struct answer_cache *cache, const char *text, size_t size)
{
    const struct file none = {.fd = -1};
    if (size < FILE_BYTES_MIN)
        return none;
    if (atomic_fetch_add(&cache->files, 1) >= FILES_MAX)
        goto no_file;
    int fd = memfd_create("answer", MFD_CLOEXEC);
    if (fd < 0)
        goto no_file;
    if (write(fd, text, size) != (ssize_t)size)
        goto no_text;
    void *mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED)
        return (struct file){.fd = fd, .text = mapped, .size = size};

no_text:
    (void)close(fd); /* nothing is lost with it */
no_file:
    atomic_fetch_sub(&cache->files, 1);
    return none;
}

static void close_file(struct answer_cache *cache, const struct file *file)
{
    if (file->fd < 0)
        return;
    (void)munmap(file->text, file->size); /* it was mapped */
    (void)close(file->fd);                /* nothing is lost with it */
    atomic_fetch_sub(&cache->files, 1);
}

void answer_cache_release(void *text)
{
    struct entry *entry = text;
    if (entry == NULL || atomic_fetch_sub(&entry->uses, 1) != 1)
        return;
    close_file(entry->cache, &entry->file);
    free(entry);
}

static struct entry **bucket_of(struct answer_cache *cache, const char *key)
{
    return &cache->buckets[text_hash(key) % BUCKETS];
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
    if (version.moving)
        return NULL;
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

static struct entry *create_entry(struct answer_cache *cache, const char *key, const char *text,
                                  size_t size, const char *etag)
{
    size_t key_size = strlen(key) + 1;
    const struct file file = open_file(cache, text, size);
    bool in_file = file.fd >= 0;
    struct entry *entry = malloc(sizeof(*entry) + key_size + (in_file ? 0 : size + 1));
    if (entry == NULL) {
        close_file(cache, &file);
        return NULL;
    }
    *entry = (struct entry){
        .answer = {.text = file.text, .size = size, .fd = file.fd},
        .cache = cache,
        .file = file,
        .bytes = sizeof(*entry) + key_size + size + 1,
        .key = entry->memory,
    };
    memcpy(entry->key, key, key_size);
    if (!in_file) {
        char *copy = entry->memory + key_size;
        memcpy(copy, text, size);
        copy[size] = '\0';
        entry->answer.text = copy;
    }
    memcpy(entry->answer.etag, etag, strnlen(etag, ANSWER_ETAG_BYTES - 1));
    atomic_init(&entry->uses, 1);
    return entry;
}

void answer_cache_put(struct answer_cache *cache, const char *key, struct answer_version version,
                      int64_t until_ms, const struct answer_draft *draft)
{
    enum { LARGEST_PART = 10 };
    if (version.moving || draft->size > cache->limit_bytes / LARGEST_PART)
        return;
    struct entry *entry = create_entry(cache, key, draft->text, draft->size, draft->etag);
    if (entry == NULL)
        return; /* rendered again, then */
    entry->answer.retry_seconds = draft->retry_seconds;
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
