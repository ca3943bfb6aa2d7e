/* ptqd run SPEC.json --out DIR: every run of a job on this machine, without the daemon.
 *
 * Writes DIR/report.json and, for each run, DIR/runs/<variant>-<seed>/ with result.json, the
 * layers, details (api/details.h) and artifacts, or problem.json when it failed. Runs are taken
 * from a counter by as many threads as there are workers; each keeps its results in an arena of its
 * own until the report.
 */

#include "commands.h"
#include "execute.h"

#include "ptqd/api/details.h"
#include "ptqd/api/layers.h"
#include "ptqd/api/problem.h"
#include "ptqd/api/report.h"
#include "ptqd/api/result.h"
#include "ptqd/base/clock.h"
#include "ptqd/base/file.h"
#include "ptqd/flow/shared.h"
#include "ptqd/jobs/run_log.h"
#include "ptqd/store/run_row.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPEC_BYTES_MAX = 1 << 20, LINE_EVERY_MS = 200, WORKERS_MAX = 256 };

struct local {
    const struct settings *settings; /* borrowed */
    const char *directory;           /* of the specification: paths are relative to it */
    const char *out;
    struct arena *arena;
    struct job_spec spec;
    const char **choices; /* [variants] */
    struct report_run *runs;
    size_t count;
    struct shared *shared; /* by all runs of the job */
    struct admission *admission;

    pthread_mutex_t lock; /* of what follows */
    size_t next, finished, failed;
    double fractions[WORKERS_MAX]; /* of the run that each worker has */
    int64_t printed_ms;
    char problem[ERROR_MESSAGE_BYTES]; /* of the last run that failed */
    size_t repeated;                   /* runs behind it with the same one */
};

struct local_worker {
    struct local *local;
    size_t index;
    struct arena *keep; /* results, until the report */
    struct run_log log; /* of the run that it has */
    pthread_t thread;
};

/* ---- terminal ---- */

/* One line that is written over; with the lock held. */
static void print_progress(struct local *local, bool always)
{
    if (!isatty(STDERR_FILENO) || (!always && clock_ms() - local->printed_ms < LINE_EVERY_MS))
        return;
    local->printed_ms = clock_ms();
    double done = (double)local->finished;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        done += local->fractions[i];
    fprintf(stderr, "\r%zu of %zu runs, %.0f %%   ", local->finished, local->count,
            100 * done / (double)local->count);
    if (always && local->finished == local->count)
        fputc('\n', stderr);
}

/* With the lock held. A hundred runs that fail alike say so once. */
static void print_problem(struct local *local, const struct report_run *run,
                          const struct error *err)
{
    if (strcmp(local->problem, err->message) == 0) {
        local->repeated++;
        return;
    }
    (void)snprintf(local->problem, sizeof(local->problem), "%s", err->message);
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    command_fail(run->id, err);
}

static bool on_progress(void *context, const struct run_progress *progress)
{
    struct local_worker *worker = context;
    struct local *local = worker->local;
    run_log_step(&worker->log, progress->step);
    pthread_mutex_lock(&local->lock);
    local->fractions[worker->index] = progress->fraction;
    print_progress(local, false);
    pthread_mutex_unlock(&local->lock);
    return true;
}

/* ---- one run ---- */

static bool open_path(void *context, const struct job_file *file, struct arena *arena, int *out_fd,
                      size_t *out_size, struct error *err)
{
    const struct local *local = context;
    if (file->path == NULL)
        return FAIL(err, E_INVALID, "%s is an id; without the daemon a path is needed", file->id);
    const char *path = file_join(arena, local->directory, file->path, err);
    return path != NULL && file_open(path, out_fd, out_size, err);
}

static bool write_json(const char *directory, const char *name, const struct json *value,
                       struct arena *arena, struct error *err)
{
    struct text text;
    text_init(&text, (size_t)1 << 30);
    const char *path = file_join(arena, directory, name, err);
    bool ok = path != NULL && json_print_pretty(value, &text, err) &&
              file_write(path, text.bytes, text.length, err);
    text_finish(&text);
    return ok;
}

/* JSON that this program wrote. */
static bool parse_own(const char *text, struct arena *arena, struct json **out, struct error *err)
{
    static const struct json_limits limits = {.bytes = (size_t)1 << 30,
                                              .depth = 16,
                                              .values = 4 * 1000 * 1000};
    return json_parse(arena, text, strlen(text), &limits, out, err);
}

static bool write_layers_table(const char *directory, const struct json *result,
                               struct arena *arena, struct error *err)
{
    struct text text;
    text_init(&text, (size_t)1 << 30);
    const char *path = file_join(arena, directory, "layers.md", err);
    bool ok = path != NULL && layers_markdown(result, &text, err) &&
              file_write(path, text.bytes, text.length, err);
    text_finish(&text);
    return ok;
}

static bool write_details(const char *directory, const struct run_result *result,
                          struct arena *arena, struct error *err)
{
    struct run_detail *details;
    size_t count;
    if (!details_print(result, arena, &details, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = arena_printf(arena, err, "%s.json", details[i].name);
        struct json *value;
        if (name == NULL || !parse_own(details[i].value, arena, &value, err) ||
            !write_json(directory, name, value, arena, err))
            return false;
    }
    return true;
}

static bool write_result(const char *directory, const char *text, const struct run_result *result,
                         struct arena *arena, struct error *err)
{
    struct json *object;
    if (!parse_own(text, arena, &object, err) ||
        !write_json(directory, "result.json", object, arena, err))
        return false;
    struct json *layers = json_object(arena);
    layers_add(layers, object);
    if (!write_json(directory, "layers.json", layers, arena, err) ||
        !write_layers_table(directory, object, arena, err) ||
        !write_details(directory, result, arena, err))
        return false;
    for (int i = 0; i < result->artifact_count; i++) {
        const struct artifact *artifact = &result->artifacts[i];
        const char *path = file_join(arena, directory, artifact->name, err);
        if (path == NULL || !file_write(path, artifact->bytes, artifact->size, err))
            return false;
    }
    return true;
}

static bool compute(struct local_worker *worker, size_t index, const char *directory,
                    struct execute_files *files, struct execute_memory *memory, struct arena *arena,
                    struct error *err)
{
    struct local *local = worker->local;
    struct run_result *result;
    const struct execute_request request = {
        .spec = &local->spec,
        .variant = index / local->spec.seed_count,
        .seed = (uint64_t)local->spec.seeds[index % local->spec.seed_count],
        .source = {.open = open_path, .context = local},
        .files = files,
        .memory = memory,
        .monitor = {.report = on_progress, .context = worker},
        .shared = local->shared,
    };
    if (!execute_run(arena, &request, &result, err))
        return false;
    local->runs[index].result = result_print(result, worker->keep, err);
    return local->runs[index].result != NULL &&
           write_result(directory, local->runs[index].result, result, arena, err);
}

static bool write_log(const char *directory, const struct run_log *log, struct arena *arena,
                      struct error *err)
{
    struct json *object = json_object(arena);
    const char *lines = run_log_print(log, arena, err);
    if (lines == NULL)
        return false;
    json_add_raw(object, "lines", lines);
    return write_json(directory, "log.json", object, arena, err);
}

static void write_problem(const char *directory, const struct error *problem, struct arena *arena)
{
    struct error err = {0};
    struct json *object = json_object(arena);
    problem_add(object, problem);
    if (!write_json(directory, "problem.json", object, arena, &err))
        command_fail("run", &err);
}

/* Where an earlier call has left how its run ended, this one's must not stand beside it. */
static bool make_place(const char *directory, struct arena *arena, struct error *err)
{
    static const char *const endings[] = {"result.json", "problem.json"};
    if (!file_make_directory(directory, err))
        return false;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        const char *path = file_join(arena, directory, endings[i], err);
        if (path == NULL || !file_remove(path, err))
            return false;
    }
    return true;
}

static void run_one(struct local_worker *worker, size_t index)
{
    struct local *local = worker->local;
    struct report_run *run = &local->runs[index];
    struct error err = {0};
    struct execute_files files = {.count = 0};
    struct execute_memory memory = {
        .run_bytes = settings_bytes(local->settings->run_memory),
        .spill_directory = local->out,
        .admission = local->admission,
    };
    struct arena *paths = command_arena(&err);
    struct arena *arena = arena_create(settings_bytes(local->settings->run_memory));
    const char *directory =
        paths == NULL ? NULL : arena_printf(paths, &err, "%s/runs/%s", local->out, run->id);
    worker->log = (struct run_log){.count = 0};
    run_log_add(&worker->log, "started by worker-%zu", worker->index + 1);
    bool ok = (arena != NULL || FAIL(&err, E_MEMORY, "no memory for a run")) && directory != NULL &&
              make_place(directory, paths, &err) &&
              compute(worker, index, directory, &files, &memory, arena, &err);
    run_log_step(&worker->log, "");
    run_log_add(&worker->log, "%s", ok ? "succeeded" : err.message);
    if (directory != NULL && paths != NULL) {
        struct error log_err = {0};
        if (!write_log(directory, &worker->log, paths, &log_err))
            command_fail("run", &log_err);
    }
    execute_files_close(&files);
    execute_memory_release(&memory);
    pthread_mutex_lock(&local->lock);
    run->failed = !ok;
    run->result = ok ? run->result : NULL;
    local->failed += !ok;
    local->finished++;
    local->fractions[worker->index] = 0;
    if (!ok)
        print_problem(local, run, &err);
    print_progress(local, true);
    pthread_mutex_unlock(&local->lock);
    if (!ok && directory != NULL)
        write_problem(directory, &err, paths);
    arena_destroy(arena);
    arena_destroy(paths);
}

static void *work(void *context)
{
    struct local_worker *worker = context;
    struct local *local = worker->local;
    for (;;) {
        pthread_mutex_lock(&local->lock);
        size_t index = local->next;
        local->next += index < local->count;
        pthread_mutex_unlock(&local->lock);
        if (index == local->count)
            return NULL;
        run_one(worker, index);
    }
}

/* ---- all of them ---- */

static bool plan(struct local *local, struct error *err)
{
    const struct job_spec *spec = &local->spec;
    local->count = spec->variant_count * spec->seed_count;
    local->choices = ARENA_ARRAY(local->arena, const char *, spec->variant_count, err);
    local->runs = ARENA_ARRAY(local->arena, struct report_run, local->count, err);
    if (local->choices == NULL || local->runs == NULL)
        return false;
    for (size_t i = 0; i < spec->variant_count; i++) {
        if (!job_spec_choices(spec, i, false, local->arena, &local->choices[i], err))
            return false;
    }
    for (size_t i = 0; i < local->count; i++) {
        size_t variant = i / spec->seed_count;
        char name[VARIANT_ID_BYTES];
        variant_id((int64_t)variant, name);
        local->runs[i] = (struct report_run){
            .id = arena_printf(local->arena, err, "%s-%" PRId64, name,
                               spec->seeds[i % spec->seed_count]),
            .variant = (int64_t)variant,
            .choices = local->choices[variant],
        };
        if (local->runs[i].id == NULL)
            return false;
    }
    return true;
}

static bool load_spec(struct local *local, const char *path, struct error *err)
{
    static const struct job_spec_options options = {.allow_paths = true};
    char *bytes;
    size_t size;
    const char *slash = strrchr(path, '/');
    local->directory =
        slash == NULL ? "" : arena_strndup(local->arena, path, (size_t)(slash - path) + 1, err);
    return local->directory != NULL &&
           file_read(local->arena, path, SPEC_BYTES_MAX, &bytes, &size, err) &&
           (job_spec_parse_text(bytes, size, &options, local->arena, &local->spec, err) ||
            error_context(err, "'%s'", path));
}

static bool check_file(struct local *local, const struct job_file *file, const char *pointer,
                       struct error *err)
{
    int fd;
    size_t size;
    if (file->path == NULL && file->id == NULL) /* none is named */
        return true;
    if (!open_path(local, file, local->arena, &fd, &size, err))
        return error_at(err, "%s", pointer);
    (void)close(fd); /* opened for reading */
    return true;
}

/* Before anything is computed: a name with a slip in it would fail every run by itself. */
static bool check_files(struct local *local, struct error *err)
{
    const struct job_spec *spec = &local->spec;
    return check_file(local, &spec->model, "/model", err) &&
           check_file(local, &spec->calibration.samples, "/calibration", err) &&
           check_file(local, &spec->calibration.labels, "/calibration/labels", err) &&
           check_file(local, &spec->evaluation.samples, "/evaluation", err) &&
           check_file(local, &spec->evaluation.labels, "/evaluation/labels", err);
}

static bool compute_all(struct local *local, struct local_worker *workers, size_t count,
                        struct error *err)
{
    size_t started = 0;
    for (; started < count; started++) {
        workers[started] =
            (struct local_worker){.local = local, .index = started, .keep = arena_create(0)};
        if (workers[started].keep == NULL ||
            pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
            break;
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    return started > 0 || FAIL(err, E_UNAVAILABLE, "can't start a thread");
}

static bool write_report(struct local *local, struct error *err)
{
    struct report report;
    struct text table;
    text_init(&table, (size_t)1 << 30);
    const char *name = local->spec.name[0] != '\0' ? local->spec.name : "local";
    bool ok = report_create(local->arena, name, local->runs, local->count, &report, err) &&
              write_json(local->out, "report.json", report_json(&report, local->arena),
                         local->arena, err) &&
              report_markdown(&report, &table, err);
    if (ok && local->failed < local->count) /* else it would be empty */
        fputs(table.bytes, stdout);
    if (local->repeated > 0)
        fprintf(stderr, "ptqd: run: %zu more failed in the same way\n", local->repeated);
    text_finish(&table);
    return ok;
}

static size_t worker_count(const struct local *local)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = local->settings->workers > 0 ? (size_t)local->settings->workers
                    : cores > 0                  ? (size_t)cores
                                                 : 1;
    wanted = wanted < WORKERS_MAX ? wanted : WORKERS_MAX;
    return wanted < local->count ? wanted : local->count;
}

static bool run_job(struct local *local, const char *path, struct error *err)
{
    if (!load_spec(local, path, err) || !check_files(local, err) || !plan(local, err) ||
        !file_make_directory(local->out, err))
        return false;
    size_t count = worker_count(local);
    struct local_worker *workers = ARENA_ARRAY(local->arena, struct local_worker, count, err);
    if (workers == NULL)
        return false;
    bool ok = compute_all(local, workers, count, err) && write_report(local, err);
    for (size_t i = 0; i < count; i++)
        arena_destroy(workers[i].keep);
    return ok;
}

int command_run(const struct settings *settings, const struct arguments *arguments)
{
    if (arguments->word_count != 1 || arguments->out == NULL)
        return STATUS_USAGE;
    struct error err = {0};
    struct local local = {.settings = settings,
                          .out = arguments->out,
                          .arena = command_arena(&err),
                          .shared = shared_create(EXECUTE_SHARED_BYTES)};
    pthread_mutex_init(&local.lock, NULL);
    bool ok = local.arena != NULL &&
              (local.shared != NULL || FAIL(&err, E_MEMORY, "no memory for what runs share")) &&
              admission_create(settings_memory_bytes(settings), &local.admission, &err) &&
              run_job(&local, arguments->words[0], &err);
    admission_destroy(local.admission);
    pthread_mutex_destroy(&local.lock);
    shared_destroy(local.shared);
    arena_destroy(local.arena);
    if (!ok)
        return command_fail("run", &err);
    return local.failed > 0;
}
