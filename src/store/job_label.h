#pragma once

/* Labels of a job. */

#include "database.h"

#include "ptqd/store/job_row.h"

/* In a write: of a job that has none; they know its owner and state, which filters ask for. */
bool job_label_insert(struct database *database, int64_t job, const struct job_label *labels,
                      size_t count, struct error *err);
