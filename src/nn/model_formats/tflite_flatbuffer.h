#pragma once

/* Reading of flatbuffers from memory, every access checked.
 *
 * Reading never fails visibly: the first thing that is wrong is noted, from then on every field is
 * absent and every list empty, and flat_check reports it. Callers check once per object they read.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flat {
    const uint8_t *bytes; /* borrowed */
    size_t size;
    size_t budget; /* list elements and characters that may still be read */
    bool failed;
    struct error error; /* what went wrong first */
};

/* A table: absent when all fields are zero. */
struct flat_table {
    size_t at;
    size_t vtable;       /* where the offsets of its fields are */
    size_t vtable_bytes; /* of the offsets, with their header */
    size_t bytes;        /* of the table */
};

/* A vector: absent when all fields are zero. */
struct flat_list {
    size_t at; /* of the first element */
    size_t count;
    size_t element_bytes;
};

/* Starts reading, and gives the root table. */
struct flat_table flat_open(struct flat *flat, const uint8_t *bytes, size_t size);

/* E_SYNTAX when anything that was read since flat_open is malformed. */
bool flat_check(const struct flat *flat, struct error *err);

bool flat_has(struct flat *flat, const struct flat_table *table, int field);

/* Scalars; `fallback` where the table doesn't have the field. */
int64_t flat_int(struct flat *flat, const struct flat_table *table, int field, size_t bytes,
                 int64_t fallback);
float flat_float(struct flat *flat, const struct flat_table *table, int field, float fallback);

struct flat_table flat_table(struct flat *flat, const struct flat_table *table, int field);
struct flat_list flat_list(struct flat *flat, const struct flat_table *table, int field,
                           size_t element_bytes);

/* A string as NUL-terminated text in the arena, "" where it is absent; NULL when memory is out.
 * What is not UTF-8 is malformed. */
const char *flat_text(struct flat *flat, const struct flat_table *table, int field,
                      struct arena *arena, struct error *err);

/* Elements of lists; an index beyond the end is malformed. Integers are signed, 1 to 8 bytes. */
struct flat_table flat_list_table(struct flat *flat, const struct flat_list *list, size_t index);
int64_t flat_list_int(struct flat *flat, const struct flat_list *list, size_t index);
float flat_list_float(struct flat *flat, const struct flat_list *list, size_t index);
