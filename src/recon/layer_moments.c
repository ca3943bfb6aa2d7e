/* The moments of a layer's linear problem, in chunks of samples. Σ x̂ x̂ᵀ is made of the codes of x̂,
 * in integers, where x̂ comes from a quantizer; otherwise, and for depthwise layers, products are in
 * float32 within a chunk, sums of chunks in float64. Σ t x̂ᵀ is what a gradient with respect to the
 * weights is, so it is made by the kernels that make those, in float32. A ConvTranspose is the
 * convolution of its input with zeros stuffed in between, and its moments are those of that. */

#include "ptqd/recon/layer_moments.h"

#include "ptqd/kern/gemm.h"
#include "ptqd/kern/gram_codes.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/network.h"

#include <math.h>
#include <string.h>

/* Samples at once. The sums of a chunk cost D² additions, so dense layers, with one position per
 * sample, take larger ones, and so do codes, whose products cost less and which are smaller. */
enum { CHUNK_CONV = 32, CHUNK_DENSE = 1024, CODES_CHUNKS = 4 };

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

static struct geometry geometry_of(const struct layer_data *data, const struct quant_layer *layer)
{
    const struct graph *graph = data->graph;
    struct geometry geometry = {.node = &graph->nodes[layer->node]};
    geometry.is_transposed = strcmp(geometry.node->op_type, "ConvTranspose") == 0;
    geometry.is_conv = geometry.is_transposed || strcmp(geometry.node->op_type, "Conv") == 0;
    geometry.chunk = !graph->batchable ? 1 : geometry.is_conv ? CHUNK_CONV : CHUNK_DENSE;
    geometry.inputs = tensor_elements(&graph->tensors[geometry.node->inputs[0]], 1);
    geometry.outputs = tensor_elements(&graph->tensors[geometry.node->outputs[0]], 1);
    if (geometry.is_conv)
        geometry.shape = conv_of(data, &geometry, geometry.chunk);
    return geometry;
}

/* Memory for stuffed chunks; of one element where nothing is stuffed. */
static float *stuffed_create(const struct geometry *geometry, struct arena *scratch,
                             struct error *err)
{
    int64_t count = geometry->is_transposed ? conv_input_elements(&geometry->shape) : 1;
    return ARENA_ARRAY(scratch, float, count, err);
}

/* The input of `count` samples as the layer's columns are cut from it. */
static const float *input_of(const struct layer_data *data, const struct geometry *geometry,
                             int64_t first, int64_t count, float *stuffed)
{
    const float *x = data->input + first * geometry->inputs;
    if (!geometry->is_transposed)
        return x;
    struct deconv_shape shape = conv_transpose_node_shape(data->graph, geometry->node, count);
    deconv_stuff_f32(&shape, x, stuffed);
    return stuffed;
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

/* Makes room for codes, and the chunk larger, where they are of use. */
static bool coded_input_init(const struct layer_data *data, struct arena *scratch,
                             struct geometry *geometry, struct coded_input *out, struct error *err)
{
    *out = (struct coded_input){.codes = NULL};
    if (!find_grid(data->graph, geometry->node, &out->grid) ||
        (geometry->is_conv && !gram_codes_pay(&geometry->shape)))
        return true;
    if (data->graph->batchable && !geometry->is_transposed) /* stuffed chunks stay small */
        geometry->chunk *= CODES_CHUNKS;
    int64_t elements = geometry->is_transposed ? conv_input_elements(&geometry->shape)
                                               : chunk_at(data, geometry, 0) * geometry->inputs;
    out->codes = ARENA_ARRAY(scratch, uint8_t, elements, err);
    return out->codes != NULL;
}

/* Scratch for a chunk of codes or, should they not be on the grid, of floats. */
static size_t gram_bytes(const struct geometry *geometry, int64_t D, bool coded)
{
    size_t floats =
        geometry->is_conv ? gram_conv_scratch_bytes(&geometry->shape) : gram_dense_scratch_bytes(D);
    size_t codes = !coded              ? 0
                   : geometry->is_conv ? gram_codes_conv_scratch_bytes(&geometry->shape)
                                       : gram_codes_dense_scratch_bytes(D);
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
    float *stuffed = stuffed_create(&geometry, scratch, err);
    if (!memory || !stuffed)
        return false;
    for (int64_t first = 0; first < data->samples; first += geometry.chunk) {
        int64_t count = chunk_at(data, &geometry, first);
        const float *x = input_of(data, &geometry, first, count, stuffed);
        add_chunk(data, &geometry, &coded, count, x, memory, gram);
        if (!recon_monitor_report(monitor, 0.3 * (double)first / (double)data->samples, NAN, err))
            return false;
    }
    return true;
}

/* t of the elements from `first`, `count` of them. */
static void make_targets(const struct layer_data *data, int64_t first, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t at = first + i;
        float plain = data->addend ? data->addend[at] : 0.0f;
        float present = data->addend ? data->addend_quantized[at] : 0.0f;
        float sum = data->output[at] + plain;
        if (data->rectified && sum <= 0.0f)
            sum = fminf(data->rectified[at] + present, 0.0f);
        out[i] = sum - present;
    }
}

static void add_sums(const float *target, int64_t positions, int64_t K,
                     struct linear_targets *targets)
{
    for (int64_t i = 0; i < positions; i++)
        for (int64_t k = 0; k < K; k++) {
            double value = (double)target[i * K + k];
            targets->sum[k] += value;
            targets->squares[k] += value * value;
        }
}

bool layer_moments_add_targets(const struct layer_data *data, const struct quant_layer *layer,
                               const struct recon_monitor *monitor, struct arena *scratch,
                               struct linear_targets *targets, struct error *err)
{
    struct geometry geometry = geometry_of(data, layer);
    int64_t cells = layer->K * layer->D;
    float *target = ARENA_ARRAY(scratch, float, geometry.chunk *geometry.outputs, err);
    float *products = ARENA_ARRAY(scratch, float, cells, err);
    float *stuffed = stuffed_create(&geometry, scratch, err);
    struct conv_plan *plan = NULL;
    if (!target || !products || !stuffed ||
        (geometry.is_conv && !conv_plan_create(&geometry.shape, true, &plan, err)))
        return false;
    bool done = true;
    for (int64_t first = 0; done && first < data->samples; first += geometry.chunk) {
        int64_t count = chunk_at(data, &geometry, first), elements = count * geometry.outputs;
        const float *x = input_of(data, &geometry, first, count, stuffed);
        make_targets(data, first * geometry.outputs, elements, target);
        add_sums(target, elements / layer->K, layer->K, targets);
        if (geometry.is_conv) {
            memset(products, 0, (size_t)cells * sizeof(float));
            done = conv_plan_grad_w(plan, count, x, target, products, err);
        } else {
            struct gemm_shape shape = {
                .M = layer->K, .N = layer->D, .K = elements / layer->K, .transpose_a = true};
            gemm_f32(&shape, 1.0f, target, x, 0.0f, products);
        }
        for (int64_t i = 0; done && i < cells; i++)
            targets->products[i] += (double)products[i];
        done =
            done && recon_monitor_report(monitor, 0.3 + 0.2 * (double)first / (double)data->samples,
                                         NAN, err);
    }
    conv_plan_destroy(plan);
    return done;
}
