#pragma once

/* How a row of table run becomes a struct run_row. */

#include "statement.h"

/* From run joined with variant; column 0 is the cursor of lists by variant and seed. */
#define RUN_COLUMNS                                                                                \
    "variant || '.' || seed, job, variant, seed, choices, state, attempts, crashes, worker,"       \
    " created_ms, started_ms, finished_ms, accuracy, loss, agreement, seconds, peak_rss_bytes,"    \
    " summary, problem_code, problem_message, problem_pointer"

/* A statement_read_fn. */
void run_read(struct statement *statement, struct arena *arena, void *out_row);
