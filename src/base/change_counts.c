#include "ptqd/base/change_counts.h"

#include "ptqd/base/text.h"

size_t change_place(const char *id)
{
    return text_hash(id) % CHANGE_PLACES;
}

void change_count(struct change_counts *counts, size_t place)
{
    atomic_fetch_add(&counts->places[place], 1);
}

uint64_t change_read(const struct change_counts *counts, const char *id)
{
    return atomic_load(&counts->places[change_place(id)]);
}
