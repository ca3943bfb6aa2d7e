#include "small_network.h"

#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/npy.h"

#include <math.h>
#include <string.h>

struct builder {
    struct graph *graph;
    struct arena *arena;
    struct rng rng;
    struct error err;
};

static int add_tensor(struct builder *b, const char *name)
{
    int index;
    struct tensor tensor = {.name = name, .producer = -1};
    ck_assert_ok(graph_add_tensor(b->graph, &tensor, true, &index, &b->err), &b->err);
    return index;
}

/* Normal values; row k is `spread`^(k mod 3 − 1) as large as the others. */
static int add_constant(struct builder *b, const char *name, struct shape shape, double size,
                        double spread)
{
    int index;
    int64_t count = shape_elements(&shape), per_row = count / shape.dim[0];
    float *values = ARENA_ARRAY(b->arena, float, count, &b->err);
    for (int64_t i = 0; i < count; i++)
        values[i] =
            (float)(size * pow(spread, (double)(i / per_row % 3 - 1)) * rng_normal(&b->rng));
    struct tensor tensor = {.name = name, .shape = shape, .values = values, .producer = -1};
    ck_assert_ok(graph_add_tensor(b->graph, &tensor, true, &index, &b->err), &b->err);
    return index;
}

static int add_node(struct builder *b, const char *op, const char *name, const int *inputs,
                    int input_count, const struct attribute *attributes, int attribute_count)
{
    char *output_name = arena_printf(b->arena, &b->err, "%s_out", name);
    int output = add_tensor(b, output_name), index;
    struct attribute *list =
        arena_memdup(b->arena, attributes, (size_t)attribute_count * sizeof(*attributes), &b->err);
    int *input_list =
        arena_memdup(b->arena, inputs, (size_t)input_count * sizeof(*inputs), &b->err);
    struct node node = {
        .name = name,
        .op_type = op,
        .inputs = input_list,
        .outputs = &output,
        .input_count = input_count,
        .output_count = 1,
        .attributes = list,
        .attribute_count = attribute_count,
    };
    ck_assert_ok(graph_add_node(b->graph, &node, &index, &b->err), &b->err);
    return output;
}

static int add_conv(struct builder *b, const char *name, int input, struct shape weights,
                    int64_t group, int64_t pad)
{
    const int64_t pads[] = {pad, pad, pad, pad};
    const struct attribute attributes[] = {
        {.name = "group", .type = ATTRIBUTE_INT, .integer = group},
        {.name = "pads", .type = ATTRIBUTE_INTS, .integers = pads, .count = 4},
    };
    char *weights_name = arena_printf(b->arena, &b->err, "%s_w", name);
    char *bias_name = arena_printf(b->arena, &b->err, "%s_b", name);
    double fan_in = (double)shape_elements(&weights) / (double)weights.dim[0];
    struct shape bias = {.rank = 1, .dim = {weights.dim[0]}};
    int inputs[] = {input, add_constant(b, weights_name, weights, 1.0 / sqrt(fan_in), 5.0),
                    add_constant(b, bias_name, bias, 0.1, 1.0)};
    return add_node(b, "Conv", name, inputs, 3, attributes, 2);
}

static int add_unary(struct builder *b, const char *op, const char *name, int input)
{
    return add_node(b, op, name, &input, 1, NULL, 0);
}

struct graph *small_network_create(struct arena *arena, uint64_t seed)
{
    struct builder b = {.arena = arena};
    rng_init(&b.rng, seed, 0);
    ck_assert_ok(graph_create(arena, &b.graph, &b.err), &b.err);
    b.graph->opset = 13;
    b.graph->input = add_tensor(&b, "input");
    b.graph->tensors[b.graph->input].shape = (struct shape){.rank = 4, .dim = {1, 3, 8, 8}};

    int stem = add_conv(&b, "stem", b.graph->input, (struct shape){4, {8, 3, 3, 3}}, 1, 1);
    int skip = add_unary(&b, "Relu", "stem_relu", stem);
    int depthwise = add_conv(&b, "depthwise", skip, (struct shape){4, {8, 1, 3, 3}}, 8, 1);
    int middle = add_unary(&b, "Relu", "depthwise_relu", depthwise);
    int pointwise = add_conv(&b, "pointwise", middle, (struct shape){4, {8, 8, 1, 1}}, 1, 0);
    int addends[] = {pointwise, skip};
    int sum = add_node(&b, "Add", "sum", addends, 2, NULL, 0);
    int rectified = add_unary(&b, "Relu", "sum_relu", sum);
    int pooled = add_unary(&b, "GlobalAveragePool", "pool", rectified);
    int flat = add_unary(&b, "Flatten", "flatten", pooled);
    const struct attribute transposed = {.name = "transB", .type = ATTRIBUTE_INT, .integer = 1};
    int dense_inputs[] = {
        flat, add_constant(&b, "dense_w", (struct shape){2, {SMALL_NETWORK_CLASSES, 8}}, 2.0, 1.0),
        add_constant(&b, "dense_b", (struct shape){1, {SMALL_NETWORK_CLASSES}}, 0.1, 1.0)};
    int logits = add_node(&b, "Gemm", "dense", dense_inputs, 3, &transposed, 1);
    b.graph->output = add_unary(&b, "Softmax", "softmax", logits);
    ck_assert_ok(graph_finish(b.graph, &b.err), &b.err);
    return b.graph;
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
