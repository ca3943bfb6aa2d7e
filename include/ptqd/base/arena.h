#pragma once

/* Arenas: memory that is freed all at once.
 *
 * Four lifetimes use them: process, job, step (mark and reset) and request. Blocks come zeroed and
 * aligned to 64 bytes (a cache line, and the widest vector register). An arena has a ceiling in
 * bytes from the start; a request above it fails with E_MEMORY and leaves the arena as it was.
 * An arena belongs to one thread at a time.
 */

#include "ptqd/base/error.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct arena_mark {
    void *block;  /* borrowed */
    size_t used;  /* bytes used in `block` */
    size_t total; /* bytes handed out before */
};

/* `limit_bytes` 0: no ceiling. NULL when memory is out. */
struct arena *arena_create(size_t limit_bytes);

/* What several arenas, of any threads, may hold together. A request above it is E_UNAVAILABLE: it
 * may succeed when others are gone. */
struct arena_budget {
    size_t limit_bytes;
    atomic_size_t used_bytes;
};
/* `budget` is borrowed. */
struct arena *arena_create_within(size_t limit_bytes, struct arena_budget *budget);
void arena_destroy(struct arena *arena);

/* Zeroed bytes, or NULL with E_MEMORY; `size` 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size, struct error *err);

/* `count` elements of `size` bytes; an overflowing product is E_MEMORY. */
void *arena_array(struct arena *arena, size_t count, size_t size, struct error *err);

char *arena_strdup(struct arena *arena, const char *text, struct error *err);
char *arena_strndup(struct arena *arena, const char *text, size_t length, struct error *err);
void *arena_memdup(struct arena *arena, const void *bytes, size_t size, struct error *err);
char *arena_printf(struct arena *arena, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
char *arena_vprintf(struct arena *arena, struct error *err, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Everything handed out after `arena_mark` is gone after `arena_reset` to that mark. */
struct arena_mark arena_mark(const struct arena *arena);
void arena_reset(struct arena *arena, struct arena_mark mark);

/* Bytes handed out and not yet reset, padding included; and bytes left below the ceiling (SIZE_MAX
 * less what is used where there is none). */
size_t arena_used(const struct arena *arena);
size_t arena_left(const struct arena *arena);

/* For tests: the n-th allocation from now fails as if the system had no memory; 0: none does. */
void arena_fail_at(struct arena *arena, size_t nth);

#define ARENA_NEW(arena, type, err) ((type *)arena_alloc((arena), sizeof(type), (err)))
#define ARENA_ARRAY(arena, type, count, err)                                                       \
    ((type *)arena_array((arena), (size_t)(count), sizeof(type), (err)))
