#pragma once

/* What a run leaves beside its result: large, and looked at one run at a time. */

#include "ptqd/store/run_row.h"

/* The detail of this name, a JSON object. E_NOT_FOUND for what a run that is not finished, or was
 * made by an earlier version, does not have. */
bool run_detail_find(struct database *database, const char *run, const char *name,
                     struct arena *arena, const char **out_value, struct error *err);

/* In a write; `run` is the number of the row. */
bool run_detail_insert(struct database *database, int64_t run, const struct run_detail *details,
                       size_t count, struct error *err);
