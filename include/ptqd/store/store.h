#pragma once

/* What survives a restart: a directory with a SQLite database (ptqd.db) and content-addressed files
 * (blobs/, see blob.h).
 *
 * Reading: any thread, through its own read-only connection (store_reader). Readers never wait.
 * Writing: one writer thread. A caller submits a write; the writer takes all that are waiting,
 * applies each inside one transaction, commits once (one fsync) and only then answers. An answer
 * without an error means: on disk. A write that fails is undone alone; a commit that fails is the
 * answer of everybody in the group, and the next group starts afresh.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct blobs;

/* One connection: the reader of a thread, or the writer's inside a write. The functions of
 * *_row.h take it; those that change something work in a write only. */
struct database;

struct store_limits {    /* 0: none */
    int64_t queued_runs; /* these three per owner, whose token may have others (quota.h) */
    int64_t running_runs;
    int64_t stored_bytes; /* models and data sets */
    int64_t run_crashes;  /* of one run since its last checkpoint; then it is failed */
};

/* For tests: asked before every SQL step of the writer; true makes that step fail. */
struct store_fault {
    bool (*strikes)(void *context); /* NULL: never */
    void *context;                  /* borrowed */
};

struct store_options {
    /* The owner of the directory is alone in that role (E_CONFLICT for a second one), migrates the
     * database and clears away what a crash left. A guest (a command beside the daemon) may read
     * and write small things; when there is no owner it migrates as one. */
    bool guest;
    bool existing; /* there is a database; else E_NOT_FOUND, and nothing is made */
    /* The owner leaves files that nothing names, for store_repair to report; else it removes those
     * that a crash left, little by little after the opening. */
    bool keep_orphans;
    struct store_limits limits;
    struct store_fault fault;
};

/* Opens or creates the store. A database of a newer program is E_CONFLICT with both versions. */
bool store_open(const char *directory, const struct store_options *options,
                struct store **out_store, struct error *err);
/* Applies what was submitted, stops the writer, closes every connection. No other thread may use
 * the store any more. */
void store_close(struct store *store);

/* Schema versions: before the store was opened (0: it was created), and now. */
struct store_schema {
    int before, now;
};
struct store_schema store_schema(const struct store *store);
struct blobs *store_blobs(struct store *store);
/* True when no other process had the directory as its owner when this store was opened. */
bool store_is_alone(const struct store *store);

/* How the store is doing, since it was opened. */
struct durations;
struct store_stats {
    uint64_t writes, failed_writes; /* answered */
    uint64_t waiting;               /* submitted and not taken yet */
    bool searched;                  /* for files that a crash left: all have been looked at */
    struct durations *commits;      /* seconds of each group, from BEGIN to COMMIT; borrowed */
    uint64_t database_bytes, wal_bytes;
    uint64_t disk_bytes, disk_free_bytes; /* of the file system; free for this user */
};
void store_read_stats(struct store *store, struct store_stats *out_stats);

/* The calling thread's read-only connection, opened at its first use and closed when the thread
 * ends. Not for use inside a write, which has its own. */
bool store_reader(struct store *store, struct database **out_database, struct error *err);

/* Grows when a commit of this process begins and when it has ended, before the answer of any of its
 * writes, so it is odd while one is under way. What is read between two calls that returned the
 * same even number is what any other reader sees between them; and no reader has seen anything
 * newer before the first. */
uint64_t store_changes(const struct store *store);
/* The same of commits that changed the job (or one of those that share its count). */
uint64_t store_job_changes(const struct store *store, const char *job);
/* The same of commits that changed a model, a data set, or who holds one. */
uint64_t store_object_changes(const struct store *store);

/* Another number than the calling thread was given before when anybody, in this process or another,
 * has committed in between. */
bool store_data_version(struct store *store, int64_t *out_version, struct error *err);

/* One change. It stays in the caller's memory, untouched by the caller, until it is answered. */
struct store_write {
    /* Runs on the writer thread in its transaction; what it returns false for is undone, and with
     * it others of its group, whose `apply` is called again. What it puts into `context` counts
     * only when the write is answered without an error, and then of the last call. */
    bool (*apply)(struct database *database, void *context, struct error *err);
    /* Called on the writer thread after the commit, in the order of submission; `failure` is NULL
     * when the change is on disk. It must not block, nor submit and wait. The write may be freed in
     * it. NULL: somebody calls store_wait. */
    void (*done)(void *context, const struct error *failure);
    void *context; /* borrowed; of both functions */

    struct store_write *next; /* the rest is the writer's */
    struct error error;
    bool failed, answered;
};

/* Queues the write. While the store closes or too many writes wait, the answer is E_UNAVAILABLE,
 * given on the calling thread before this returns. */
void store_submit(struct store *store, struct store_write *write);
/* Blocks until a write without `done` is answered. */
bool store_wait(struct store *store, struct store_write *write, struct error *err);
/* store_submit and store_wait in one. */
bool store_write_now(struct store *store,
                     bool (*apply)(struct database *database, void *context, struct error *err),
                     void *context, struct error *err);

/* Looks for blobs that nothing names now, not only after the next write. */
void store_collect(struct store *store);

/* One page of a list, newest first unless said otherwise. */
enum { STORE_CURSOR_BYTES = 48, STORE_PAGE_MAX = 1000 };

struct store_page {
    int64_t limit;      /* 1 to STORE_PAGE_MAX rows; 0: 100 */
    const char *cursor; /* `next` of the page before; NULL or "": the first page */
};

/* Who looks at models and data sets. One that several owners hold is shown as the viewer's where
 * the viewer is one of them, else as that of the owner who came by it first. NULL: nobody in
 * particular. */
struct store_viewer {
    const char *owner;
    bool own_only; /* what the owner does not hold is not there */
};

/* Reads everything: the database's own checks, foreign keys, the counts of jobs, the digest of each
 * blob that a row names, and whether something names each blob (beside another owner: each that is
 * older than an hour, for uploads may be under way). `out_report`: one line per finding, in
 * `arena`. */
bool store_check(struct store *store, struct arena *arena, const char **out_report,
                 size_t *out_findings, struct error *err);
