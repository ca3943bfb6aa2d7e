/* CPU seconds of whole runs on the real networks, from the files' bytes to the artifact, and of
 * each of their steps.
 *
 *     run  network  variant  step  seconds      "import" comes first, "all" last
 *
 * Where blocks or the network are trained, one step or epoch is run, and the other steps that the
 * pipeline takes are added at the price of one (variant.h); that is noise of a percent or two, and
 * minutes instead of hours. Returns 77 when the networks are not there.
 *
 *     bench_run [NETWORK]    one whose name contains this */

#include "measure.h"
#include "networks.h"
#include "support.h"
#include "variant.h"

#include <stdio.h>
#include <string.h>

/* Steps of a default run (flow/unit_training.c). */
enum { BLOCK_STEPS = 2000, NETWORK_STEPS = 2560, BATCH = 32 };

static const struct variant variants[] = {
    {.name = "grid", .method = "grid", .bits = 4, .bias = BIAS_NONE},
    {.name = "round", .method = "round", .bits = 4, .bias = BIAS_NONE},
    {.name = "weights", .method = "weights", .bits = 4, .bias = BIAS_NONE},
    {.name = "qparam", .method = "qparam", .bits = 4, .bias = BIAS_NONE},
    {.name = "bits", .method = "bits", .bits = 4, .bias = BIAS_NONE},
    {.name = "round, biases tuned", .method = "round", .bits = 4, .bias = BIAS_TUNE},
    {.name = "round, blocks",
     .method = "round",
     .bits = 4,
     .bias = BIAS_NONE,
     .granularity = OPTIMIZE_BLOCK,
     .steps = 1},
    {.name = "weights, blocks",
     .method = "weights",
     .bits = 4,
     .bias = BIAS_NONE,
     .granularity = OPTIMIZE_BLOCK,
     .steps = 1},
    {.name = "weights, network",
     .method = "weights",
     .bits = 4,
     .bias = BIAS_NONE,
     .granularity = OPTIMIZE_NETWORK,
     .steps = 1},
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

/* A short benchmark has the first and the last one. */
static bool is_wanted(int variant)
{
    return !support_short() || variant == 0 || variant == VARIANTS - 1;
}

/* Steps that a default run takes more than the variant asks for. */
static int64_t steps_left(const struct variant *variant, const struct network *network)
{
    if (variant->granularity == OPTIMIZE_BLOCK)
        return BLOCK_STEPS - variant->steps;
    return NETWORK_STEPS - variant_samples(variant, network->calibration->samples) / BATCH;
}

/* Adds the steps that were left out to the result. */
static bool complete(const struct variant *variant, const struct network *network,
                     struct variant_result *result, struct error *err)
{
    double step;
    if (variant->granularity == OPTIMIZE_LAYER)
        return true;
    if (!variant_training_step(variant, network, &step, err))
        return false;
    double missing = step * (double)steps_left(variant, network);
    for (int i = 0; i < result->step_count; i++)
        if (strcmp(result->steps[i].name, "train") == 0)
            result->steps[i].seconds += missing;
    result->seconds += missing;
    return true;
}

static void print(const char *network, const char *variant, const char *step, double seconds)
{
    printf("run\t%s\t%s\t%s\t%.6g\n", network, variant, step, seconds);
}

static bool bench(const struct network *network, double import, const struct variant *variant,
                  struct error *err)
{
    const char *name = network->about->name;
    struct variant_result result;
    if (!variant_run(variant, network->graph, network->calibration, network->evaluation, &result,
                     err) ||
        !complete(variant, network, &result, err))
        return false;
    print(name, variant->name, "import", import);
    for (int i = 0; i < result.step_count; i++)
        print(name, variant->name, result.steps[i].name, result.steps[i].seconds);
    print(name, variant->name, "all", import + result.seconds);
    (void)fflush(stdout); /* each run as it is done */
    return true;
}

int main(int argc, char **argv)
{
    for (int i = 0; i < NETWORK_CASES; i++) {
        struct error err = {.message = ""};
        struct network network;
        bool done = true;
        if (!measure_wants(network_cases[i].name, argc > 1 ? argv[1] : NULL))
            continue;
        double since = measure_now();
        if (!network_load(&network_cases[i], &network))
            return SUPPORT_SKIP;
        double import = measure_now() - since;
        for (int j = 0; done && j < VARIANTS; j++)
            done = !is_wanted(j) || bench(&network, import, &variants[j], &err);
        network_finish(&network);
        if (!done)
            return measure_failed("bench_run", network_cases[i].name, &err);
    }
    return 0;
}
