#include "generated_networks.h"

#include "sketch.h"
#include "support.h"

#include <math.h>
#include <stdio.h>

enum { OPSET = 13, NAME_BYTES = 64 };

/* Of the standard deviation, over D weights a row: keeps the size of a signal through a layer with
 * a rectifier behind it (He et al., arXiv 1502.01852), and without one. */
static const double RECTIFIED = 1.4142135623730951, LINEAR = 1.0;

struct generator {
    struct sketch sketch;
    struct rng rng;
    double relu_limit; /* 6, or 0: none */
    int low, high;     /* constants of Clip */
};

static void generator_init(struct generator *g, struct arena *arena,
                           const struct generated_options *options, double relu_limit)
{
    *g = (struct generator){.relu_limit = relu_limit};
    rng_init(&g->rng, options->seed, 0);
    sketch_init(&g->sketch, arena, OPSET);
    if (relu_limit > 0.0) {
        g->low = sketch_scalar(&g->sketch, "relu.low", 0.0f);
        g->high = sketch_scalar(&g->sketch, "relu.high", (float)relu_limit);
    }
}

/* A square convolution; its input has `C` channels in each of `group` groups. */
struct layer {
    int64_t K, C, side, stride, group; /* `side` of the filter */
    double gain;
};

static int add_conv(struct generator *g, const char *name, int input, const struct layer *layer)
{
    struct sketch *s = &g->sketch;
    sketch_ints(s, "strides", SKETCH(layer->stride, layer->stride));
    sketch_int(s, "group", layer->group);
    int output = sketch_conv(s, name, input, layer->K, layer->C, SKETCH(layer->side, layer->side));
    sketch_normal_weights(s, &g->rng, name, layer->gain, 1.0);
    return output;
}

static int add_rectifier(struct generator *g, const char *layer, int input)
{
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s.relu", layer); /* short names */
    if (g->relu_limit > 0.0)
        return sketch_node(&g->sketch, "Clip", name, input, g->low, g->high, SKETCH_END);
    return sketch_node(&g->sketch, "Relu", name, input, SKETCH_END);
}

static int add_rectified_conv(struct generator *g, const char *name, int input,
                              const struct layer *layer)
{
    return add_rectifier(g, name, add_conv(g, name, input, layer));
}

/* Mean over the map, and a dense layer. */
static struct graph *add_classifier(struct generator *g, int input, int64_t channels,
                                    int64_t classes)
{
    struct sketch *s = &g->sketch;
    int pooled = sketch_node(s, "GlobalAveragePool", "pool", input, SKETCH_END);
    int flat = sketch_node(s, "Flatten", "flatten", pooled, SKETCH_END);
    int weights = sketch_constant(s, "dense.weight", SKETCH(classes, channels));
    int bias = sketch_constant(s, "dense.bias", SKETCH(classes));
    sketch_normal_weights(s, &g->rng, "dense", LINEAR, 1.0);
    sketch_int(s, "transB", 1);
    int logits = sketch_node(s, "Gemm", "dense", flat, weights, bias, SKETCH_END);
    return sketch_finish(s, sketch_node(s, "Softmax", "softmax", logits, SKETCH_END));
}

/* ---- MobileNetV2 ---- */

/* A multiple of 8, not more than a tenth below (as in the authors' code). */
static int64_t scaled_channels(double channels, double width)
{
    int64_t scaled = (int64_t)(channels * width + 4.0) / 8 * 8;
    scaled = scaled < 8 ? 8 : scaled;
    return (double)scaled < 0.9 * channels * width ? scaled + 8 : scaled;
}

struct bottleneck {
    int64_t C, K, expansion, stride;
};

/* Expansion, depthwise filter, linear projection; a sum where the shape stays. */
static int add_bottleneck(struct generator *g, int index, int input, const struct bottleneck *block)
{
    int64_t hidden = block->C * block->expansion;
    const struct layer expand = {hidden, block->C, 1, 1, 1, RECTIFIED};
    const struct layer depthwise = {hidden, 1, 3, block->stride, hidden, RECTIFIED};
    const struct layer project = {block->K, hidden, 1, 1, 1, LINEAR};
    char name[NAME_BYTES];
    int at = input;
    if (block->expansion != 1) {
        (void)snprintf(name, sizeof(name), "block%d.expand", index);
        at = add_rectified_conv(g, name, at, &expand);
    }
    (void)snprintf(name, sizeof(name), "block%d.depthwise", index);
    at = add_rectified_conv(g, name, at, &depthwise);
    (void)snprintf(name, sizeof(name), "block%d.project", index);
    at = add_conv(g, name, at, &project);
    if (block->stride != 1 || block->C != block->K)
        return at;
    (void)snprintf(name, sizeof(name), "block%d.sum", index);
    return sketch_node(&g->sketch, "Add", name, at, input, SKETCH_END);
}

struct graph *generated_mobilenet_v2(struct arena *arena, const struct generated_options *options)
{
    /* t, c, n, s of table 2 */
    static const struct {
        int64_t expansion, channels, blocks, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    struct generator g;
    generator_init(&g, arena, options, 6.0);
    int64_t C = scaled_channels(32, options->width);
    int at = sketch_input(&g.sketch, "input", SKETCH(1, 3, options->side, options->side));
    at = add_rectified_conv(&g, "stem", at, &(struct layer){C, 3, 3, 2, 1, RECTIFIED});
    int index = 0;
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
        for (int64_t j = 0; j < stages[i].blocks; j++) {
            struct bottleneck block = {
                .C = C,
                .K = scaled_channels((double)stages[i].channels, options->width),
                .expansion = stages[i].expansion,
                .stride = j == 0 ? stages[i].stride : 1,
            };
            at = add_bottleneck(&g, index++, at, &block);
            C = block.K;
        }
    int64_t last = scaled_channels(1280, fmax(options->width, 1.0));
    at = add_rectified_conv(&g, "last", at, &(struct layer){last, C, 1, 1, 1, RECTIFIED});
    return add_classifier(&g, at, last, options->classes);
}

/* ---- ResNet-8 ---- */

static int add_residual_block(struct generator *g, int index, int input, int64_t C, int64_t K)
{
    int64_t stride = C == K ? 1 : 2;
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof(name), "block%d.first", index);
    int at = add_rectified_conv(g, name, input, &(struct layer){K, C, 3, stride, 1, RECTIFIED});
    (void)snprintf(name, sizeof(name), "block%d.second", index);
    at = add_conv(g, name, at, &(struct layer){K, K, 3, 1, 1, LINEAR});
    int skip = input;
    if (stride != 1) {
        (void)snprintf(name, sizeof(name), "block%d.skip", index);
        skip = add_conv(g, name, input, &(struct layer){K, C, 1, stride, 1, LINEAR});
    }
    (void)snprintf(name, sizeof(name), "block%d.sum", index);
    return add_rectifier(g, name, sketch_node(&g->sketch, "Add", name, at, skip, SKETCH_END));
}

struct graph *generated_resnet8(struct arena *arena, const struct generated_options *options)
{
    struct generator g;
    generator_init(&g, arena, options, 0.0);
    int64_t C = (int64_t)round(16.0 * options->width);
    int at = sketch_input(&g.sketch, "input", SKETCH(1, 3, options->side, options->side));
    at = add_rectified_conv(&g, "stem", at, &(struct layer){C, 3, 3, 1, 1, RECTIFIED});
    for (int i = 0; i < 3; i++) {
        int64_t K = i == 0 ? C : 2 * C;
        at = add_residual_block(&g, i, at, C, K);
        C = K;
    }
    return add_classifier(&g, at, C, options->classes);
}
