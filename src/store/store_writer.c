/* Group commit.
 *
 * The thread takes the whole queue, opens one transaction, applies each write, commits (the only
 * fsync) and answers all in the order of submission. While it commits, the next group gathers: the
 * busier the service, the larger the groups.
 *
 *   a write fails        before it has changed anything, as nearly all do: it alone gets the error
 *                        halfway: rolled back, and all but those that failed are applied again
 *   SQLite gives up      (disk full, I/O error) the transaction is gone: the whole group gets the
 *                        error
 *   the commit fails     rolled back, the whole group gets the error
 *
 * In every case the next group starts afresh. A savepoint for each write would undo it alone, but
 * copies each page that it changes: a submission would take a tenth more of this thread.
 */

#include "store_writer.h"

#include "collect.h"
#include "row_id.h"

#include "ptqd/base/change_counts.h"
#include "ptqd/base/durations.h"
#include "ptqd/base/log.h"
#include "ptqd/base/priority.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct store_writer {
    struct database *database;
    _Atomic uint64_t changes;         /* begins and ends of commits: odd while one is under way */
    struct change_counts job_changes; /* the same by the jobs that they change */
    _Atomic uint64_t object_changes;  /* the same of models, data sets and their holders */
    bool touched[CHANGE_PLACES];      /* by the present group; the thread's */
    bool touched_objects;             /* the same */
    uv_thread_t thread;
    uv_mutex_t mutex; /* guards what follows, and `answered` of writes that are waited for */
    uv_cond_t submitted, answered;
    struct store_write *first, *last;
    size_t waiting;
    bool collect; /* look for blobs without a name although nothing was written */
    bool closing;
    struct collect_search *search; /* for what a crash has left; NULL: done */
    struct durations commits;
    atomic_uint_least64_t writes, failed_writes;
};

static bool in_transaction(const struct database *database)
{
    return !sqlite3_get_autocommit(database->handle);
}

static void fail_write(struct store_write *write, const struct error *err)
{
    write->failed = true;
    write->error = *err;
}

/* Applies one write. False when the transaction can't go on; `*out_undo` when it has to be undone
 * for what a write that failed has changed. */
static bool apply(struct database *database, struct store_write *write, bool *out_undo,
                  struct error *err)
{
    struct error reason = {.message = ""};
    sqlite3_int64 changes = sqlite3_total_changes64(database->handle);
    if (write->apply(database, write->context, &reason))
        return true;
    if (!in_transaction(database)) { /* SQLite undid everything */
        *err = reason;
        return false;
    }
    fail_write(write, &reason);
    *out_undo = sqlite3_total_changes64(database->handle) > changes;
    return true;
}

/* Applies those that have not failed, up to one that failed halfway. */
static bool apply_all(struct database *database, struct store_write *group, bool *out_undo,
                      struct error *err)
{
    *out_undo = false;
    for (struct store_write *write = group; write != NULL && !*out_undo; write = write->next) {
        if (!write->failed && !apply(database, write, out_undo, err))
            return false;
    }
    return true;
}

static bool is_object(const char *table)
{
    static const char *const names[] = {"model", "model_holder", "dataset", "dataset_holder"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(table, names[i]) == 0)
            return true;
    }
    return false;
}

/* A row of any table is about to change. */
static void note_change(void *context, int operation, const char *schema, const char *table,
                        sqlite3_int64 number)
{
    struct store_writer *writer = context;
    char id[JOB_ID_BYTES];
    (void)operation;
    (void)schema;
    writer->touched_objects |= is_object(table);
    if (strcmp(table, "job") != 0)
        return;
    job_id_print(number, id);
    writer->touched[change_place(id)] = true;
}

static void count_changes(struct store_writer *writer)
{
    atomic_fetch_add(&writer->changes, 1);
    if (writer->touched_objects)
        atomic_fetch_add(&writer->object_changes, 1);
    for (size_t i = 0; i < CHANGE_PLACES; i++) {
        if (writer->touched[i])
            change_count(&writer->job_changes, i);
    }
}

/* Readers see the new rows at some moment of this, before anybody is answered. */
static bool commit(struct store_writer *writer, struct error *err)
{
    count_changes(writer);
    bool ok = database_run(writer->database, "COMMIT", err);
    count_changes(writer);
    return ok;
}

static bool apply_group(struct store_writer *writer, struct store_write *group, struct error *err)
{
    struct database *database = writer->database;
    memset(writer->touched, 0, sizeof(writer->touched));
    writer->touched_objects = false;
    /* A rollback that failed has left a transaction open. */
    bool undo = in_transaction(database);
    do {
        if (undo && !database_run(database, "ROLLBACK", err))
            return false;
        if (!database_run(database, "BEGIN IMMEDIATE", err) ||
            !apply_all(database, group, &undo, err))
            return false;
    } while (undo);
    return commit(writer, err);
}

static void write_group(struct store_writer *writer, struct store_write *group)
{
    struct database *database = writer->database;
    struct error err = {.message = ""};
    if (apply_group(writer, group, &err))
        return;
    struct error ignored; /* the next group tries the rollback again */
    if (in_transaction(database))
        (void)database_run(database, "ROLLBACK", &ignored);
    for (struct store_write *write = group; write != NULL; write = write->next) {
        if (!write->failed)
            fail_write(write, &err);
    }
}

static void answer(struct store_writer *writer, struct store_write *write)
{
    atomic_fetch_add(&writer->writes, 1);
    if (write->failed)
        atomic_fetch_add(&writer->failed_writes, 1);
    if (write->done != NULL) {
        write->done(write->context, write->failed ? &write->error : NULL);
        return;
    }
    uv_mutex_lock(&writer->mutex);
    write->answered = true;
    uv_cond_broadcast(&writer->answered);
    uv_mutex_unlock(&writer->mutex);
}

static void answer_group(struct store_writer *writer, struct store_write *group)
{
    while (group != NULL) {
        struct store_write *next = group->next; /* an answered write may be gone */
        answer(writer, group);
        group = next;
    }
}

/* What the thread does next. */
struct turn {
    struct store_write *group; /* may be empty */
    bool collect;              /* look for blobs without a name */
    bool search;               /* go on with the search: nothing else is to be done */
};

static bool has_work(const struct store_writer *writer)
{
    return writer->first != NULL || writer->collect || writer->closing;
}

/* Waits for something to do; the search goes on after a pause, in which others have the disk. False
 * when the writer closes and nothing is left. */
static bool take_turn(struct store_writer *writer, struct turn *out_turn)
{
    const uint64_t pause_ns = 2 * 1000 * 1000;
    uv_mutex_lock(&writer->mutex);
    if (writer->search != NULL && !has_work(writer))
        (void)uv_cond_timedwait(&writer->submitted, &writer->mutex, pause_ns); /* early is fine */
    while (writer->search == NULL && !has_work(writer))
        uv_cond_wait(&writer->submitted, &writer->mutex);
    *out_turn = (struct turn){
        .group = writer->first,
        .collect = writer->first != NULL || writer->collect,
        .search = !has_work(writer),
    };
    writer->first = writer->last = NULL;
    writer->waiting = 0;
    writer->collect = false;
    uv_mutex_unlock(&writer->mutex);
    return out_turn->collect || out_turn->search;
}

/* What is not found now is found after the next start. */
static void search_some(struct store_writer *writer)
{
    struct error err = {.message = ""};
    bool done = false;
    bool ok = collect_search_some(writer->search, &done, &err);
    if (!ok)
        log_write(LOG_DEBUG, "store", "files that nothing names may stay: %s", err.message);
    if (ok && !done)
        return;
    collect_search_close(writer->search);
    uv_mutex_lock(&writer->mutex);
    writer->search = NULL;
    uv_mutex_unlock(&writer->mutex);
}

/* Who reads goes before who writes: while others submit, 0.76 and 0.79 of the quiet rate are read
 * on two cores, with 5 steps 0.56 to 0.70, without any 0.49 and 0.50; alone, submissions are 0.9 of
 * what they are without. */
enum { STEPS_BEHIND = 9 };

static void run(void *context)
{
    struct store_writer *writer = context;
    struct turn turn;
    priority_lower(STEPS_BEHIND);
    while (take_turn(writer, &turn)) {
        if (turn.group != NULL) {
            uint64_t start_ns = uv_hrtime();
            write_group(writer, turn.group);
            durations_add(&writer->commits, (int64_t)((uv_hrtime() - start_ns) / 1000));
        }
        answer_group(writer, turn.group);
        if (turn.search)
            search_some(writer);

        /* What can't be removed now stays on its list: the next group tries again. */
        struct error err = {.message = ""};
        if (turn.collect && writer->database->collects && !collect_garbage(writer->database, &err))
            log_write(LOG_DEBUG, "store", "blobs without a name stay for now: %s", err.message);
    }
}

bool store_writer_create(struct database *database, struct collect_search *search,
                         struct store_writer **out_writer, struct error *err)
{
    struct store_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        collect_search_close(search);
        return FAIL(err, E_MEMORY, "no memory for the writer");
    }
    writer->database = database;
    writer->search = search;
    (void)sqlite3_update_hook(database->handle, note_change, writer); /* there was none */
    if (uv_mutex_init(&writer->mutex) != 0)
        goto no_mutex;
    if (uv_cond_init(&writer->submitted) != 0)
        goto no_submitted;
    if (uv_cond_init(&writer->answered) != 0)
        goto no_answered;
    if (uv_thread_create(&writer->thread, run, writer) != 0)
        goto no_thread;
    *out_writer = writer;
    return true;

no_thread:
    uv_cond_destroy(&writer->answered);
no_answered:
    uv_cond_destroy(&writer->submitted);
no_submitted:
    uv_mutex_destroy(&writer->mutex);
no_mutex:
    collect_search_close(search);
    free(writer);
    return FAIL(err, E_UNAVAILABLE, "the system has no thread for the writer");
}

void store_writer_stop(struct store_writer *writer)
{
    if (writer == NULL)
        return;
    uv_mutex_lock(&writer->mutex);
    bool stopped = writer->closing;
    writer->closing = true;
    uv_cond_signal(&writer->submitted);
    uv_mutex_unlock(&writer->mutex);
    if (!stopped)
        (void)uv_thread_join(&writer->thread); /* fails for a thread that isn't ours only */
}

void store_writer_destroy(struct store_writer *writer)
{
    if (writer == NULL)
        return;
    store_writer_stop(writer);
    uv_cond_destroy(&writer->answered);
    uv_cond_destroy(&writer->submitted);
    uv_mutex_destroy(&writer->mutex);
    collect_search_close(writer->search);
    database_close(writer->database);
    free(writer);
}

uint64_t store_writer_changes(const struct store_writer *writer)
{
    return atomic_load(&writer->changes);
}

uint64_t store_writer_job_changes(const struct store_writer *writer, const char *job)
{
    return change_read(&writer->job_changes, job);
}

uint64_t store_writer_object_changes(const struct store_writer *writer)
{
    return atomic_load(&writer->object_changes);
}

/* Appends the write; false with a reason when it can't be taken. */
static bool enqueue(struct store_writer *writer, struct store_write *write, struct error *err)
{
    if (writer->closing)
        return FAIL(err, E_UNAVAILABLE, "the store is closing");
    if (writer->waiting == STORE_WRITES_MAX)
        return FAIL(err, E_UNAVAILABLE, "%zu changes wait to be written; no more are taken",
                    writer->waiting);
    if (writer->last != NULL)
        writer->last->next = write;
    else
        writer->first = write;
    writer->last = write;
    writer->waiting++;
    uv_cond_signal(&writer->submitted);
    return true;
}

void store_writer_read_stats(struct store_writer *writer, struct store_stats *stats)
{
    stats->writes = atomic_load(&writer->writes);
    stats->failed_writes = atomic_load(&writer->failed_writes);
    stats->commits = &writer->commits;
    uv_mutex_lock(&writer->mutex);
    stats->waiting = writer->waiting;
    stats->searched = writer->search == NULL;
    uv_mutex_unlock(&writer->mutex);
}

void store_writer_submit(struct store_writer *writer, struct store_write *write)
{
    write->next = NULL;
    write->failed = write->answered = false;

    struct error err = {.message = ""};
    uv_mutex_lock(&writer->mutex);
    bool taken = enqueue(writer, write, &err);
    uv_mutex_unlock(&writer->mutex);
    if (!taken) {
        fail_write(write, &err);
        answer(writer, write);
    }
}

void store_writer_collect(struct store_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    writer->collect = true;
    uv_cond_signal(&writer->submitted);
    uv_mutex_unlock(&writer->mutex);
}

bool store_writer_wait(struct store_writer *writer, struct store_write *write, struct error *err)
{
    uv_mutex_lock(&writer->mutex);
    while (!write->answered)
        uv_cond_wait(&writer->answered, &writer->mutex);
    uv_mutex_unlock(&writer->mutex);
    if (!write->failed)
        return true;
    if (err != NULL)
        *err = write->error;
    return false;
}
