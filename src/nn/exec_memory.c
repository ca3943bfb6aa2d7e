#include "ptqd/nn/exec_memory.h"

#include "ptqd/base/mem.h"

#include <stdlib.h>

/* Larger first; where equal, in order of the list, so that the result doesn't depend on qsort. */
static int compare_sizes(const void *left, const void *right)
{
    const struct block *a = *(struct block *const *)left;
    const struct block *b = *(struct block *const *)right;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool alive_together(const struct block *a, const struct block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` is ordered by offset: the first gap between those alive at the same time. */
static bool place(struct block **placed, int count, struct block *block, size_t *out_end,
                  struct error *err)
{
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        const struct block *other = placed[i];
        if (!alive_together(other, block))
            continue;
        if (other->offset >= offset && other->offset - offset >= block->bytes)
            break;
        if (other->offset + other->bytes > offset)
            offset = other->offset + other->bytes;
    }
    block->offset = offset;
    if (!mem_add(offset, block->bytes, out_end))
        return FAIL(err, E_MEMORY, "a block of %zu bytes at offset %zu", block->bytes, offset);

    int at = count;
    for (; at > 0 && placed[at - 1]->offset > offset; at--)
        placed[at] = placed[at - 1];
    placed[at] = block;
    return true;
}

bool block_place(struct block *blocks, int count, struct arena *arena, size_t *out_bytes,
                 struct error *err)
{
    struct block **order = ARENA_ARRAY(arena, struct block *, count, err);
    struct block **placed = ARENA_ARRAY(arena, struct block *, count, err);
    if (order == NULL || placed == NULL)
        return false;
    for (int i = 0; i < count; i++) {
        if (!mem_add(blocks[i].bytes, BLOCK_ALIGNMENT - 1, &blocks[i].bytes))
            return FAIL(err, E_MEMORY, "a block of %zu bytes", blocks[i].bytes);
        blocks[i].bytes -= blocks[i].bytes % BLOCK_ALIGNMENT;
        order[i] = &blocks[i];
    }
    if (count > 0)
        qsort(order, (size_t)count, sizeof(struct block *), compare_sizes);

    size_t total = 0;
    for (int i = 0; i < count; i++) {
        size_t end;
        if (!place(placed, i, order[i], &end, err))
            return false;
        if (end > total)
            total = end;
    }
    *out_bytes = total;
    return true;
}
