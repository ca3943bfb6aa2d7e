/* What peer.py does as well, for the same networks: records with the same names, to be joined.
 *
 *     peer  network  work  ptqd  seconds
 *
 *     float inference       a batch of 32
 *     block training        a step of every block: weights and activations through the rounding,
 *                           learned scales of both
 *     network training      a step of the network, its teacher's pass included
 *     layer-wise, W4        a whole run, import and artifact included, weights and activations of
 *     layer-wise, W2        that width, beside the training of all layers in peer.py
 *
 * bench.sh calls both in turn, several times, and takes the best of each. Returns 77 when the
 * networks are not there.
 *
 *     bench_peer [NETWORK]    one whose name contains this */

#include "measure.h"
#include "networks.h"
#include "support.h"
#include "variant.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"

#include <stdio.h>

enum { BATCH = 32 };

static const struct variant blocks = {.method = "weights",
                                      .bits = 4,
                                      .bias = BIAS_NONE,
                                      .granularity = OPTIMIZE_BLOCK,
                                      .activations = true};
static const struct variant whole = {
    .method = "weights", .bits = 4, .bias = BIAS_NONE, .granularity = OPTIMIZE_NETWORK};
static const struct variant layers4 = {.method = "grid", .bits = 4, .bias = BIAS_NONE};
static const struct variant layers2 = {.method = "grid", .bits = 2, .bias = BIAS_NONE};

struct float_pass {
    struct exec *exec;
    float *input;
};

static bool run_forward(void *context, struct error *err)
{
    const struct float_pass *pass = context;
    return exec_forward(pass->exec, pass->input, BATCH, err);
}

static bool inference(const struct network *network, double *out_seconds, struct error *err)
{
    struct float_pass pass = {.exec = NULL};
    struct arena *arena = arena_create(0);
    struct graph *folded;
    struct exec_options options = {.batch = BATCH, .coarse = true, .joins = true};
    int64_t elements = shape_elements(&network->calibration->shape);
    bool done = graph_fold(network->graph, arena, &folded, err) &&
                (pass.input = ARENA_ARRAY(arena, float, BATCH *elements, err)) &&
                exec_create(folded, &options, &pass.exec, err);
    for (int64_t i = 0; done && i < BATCH; i++)
        dataset_read(network->calibration, i, pass.input + i * elements);
    done = done && measure_best(run_forward, &pass, out_seconds, err);
    exec_destroy(pass.exec);
    arena_destroy(arena);
    return done;
}

static void print(const struct network *network, const char *work, double seconds)
{
    printf("peer\t%s\t%s\tptqd\t%.6g\n", network->about->name, work, seconds);
    (void)fflush(stdout); /* as it is done */
}

/* A run, with what was needed to load the network and its data. */
static bool layer_wise(const struct network *network, const struct variant *variant, double import,
                       const char *work, struct error *err)
{
    struct variant_result result;
    if (!variant_run(variant, network->graph, network->calibration, network->evaluation, &result,
                     err))
        return false;
    print(network, work, import + result.seconds);
    return true;
}

static bool bench(const struct network *network, double import, struct error *err)
{
    double seconds;
    if (!inference(network, &seconds, err))
        return false;
    print(network, "float inference", seconds);
    if (!variant_training_step(&blocks, network, &seconds, err))
        return false;
    print(network, "block training", seconds);
    if (!variant_training_step(&whole, network, &seconds, err))
        return false;
    print(network, "network training", seconds);
    return layer_wise(network, &layers4, import, "layer-wise, W4", err) &&
           layer_wise(network, &layers2, import, "layer-wise, W2", err);
}

int main(int argc, char **argv)
{
    for (int i = 0; i < NETWORK_CASES; i++) {
        struct error err = {.message = ""};
        struct network network;
        if (!measure_wants(network_cases[i].name, argc > 1 ? argv[1] : NULL))
            continue;
        double since = measure_now();
        if (!network_load(&network_cases[i], &network))
            return SUPPORT_SKIP;
        bool done = bench(&network, measure_now() - since, &err);
        network_finish(&network);
        if (!done)
            return measure_failed("bench_peer", network_cases[i].name, &err);
    }
    return 0;
}
