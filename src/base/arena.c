/* Arenas.
 *
 * A chain of blocks, newest first; memory is handed out from the newest only. A block that is too
 * small for a request is left with its rest unused, and a block twice as large (or as large as the
 * request) is put before it, so a growing arena makes O(log n) blocks.
 *
 * A reset gives back the blocks made since the mark, but keeps the largest of them, if it is not
 * huge, as the spare that serves the next growth: a loop that marks, allocates and resets soon runs
 * without the system's allocator.
 *
 * Zeroing: a block comes zeroed from calloc (for large ones without touching a page), and only
 * the part that was handed out before, below `dirty`, is cleared again when it is handed out anew.
 *
 * Large blocks ask for huge pages: memory streams 1.5 times as fast from them.
 *
 * With AddressSanitizer everything that is not handed out, padding included, is poisoned.
 */

#include "ptqd/base/arena.h"

#include "ptqd/base/mem.h"
#include "ptqd/base/poison.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64 };

static const size_t first_block_bytes = (size_t)16 << 10;
static const size_t largest_growth_bytes = (size_t)32 << 20;
static const size_t largest_spare_bytes = (size_t)16 << 20;
static const size_t huge_page_bytes = (size_t)2 << 20;

struct block {
    struct block *older;
    unsigned char *bytes; /* aligned */
    size_t capacity;
    size_t used;
    size_t dirty; /* bytes below it may not be zero */
};

struct arena {
    struct block *newest;
    struct block *spare;
    size_t total;                /* bytes handed out, padding included */
    size_t limit;                /* SIZE_MAX: none */
    struct arena_budget *budget; /* of `total`; NULL: none */
    size_t next_block_bytes;
    size_t fail_countdown; /* 0: off; 1: the next allocation fails */
};

struct arena *arena_create(size_t limit_bytes)
{
    struct arena *arena = malloc(sizeof(*arena));
    if (arena == NULL)
        return NULL;
    *arena = (struct arena){.limit = limit_bytes == 0 ? SIZE_MAX : limit_bytes,
                            .next_block_bytes = first_block_bytes};
    return arena;
}

struct arena *arena_create_within(size_t limit_bytes, struct arena_budget *budget)
{
    struct arena *arena = arena_create(limit_bytes);
    if (arena != NULL)
        arena->budget = budget;
    return arena;
}

static void release(struct arena *arena, size_t bytes)
{
    if (arena->budget != NULL)
        atomic_fetch_sub(&arena->budget->used_bytes, bytes);
}

static bool charge(struct arena *arena, size_t bytes, struct error *err)
{
    struct arena_budget *budget = arena->budget;
    if (budget == NULL)
        return true;
    size_t before = atomic_fetch_add(&budget->used_bytes, bytes);
    if (before <= budget->limit_bytes && bytes <= budget->limit_bytes - before)
        return true;
    release(arena, bytes);
    return FAIL(err, E_UNAVAILABLE,
                "%zu bytes are needed; others of this kind use %zu of %zu; try again later", bytes,
                before - arena->total, budget->limit_bytes);
}

/* Of the huge pages within a block, if there are some; its rest, and what is around it, stay as
 * they are. */
static void ask_for_huge_pages(const struct block *block)
{
    size_t skipped = -(uintptr_t)block->bytes % huge_page_bytes;
    if (block->capacity < skipped + huge_page_bytes)
        return;
    size_t size = (block->capacity - skipped) / huge_page_bytes * huge_page_bytes;
    (void)madvise(block->bytes + skipped, size, MADV_HUGEPAGE); /* a system may have none */
}

static struct block *block_create(size_t capacity)
{
    size_t size;
    if (!mem_add(capacity, sizeof(struct block) + ALIGNMENT, &size))
        return NULL;
    struct block *block = calloc(1, size);
    if (block == NULL)
        return NULL;
    uintptr_t body = (uintptr_t)(block + 1);
    size_t padding = (ALIGNMENT - body % ALIGNMENT) % ALIGNMENT;
    block->bytes = (unsigned char *)(block + 1) + padding;
    block->capacity = capacity;
    ask_for_huge_pages(block);
    ASAN_POISON_MEMORY_REGION(block->bytes, block->capacity);
    return block;
}

static void block_destroy(struct block *block)
{
    if (block == NULL)
        return;
    ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->capacity);
    free(block);
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL)
        return;
    while (arena->newest != NULL) {
        struct block *older = arena->newest->older;
        block_destroy(arena->newest);
        arena->newest = older;
    }
    block_destroy(arena->spare);
    release(arena, arena->total);
    free(arena);
}

/* Puts a block of at least `size` free bytes first: the spare, or a new one. */
static bool grow(struct arena *arena, size_t size)
{
    struct block *block = arena->spare;
    arena->spare = NULL;
    if (block == NULL || block->capacity < size) {
        block_destroy(block);
        size_t capacity = arena->next_block_bytes;
        if (capacity > arena->limit - arena->total)
            capacity = arena->limit - arena->total;
        block = block_create(capacity < size ? size : capacity);
        if (block == NULL)
            return false;
        if (arena->next_block_bytes < largest_growth_bytes)
            arena->next_block_bytes *= 2;
    }
    block->older = arena->newest;
    arena->newest = block;
    return true;
}

static bool failure_is_due(struct arena *arena)
{
    return arena->fail_countdown > 0 && --arena->fail_countdown == 0;
}

void *arena_alloc(struct arena *arena, size_t size, struct error *err)
{
    size_t padded;
    if (!mem_add(size == 0 ? 1 : size, ALIGNMENT - 1, &padded)) {
        FAIL(err, E_MEMORY, "%zu bytes are more than memory can hold", size);
        return NULL;
    }
    padded -= padded % ALIGNMENT;

    if (padded > arena->limit - arena->total) {
        FAIL(err, E_MEMORY, "%zu bytes are needed; %zu of the ceiling of %zu bytes are left", size,
             arena->limit - arena->total, arena->limit);
        return NULL;
    }
    if (!charge(arena, padded, err))
        return NULL;
    struct block *block = arena->newest;
    bool fits = block != NULL && padded <= block->capacity - block->used;
    if (failure_is_due(arena) || (!fits && !grow(arena, padded))) {
        release(arena, padded);
        FAIL(err, E_MEMORY, "%zu bytes are needed; the system has no memory left", size);
        return NULL;
    }

    block = arena->newest;
    unsigned char *bytes = block->bytes + block->used;
    ASAN_UNPOISON_MEMORY_REGION(bytes, size);
    size_t stale = block->dirty > block->used ? block->dirty - block->used : 0;
    memset(bytes, 0, stale < size ? stale : size);
    block->used += padded;
    if (block->dirty < block->used)
        block->dirty = block->used;
    arena->total += padded;
    return bytes;
}

void *arena_array(struct arena *arena, size_t count, size_t size, struct error *err)
{
    size_t total;
    if (!mem_mul(count, size, &total)) {
        FAIL(err, E_MEMORY, "%zu elements of %zu bytes are more than memory can hold", count, size);
        return NULL;
    }
    return arena_alloc(arena, total, err);
}

char *arena_strdup(struct arena *arena, const char *text, struct error *err)
{
    return arena_memdup(arena, text, strlen(text) + 1, err);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length, struct error *err)
{
    size_t kept = strnlen(text, length);
    char *copy = arena_alloc(arena, kept + 1, err);
    if (copy != NULL)
        memcpy(copy, text, kept);
    return copy;
}

void *arena_memdup(struct arena *arena, const void *bytes, size_t size, struct error *err)
{
    void *copy = arena_alloc(arena, size, err);
    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

char *arena_vprintf(struct arena *arena, struct error *err, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    char *text = NULL;
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) {
        FAIL(err, E_INTERNAL, "the text \"%s\" can't be formatted", format);
    } else {
        size_t size = (size_t)length + 1;
        text = arena_alloc(arena, size, err);
        if (text != NULL)
            (void)vsnprintf(text, size, format, again); /* measured above */
    }
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, struct error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprintf(arena, err, format, arguments);
    va_end(arguments);
    return text;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){.block = arena->newest,
                               .used = arena->newest == NULL ? 0 : arena->newest->used,
                               .total = arena->total};
}

/* Makes `block` the spare, or gives it back when the spare is larger or it is huge. */
static void retire(struct arena *arena, struct block *block)
{
    size_t spare_capacity = arena->spare == NULL ? 0 : arena->spare->capacity;
    if (block->capacity <= spare_capacity || block->capacity > largest_spare_bytes) {
        block_destroy(block);
        return;
    }
    block_destroy(arena->spare);
    block->older = NULL;
    block->used = 0;
    ASAN_POISON_MEMORY_REGION(block->bytes, block->capacity);
    arena->spare = block;
}

void arena_reset(struct arena *arena, struct arena_mark mark)
{
    while (arena->newest != mark.block) {
        struct block *block = arena->newest;
        arena->newest = block->older;
        retire(arena, block);
    }
    if (arena->newest != NULL) {
        struct block *block = arena->newest;
        block->used = mark.used;
        ASAN_POISON_MEMORY_REGION(block->bytes + block->used, block->capacity - block->used);
    }
    release(arena, arena->total - mark.total);
    arena->total = mark.total;
}

size_t arena_used(const struct arena *arena)
{
    return arena->total;
}

size_t arena_left(const struct arena *arena)
{
    return arena->limit - arena->total;
}

void arena_fail_at(struct arena *arena, size_t nth)
{
    arena->fail_countdown = nth;
}
