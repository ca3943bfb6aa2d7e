#include "motion_network.h"

#include "motion_signals.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/recon/adam.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 32, PARAMETERS_MAX = 32, BATCH_MAX = 64 };

/* Building: the graph, the next layer's input, and where its weights come from. */
struct build {
    struct arena *arena;
    struct graph *graph;
    struct rng rng;
    int at; /* tensor */
    struct error *err;
};

/* A constant of `count` values from a normal distribution; all zeros for deviation 0. */
static bool add_constant(struct build *build, const char *name, const struct shape *shape,
                         double deviation, int *out_index)
{
    int64_t count = shape_elements(shape);
    float *values = ARENA_ARRAY(build->arena, float, count, build->err);
    if (!values)
        return false;
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(deviation * rng_normal(&build->rng));
    struct tensor tensor = {.name = name, .shape = *shape, .values = values, .producer = -1};
    return graph_add_tensor(build->graph, &tensor, false, out_index, build->err);
}

static bool add_node(struct build *build, const char *op_type, const char *name, int *inputs,
                     int input_count, struct attribute *attributes, int attribute_count)
{
    struct tensor tensor = {.name = name, .producer = -1};
    int output, index;
    if (!graph_add_tensor(build->graph, &tensor, false, &output, build->err))
        return false;
    struct node node = {.name = name,
                        .op_type = op_type,
                        .inputs = inputs,
                        .outputs = &output,
                        .input_count = input_count,
                        .output_count = 1,
                        .attributes = attributes,
                        .attribute_count = attribute_count};
    if (!graph_add_node(build->graph, &node, &index, build->err))
        return false;
    build->at = output;
    return true;
}

/* Weights (He et al., arXiv 1502.01852, equation 10) and zero biases as inputs 1 and 2. */
static bool add_weights(struct build *build, const char *name, const struct shape *shape,
                        int inputs[static 3])
{
    char weight[NAME_BYTES], bias[NAME_BYTES];
    (void)snprintf(weight, sizeof(weight), "%s.weight", name);
    (void)snprintf(bias, sizeof(bias), "%s.bias", name);
    struct shape vector = {.rank = 1, .dim = {shape->dim[0]}};
    double fan_in = (double)(shape_elements(shape) / shape->dim[0]);
    inputs[0] = build->at;
    return add_constant(build, weight, shape, sqrt(2.0 / fan_in), &inputs[1]) &&
           add_constant(build, bias, &vector, 0.0, &inputs[2]);
}

/* Convolution with pads that keep the size at stride 1, and a ReLU. */
static bool add_conv(struct build *build, const char *name, int64_t K, int64_t C, int64_t R,
                     int64_t stride, int64_t groups)
{
    char relu[NAME_BYTES];
    (void)snprintf(relu, sizeof(relu), "%s.relu", name);
    const int64_t pads[2] = {R / 2, R / 2}, strides[1] = {stride};
    struct attribute attributes[] = {
        {.name = "pads", .type = ATTRIBUTE_INTS, .integers = pads, .count = 2},
        {.name = "strides", .type = ATTRIBUTE_INTS, .integers = strides, .count = 1},
        {.name = "group", .type = ATTRIBUTE_INT, .integer = groups},
    };
    struct shape shape = {.rank = 3, .dim = {K, C / groups, R}};
    int inputs[3];
    return add_weights(build, name, &shape, inputs) &&
           add_node(build, "Conv", name, inputs, 3, attributes, 3) &&
           add_node(build, "Relu", relu, &build->at, 1, NULL, 0);
}

static bool add_block(struct build *build, int block, int64_t K, int64_t C, int64_t stride)
{
    char depthwise[NAME_BYTES], pointwise[NAME_BYTES];
    (void)snprintf(depthwise, sizeof(depthwise), "block%d.depthwise", block);
    (void)snprintf(pointwise, sizeof(pointwise), "block%d.pointwise", block);
    return add_conv(build, depthwise, C, C, 5, stride, C) &&
           add_conv(build, pointwise, K, C, 1, 1, 1);
}

static bool add_classifier(struct build *build, int64_t C)
{
    struct attribute transposed = {.name = "transB", .type = ATTRIBUTE_INT, .integer = 1};
    struct shape shape = {.rank = 2, .dim = {MOTION_ACTIVITIES, C}};
    int inputs[3];
    return add_node(build, "GlobalAveragePool", "average", &build->at, 1, NULL, 0) &&
           add_node(build, "Flatten", "features", &build->at, 1, NULL, 0) &&
           add_weights(build, "classifier", &shape, inputs) &&
           add_node(build, "Gemm", "classifier", inputs, 3, &transposed, 1);
}

bool motion_network_create(struct arena *arena, uint64_t seed, struct graph **out_graph,
                           struct error *err)
{
    struct build build = {.arena = arena, .err = err};
    struct tensor input = {
        .name = "motion",
        .shape = {.rank = 3, .dim = {1, MOTION_AXES, MOTION_SAMPLES}},
        .producer = -1,
    };
    rng_init(&build.rng, seed, 0);
    if (!graph_create(arena, &build.graph, err) ||
        !graph_add_tensor(build.graph, &input, false, &build.graph->input, err))
        return false;
    build.graph->opset = 13;
    build.at = build.graph->input;
    if (!add_conv(&build, "first", 16, MOTION_AXES, 5, 2, 1) || !add_block(&build, 1, 24, 16, 1) ||
        !add_block(&build, 2, 32, 24, 2) || !add_block(&build, 3, 32, 32, 1) ||
        !add_classifier(&build, 32))
        return false;
    build.graph->output = build.at;
    *out_graph = build.graph;
    return graph_finish(build.graph, err);
}

/* Every constant of the network with the moments of its gradient. */
struct training {
    struct graph *graph;
    struct exec *exec;
    struct parameter {
        int tensor;
        float *values;
        struct adam adam;
    } parameters[PARAMETERS_MAX];
    int parameter_count;
    float input[BATCH_MAX * MOTION_VALUES];
    int32_t labels[BATCH_MAX];
    float gradient[BATCH_MAX * MOTION_ACTIVITIES];
};

/* The graph's float constants become the training's own, which change. */
static bool take_parameters(struct arena *arena, struct training *training, struct error *err)
{
    struct graph *graph = training->graph;
    for (int t = 0; t < graph->tensor_count; t++) {
        struct tensor *tensor = &graph->tensors[t];
        if (!tensor->values || training->parameter_count == PARAMETERS_MAX)
            continue;
        struct parameter *parameter = &training->parameters[training->parameter_count++];
        size_t count = (size_t)shape_elements(&tensor->shape);
        parameter->tensor = t;
        parameter->values = arena_memdup(arena, tensor->values, count * sizeof(float), err);
        if (!parameter->values || !adam_init(arena, count, &parameter->adam, err))
            return false;
        tensor->values = parameter->values;
    }
    return true;
}

static bool want_gradients(struct training *training, struct error *err)
{
    for (int i = 0; i < training->parameter_count; i++)
        if (!exec_want_gradient(training->exec, training->parameters[i].tensor, err))
            return false;
    return true;
}

/* d/dz of the mean cross entropy of softmax(z): (softmax(z) − one-hot(label)) / samples. */
static void cross_entropy_gradient(const float *logits, const int32_t *labels, int64_t samples,
                                   float *gradient)
{
    for (int64_t n = 0; n < samples; n++) {
        const float *z = logits + n * MOTION_ACTIVITIES;
        float *dz = gradient + n * MOTION_ACTIVITIES;
        double sum = 0.0, largest = (double)z[0];
        for (int k = 1; k < MOTION_ACTIVITIES; k++)
            largest = fmax(largest, (double)z[k]);
        for (int k = 0; k < MOTION_ACTIVITIES; k++)
            sum += exp((double)z[k] - largest);
        for (int k = 0; k < MOTION_ACTIVITIES; k++)
            dz[k] =
                (float)((exp((double)z[k] - largest) / sum - (k == labels[n])) / (double)samples);
    }
}

static bool train_batch(struct training *training, int64_t samples, double learning_rate,
                        struct error *err)
{
    int output = training->graph->output;
    if (!exec_forward(training->exec, training->input, samples, err))
        return false;
    cross_entropy_gradient(exec_values(training->exec, output), training->labels, samples,
                           training->gradient);
    if (!exec_backward(training->exec, output, training->gradient, err))
        return false;
    for (int i = 0; i < training->parameter_count; i++) {
        struct parameter *parameter = &training->parameters[i];
        adam_step(&parameter->adam, learning_rate, exec_gradient(training->exec, parameter->tensor),
                  parameter->values);
        exec_set_constant(training->exec, parameter->tensor, parameter->values);
    }
    return true;
}

static void gather(struct training *training, const struct motion_set *set, const int64_t *order,
                   int64_t samples)
{
    for (int64_t n = 0; n < samples; n++) {
        memcpy(training->input + n * MOTION_VALUES, set->values + order[n] * MOTION_VALUES,
               MOTION_VALUES * sizeof(float));
        training->labels[n] = set->labels[order[n]];
    }
}

static bool train_epochs(struct training *training, const struct motion_set *set,
                         const struct motion_training *options, int64_t *order, struct error *err)
{
    struct rng rng;
    rng_init(&rng, options->seed, 1);
    int64_t batches = set->count / options->batch, steps = options->epochs * batches;
    for (int64_t i = 0; i < set->count; i++)
        order[i] = i;
    for (int64_t step = 0; step < steps; step++) {
        if (step % batches == 0)
            rng_shuffle(&rng, order, (size_t)set->count);
        gather(training, set, order + step % batches * options->batch, options->batch);
        double rate = adam_cosine(options->learning_rate, step, steps);
        if (!train_batch(training, options->batch, rate, err))
            return false;
    }
    return true;
}

bool motion_network_train(struct arena *arena, struct graph *graph, const struct motion_set *set,
                          const struct motion_training *options, struct error *err)
{
    if (options->batch < 1 || options->batch > BATCH_MAX || set->count < options->batch)
        return FAIL(err, E_INVALID, "a batch of %lld from %lld samples; 1 to %d are possible",
                    (long long)options->batch, (long long)set->count, BATCH_MAX);
    struct training *training = ARENA_NEW(arena, struct training, err);
    int64_t *order = ARENA_ARRAY(arena, int64_t, set->count, err);
    struct exec_options exec_options = {.batch = options->batch, .gradients = true};
    if (!training || !order)
        return false;
    training->graph = graph;
    bool done = take_parameters(arena, training, err) &&
                exec_create(graph, &exec_options, &training->exec, err) &&
                want_gradients(training, err) && train_epochs(training, set, options, order, err);
    exec_destroy(training->exec);
    return done;
}

bool motion_network_accuracy(const struct graph *graph, const struct motion_set *set,
                             double *out_accuracy, struct error *err)
{
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    int64_t right = 0;
    bool done = exec_create(graph, &options, &exec, err);
    if (!done)
        return false;
    for (int64_t n = 0; done && n < set->count; n++) {
        done = exec_forward(exec, set->values + n * MOTION_VALUES, 1, err);
        const float *z = done ? exec_values(exec, graph->output) : NULL;
        int best = 0;
        for (int k = 1; z && k < MOTION_ACTIVITIES; k++)
            if (z[k] > z[best])
                best = k;
        right += best == set->labels[n];
    }
    exec_destroy(exec);
    *out_accuracy = (double)right / (double)set->count;
    return done;
}
