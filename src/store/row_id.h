#pragma once

/* Ids of jobs and runs, as text and as the numbers of the tables. */

#include "ptqd/store/run_row.h"

#include <stdbool.h>
#include <stdint.h>

struct run_key {
    int64_t job;
    int64_t variant;
    int64_t seed;
};

void job_id_print(int64_t number, char out_id[static JOB_ID_BYTES]);
/* E_NOT_FOUND for what is no id: nothing has such a name. */
bool job_id_parse(const char *id, int64_t *out_number, struct error *err);

void run_id_print(const struct run_key *key, char out_id[static RUN_ID_BYTES]);
/* E_NOT_FOUND, as job_id_parse. */
bool run_id_parse(const char *id, struct run_key *out_key, struct error *err);
