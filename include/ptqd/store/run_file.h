#pragma once

/* The last checkpoint of each run that is not finished: files <directory>/checkpoints/<run id>,
 * beside the database. One is replaced as a whole, so that after a crash at any moment there is the
 * old one or the new one. What is in it is the executor's business; losing it loses time only. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct database;
struct store;

bool run_file_write(const char *directory, const char *run, const void *bytes, size_t size,
                    struct error *err);

/* E_NOT_FOUND when there is none. */
bool run_file_read(struct arena *arena, const char *directory, const char *run, size_t limit_bytes,
                   const uint8_t **out_bytes, size_t *out_size, struct error *err);

/* One that is not there is removed already. */
bool run_file_remove(const char *directory, const char *run, struct error *err);

/* Those of all runs of a job; what is being written stays. */
bool run_file_remove_job(const char *directory, const char *job, struct error *err);

/* At start-up, before run_row_recover: a run that was running when the daemon died and has written
 * a checkpoint since the crash before that begins to count crashes anew. A file whose run was given
 * this credit gets the time 0, so that it counts once, whatever the clock does. */
bool run_file_recover(struct store *store, const char *directory, struct error *err);

/* Removes what is not the file of a queued or running run: those that a crash left between the end
 * of a run and the removal of its file, and half-written ones. While nothing runs. */
bool run_file_collect(struct database *database, const char *directory, struct error *err);
