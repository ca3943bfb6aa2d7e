#pragma once

/* What earlier runs of a model took, by how they were made. */

#include "ptqd/store/run_row.h"

struct run_times {
    const char *method; /* as run_times_method names it */
    int64_t runs;       /* how many */
    double seconds;     /* on the mean */
};

/* Of the newest runs that succeeded, a few hundred: a number that does not grow with the database.
 * A viewer who sees nothing of others learns from runs of their own alone. */
bool run_times_list(struct database *database, const struct store_viewer *viewer, const char *model,
                    struct arena *arena, struct run_times **out_times, size_t *out_count,
                    struct error *err);

/* The name of what decides how long a run takes, from all choices of its variant (JSON object by
 * row name, as job_spec_choices prints it). */
bool run_times_method(struct database *database, const char *choices, struct arena *arena,
                      const char **out_method, struct error *err);
