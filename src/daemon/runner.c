#include "runner.h"

#include "execute.h"

#include "ptqd/api/details.h"
#include "ptqd/api/result.h"
#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"
#include "ptqd/jobs/pace.h"
#include "ptqd/jobs/run_log.h"
#include "ptqd/store/blob.h"
#include "ptqd/store/run_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static bool open_blob(void *context, const struct job_file *file, struct arena *arena, int *out_fd,
                      size_t *out_size, struct error *err)
{
    uint64_t size;
    (void)arena; /* a blob is found by its id */
    if (!blob_open(context, file->id, out_fd, &size, err))
        return false;
    *out_size = (size_t)size;
    return true;
}

/* ---- checkpoints ---- */

/* Each checkpoint of the run is kept here; the newest goes to disk when the last one there is older
 * than the interval, and when the run is told to stop. A crash costs a run no more than the
 * interval, and a stop no finished unit. */
struct keeper {
    const char *directory, *run; /* borrowed */
    const struct run_ticket *ticket;
    double interval_seconds;
    struct arena *arena;    /* the one that was read is not part of the run's memory */
    struct arena *newest;   /* nor is `pending` */
    const uint8_t *pending; /* not on disk yet; NULL: nothing is */
    size_t pending_bytes;
    double written_at; /* of the monotonic clock */
    bool failed;       /* the last one could not be written */
};

static void on_resumed(void *context, const struct run_resumption *resumption)
{
    const struct keeper *keeper = context;
    char line[RUN_LOG_LINE_BYTES];
    if (resumption->problem == NULL) {
        (void)snprintf(line, sizeof(line), "goes on from its checkpoint in %s, behind unit %d",
                       resumption->step, resumption->units); /* names are short */
        ticket_log(keeper->ticket, line);
        log_write(LOG_INFO, "daemon", "run goes on from its checkpoint|step=%s units=%d",
                  resumption->step, resumption->units);
        return;
    }
    ticket_log(keeper->ticket, "its checkpoint can't be used; it starts from the beginning");
    struct error problem = *resumption->problem;
    error_context(&problem, "run %s", keeper->run);
    log_failure("daemon", "a checkpoint is not used", &problem);
}

/* A run that can't keep its checkpoint goes on without. */
static void write_checkpoint(struct keeper *keeper, const uint8_t *bytes, size_t size)
{
    struct error err = {.message = ""};
    bool failed = !run_file_write(keeper->directory, keeper->run, bytes, size, &err);
    if (failed && !keeper->failed)
        log_failure("daemon", "can't keep a checkpoint", &err);
    keeper->failed = failed;
    keeper->pending = NULL;
    keeper->written_at = clock_seconds();
}

static bool is_due(const struct keeper *keeper)
{
    return clock_seconds() - keeper->written_at >= keeper->interval_seconds;
}

static void flush(struct keeper *keeper)
{
    if (keeper->pending != NULL)
        write_checkpoint(keeper, keeper->pending, keeper->pending_bytes);
}

static void on_checkpoint(void *context, const uint8_t *bytes, size_t size)
{
    struct keeper *keeper = context;
    if (is_due(keeper)) {
        write_checkpoint(keeper, bytes, size);
        return;
    }
    arena_reset(keeper->newest, (struct arena_mark){0});
    keeper->pending = arena_memdup(keeper->newest, bytes, size, NULL);
    keeper->pending_bytes = size;
    if (keeper->pending == NULL)
        write_checkpoint(keeper, bytes, size); /* no room to keep it */
}

static struct run_checkpoints open_checkpoints(const struct runner *runner, struct keeper *keeper)
{
    struct run_checkpoints checkpoints = {
        .resumed = on_resumed,
        .save = on_checkpoint,
        .interval_seconds = 0, /* all: the keeper chooses */
        .context = keeper,
    };
    struct error err = {.message = ""};
    if (!run_file_read(keeper->arena, keeper->directory, keeper->run, runner->run_bytes,
                       &checkpoints.resume, &checkpoints.resume_bytes, &err) &&
        err.code != E_NOT_FOUND)
        log_failure("daemon", "can't read a checkpoint", &err);
    return checkpoints;
}

void runner_discard(void *context, const char *run)
{
    const struct runner *runner = context;
    struct error err = {.message = ""};
    if (!run_file_remove(runner->directory, run, &err))
        log_failure("daemon", "can't remove a checkpoint", &err);
}

void runner_discard_job(void *context, const char *job)
{
    const struct runner *runner = context;
    struct error err = {.message = ""};
    if (!run_file_remove_job(runner->directory, job, &err))
        log_failure("daemon", "can't remove the checkpoints of a job", &err);
}

/* ---- progress ---- */

struct reporter {
    const struct run_ticket *ticket;
    struct keeper *keeper;
    double start; /* clock_seconds */
    struct pace pace;
};

/* In the first seconds of a further attempt, what is in checkpoints is done at once. */
static const double catch_up_seconds = 3;

static bool on_progress(void *context, const struct run_progress *progress)
{
    struct reporter *reporter = context;
    double fraction = progress->fraction;
    double now = clock_seconds();
    if (reporter->ticket->attempt > 1 && now - reporter->start < catch_up_seconds)
        reporter->pace = (struct pace){.since = now, .base = fraction};
    struct ticket_progress report = {
        .unit = progress->unit,
        .units = progress->units,
        .fraction = fraction,
        .resumed = reporter->pace.base,
        .loss = progress->loss,
        .seconds_left = pace_seconds_left(&reporter->pace, fraction, 1 - fraction, now),
    };
    (void)snprintf(report.step, sizeof(report.step), "%s", progress->step); /* names are short */
    if (is_due(reporter->keeper))
        flush(reporter->keeper);
    return ticket_report(reporter->ticket, &report);
}

/* ---- outcome ---- */

static bool store_artifact(const struct runner *runner, const struct artifact *artifact,
                           struct arena *arena, struct artifact_row *out_row, struct error *err)
{
    struct blob_writer *writer;
    char id[DIGEST_ID_BYTES];
    uint64_t size;
    if (!blob_create(runner->blobs, 0, &writer, err))
        return false;
    if (!blob_append(writer, artifact->bytes, artifact->size, err)) {
        blob_abandon(writer);
        return false;
    }
    if (!blob_commit(writer, id, &size, err))
        return false;
    *out_row = (struct artifact_row){
        .name = arena_strdup(arena, artifact->name, err),
        .media_type = arena_strdup(arena, artifact->media_type, err),
        .blob = arena_strdup(arena, id, err),
        .bytes = (int64_t)size,
    };
    if (out_row->name != NULL && out_row->media_type != NULL && out_row->blob != NULL)
        return true;
    blob_unpin(runner->blobs, id);
    return false;
}

static int64_t peak_rss_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

/* Copies what stays into the ticket's arena. */
static bool make_outcome(const struct runner *runner, const struct run_ticket *ticket,
                         const struct run_result *result, struct run_outcome *out,
                         struct error *err)
{
    struct artifact_row *rows =
        ARENA_ARRAY(ticket->arena, struct artifact_row, result->artifact_count, err);
    const char *text = result_print(result, ticket->arena, err);
    struct run_detail *details;
    size_t detail_count;
    if (rows == NULL || text == NULL ||
        !details_print(result, ticket->arena, &details, &detail_count, err))
        return false;
    for (int i = 0; i < result->artifact_count; i++) {
        if (store_artifact(runner, &result->artifacts[i], ticket->arena, &rows[i], err))
            continue;
        for (int j = 0; j < i; j++) /* no row will name them */
            blob_unpin(runner->blobs, rows[j].blob);
        return error_context(err, "artifact %s", result->artifacts[i].name);
    }
    for (int i = 0; i < result->step_count; i++)
        ticket_took(ticket, result->steps[i].name, result->steps[i].seconds);
    *out = (struct run_outcome){
        .accuracy = result->accuracy,
        .loss = result->loss,
        .agreement = result->agreement,
        .seconds = result->seconds,
        .peak_rss_bytes = peak_rss_bytes(),
        .result = text,
        .artifacts = rows,
        .artifact_count = (size_t)result->artifact_count,
        .details = details,
        .detail_count = detail_count,
    };
    return true;
}

static bool execute_in(const struct runner *runner, struct arena *arena,
                       const struct run_ticket *ticket, struct execute_files *files,
                       struct execute_memory *memory, struct keeper *keeper,
                       struct run_outcome *out_outcome, struct error *err)
{
    static const struct job_spec_options options = {.allow_paths = false};
    double start = clock_seconds();
    struct reporter reporter = {
        .ticket = ticket, .keeper = keeper, .start = start, .pace = {.since = start}};
    struct job_spec spec;
    struct run_result *result;
    if (!job_spec_parse_text(ticket->spec, strlen(ticket->spec), &options, arena, &spec, err))
        return error_context(err, "the stored specification of job %s", ticket->job);
    const struct execute_request request = {
        .spec = &spec,
        .variant = (size_t)ticket->variant,
        .seed = (uint64_t)ticket->seed,
        .source = {.open = open_blob, .context = runner->blobs},
        .files = files,
        .memory = memory,
        .monitor = {.report = on_progress, .context = &reporter},
        .shared = runner->shared,
        .checkpoints = open_checkpoints(runner, keeper),
    };
    return execute_run(arena, &request, &result, err) &&
           make_outcome(runner, ticket, result, out_outcome, err);
}

bool runner_execute(void *context, const struct run_ticket *ticket, struct run_outcome *out_outcome,
                    struct error *err)
{
    const struct runner *runner = context;
    struct execute_files files = {.count = 0};
    struct execute_memory memory = {
        .run_bytes = runner->run_bytes,
        .spill_directory = runner->directory,
        .admission = runner->admission,
    };
    struct arena *arena = arena_create(runner->run_bytes);
    struct keeper keeper = {
        .directory = runner->directory,
        .run = ticket->run,
        .ticket = ticket,
        .interval_seconds = runner->checkpoint_seconds,
        .arena = arena_create(0),
        .newest = arena_create(0),
        .written_at = clock_seconds(),
    };
    bool ok = false;
    if (arena == NULL || keeper.arena == NULL || keeper.newest == NULL)
        (void)FAIL(err, E_MEMORY, "no memory to start run %s", ticket->run);
    else
        ok = execute_in(runner, arena, ticket, &files, &memory, &keeper, out_outcome, err);
    if (!ok && err->code == E_CANCELLED)
        flush(&keeper); /* the next attempt goes on from there */
    arena_destroy(keeper.newest);
    arena_destroy(keeper.arena);
    arena_destroy(arena);
    execute_files_close(&files);
    execute_memory_release(&memory);
    return ok;
}
