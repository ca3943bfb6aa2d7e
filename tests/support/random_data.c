#include "random_data.h"

#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/npy.h"

#include <math.h>

/* Values behind the axes of samples and channels. */
static int64_t plane_elements(const struct shape *shape)
{
    int64_t elements = 1;
    for (int i = 2; i < shape->rank; i++)
        elements *= shape->dim[i];
    return elements;
}

struct dataset *random_data_create(struct arena *arena, const struct graph *graph, int64_t samples,
                                   uint64_t seed)
{
    struct error err = {.message = ""};
    struct rng rng;
    rng_init(&rng, seed, 0);
    struct shape shape = graph->tensors[graph->input].shape;
    shape.dim[0] = samples;
    int64_t count = shape_elements(&shape), plane = plane_elements(&shape);
    struct arena *scratch = arena_create(0);
    support_require(scratch != NULL, &err);
    float *values = ARENA_ARRAY(scratch, float, count, &err);
    support_require(values != NULL, &err);
    for (int64_t i = 0; i < count; i++) {
        double mean = sin(12.9898 * (double)(i / plane + 1 + (int64_t)seed)) * 1.5;
        values[i] = (float)(mean + rng_normal(&rng));
    }
    uint8_t *bytes;
    size_t size;
    support_require(npy_encode(arena, "<f4", shape.rank, shape.dim, values, &bytes, &size, &err),
                    &err);
    arena_destroy(scratch);
    struct dataset *dataset;
    struct dataset_options options = {.scale = 1.0, .limit_bytes = size};
    support_require(dataset_load(arena, bytes, size, &options, &dataset, &err), &err);
    return dataset;
}

void random_data_label(struct arena *arena, const struct graph *graph, struct dataset *dataset)
{
    struct error err = {.message = ""};
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    int64_t classes = tensor_elements(&graph->tensors[graph->output], 1);
    int64_t *labels = ARENA_ARRAY(arena, int64_t, dataset->samples, &err);
    float *input = ARENA_ARRAY(arena, float, shape_elements(&dataset->shape), &err);
    support_require(labels && input, &err);
    support_require(exec_create(graph, &options, &exec, &err), &err);
    for (int64_t i = 0; i < dataset->samples; i++) {
        dataset_read(dataset, i, input);
        support_require(exec_forward(exec, input, 1, &err), &err);
        const float *output = exec_values(exec, graph->output);
        for (int64_t class = 1; class < classes; class ++)
            if (output[class] > output[labels[i]])
                labels[i] = class;
    }
    exec_destroy(exec);
    dataset->labels = labels;
    dataset->classes = classes;
}
