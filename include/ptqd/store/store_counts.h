#pragma once

/* What is stored, in numbers. */

#include "ptqd/store/store.h"

struct store_counts {
    int64_t models, datasets, artifacts; /* rows; a file that several name counts once for each */
    int64_t model_bytes, dataset_bytes, artifact_bytes;
};

bool store_count(struct database *database, struct store_counts *out_counts, struct error *err);

/* When the oldest job that still has queued runs was submitted; 0: nothing is queued. */
bool store_oldest_queued(struct database *database, int64_t *out_created_ms, struct error *err);
