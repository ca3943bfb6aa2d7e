/* The moments of a layer's linear problem, in chunks of samples: products in float32 within a
 * chunk, sums of chunks in float64. Σ t x̂ᵀ is what a gradient with respect to the weights is, so it
 * is made by the kernels that make those. */

#include "ptqd/recon/layer_moments.h"

#include "ptqd/kern/gemm.h"
#include "ptqd/nn/conv_node.h"

#include <math.h>
#include <string.h>

/* Samples at once. The sums of a chunk cost D² additions, so dense layers, with one position per
 * sample, take larger ones. */
enum { CHUNK_CONV = 32, CHUNK_DENSE = 1024 };

struct adder {
    const struct layer_data *data;
    const struct quant_layer *layer;
    const struct node *node;
    struct linear_moments *moments;
    bool is_conv;
    int64_t chunk;                           /* samples */
    struct conv_plan *plan;                  /* of a Conv, for its gradients */
    int64_t input_elements, output_elements; /* one sample */
    float *target;                           /* [chunk][output_elements] */
    float *products;                         /* [K][D] of one chunk */
    void *gram_scratch;
    struct error *err;
};

static bool adder_init(struct adder *adder, struct arena *scratch)
{
    const struct graph *graph = adder->data->graph;
    const struct quant_layer *layer = adder->layer;
    struct conv_shape shape = {0};
    size_t gram_bytes = gram_dense_scratch_bytes(layer->D);
    if (adder->is_conv) {
        shape = conv_node_shape(graph, adder->node, adder->chunk);
        gram_bytes = gram_conv_scratch_bytes(&shape);
    }
    adder->input_elements = tensor_elements(&graph->tensors[adder->node->inputs[0]], 1);
    adder->output_elements = tensor_elements(&graph->tensors[adder->node->outputs[0]], 1);
    adder->target = ARENA_ARRAY(scratch, float, adder->chunk * adder->output_elements, adder->err);
    adder->products = ARENA_ARRAY(scratch, float, layer->K * layer->D, adder->err);
    adder->gram_scratch = arena_alloc(scratch, gram_bytes, adder->err);
    if (!adder->target || !adder->products || !adder->gram_scratch)
        return false;
    return !adder->is_conv || conv_plan_create(&shape, true, &adder->plan, adder->err);
}

/* t of a chunk, and its sums per channel. */
static const float *make_target(struct adder *adder, int64_t first, int64_t count)
{
    const struct layer_data *data = adder->data;
    int64_t K = adder->layer->K, elements = count * adder->output_elements;
    int64_t offset = first * adder->output_elements;
    const float *target = data->output + offset;
    if (data->addend) {
        for (int64_t i = 0; i < elements; i++)
            adder->target[i] =
                target[i] + (data->addend[offset + i] - data->addend_quantized[offset + i]);
        target = adder->target;
    }
    struct linear_moments *moments = adder->moments;
    for (int64_t i = 0; i < elements; i += K)
        for (int64_t k = 0; k < K; k++) {
            double value = (double)target[i + k];
            moments->target_sum[k] += value;
            moments->target_squares[k] += value * value;
        }
    return target;
}

static bool add_chunk(struct adder *adder, int64_t first, int64_t count)
{
    const struct quant_layer *layer = adder->layer;
    struct linear_moments *moments = adder->moments;
    const float *x = adder->data->input + first * adder->input_elements;
    const float *target = make_target(adder, first, count);
    int64_t cells = layer->K * layer->D;
    if (adder->is_conv) {
        struct conv_shape shape = conv_node_shape(adder->data->graph, adder->node, count);
        memset(adder->products, 0, (size_t)cells * sizeof(float));
        gram_add_conv(&moments->gram, &shape, x, x, adder->gram_scratch);
        if (!conv_plan_grad_w(adder->plan, count, x, target, adder->products, adder->err))
            return false;
    } else {
        int64_t rows = count * adder->input_elements / layer->D;
        struct gemm_shape shape = {.M = layer->K, .N = layer->D, .K = rows, .transpose_a = true};
        gram_add_dense(&moments->gram, rows, x, x, adder->gram_scratch);
        gemm_f32(&shape, 1.0f, target, x, 0.0f, adder->products);
    }
    for (int64_t i = 0; i < cells; i++)
        moments->target[i] += (double)adder->products[i];
    return true;
}

bool layer_moments_add(const struct layer_data *data, const struct quant_layer *layer,
                       const struct recon_monitor *monitor, struct arena *scratch,
                       struct linear_moments *moments, struct error *err)
{
    const struct node *node = &data->graph->nodes[layer->node];
    struct adder adder = {
        .data = data,
        .layer = layer,
        .node = node,
        .moments = moments,
        .is_conv = strcmp(node->op_type, "Conv") == 0,
        .err = err,
    };
    adder.chunk = !data->graph->batchable ? 1 : adder.is_conv ? CHUNK_CONV : CHUNK_DENSE;
    bool done = adder_init(&adder, scratch);
    for (int64_t first = 0; done && first < data->samples; first += adder.chunk) {
        int64_t left = data->samples - first;
        done = add_chunk(&adder, first, left < adder.chunk ? left : adder.chunk) &&
               recon_monitor_report(monitor, 0.5 * (double)first / (double)data->samples, NAN, err);
    }
    conv_plan_destroy(adder.plan);
    return done;
}
