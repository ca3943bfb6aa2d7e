#pragma once

/* Whose a job or run is, without reading the rest of it. */

#include "ptqd/store/store.h"

/* E_NOT_FOUND as job_row_find. */
bool job_owner_find(struct database *database, const char *job, struct arena *arena,
                    const char **out_owner, struct error *err);
/* The owner of the run's job; E_NOT_FOUND as run_row_find. */
bool job_owner_find_of_run(struct database *database, const char *run, struct arena *arena,
                           const char **out_owner, struct error *err);
