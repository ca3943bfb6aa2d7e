/* Every phase of a run asks often whether it is still wanted, so that a cancelled one ends within a
 * second, and a stopping daemon has its workers back. */

#include "execute.h"

#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/jobs/admission.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* CPU time: what else the machine does, does not count. A tenth of a second is what the interface
 * of the monitor promises; the check has room for slow machines and for builds with sanitizers. */
static const double promised_s = 0.1, gap_max_s = 0.5;

enum { MEMORY = 1 << 30, SAMPLES = 128 };

static const struct {
    const char *name, *pipeline;
} pipelines[] = {
    {"rounding", "\"optimize\":{\"variable\":\"round\",\"iterations\":30}"},
    {"weights", "\"optimize\":{\"variable\":\"weights\",\"iterations\":30}"},
    {"quantizers", "\"optimize\":{\"variable\":\"qparam\",\"iterations\":30}"},
    {"ternary parts", "\"optimize\":{\"variable\":\"bits\"}"},
    {"codes", "\"optimize\":{\"variable\":\"grid\"}"},
    {"blocks",
     "\"optimize\":{\"variable\":\"weights\",\"granularity\":\"block\",\"iterations\":20}"},
    {"network", "\"optimize\":{\"variable\":\"weights\",\"granularity\":\"network\",\"epochs\":1}"},
    {"activations", "\"optimize\":{\"variable\":\"round\",\"activations_in_loop\":true,"
                    "\"iterations\":20}"},
    {"ranges by divergence, equalization",
     "\"preprocess\":{\"equalize\":\"cle\"},\"weights\":{\"init\":\"kl\"},"
     "\"activations\":{\"init\":\"kl\"},\"optimize\":{\"variable\":\"none\"},"
     "\"postprocess\":{\"bias\":\"correct\"}"},
    {"ranges by output, splitting",
     "\"preprocess\":{\"equalize\":\"ocs\"},\"weights\":{\"init\":\"output\"},"
     "\"activations\":{\"init\":\"percentile\"},\"optimize\":{\"variable\":\"none\"},"
     "\"postprocess\":{\"bias\":\"none\"}"},
    {"sensitivity", "\"optimize\":{\"variable\":\"none\"},\"postprocess\":{\"bias\":\"none\"},"
                    "\"report\":{\"sensitivity\":true}"},
};

/* The longest work between two questions, and between which. */
struct gaps {
    double last, longest;
    char step[32], at[96];
};

static void note(struct gaps *gaps, const char *step)
{
    double now = support_cpu_seconds();
    if (now - gaps->last > gaps->longest) {
        gaps->longest = now - gaps->last;
        (void)snprintf(gaps->at, sizeof(gaps->at), "%s to %s", gaps->step, step);
    }
    gaps->last = now;
    (void)snprintf(gaps->step, sizeof(gaps->step), "%s", step);
}

static bool on_progress(void *context, const struct run_progress *progress)
{
    note(context, progress->step);
    return true;
}

static bool open_path(void *context, const struct job_file *file, struct arena *arena, int *out_fd,
                      size_t *out_size, struct error *err)
{
    (void)context;
    (void)arena;
    struct stat status;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return FAIL(err, E_NOT_FOUND, "%s", file->path);
    *out_fd = fd;
    *out_size = (size_t)status.st_size;
    return true;
}

START_TEST(no_phase_is_deaf_for_long)
{
    static const struct job_spec_options options = {.allow_paths = true};
    struct error err = {.message = ""};
    struct arena *arena = arena_create(0), *memory_arena = arena_create(0);
    struct admission *admission;
    struct execute_files files = {.count = 0};
    struct job_spec spec;
    struct run_result *result;
    char model[512], calibration[512], evaluation[512], labels[512];
    support_data_path("cifar10/model.onnx", model, sizeof(model));
    support_data_path("cifar10/calib.npy", calibration, sizeof(calibration));
    support_data_path("cifar10/test_x.npy", evaluation, sizeof(evaluation));
    support_data_path("cifar10/test_y.npy", labels, sizeof(labels));
    const char *text =
        arena_printf(arena, &err,
                     "{\"model\":\"%s\",\"calibration\":\"%s\",\"evaluation\":{\"path\":\"%s\","
                     "\"labels\":\"%s\"},\"seeds\":1,\"pipeline\":{\"samples\":%d,%s}}",
                     model, calibration, evaluation, labels, (int)SAMPLES, pipelines[_i].pipeline);
    ck_assert_ok(job_spec_parse_text(text, strlen(text), &options, arena, &spec, &err), &err);
    ck_assert_ok(admission_create(MEMORY, &admission, &err), &err);
    struct execute_memory memory = {.run_bytes = MEMORY,
                                    .spill_directory = "/tmp",
                                    .admission = admission};
    struct gaps gaps = {.last = support_cpu_seconds(), .step = "start"};
    const struct execute_request request = {
        .spec = &spec,
        .source = {.open = open_path},
        .files = &files,
        .memory = &memory,
        .monitor = {.report = on_progress, .context = &gaps},
    };
    ck_assert_ok(execute_run(memory_arena, &request, &result, &err), &err);
    note(&gaps, "end");
    if (gaps.longest > promised_s)
        (void)fprintf(stderr, "%s: %.3f s of work from %s\n", pipelines[_i].name, gaps.longest,
                      gaps.at);
    ck_assert_msg(support_short() || gaps.longest < gap_max_s, "%s: %.3f s of work from %s",
                  pipelines[_i].name, gaps.longest, gaps.at);
    execute_files_close(&files);
    execute_memory_release(&memory);
    admission_destroy(admission);
    arena_destroy(memory_arena);
    arena_destroy(arena);
}
END_TEST

int main(void)
{
    char path[512];
    if (support_data_path("cifar10/model.onnx", path, sizeof(path)) == NULL)
        return SUPPORT_SKIP;
    Suite *suite = suite_create("phases");
    TCase *tcase = tcase_create("phases");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, no_phase_is_deaf_for_long, 0,
                        support_short() ? 2 : (int)(sizeof(pipelines) / sizeof(pipelines[0])));
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
