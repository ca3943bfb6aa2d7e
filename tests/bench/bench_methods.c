/* The reconstruction methods beside each other, without labels: for each network and width of the
 * weights (activations have 8 bits) the mean signal to noise ratio of the layers' outputs, that of
 * the network's, and the solver's time as a share of what "round" takes in the same run.
 *
 *     bench_methods [NETWORK]     one whose name contains this
 */

#include "networks.h"
#include "support.h"

#include "ptqd/flow/run.h"
#include "ptqd/recon/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t widths[] = {4, 3, 2};
enum { WIDTHS = sizeof(widths) / sizeof(widths[0]), METHODS_MAX = 16, SAMPLES = 512 };

struct figures {
    double layer_db, network_db, solve_seconds;
};

static bool measure(const struct network *network, int64_t bits, int method, struct figures *out,
                    struct error *err)
{
    struct arena *arena = arena_create(0);
    struct pipeline pipeline = {0};
    struct run_result *result;
    bool done = param_defaults(pipeline_table(), arena, &pipeline, err);
    pipeline.samples = SAMPLES;
    pipeline.weights.bits = bits;
    pipeline.activations.bits = 8;
    pipeline.optimize.variable = method;
    pipeline.postprocess.bias = BIAS_NONE;
    pipeline.artifacts = 0;
    struct run_request request = {
        .model = network->graph,
        .calibration = network->calibration,
        .pipeline = &pipeline,
        .origin = {.program_version = "bench", .variant = "{}"},
    };
    done = done && run_execute(arena, &request, &result, err);
    if (done) {
        *out = (struct figures){.network_db = result->output_sqnr_db};
        for (int i = 0; i < result->layer_count; i++)
            out->layer_db += result->layers[i].output_sqnr_after_db / result->layer_count;
        for (int i = 0; i < result->step_count; i++)
            if (strcmp(result->steps[i].name, "solve") == 0)
                out->solve_seconds = result->steps[i].seconds;
    }
    arena_destroy(arena);
    return done;
}

static bool bench(const struct network *network, int64_t bits, struct error *err)
{
    struct figures figures[METHODS_MAX];
    double round_seconds = (double)NAN;
    int count = 0;
    for (; count < METHODS_MAX && method_table()[count]; count++) {
        if (!measure(network, bits, count, &figures[count], err))
            return false;
        if (strcmp(method_table()[count]->name, "round") == 0)
            round_seconds = figures[count].solve_seconds;
    }
    for (int i = 0; i < count; i++)
        printf("%-12s W%lldA8 %-8s layers %6.2f dB  network %6.2f dB  solver %6.3f of round\n",
               network->about->name, (long long)bits, method_table()[i]->name, figures[i].layer_db,
               figures[i].network_db, figures[i].solve_seconds / round_seconds);
    (void)fflush(stdout); /* each network as it is done */
    return true;
}

int main(int argc, char **argv)
{
    struct error err = {.message = ""};
    for (int i = 0; i < NETWORK_CASES; i++) {
        struct network network;
        if (argc > 1 && !strstr(network_cases[i].name, argv[1]))
            continue;
        if (!network_load(&network_cases[i], &network))
            return SUPPORT_SKIP;
        bool done = true;
        for (int width = 0; done && width < WIDTHS; width++)
            done = bench(&network, widths[width], &err);
        network_finish(&network);
        if (!done) {
            fprintf(stderr, "%s: %s\n", network_cases[i].name, err.message);
            return 1;
        }
    }
    return 0;
}
