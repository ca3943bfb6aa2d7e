/* Speed of the kernels on every layer of the real networks and of MobileNetV2 at 224 × 224, as the
 * engine calls them: forward pass, gradient to the data (where there are layers in front) and to
 * the weights for 32 samples, through the operators; quantization of the layer's input and its
 * gradient; Gram matrices of values and of codes, alone, of as many samples as the reconstruction
 * gives them.
 *
 *     peak    GFLOP/s                      fused multiply-adds on registers alone
 *     kernel  network  layer  size  kind  channels  pass  operations  seconds
 *
 * `kind` is "full", "pointwise", "depthwise", "grouped" or "dense"; `channels` the fewer of inputs
 * and outputs. A pass counts taps on the padding, which a kernel may skip; a Gram matrix
 * counts the products that the shift structure needs; a quantizer counts values. Returns 77 when
 * the networks are not there.
 *
 *     bench_kernels [NETWORK]    one whose name contains this */

#include "fma_peak.h"
#include "generated_networks.h"
#include "measure.h"
#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/base/rng.h"
#include "ptqd/kern/fake_quantize.h"
#include "ptqd/kern/gram.h"
#include "ptqd/kern/gram_codes.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/op.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLES = 32, INPUTS = 3 /* of a MAC node: x, w, bias */ };

/* Gram matrices are made of chunks of thousands of positions. */
enum { GRAM_POSITIONS = 1 << 15, GRAM_SAMPLES_MIN = 8, GRAM_SAMPLES_MAX = 1024 };

static const struct gram_grid grid = {.scale = 0.05f, .zero = 100, .last = 255};

static const struct {
    const char *name, *file; /* no file: generated */
} networks[] = {
    {"ResNet-8", "cifar10/model.onnx"}, {"DS-CNN", "kws/model.onnx"},
    {"MobileNetV1", "vww/model.onnx"},  {"HAR CNN", "har/model.onnx"},
    {"autoencoder", "ad/model.onnx"},   {"MobileNetV2", NULL},
};

/* One layer and its operands. */
struct layer {
    const char *network;
    const struct graph *graph;
    const struct node *node;
    bool first; /* of the network: nobody wants its gradient to the data */
    struct conv_shape shape;
    const float *in[INPUTS];
    float *out[1], *grad_in[INPUTS], *scratch;
    const float *grad_out[1];
    void *plan;
    struct conv_shape gram_shape;
    const uint8_t *codes; /* of the samples of the Gram matrix, as `values` */
    const float *values;
    struct gram gram;
    void *gram_scratch;
};

static struct op_call call_of(const struct layer *layer)
{
    return (struct op_call){
        .graph = layer->graph,
        .node = layer->node,
        .samples = SAMPLES,
        .in = layer->in,
        .out = layer->out,
        .grad_out = layer->grad_out,
        .scratch = layer->scratch,
        .plan = layer->plan,
    };
}

/* ---- what is timed ---- */

static bool run_forward(void *context, struct error *err)
{
    const struct layer *layer = context;
    struct op_call call = call_of(layer);
    return layer->node->op->forward(&call, err);
}

static bool run_backward(const struct layer *layer, int input, struct error *err)
{
    float *wanted[INPUTS] = {NULL};
    wanted[input] = layer->grad_in[input];
    struct op_call call = call_of(layer);
    call.grad_in = wanted;
    call.fresh = (const bool[INPUTS]){true, true, true};
    return layer->node->op->backward(&call, err);
}

static bool run_grad_x(void *context, struct error *err)
{
    return run_backward(context, 0, err);
}

static bool run_grad_w(void *context, struct error *err)
{
    return run_backward(context, 1, err);
}

static bool run_quantize(void *context, struct error *err)
{
    const struct layer *layer = context;
    (void)err; /* can't fail */
    fake_quantize_f32(layer->in[0], (size_t)conv_input_elements(&layer->shape), grid.scale,
                      grid.zero, 0, grid.last, layer->grad_in[0]);
    return true;
}

static bool run_quantize_grad(void *context, struct error *err)
{
    const struct layer *layer = context;
    struct fake_quantize_grad grad = {0};
    (void)err; /* can't fail */
    fake_quantize_f32_grad(layer->in[0], (size_t)conv_input_elements(&layer->shape), grid.scale,
                           grid.zero, 0, grid.last, layer->values, NULL, true, layer->grad_in[0],
                           &grad);
    return true;
}

static bool run_gram(void *context, struct error *err)
{
    struct layer *layer = context;
    (void)err; /* can't fail */
    gram_add_conv(&layer->gram, &layer->gram_shape, layer->values, layer->values,
                  layer->gram_scratch);
    return true;
}

/* Of values where codes do not pay: what the reconstruction does. */
static bool run_gram_codes(void *context, struct error *err)
{
    struct layer *layer = context;
    if (!gram_codes_pay(&layer->gram_shape))
        return run_gram(context, err);
    gram_codes_add_conv(&layer->gram, &layer->gram_shape, &grid, layer->codes, layer->gram_scratch);
    return true;
}

/* Operations of each pass, in its own unit. */
static double count_macs(const struct layer *layer)
{
    return 2.0 * SAMPLES * (double)conv_macs(&layer->shape);
}

static double count_values(const struct layer *layer)
{
    return (double)conv_input_elements(&layer->shape);
}

static double count_gram(const struct layer *layer)
{
    return 2.0 * (double)layer->gram_shape.G * (double)gram_conv_products(&layer->gram_shape);
}

static const struct {
    const char *name;
    measure_work run;
    double (*operations)(const struct layer *layer);
} passes[] = {
    {"forward", run_forward, count_macs},
    {"to data", run_grad_x, count_macs},
    {"to weights", run_grad_w, count_macs},
    {"Gram", run_gram, count_gram},
    {"Gram of codes", run_gram_codes, count_gram},
    {"quantize", run_quantize, count_values},
    {"its gradient", run_quantize_grad, count_values},
};

/* ---- operands ---- */

static float *random_floats(struct arena *arena, struct rng *rng, int64_t count, struct error *err)
{
    float *values = ARENA_ARRAY(arena, float, count, err);
    for (int64_t i = 0; values && i < count; i++)
        values[i] = (float)(2.0 * rng_uniform(rng) - 1.0);
    return values;
}

static uint8_t *random_codes(struct arena *arena, struct rng *rng, int64_t count, struct error *err)
{
    uint8_t *codes = ARENA_ARRAY(arena, uint8_t, count, err);
    for (int64_t i = 0; codes && i < count; i++)
        codes[i] = (uint8_t)rng_below(rng, 256);
    return codes;
}

/* Conv as it is; Gemm as a 1 × 1 convolution of a map of one position. */
static struct conv_shape layer_shape(const struct graph *graph, const struct node *node)
{
    if (strcmp(node->op_type, "Conv") == 0)
        return conv_node_shape(graph, node, SAMPLES);
    return (struct conv_shape){
        .N = SAMPLES,
        .H = 1,
        .W = 1,
        .C = graph->tensors[node->inputs[0]].shape.dim[1],
        .K = graph->tensors[node->outputs[0]].shape.dim[1],
        .R = 1,
        .S = 1,
        .G = 1,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .OH = 1,
        .OW = 1,
    };
}

static int64_t gram_samples(const struct conv_shape *shape)
{
    int64_t samples = GRAM_POSITIONS / (shape->OH * shape->OW);
    if (samples < GRAM_SAMPLES_MIN)
        return GRAM_SAMPLES_MIN;
    return samples > GRAM_SAMPLES_MAX ? GRAM_SAMPLES_MAX : samples;
}

static bool gram_operands(struct arena *arena, struct rng *rng, struct layer *layer,
                          struct error *err)
{
    struct conv_shape *shape = &layer->gram_shape;
    *shape = layer->shape;
    shape->N = gram_samples(shape);
    int64_t D = conv_column_elements(shape), G = shape->G;
    size_t codes = gram_codes_conv_scratch_bytes(shape), floats = gram_conv_scratch_bytes(shape);
    int64_t most = shape->N > SAMPLES ? shape->N : SAMPLES; /* quantizers read `values`, too */
    int64_t elements = conv_input_elements(shape) / shape->N * most;
    layer->values = random_floats(arena, rng, elements, err);
    layer->codes = random_codes(arena, rng, elements, err);
    layer->gram = (struct gram){
        .G = G,
        .D = D,
        .inner = ARENA_ARRAY(arena, double, G *D *D, err),
        .sum_quantized = ARENA_ARRAY(arena, double, G *D, err),
    };
    layer->gram_scratch = arena_alloc(arena, codes > floats ? codes : floats, err);
    return layer->values && layer->codes && layer->gram.inner && layer->gram.sum_quantized &&
           layer->gram_scratch;
}

static bool layer_init(struct arena *arena, struct layer *layer, struct error *err)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    const struct graph *graph = layer->graph;
    const struct node *node = layer->node;
    layer->shape = layer_shape(graph, node);
    int64_t inputs = conv_input_elements(&layer->shape);
    int64_t outputs = conv_output_elements(&layer->shape);
    layer->in[0] = random_floats(arena, &rng, inputs, err);
    layer->in[1] = graph->tensors[node->inputs[1]].values;
    layer->in[2] = graph->tensors[node->inputs[2]].values;
    layer->out[0] = random_floats(arena, &rng, outputs, err);
    layer->grad_out[0] = random_floats(arena, &rng, outputs, err);
    layer->grad_in[0] = ARENA_ARRAY(arena, float, inputs, err);
    layer->grad_in[1] = ARENA_ARRAY(arena, float, conv_weight_elements(&layer->shape), err);
    size_t bytes = node->op->scratch_bytes ? node->op->scratch_bytes(graph, node, SAMPLES) : 0;
    layer->scratch = arena_alloc(arena, bytes ? bytes : 1, err);
    if (!layer->in[0] || !layer->out[0] || !layer->grad_out[0] || !layer->grad_in[0] ||
        !layer->grad_in[1] || !layer->scratch || !gram_operands(arena, &rng, layer, err))
        return false;
    const struct op_plan how = {.samples = SAMPLES, .gradients = true};
    return !node->op->plan_create || node->op->plan_create(graph, node, &how, &layer->plan, err);
}

/* ---- records ---- */

static const char *kind_of(const struct layer *layer)
{
    const struct conv_shape *shape = &layer->shape;
    if (strcmp(layer->node->op_type, "Gemm") == 0)
        return "dense";
    if (shape->G > 1)
        return shape->G == shape->C ? "depthwise" : "grouped";
    return shape->R * shape->S == 1 ? "pointwise" : "full";
}

static void print_pass(const struct layer *layer, const char *pass, double operations,
                       double seconds)
{
    const struct conv_shape *shape = &layer->shape;
    printf("kernel\t%s\t%s\t%lldx%lldx%lld>%lld %lldx%lld", layer->network, layer->node->name,
           (long long)shape->H, (long long)shape->W, (long long)shape->C, (long long)shape->K,
           (long long)shape->R, (long long)shape->S);
    printf("\t%s\t%lld\t%s\t%.6g\t%.6g\n", kind_of(layer),
           (long long)(shape->C < shape->K ? shape->C : shape->K), pass, operations, seconds);
}

static bool bench_layer(struct arena *arena, struct layer *layer, struct error *err)
{
    struct arena_mark mark = arena_mark(arena);
    bool done = layer_init(arena, layer, err);
    for (size_t i = 0; done && i < sizeof(passes) / sizeof(passes[0]); i++) {
        double seconds;
        if (layer->first && passes[i].run == run_grad_x)
            continue;
        done = measure_best(passes[i].run, layer, &seconds, err);
        if (done)
            print_pass(layer, passes[i].name, passes[i].operations(layer), seconds);
    }
    if (layer->plan)
        layer->node->op->plan_destroy(layer->plan);
    (void)fflush(stdout); /* each layer as it is done */
    arena_reset(arena, mark);
    return done;
}

static bool load(struct arena *arena, const char *file, struct graph **out_graph, struct error *err)
{
    enum { LIMIT_BYTES = 1 << 26, PATH_BYTES = 512 };
    char path[PATH_BYTES], *bytes;
    size_t size;
    struct generated_options image = {.width = 1.0, .side = 224, .classes = 1000, .seed = 1};
    struct graph *graph;
    if (!file) {
        graph = generated_mobilenet_v2(arena, &image);
        return graph_fold(graph, arena, out_graph, err);
    }
    if (!support_data_path(file, path, sizeof(path)))
        return FAIL(err, E_NOT_FOUND, "%s is not there", path);
    return file_read(arena, path, LIMIT_BYTES, &bytes, &size, err) &&
           model_import(arena, (const uint8_t *)bytes, size, &graph, NULL, err) &&
           graph_fold(graph, arena, out_graph, err);
}

static bool bench_network(const char *name, const char *file, struct error *err)
{
    struct arena *arena = arena_create(0);
    struct graph *graph;
    bool first = true, done = load(arena, file, &graph, err);
    for (int i = 0; done && i < graph->node_count; i++) {
        if (!graph->nodes[i].op->mac)
            continue;
        struct layer layer = {
            .network = name, .graph = graph, .node = &graph->nodes[i], .first = first};
        done = bench_layer(arena, &layer, err);
        first = false;
    }
    arena_destroy(arena);
    return done;
}

int main(int argc, char **argv)
{
    char path[512];
    if (!support_data_path(networks[0].file, path, sizeof(path))) {
        fprintf(stderr, "bench_kernels: %s is not there\n", path);
        return SUPPORT_SKIP;
    }
    printf("peak\t%.4g\n", fma_peak_gflops());
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        struct error err = {.message = ""};
        if (!measure_wants(networks[i].name, argc > 1 ? argv[1] : NULL))
            continue;
        if (!bench_network(networks[i].name, networks[i].file, &err))
            return measure_failed("bench_kernels", networks[i].name, &err);
    }
    return 0;
}
