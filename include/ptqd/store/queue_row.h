#pragma once

/* The queue as a whole. */

#include "ptqd/store/store.h"

struct queue_row {
    bool paused;             /* no run is claimed */
    int64_t queued, running; /* runs */
};

bool queue_row_read(struct database *database, struct queue_row *out_row, struct error *err);
/* In a write. Harmless when it is so already. */
bool queue_row_pause(struct database *database, bool paused, struct error *err);
