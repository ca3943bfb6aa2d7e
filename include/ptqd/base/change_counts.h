#pragma once

/* Counts of changes of things that have ids, of a fixed size: ids share places, so a count that
 * grew says that the thing may have changed, and one that did not that it has not. Any thread may
 * call any function at any time. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { CHANGE_PLACES = 1024 };

/* Zeroed before its first use. */
struct change_counts {
    atomic_uint_least64_t places[CHANGE_PLACES];
};

/* Less than CHANGE_PLACES. */
size_t change_place(const char *id);

void change_count(struct change_counts *counts, size_t place);
uint64_t change_read(const struct change_counts *counts, const char *id);
