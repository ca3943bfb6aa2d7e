#include "graph_run.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"

#include "support.h"

#include <math.h>
#include <string.h>

float *graph_run(struct arena *arena, const struct graph *graph, const float *input,
                 int64_t samples)
{
    struct error err;
    struct exec *exec = NULL;
    struct exec_options options = {.batch = samples};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, input, samples, &err), &err);
    int64_t count = tensor_elements(&graph->tensors[graph->output], samples);
    float *output = arena_memdup(arena, exec_values(exec, graph->output),
                                 (size_t)count * sizeof(*output), &err);
    ck_assert_ptr_nonnull(output);
    exec_destroy(exec);
    return output;
}

float *graph_run_values(struct arena *arena, int64_t count, uint64_t seed)
{
    struct error err;
    struct rng rng;
    rng_init(&rng, seed, 7);
    float *values = ARENA_ARRAY(arena, float, count, &err);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(2.0 * rng_uniform(&rng) - 1.0);
    return values;
}

int graph_run_count(const struct graph *graph, const char *op_type)
{
    int count = 0;
    for (int i = 0; i < graph->node_count; i++)
        count += strcmp(graph->nodes[i].op_type, op_type) == 0;
    return count;
}

void graph_run_compare(const float *actual, const float *expected, int64_t count, double tolerance)
{
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)actual[i] - (double)expected[i]);
        ck_assert_element(difference <= tolerance, "element %lld is %.9g, expected %.9g",
                          (long long)i, (double)actual[i], (double)expected[i]);
    }
}
