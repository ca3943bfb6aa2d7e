#include "small_network.h"

#include "random_data.h"
#include "sketch.h"

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
    sketch_normal_weights(&s, &rng, "stem", 1.0, 5.0);
    sketch_normal_weights(&s, &rng, "depthwise", 1.0, 5.0);
    sketch_normal_weights(&s, &rng, "pointwise", 1.0, 5.0);
    sketch_normal_weights(&s, &rng, "dense", 1.0, 1.0);
    return sketch_finish(&s, output);
}

struct dataset *small_network_data(struct arena *arena, const struct graph *graph, int64_t samples,
                                   bool labels, uint64_t seed)
{
    struct dataset *dataset = random_data_create(arena, graph, samples, seed);
    if (labels)
        random_data_label(arena, graph, dataset);
    return dataset;
}
