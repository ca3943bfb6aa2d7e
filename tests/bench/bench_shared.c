/* What sharing between runs saves: CPU seconds of a job of four variants (4 and 3 bits, rounded to
 * nearest and optimized) with and without a cache, with and without bias tuning, on one thread.
 *
 *     bench_shared [NETWORK]    one network only, by a part of its name */

#include "measure.h"
#include "networks.h"
#include "support.h"
#include "variant.h"

#include "ptqd/flow/run.h"
#include "ptqd/flow/shared.h"

#include <stdio.h>
#include <string.h>

static bool run_variant(const struct network *network, struct pipeline *pipeline,
                        struct shared *shared, struct error *err)
{
    struct arena *arena = arena_create(0);
    struct run_result *result;
    struct run_request request = {
        .model = network->graph,
        .calibration = network->calibration,
        .evaluation = network->evaluation,
        .pipeline = pipeline,
        .origin = {.program_version = "bench",
                   .variant = "{}",
                   .model = "model",
                   .calibration = "calibration",
                   .evaluation = "evaluation"},
        .shared = shared,
    };
    bool done = run_execute(arena, &request, &result, err);
    arena_destroy(arena);
    return done;
}

/* CPU seconds of the job. */
static bool run_job(const struct network *network, int bias, struct shared *shared,
                    double *out_seconds, struct error *err)
{
    static const char *const methods[] = {"none", "round"};
    struct arena *arena = arena_create(0);
    struct pipeline pipeline;
    double since = measure_now();
    bool done = true;
    for (int64_t bits = 4; done && bits >= 3; bits--)
        for (int i = 0; done && i < 2; i++) {
            struct variant variant = {.method = methods[i], .bits = bits, .bias = bias};
            done =
                variant_pipeline(&variant, network->calibration->samples, arena, &pipeline, err) &&
                run_variant(network, &pipeline, shared, err);
        }
    *out_seconds = measure_now() - since;
    arena_destroy(arena);
    return done;
}

static bool bench(const struct network *network, int bias, struct error *err)
{
    struct shared *shared = shared_create(64 << 20);
    double alone, together;
    bool done =
        run_job(network, bias, NULL, &alone, err) && run_job(network, bias, shared, &together, err);
    if (done) {
        struct shared_counts counts = shared_count(shared);
        printf("%-12s bias %s: %6.2f CPU s alone, %6.2f sharing: %.3f; found %lld, computed %lld, "
               "%zu bytes\n",
               network->about->name, bias == BIAS_TUNE ? "tune" : "none", alone, together,
               together / alone, (long long)counts.found, (long long)counts.computed, counts.bytes);
        fflush(stdout);
    }
    shared_destroy(shared);
    return done;
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
        bool done = bench(&network, BIAS_NONE, &err) && bench(&network, BIAS_TUNE, &err);
        network_finish(&network);
        if (!done) {
            fprintf(stderr, "%s: %s\n", network_cases[i].name, err.message);
            return 1;
        }
    }
    return 0;
}
