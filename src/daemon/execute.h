#pragma once

/* One run of a job, wherever its files are: what the daemon's workers and `ptqd run` share. */

#include "ptqd/flow/run.h"
#include "ptqd/jobs/admission.h"
#include "ptqd/jobs/spec.h"

/* Where the files of a specification are. */
struct execute_source {
    /* A descriptor to read from, which is closed by the caller, and the file's size. */
    bool (*open)(void *context, const struct job_file *file, struct arena *arena, int *out_fd,
                 size_t *out_size, struct error *err);
    void *context; /* borrowed */
};

/* Memory for a run: its limit is the smaller one of the process's and of the specification's. */
struct execute_memory {
    size_t run_bytes;            /* of one run, at most */
    const char *spill_directory; /* borrowed */
    struct admission *admission; /* of jobs/admission.h, by all runs of the process; borrowed */
    size_t admitted_bytes;       /* 0 before the run */
};
/* Gives back what a run was admitted with; harmless when it was not. */
void execute_memory_release(struct execute_memory *memory);

/* The files of a run, as maps of memory. */
enum { EXECUTE_FILES_MAX = 8 }; /* model, two data sets, two sets of labels */
struct execute_files {
    struct {
        void *bytes;
        size_t size;
    } maps[EXECUTE_FILES_MAX];
    size_t count;
};
void execute_files_close(struct execute_files *files);

/* Memory for what the runs of a process share: the float outputs of an evaluation set of 100 000
 * samples and 100 classes take 40 MB, ranges a few bytes each. */
enum { EXECUTE_SHARED_BYTES = 64 << 20 };

struct execute_request {
    const struct job_spec *spec;
    size_t variant; /* index */
    uint64_t seed;
    struct execute_source source;
    struct execute_files *files;   /* zeroed; what is opened, to be closed after the result's use */
    struct execute_memory *memory; /* to be released after the run */
    struct run_monitor monitor;
    struct shared *shared; /* of flow/shared.h; borrowed, may be NULL */
    struct run_checkpoints checkpoints;
};

/* Loads model and data and computes the run; everything but the files lives in `arena`. */
bool execute_run(struct arena *arena, const struct execute_request *request,
                 struct run_result **out_result, struct error *err);
