#pragma once

/* A lab at work: clients that upload, delete, submit with idempotency keys and wait, each in a
 * thread of its own, and keep notes of what the daemon has acknowledged. A request without an
 * answer is sent again, to where the daemon is then.
 *
 * What was acknowledged is compared with a daemon at the end, and the results of its jobs with
 * those that an undisturbed daemon gives for the same specifications. */

#include <stdbool.h>
#include <stddef.h>

enum { LAB_CLIENTS_MAX = 8 };

struct lab_notes { /* what was acknowledged */
    size_t uploads, deletions, jobs;
    size_t repeated; /* requests that were sent again, for want of an answer or for a refusal */
    size_t refused_io, refused_busy, refused_space; /* answers 500, 503 and 507 */
};

/* Computes what each specification gives on an undisturbed daemon. `seed`: of what clients do. */
void lab_open(unsigned seed);
void lab_close(void);

/* Uploads the files of all jobs, which must be new to the daemon. */
void lab_upload_files(int port);
/* Clients begin, or go on. The daemon may be told of later. */
void lab_start(int clients);
/* Where the daemon is; 0: nowhere. An answer that comes from where it is no more counts as none. */
void lab_set_port(int port);
/* Clients end; a request that has no answer yet stays in doubt: done or not. */
void lab_stop(void);
struct lab_notes lab_notes(void);

/* Waits until the notes show so many more refusals, or acknowledgements, than now; false when they
 * do not in a time that is long enough. */
bool lab_wait_refused(size_t more);
bool lab_wait_acknowledged(size_t more);

/* Counts what the daemon does not have of what was acknowledged: uploads and jobs that are gone,
 * deleted ones that are back. */
size_t lab_count_lost(int port);

/* Retries the failed runs of all jobs, once these have ended; law: each run says that it failed for
 * want of space or for a broken disk. Runs that were failed. */
size_t lab_retry_failed(int port);

/* Laws: nothing was lost; every key has one job and no job is without a key; every job succeeds,
 * and its results and artifacts are those of the undisturbed daemon to the bit. Waits for the jobs.
 */
void lab_check(int port);

/* Law: `ptqd check` finds nothing in the directory, and no half-written file is left in it. Between
 * the end of a daemon and the start of another. */
void lab_check_directory(const char *directory);
