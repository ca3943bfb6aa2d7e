/* One W4A4 run of each network with the defaults of the pipeline: seconds of each step, and its
 * share. CPU seconds of the thread are nearly these: a run uses one core and does not wait. */

#include "networks.h"
#include "support.h"

#include "ptqd/flow/run.h"

#include <stdio.h>

static bool bench(const struct network *network, struct error *err)
{
    struct arena *arena = arena_create(0);
    struct pipeline pipeline = {0};
    struct run_result *result;
    bool done = param_defaults(pipeline_table(), arena, &pipeline, err);
    pipeline.weights.bits = 4;
    struct run_request request = {
        .model = network->graph,
        .calibration = network->calibration,
        .evaluation = network->evaluation,
        .pipeline = &pipeline,
        .origin = {.program_version = "bench", .variant = "{}"},
    };
    done = done && run_execute(arena, &request, &result, err);
    if (done) {
        printf(
            "%-12s W4A4, %lld calibration and %lld evaluation samples: %.2f s, accuracy %.2f %%\n",
            network->about->name, (long long)result->calibration_samples,
            (long long)result->evaluation_samples, result->seconds, 100.0 * result->accuracy);
        for (int i = 0; i < result->step_count; i++)
            printf("    %-10s %7.3f s  %5.1f %%\n", result->steps[i].name, result->steps[i].seconds,
                   100.0 * result->steps[i].seconds / result->seconds);
    }
    arena_destroy(arena);
    return done;
}

int main(void)
{
    struct error err = {.message = ""};
    for (int i = 0; i < NETWORK_CASES; i++) {
        struct network network;
        if (!network_load(&network_cases[i], &network))
            return SUPPORT_SKIP;
        bool done = bench(&network, &err);
        network_finish(&network);
        if (!done) {
            fprintf(stderr, "%s: %s\n", network_cases[i].name, err.message);
            return 1;
        }
    }
    return 0;
}
