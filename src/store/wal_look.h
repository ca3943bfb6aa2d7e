#pragma once

/* Looks by which a connection sees, without a query, whether anything was committed. */

#include "database.h"

enum { WAL_LOOK_WORDS = 12 };

struct wal_look {
    bool known; /* false: it can't be told here */
    uint32_t words[WAL_LOOK_WORDS];
};

/* For readers. Two looks that are alike and known had the same data before them; what is read after
 * a look is at least as new as it. */
bool wal_look(struct database *database, struct wal_look *out_look, struct error *err);
/* True when nothing was committed between the two. */
bool wal_look_is_same(const struct wal_look *a, const struct wal_look *b);
