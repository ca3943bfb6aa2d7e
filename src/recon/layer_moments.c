/* The moments of a layer's linear problem, in chunks of samples. Σ x̂ x̂ᵀ is made of the codes of x̂,
 * in integers, where x̂ comes from a quantizer; otherwise, and for depthwise layers, products are in
 * float32 within a chunk, sums of chunks in float64. Σ t x̂ᵀ is what a gradient with respect to the
 * weights is, so it is made by the kernels that make those, in float32. A ConvTranspose is the
 * convolution of its input with zeros stuffed in between, and its moments are those of that. */

#include "ptqd/recon/layer_moments.h"

#include "ptqd/kern/gemm.h"
#include "ptqd/kern/gram_codes.h"
#include "ptqd/kern/relu_targets.h"
#include "ptqd/kern/statistics.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/network.h"

#include <math.h>
#include <string.h>

/* Samples at once. The sums of a chunk cost D² additions, so dense layers, with one position per
 * sample, take larger ones, and so do codes, whose products cost less and which are smaller. Where
 * maps are large a chunk is as many as have CHUNK_FLOATS elements: 32 MiB. */
enum { CHUNK_CONV = 32, CHUNK_DENSE = 1024, CODES_CHUNKS = 4, CHUNK_FLOATS = 1 << 23 };

struct geometry {
    const struct node *node;
    bool is_transposed;      /* a ConvTranspose */
    bool is_conv;            /* that, or a Conv */
    int64_t chunk;           /* samples */
    struct conv_shape shape; /* of a convolution, for a chunk; its input may be stuffed */
    int64_t inputs, outputs; /* elements of one sample */
};

static struct conv_shape conv_of(const struct layer_data *data, const struct geometry *geometry,
                                 int64_t samples)
{
    if (!geometry->is_transposed)
        return conv_node_shape(data->graph, geometry->node, samples);
    struct deconv_shape shape = conv_transpose_node_shape(data->graph, geometry->node, samples);
    return deconv_as_conv(&shape);
}

/* Not more than CHUNK_FLOATS allow. */
static void limit_chunk(struct geometry *geometry)
{
    int64_t larger = geometry->inputs > geometry->outputs ? geometry->inputs : geometry->outputs;
    int64_t most = larger > 0 && larger < CHUNK_FLOATS ? CHUNK_FLOATS / larger : 1;
    geometry->chunk = geometry->chunk < most ? geometry->chunk : most;
}

static struct geometry geometry_of(const struct layer_data *data, const struct quant_layer *layer)
{
    const struct graph *graph = data->graph;
    struct geometry geometry = {.node = &graph->nodes[layer->node]};
    geometry.is_transposed = strcmp(geometry.node->op_type, "ConvTranspose") == 0;
    geometry.is_conv = geometry.is_transposed || strcmp(geometry.node->op_type, "Conv") == 0;
    geometry.chunk = !graph->batchable ? 1 : geometry.is_conv ? CHUNK_CONV : CHUNK_DENSE;
    geometry.inputs = tensor_elements(&graph->tensors[geometry.node->inputs[0]], 1);
    geometry.outputs = tensor_elements(&graph->tensors[geometry.node->outputs[0]], 1);
    limit_chunk(&geometry);
    if (geometry.is_conv)
        geometry.shape = conv_of(data, &geometry, geometry.chunk);
    return geometry;
}

/* Reads the input of a chunk of samples as the layer's columns are cut from it. */
struct input_reader {
    struct captured_reader values;
    float *stuffed; /* a chunk with zeros in between; NULL: nothing is stuffed */
};

static bool input_open(const struct layer_data *data, const struct geometry *geometry,
                       struct arena *scratch, struct input_reader *out, struct error *err)
{
    struct input_reader reader = {.stuffed = NULL};
    if (geometry->is_transposed) {
        reader.stuffed = ARENA_ARRAY(scratch, float, conv_input_elements(&geometry->shape), err);
        if (!reader.stuffed)
            return false;
    }
    if (!captured_open(data->input, geometry->chunk, scratch, &reader.values, err))
        return false;
    *out = reader;
    return true;
}

static const float *input_at(const struct layer_data *data, const struct geometry *geometry,
                             const struct input_reader *reader, int64_t first, int64_t count,
                             struct error *err)
{
    const float *x = captured_at(&reader->values, first, count, err);
    if (!x || !reader->stuffed)
        return x;
    struct deconv_shape shape = conv_transpose_node_shape(data->graph, geometry->node, count);
    deconv_stuff_f32(&shape, x, reader->stuffed);
    return reader->stuffed;
}

static int64_t chunk_at(const struct layer_data *data, const struct geometry *geometry,
                        int64_t first)
{
    int64_t left = data->samples - first;
    return left < geometry->chunk ? left : geometry->chunk;
}

/* The input's codes, where it has some. */
struct coded_input {
    struct gram_grid grid;
    uint8_t *codes; /* of a chunk; NULL: the input is on no grid, or codes would not be faster */
};

/* The grid of the quantizer before the layer; only what keeps a grid may be in between. */
static bool find_grid(const struct graph *graph, const struct node *node,
                      struct gram_grid *out_grid)
{
    int producer = graph->tensors[node->inputs[0]].producer;
    while (producer >= 0 && graph->nodes[producer].op->keeps_grid)
        producer = graph->tensors[graph->nodes[producer].inputs[0]].producer;
    if (producer < 0 || graph->nodes[producer].op != &op_fake_quantize)
        return false;
    const struct quantizer *quantizer = graph->nodes[producer].detail;
    if (quantizer->channels != 1 || !quantizer_ready(quantizer))
        return false;
    *out_grid = (struct gram_grid){
        .scale = quantizer->scales[0],
        .zero = quantizer->zero_points[0] - quantizer->low,
        .last = quantizer->high - quantizer->low,
    };
    return true;
}

/* Codes of a chunk, which is made larger for them where they are of use; 0: they are not. */
static int64_t size_codes(const struct layer_data *data, struct geometry *geometry)
{
    if (geometry->is_conv && !gram_codes_pay(&geometry->shape))
        return 0;
    if (geometry->is_transposed) /* stuffed chunks stay small */
        return conv_input_elements(&geometry->shape);
    if (data->graph->batchable) {
        geometry->chunk *= CODES_CHUNKS;
        limit_chunk(geometry);
    }
    return chunk_at(data, geometry, 0) * geometry->inputs;
}

/* Makes room for codes where the input has some. */
static bool coded_input_init(const struct layer_data *data, struct arena *scratch,
                             struct geometry *geometry, struct coded_input *out, struct error *err)
{
    *out = (struct coded_input){.codes = NULL};
    if (!find_grid(data->graph, geometry->node, &out->grid))
        return true;
    int64_t elements = size_codes(data, geometry);
    if (elements == 0)
        return true;
    out->codes = ARENA_ARRAY(scratch, uint8_t, elements, err);
    return out->codes != NULL;
}

/* Scratch for a chunk of codes, ... */
static size_t codes_bytes(const struct geometry *geometry, int64_t D)
{
    return geometry->is_conv ? gram_codes_conv_scratch_bytes(&geometry->shape)
                             : gram_codes_dense_scratch_bytes(D);
}

/* ... or, should they not be on the grid, of floats. */
static size_t floats_bytes(const struct geometry *geometry, int64_t D)
{
    return geometry->is_conv ? gram_conv_scratch_bytes(&geometry->shape)
                             : gram_dense_scratch_bytes(D);
}

static size_t gram_bytes(const struct geometry *geometry, int64_t D, bool coded)
{
    size_t floats = floats_bytes(geometry, D), codes = coded ? codes_bytes(geometry, D) : 0;
    return codes > floats ? codes : floats;
}

static void add_chunk(const struct layer_data *data, const struct geometry *geometry,
                      const struct coded_input *coded, int64_t count, const float *x, void *memory,
                      struct gram *gram)
{
    struct conv_shape shape = {.N = 0};
    int64_t elements = count * geometry->inputs, rows = elements / gram->D;
    if (geometry->is_conv) {
        shape = conv_of(data, geometry, count);
        elements = conv_input_elements(&shape);
    }
    bool on_grid = coded->codes && gram_codes_of(&coded->grid, x, (size_t)elements, coded->codes);
    if (on_grid && geometry->is_conv)
        gram_codes_add_conv(gram, &shape, &coded->grid, coded->codes, memory);
    else if (on_grid)
        gram_codes_add_dense(gram, rows, &coded->grid, coded->codes, memory);
    else if (geometry->is_conv)
        gram_add_conv(gram, &shape, x, x, memory);
    else
        gram_add_dense(gram, rows, x, x, memory);
}

bool layer_moments_add_input(const struct layer_data *data, const struct quant_layer *layer,
                             const struct recon_monitor *monitor, struct arena *scratch,
                             struct gram *gram, struct error *err)
{
    struct geometry geometry = geometry_of(data, layer);
    struct coded_input coded;
    if (!coded_input_init(data, scratch, &geometry, &coded, err))
        return false;
    void *memory = arena_alloc(scratch, gram_bytes(&geometry, layer->D, coded.codes != NULL), err);
    struct input_reader input;
    if (!memory || !input_open(data, &geometry, scratch, &input, err))
        return false;
    for (int64_t first = 0; first < data->samples; first += geometry.chunk) {
        int64_t count = chunk_at(data, &geometry, first);
        const float *x = input_at(data, &geometry, &input, first, count, err);
        if (!x)
            return false;
        add_chunk(data, &geometry, &coded, count, x, memory, gram);
        if (!recon_monitor_report(monitor, 0.3 * (double)first / (double)data->samples, NAN, err))
            return false;
    }
    return true;
}

/* Reads what targets are made of. */
struct target_reader {
    struct captured_reader output, addend, addend_quantized, rectified; /* `of` NULL: none */
};

static bool open_optional(const struct captured *captured, int64_t most, struct arena *scratch,
                          struct captured_reader *out, struct error *err)
{
    *out = (struct captured_reader){.of = NULL};
    return !captured || captured_open(captured, most, scratch, out, err);
}

static bool targets_open(const struct layer_data *data, int64_t most, struct arena *scratch,
                         struct target_reader *out, struct error *err)
{
    return captured_open(data->output, most, scratch, &out->output, err) &&
           open_optional(data->addend, most, scratch, &out->addend, err) &&
           open_optional(data->addend_quantized, most, scratch, &out->addend_quantized, err) &&
           open_optional(data->rectified, most, scratch, &out->rectified, err);
}

static bool read_optional(const struct captured_reader *reader, int64_t first, int64_t count,
                          const float **out, struct error *err)
{
    *out = reader->of ? captured_at(reader, first, count, err) : NULL;
    return !reader->of || *out;
}

/* t of `count` samples from `first`. */
static bool make_targets(const struct target_reader *reader, int64_t first, int64_t count,
                         float *out, struct error *err)
{
    const float *output = captured_at(&reader->output, first, count, err);
    const float *addend, *addend_quantized, *rectified;
    if (!output || !read_optional(&reader->addend, first, count, &addend, err) ||
        !read_optional(&reader->addend_quantized, first, count, &addend_quantized, err) ||
        !read_optional(&reader->rectified, first, count, &rectified, err))
        return false;
    const struct relu_targets targets = {output, addend, addend_quantized, rectified};
    relu_targets_f32(&targets, count * reader->output.of->elements, out);
    return true;
}

/* products = Σ t x̂ᵀ of `count` samples. */
static bool multiply(const struct quant_layer *layer, struct conv_plan *plan, int64_t count,
                     int64_t positions, const float *target, const float *x, float *products,
                     struct error *err)
{
    if (plan) {
        memset(products, 0, (size_t)(layer->K * layer->D) * sizeof(float));
        return conv_plan_grad_w(plan, count, x, target, products, err);
    }
    struct gemm_shape shape = {.M = layer->K, .N = layer->D, .K = positions, .transpose_a = true};
    gemm_f32(&shape, 1.0f, target, x, 0.0f, products);
    return true;
}

bool layer_moments_add_targets(const struct layer_data *data, const struct quant_layer *layer,
                               const struct recon_monitor *monitor, struct arena *scratch,
                               struct linear_targets *targets, struct error *err)
{
    struct geometry geometry = geometry_of(data, layer);
    int64_t cells = layer->K * layer->D;
    float *target = ARENA_ARRAY(scratch, float, geometry.chunk *geometry.outputs, err);
    float *products = ARENA_ARRAY(scratch, float, cells, err);
    struct input_reader input;
    struct target_reader reader;
    struct conv_plan *plan = NULL;
    if (!target || !products || !input_open(data, &geometry, scratch, &input, err) ||
        !targets_open(data, geometry.chunk, scratch, &reader, err) ||
        (geometry.is_conv && !conv_plan_create(&geometry.shape, CONV_GRADIENTS, &plan, err)))
        return false;
    bool done = true;
    for (int64_t first = 0; done && first < data->samples; first += geometry.chunk) {
        int64_t count = chunk_at(data, &geometry, first);
        int64_t positions = count * geometry.outputs / layer->K;
        const float *x = input_at(data, &geometry, &input, first, count, err);
        done = x && make_targets(&reader, first, count, target, err) &&
               multiply(layer, plan, count, positions, target, x, products, err) &&
               recon_monitor_report(monitor, 0.3 + 0.2 * (double)first / (double)data->samples, NAN,
                                    err);
        if (!done)
            break;
        const struct channel_rows rows = {positions, layer->K, layer->K};
        channel_moments_f32(target, &rows, targets->sum, targets->squares);
        for (int64_t i = 0; i < cells; i++)
            targets->products[i] += (double)products[i];
    }
    conv_plan_destroy(plan);
    return done;
}

size_t layer_moments_bytes(const struct graph *graph, const struct quant_layer *layer,
                           int64_t samples, bool spilled)
{
    enum { TARGET_TENSORS = 4 }; /* two outputs, two addends */
    const struct layer_data data = {.graph = graph, .samples = samples};
    struct geometry geometry = geometry_of(&data, layer);
    int64_t chunk = chunk_at(&data, &geometry, 0);
    int64_t stuffed = geometry.is_transposed ? conv_input_elements(&geometry.shape) : 0;
    int64_t targets = chunk * geometry.outputs + layer->K * layer->D + stuffed;
    if (spilled)
        targets += chunk * (geometry.inputs + TARGET_TENSORS * geometry.outputs);
    int64_t codes = size_codes(&data, &geometry);
    int64_t floats = stuffed + (spilled ? chunk_at(&data, &geometry, 0) * geometry.inputs : 0);
    /* What there is for floats beside codes is never touched. */
    size_t gram = codes > 0 ? codes_bytes(&geometry, layer->D) : floats_bytes(&geometry, layer->D);
    size_t moments = (size_t)codes + (size_t)floats * sizeof(float) + gram;
    size_t target_bytes = (size_t)targets * sizeof(float);
    return moments > target_bytes ? moments : target_bytes;
}
