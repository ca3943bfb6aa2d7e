#pragma once

/* What happened in each attempt of a run. */

#include "ptqd/store/run_row.h"

struct run_log_row {
    int64_t attempt;   /* 1 for the first */
    const char *lines; /* JSON: [{"time", "text"}] */
};

/* Of all attempts that have ended, in their order. */
bool run_log_row_list(struct database *database, const char *run, struct arena *arena,
                      struct run_log_row **out_rows, size_t *out_count, struct error *err);

/* In a write. */
bool run_log_row_insert(struct database *database, const char *run, const struct run_log_row *row,
                        struct error *err);
/* The same for all running runs, at start-up: the daemon died in them. */
bool run_log_row_crashed(struct database *database, struct error *err);
