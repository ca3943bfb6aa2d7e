#include "execute.h"

#include "ptqd/base/digest.h"
#include "ptqd/nn/model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file that was opened, and its content id. */
struct opened {
    const uint8_t *bytes;
    size_t size;
    const char *id;
};

static bool map_file(struct execute_files *files, int fd, size_t size, const uint8_t **out_bytes,
                     struct error *err)
{
    static const uint8_t nothing[1];
    *out_bytes = nothing;
    if (size == 0)
        return true; /* the reader says what is wrong with it */
    if (files->count == EXECUTE_FILES_MAX)
        return FAIL(err, E_INTERNAL, "a run has more than %d files", (int)EXECUTE_FILES_MAX);
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return FAIL(err, E_IO, "can't map a file of %zu bytes: %s", size, strerror(errno));
    files->maps[files->count].bytes = bytes;
    files->maps[files->count++].size = size;
    *out_bytes = bytes;
    return true;
}

void execute_files_close(struct execute_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        (void)munmap(files->maps[i].bytes, files->maps[i].size); /* fails for no map only */
    files->count = 0;
}

static bool open_file(const struct execute_request *request, struct arena *arena,
                      const struct job_file *file, struct opened *out, struct error *err)
{
    struct opened opened = {.id = file->id};
    int fd;
    if (!request->source.open(request->source.context, file, arena, &fd, &opened.size, err))
        return false;
    bool mapped = map_file(request->files, fd, opened.size, &opened.bytes, err);
    (void)close(fd); /* the map stays */
    if (!mapped)
        return false;
    if (opened.id == NULL) {
        char hex[DIGEST_HEX_BYTES];
        if (!digest_bytes(opened.bytes, opened.size, hex, err))
            return false;
        opened.id = arena_printf(arena, err, "sha256:%s", hex);
    }
    *out = opened;
    return opened.id != NULL;
}

static const char *name_of(const struct job_file *file)
{
    return file->path != NULL ? file->path : file->id;
}

static bool load_model(struct arena *arena, const struct execute_request *request,
                       struct graph **out_graph, const char **out_id, struct error *err)
{
    const struct job_file *file = &request->spec->model;
    struct opened opened;
    if (!open_file(request, arena, file, &opened, err) ||
        !model_import(arena, opened.bytes, opened.size, out_graph, NULL, err)) {
        error_context(err, "model %s", name_of(file));
        return error_at(err, "/model");
    }
    *out_id = opened.id;
    return true;
}

static bool load_labels(struct arena *arena, const struct execute_request *request,
                        const struct job_file *file, struct dataset *dataset, struct error *err)
{
    struct opened opened;
    if (file->id == NULL && file->path == NULL)
        return true;
    return (open_file(request, arena, file, &opened, err) &&
            dataset_set_labels(arena, dataset, opened.bytes, opened.size, err)) ||
           error_context(err, "labels %s", name_of(file));
}

static bool load_data(struct arena *arena, const struct execute_request *request,
                      const struct job_data *data, const struct graph *graph,
                      struct dataset **out_dataset, const char **out_id, struct error *err)
{
    const struct dataset_options options = {
        .scale = data->has_scale ? data->scale : 1,
        .zero_point = data->has_zero_point ? data->zero_point : 0,
        .limit_bytes = SIZE_MAX, /* the arena has the ceiling */
    };
    struct opened opened;
    struct dataset *dataset;
    if (!open_file(request, arena, &data->samples, &opened, err) ||
        !dataset_load(arena, opened.bytes, opened.size, &options, &dataset, err) ||
        !load_labels(arena, request, &data->labels, dataset, err) ||
        !dataset_check_input(dataset, graph, err))
        return error_context(err, "data set %s", name_of(&data->samples));
    *out_dataset = dataset;
    *out_id = opened.id;
    return true;
}

static bool load_evaluation(struct arena *arena, const struct execute_request *request,
                            const struct graph *graph, struct dataset **out_dataset,
                            const char **out_id, struct error *err)
{
    *out_dataset = NULL;
    *out_id = NULL;
    if (!request->spec->has_evaluation)
        return true;
    const struct job_data *data = &request->spec->evaluation;
    if (!load_data(arena, request, data, graph, out_dataset, out_id, err))
        return false;
    if ((*out_dataset)->labels == NULL)
        return FAIL(err, E_INVALID, "the evaluation set %s has no labels", name_of(&data->samples));
    return dataset_check_labels(*out_dataset, graph, err);
}

static size_t limit_of(const struct execute_request *request)
{
    size_t asked = (size_t)request->spec->memory_limit_mib << 20, most = request->memory->run_bytes;
    return asked > 0 && asked < most ? asked : most;
}

struct patience {
    const struct recon_monitor *monitor;
};

static bool goes_on(void *context)
{
    const struct patience *patience = context;
    struct error unused;
    return recon_monitor_report(patience->monitor, 0.0, (double)NAN, &unused);
}

static bool admit(void *context, size_t bytes, const struct recon_monitor *monitor,
                  struct error *err)
{
    struct execute_memory *memory = context;
    struct patience patience = {monitor};
    if (!admission_enter(memory->admission, bytes, goes_on, &patience, err))
        return false;
    memory->admitted_bytes = bytes;
    return true;
}

void execute_memory_release(struct execute_memory *memory)
{
    if (memory->admitted_bytes > 0)
        admission_leave(memory->admission, memory->admitted_bytes);
    memory->admitted_bytes = 0;
}

bool execute_run(struct arena *arena, const struct execute_request *request,
                 struct run_result **out_result, struct error *err)
{
    struct graph *graph;
    struct dataset *calibration, *evaluation;
    struct pipeline pipeline = {0};
    struct artifact_origin origin = {.program_version = PTQD_VERSION};
    if (!load_model(arena, request, &graph, &origin.model, err))
        return false;
    if (!load_data(arena, request, &request->spec->calibration, graph, &calibration,
                   &origin.calibration, err))
        return error_at(err, "/calibration");
    if (!load_evaluation(arena, request, graph, &evaluation, &origin.evaluation, err))
        return error_at(err, "/evaluation");
    job_spec_variant(request->spec, request->variant, &pipeline);
    if (!job_spec_choices(request->spec, request->variant, true, arena, &origin.variant, err))
        return false;
    const struct run_request run = {
        .model = graph,
        .calibration = calibration,
        .evaluation = evaluation,
        .pipeline = &pipeline,
        .seed = request->seed,
        .origin = origin,
        .memory = {.limit_bytes = limit_of(request),
                   .spill_directory = request->memory->spill_directory,
                   .admit = admit,
                   .context = request->memory},
        .monitor = request->monitor,
        .shared = request->shared,
        .checkpoints = request->checkpoints,
    };
    if (run_execute(arena, &run, out_result, err))
        return true;
    return err->pointer[0] != '\0' && error_pointer_prefix(err, "/pipeline");
}
