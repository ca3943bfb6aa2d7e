#pragma once

/* One run of a job, wherever its files are: what the daemon's workers and `ptqd run` share. */

#include "ptqd/flow/run.h"
#include "ptqd/jobs/spec.h"

/* Where the files of a specification are. */
struct execute_source {
    /* The bytes of a file, which stay until the run is over. */
    bool (*open)(void *context, const struct job_file *file, struct arena *arena,
                 const uint8_t **out_bytes, size_t *out_size, struct error *err);
    void *context; /* borrowed */
};

/* Memory for what the runs of a process share: the float outputs of an evaluation set of 100 000
 * samples and 100 classes take 40 MB, ranges a few bytes each. */
enum { EXECUTE_SHARED_BYTES = 64 << 20 };

struct execute_request {
    const struct job_spec *spec;
    size_t variant; /* index */
    uint64_t seed;
    struct execute_source source;
    struct run_monitor monitor;
    struct shared *shared; /* of flow/shared.h; borrowed, may be NULL */
    struct run_checkpoints checkpoints;
};

/* Loads model and data and computes the run; everything lives in `arena`, whose ceiling is the
 * run's memory. */
bool execute_run(struct arena *arena, const struct execute_request *request,
                 struct run_result **out_result, struct error *err);
