/* What runs take of memory, beside what was predicted: each in a process of its own, by the peak of
 * its resident set.
 *
 *     memory            the real networks (where they are), by layer, block and as a whole, and
 *                       MobileNetV2 on small images under a limit that makes it spill
 *     memory full       MobileNetV2 at 224 × 224 with 1024 samples: by layer within 2 GiB, by block
 *                       within 3 GiB
 *
 * Fails when a prediction is more than a fifth away from the peak, or a peak above its limit. */

#include "generated_networks.h"
#include "networks.h"
#include "random_data.h"
#include "support.h"

#include "ptqd/flow/run.h"
#include "ptqd/recon/method.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct memory_case {
    const char *name;
    int network; /* of network_cases; −1: MobileNetV2 */
    int64_t side, samples;
    enum pipeline_granularity granularity;
    size_t limit_mib; /* 0: none */
    bool spills;
};

struct outcome {
    struct error err;
    bool done;
    size_t predicted_bytes, spilled_bytes;
    double output_sqnr_db, seconds;
};

static const double TOLERANCE = 1.2; /* the prediction's promise */

/* The data of a case. */
struct subject {
    struct arena *arena;
    struct graph *graph;
    struct dataset *calibration, *evaluation;
};

static bool open_subject(const struct memory_case *memory_case, struct subject *out)
{
    if (memory_case->network >= 0) {
        struct network network;
        if (!network_load(&network_cases[memory_case->network], &network))
            return false;
        *out =
            (struct subject){network.arena, network.graph, network.calibration, network.evaluation};
        return true;
    }
    struct generated_options options = {
        .width = 1.0, .side = memory_case->side, .classes = 1000, .seed = 1};
    struct arena *arena = arena_create(0), *data = arena_create(0); /* counted beside each other */
    *out = (struct subject){.arena = arena, .graph = generated_mobilenet_v2(arena, &options)};
    out->calibration = random_data_create(data, out->graph, memory_case->samples, 2);
    return true;
}

static int find_method(const char *name)
{
    int row = 0;
    while (strcmp(method_table()[row]->name, name) != 0)
        row++;
    return row;
}

/* Few iterations, and of large networks a quick method: they take time, not memory. */
static bool execute(const struct memory_case *memory_case, const struct subject *subject,
                    const char *directory, struct outcome *out)
{
    struct error *err = &out->err;
    struct pipeline pipeline = {0};
    struct run_result *result;
    struct arena *arena = subject->arena;
    if (!param_defaults(pipeline_table(), arena, &pipeline, err))
        return false;
    pipeline.artifacts = 0;
    pipeline.weights.bits = 4;
    pipeline.optimize.granularity = (int)memory_case->granularity;
    pipeline.postprocess.epochs = 1;
    if (memory_case->granularity != OPTIMIZE_LAYER)
        pipeline.optimize.variable = find_method("weights");
    if (memory_case->granularity == OPTIMIZE_BLOCK)
        pipeline.optimize.iterations = 4;
    if (memory_case->network < 0 && memory_case->granularity == OPTIMIZE_LAYER) {
        pipeline.optimize.variable = find_method("round");
        pipeline.optimize.iterations = 4;
    }
    if (memory_case->network < 0)
        pipeline.postprocess.bias = BIAS_NONE;
    pipeline.optimize.epochs = 1;
    const struct run_request request = {
        .model = subject->graph,
        .calibration = subject->calibration,
        .evaluation = subject->evaluation,
        .pipeline = &pipeline,
        .memory = {.limit_bytes = memory_case->limit_mib << 20, .spill_directory = directory},
        .origin = {.program_version = "test", .variant = "{}"},
    };
    if (!run_execute(arena, &request, &result, err))
        return false;
    out->predicted_bytes = result->predicted_bytes;
    out->spilled_bytes = result->spilled_bytes;
    out->output_sqnr_db = result->output_sqnr_db;
    out->seconds = result->seconds;
    return true;
}

enum child_status { CHILD_ANSWERS, CHILD_SKIPS };

static _Noreturn void be_child(const struct memory_case *memory_case, const char *directory, int fd)
{
    struct subject subject;
    struct outcome outcome = {.err = {.message = ""}};
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20); /* as the daemon does */
    if (!open_subject(memory_case, &subject))
        _exit(CHILD_SKIPS);
    outcome.done = execute(memory_case, &subject, directory, &outcome);
    ssize_t put = write(fd, &outcome, sizeof(outcome)); /* the parent sees when it is short */
    _exit(put == (ssize_t)sizeof(outcome) ? CHILD_ANSWERS : EXIT_FAILURE);
}

/* Runs the case in a process of its own; false when its data is not there. */
static bool run_apart(const struct memory_case *memory_case, const char *directory,
                      struct outcome *out, size_t *out_peak_bytes)
{
    int ends[2], status;
    struct rusage usage;
    *out = (struct outcome){.err = {.message = "the process ended early"}};
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(EXIT_FAILURE);
    }
    (void)fflush(stdout); /* once, not in both processes */
    pid_t child = fork();
    if (child == 0)
        be_child(memory_case, directory, ends[1]);
    (void)close(ends[1]); /* the child's */
    ssize_t got = read(ends[0], out, sizeof(*out));
    (void)close(ends[0]); /* read */
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        perror("child");
        exit(EXIT_FAILURE);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
        return false;
    if (got != (ssize_t)sizeof(*out))
        *out = (struct outcome){.err = {.message = "the process ended early"}};
    *out_peak_bytes = (size_t)usage.ru_maxrss * 1024;
    return true;
}

/* Counts a failure. */
static int judge(const struct memory_case *memory_case, const struct outcome *outcome,
                 size_t peak_bytes)
{
    static const char *const granularities[] = {"layer", "block", "network"};
    const double MIB = 1048576.0;
    double ratio = (double)outcome->predicted_bytes / (double)peak_bytes;
    if (!outcome->done) {
        printf("%-12s %-8s failed: %s\n", memory_case->name,
               granularities[memory_case->granularity], outcome->err.message);
        return 1;
    }
    bool fits = memory_case->limit_mib == 0 || peak_bytes <= memory_case->limit_mib << 20;
    bool spills = !memory_case->spills || outcome->spilled_bytes > 0;
    bool near = ratio <= TOLERANCE && ratio >= 1.0 / TOLERANCE;
    printf("%-12s %-8s peak %7.1f MiB  predicted %7.1f (%.2f)  limit %5zu  spilled %8.1f  %.1f s  "
           "output %.2f dB%s%s%s\n",
           memory_case->name, granularities[memory_case->granularity], (double)peak_bytes / MIB,
           (double)outcome->predicted_bytes / MIB, ratio, memory_case->limit_mib,
           (double)outcome->spilled_bytes / MIB, outcome->seconds, outcome->output_sqnr_db,
           near ? "" : "  PREDICTION", fits ? "" : "  ABOVE LIMIT", spills ? "" : "  NOT SPILLED");
    return !(fits && spills && near);
}

static int run_case(const struct memory_case *memory_case, const char *directory)
{
    struct outcome outcome;
    size_t peak_bytes;
    if (!run_apart(memory_case, directory, &outcome, &peak_bytes)) {
        printf("%-12s skipped: its files are not there\n", memory_case->name);
        return 0;
    }
    return judge(memory_case, &outcome, peak_bytes);
}

static const struct memory_case full[] = {
    {"MobileNetV2", -1, 224, 1024, OPTIMIZE_LAYER, 2048, true},
    {"MobileNetV2", -1, 224, 1024, OPTIMIZE_BLOCK, 3072, true},
};
static const struct memory_case generated[] = {
    {"MobileNetV2", -1, 96, 160, OPTIMIZE_LAYER, 0, false},
    {"MobileNetV2", -1, 96, 160, OPTIMIZE_LAYER, 400, true},
    {"MobileNetV2", -1, 96, 160, OPTIMIZE_BLOCK, 500, true},
};

int main(int argc, char **argv)
{
    char directory[64];
    int failed = 0;
    bool is_full = argc > 1 && strcmp(argv[1], "full") == 0;
    const struct memory_case *cases = is_full ? full : generated;
    size_t count =
        is_full ? sizeof(full) / sizeof(full[0]) : sizeof(generated) / sizeof(generated[0]);
    if (support_make_directory(directory, sizeof(directory)) == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < count; i++)
        failed += run_case(&cases[i], directory);
    for (int network = 0; !is_full && network < NETWORK_CASES; network++)
        for (int granularity = OPTIMIZE_LAYER; granularity <= OPTIMIZE_NETWORK; granularity++) {
            struct memory_case real = {
                .name = network_cases[network].name,
                .network = network,
                .granularity = (enum pipeline_granularity)granularity,
            };
            failed += run_case(&real, directory);
        }
    (void)rmdir(directory); /* spill files have no names in it */
    return failed > 0;
}
