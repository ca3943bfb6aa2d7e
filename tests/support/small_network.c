#include "small_network.h"

#include "sketch.h"
#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/npy.h"

#include <math.h>

/* Normal weights in the place of a sketch's; row k is `spread`^(k mod 3 − 1) as large as the
 * others. */
static void set_weights(struct sketch *sketch, struct rng *rng, const char *layer, double spread)
{
    struct error err = {.message = ""};
    char *name = arena_printf(sketch->arena, &err, "%s.weight", layer);
    struct tensor *tensor = &sketch->graph->tensors[graph_find_tensor(sketch->graph, name)];
    int64_t count = shape_elements(&tensor->shape), per_row = count / tensor->shape.dim[0];
    float *values = ARENA_ARRAY(sketch->arena, float, count, &err);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(pow(spread, (double)(i / per_row % 3 - 1)) * rng_normal(rng) /
                            sqrt((double)per_row));
    tensor->values = values;
}

struct graph *small_network_create(struct arena *arena, uint64_t seed)
{
    struct sketch s;
    struct rng rng;
    rng_init(&rng, seed, 0);
    sketch_init(&s, arena, 13);
    int input = sketch_input(&s, "input", SKETCH(1, 3, 8, 8));
    int stem = sketch_conv(&s, "stem", input, 8, 3, SKETCH(3, 3));
    int skip = sketch_node(&s, "Relu", "stem_relu", stem, SKETCH_END);
    sketch_int(&s, "group", 8);
    int depthwise = sketch_conv(&s, "depthwise", skip, 8, 1, SKETCH(3, 3));
    int middle = sketch_node(&s, "Relu", "depthwise_relu", depthwise, SKETCH_END);
    int pointwise = sketch_conv(&s, "pointwise", middle, 8, 8, SKETCH(1, 1));
    int sum = sketch_node(&s, "Add", "sum", pointwise, skip, SKETCH_END);
    int rectified = sketch_node(&s, "Relu", "sum_relu", sum, SKETCH_END);
    int pooled = sketch_node(&s, "GlobalAveragePool", "pool", rectified, SKETCH_END);
    int flat = sketch_node(&s, "Flatten", "flatten", pooled, SKETCH_END);
    int weights = sketch_constant(&s, "dense.weight", SKETCH(SMALL_NETWORK_CLASSES, 8));
    int bias = sketch_constant(&s, "dense.bias", SKETCH(SMALL_NETWORK_CLASSES));
    sketch_int(&s, "transB", 1);
    int logits = sketch_node(&s, "Gemm", "dense", flat, weights, bias, SKETCH_END);
    int output = sketch_node(&s, "Softmax", "softmax", logits, SKETCH_END);
    set_weights(&s, &rng, "stem", 5.0);
    set_weights(&s, &rng, "depthwise", 5.0);
    set_weights(&s, &rng, "pointwise", 5.0);
    set_weights(&s, &rng, "dense", 1.0);
    return sketch_finish(&s, output);
}

static void label(struct arena *arena, const struct graph *graph, struct dataset *dataset)
{
    struct error err = {.message = ""};
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    int64_t *labels = ARENA_ARRAY(arena, int64_t, dataset->samples, &err);
    float *input = ARENA_ARRAY(arena, float, SMALL_NETWORK_INPUTS, &err);
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    for (int64_t i = 0; i < dataset->samples; i++) {
        dataset_read(dataset, i, input);
        ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
        const float *output = exec_values(exec, graph->output);
        for (int64_t class = 1; class < SMALL_NETWORK_CLASSES; class ++)
            if (output[class] > output[labels[i]])
                labels[i] = class;
    }
    exec_destroy(exec);
    dataset->labels = labels;
    dataset->classes = SMALL_NETWORK_CLASSES;
}

struct dataset *small_network_data(struct arena *arena, const struct graph *graph, int64_t samples,
                                   bool labels, uint64_t seed)
{
    struct error err = {.message = ""};
    struct rng rng;
    rng_init(&rng, seed, 0);
    int64_t count = samples * SMALL_NETWORK_INPUTS;
    float *values = ARENA_ARRAY(arena, float, count, &err);
    for (int64_t i = 0; i < count; i++) { /* a mean per sample, so that the classes differ */
        double mean = sin(12.9898 * (double)(i / 64 + 1 + (int64_t)seed)) * 1.5;
        values[i] = (float)(mean + rng_normal(&rng));
    }
    int64_t dim[] = {samples, 3, 8, 8};
    uint8_t *bytes;
    size_t size;
    ck_assert_ok(npy_encode(arena, "<f4", 4, dim, values, &bytes, &size, &err), &err);
    struct dataset *dataset;
    struct dataset_options options = {.scale = 1.0, .limit_bytes = 1 << 26};
    ck_assert_ok(dataset_load(arena, bytes, size, &options, &dataset, &err), &err);
    if (labels)
        label(arena, graph, dataset);
    return dataset;
}
