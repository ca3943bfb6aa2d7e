/* A range of addresses, twice as large as what is kept, so that gaps between tensors do no harm.
 * Tensors take the lowest large pages that are next to each other; smaller ones than a page are the
 * system's, which keeps them itself. */

#include "ptqd/recon/value_pool.h"

#include "ptqd/base/mem.h"
#include "ptqd/base/poison.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static const size_t page_bytes = (size_t)2 << 20;

enum page { PAGE_ABSENT, PAGE_WAITING, PAGE_USED }; /* ABSENT: takes no memory */

struct value_pool {
    void *range;
    size_t range_bytes;
    unsigned char *first; /* page */
    size_t count;         /* of pages */
    size_t kept, used, waiting;
    unsigned char state[]; /* [count] */
};

bool value_pool_create(size_t kept_bytes, struct value_pool **out_pool, struct error *err)
{
    size_t kept = kept_bytes / page_bytes, count, bytes;
    if (!mem_mul(kept, 2, &count) || !mem_mul(count + 1, page_bytes, &bytes))
        return FAIL(err, E_MEMORY, "a pool of %zu bytes is too large", kept_bytes);
    struct value_pool *pool = calloc(1, sizeof(*pool) + count);
    if (!pool)
        return FAIL(err, E_MEMORY, "no memory for a pool of %zu pages", count);
    pool->range = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool->range == MAP_FAILED) {
        free(pool);
        return FAIL(err, E_MEMORY, "no addresses for a pool of %zu bytes", bytes);
    }
    (void)madvise(pool->range, bytes, MADV_HUGEPAGE); /* a wish: without, pages are small */
    pool->range_bytes = bytes;
    pool->first = (unsigned char *)pool->range + page_bytes - (uintptr_t)pool->range % page_bytes;
    pool->count = count;
    pool->kept = kept;
    ASAN_POISON_MEMORY_REGION(pool->range, bytes);
    *out_pool = pool;
    return true;
}

void value_pool_destroy(struct value_pool *pool)
{
    if (!pool)
        return;
    ASAN_UNPOISON_MEMORY_REGION(pool->range, pool->range_bytes);
    (void)munmap(pool->range, pool->range_bytes); /* it was mapped so */
    free(pool);
}

/* The lowest of `count` pages next to each other that are not in use; pool->count: there are none.
 */
static size_t find_gap(const struct value_pool *pool, size_t count)
{
    size_t gap = 0;
    for (size_t page = 0; page < pool->count; page++) {
        gap = pool->state[page] == PAGE_USED ? 0 : gap + 1;
        if (gap == count)
            return page + 1 - count;
    }
    return pool->count;
}

/* The highest first: tensors take the lowest. */
static void drop_waiting(struct value_pool *pool)
{
    for (size_t page = pool->count;
         pool->waiting > 0 && pool->used + pool->waiting > pool->kept && page-- > 0;) {
        if (pool->state[page] != PAGE_WAITING)
            continue;
        (void)madvise(pool->first + page * page_bytes, page_bytes, MADV_DONTNEED);
        pool->state[page] = PAGE_ABSENT;
        pool->waiting--;
    }
}

static size_t pages_of(size_t bytes)
{
    return bytes / page_bytes + (bytes % page_bytes > 0);
}

/* From the system. */
static float *values_create(size_t alignment, size_t bytes)
{
    return aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
}

static float *take_pages(struct value_pool *pool, size_t count, size_t bytes)
{
    size_t gap = find_gap(pool, count);
    pool->used += count;
    for (size_t page = gap; page < pool->count && page < gap + count; page++) {
        pool->waiting -= pool->state[page] == PAGE_WAITING;
        pool->state[page] = PAGE_USED;
    }
    drop_waiting(pool);
    if (gap == pool->count) {
        float *values = values_create(page_bytes, bytes);
        pool->used -= values ? 0 : count;
        return values;
    }
    ASAN_UNPOISON_MEMORY_REGION(pool->first + gap * page_bytes, bytes);
    return (float *)(void *)(pool->first + gap * page_bytes);
}

float *value_pool_take(struct value_pool *pool, size_t bytes)
{
    enum { ALIGNMENT = 64 };
    return pool && bytes >= page_bytes ? take_pages(pool, pages_of(bytes), bytes)
                                       : values_create(ALIGNMENT, bytes);
}

void value_pool_give(struct value_pool *pool, float *values, size_t bytes)
{
    size_t count = pages_of(bytes);
    bool large = pool && values && bytes >= page_bytes;
    uintptr_t offset = large ? (uintptr_t)values - (uintptr_t)pool->first : 0;
    if (large)
        pool->used -= count;
    if (!large || offset / page_bytes >= pool->count) {
        free(values);
        return;
    }
    for (size_t page = offset / page_bytes; count > 0; page++, count--) {
        pool->state[page] = PAGE_WAITING;
        pool->waiting++;
    }
    ASAN_POISON_MEMORY_REGION(values, bytes);
    drop_waiting(pool);
}

size_t value_pool_waiting_bytes(const struct value_pool *pool)
{
    return pool->waiting * page_bytes;
}
