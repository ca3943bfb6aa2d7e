#include "ptqd/nn/fold_layer.h"

#include "ptqd/nn/infer.h"

#include <math.h>

enum { WEIGHTS = 1 };

static const struct tensor *file_weights(const struct layer *layer)
{
    return &layer->graph->tensors[layer->node->inputs[WEIGHTS]];
}

static bool transpose_weights(struct layer *layer, struct error *err)
{
    const struct tensor *weights = file_weights(layer);
    const int perm[] = {1, 0};
    float *moved = ARENA_ARRAY(layer->arena, float, shape_elements(&weights->shape), err);
    if (moved == NULL)
        return false;
    permute_f32(weights->values, &weights->shape, perm, moved);
    layer->weights = moved;
    layer->weight_shape = shape_permuted(&weights->shape, perm);
    return true;
}

bool layer_begin(const struct graph *graph, const struct node *node, bool transpose,
                 struct arena *arena, struct layer *out_layer, struct error *err)
{
    struct layer layer = {.graph = graph,
                          .arena = arena,
                          .node = node,
                          .output = node->outputs[0],
                          .bias_tensor = -1};
    layer.weight_shape = file_weights(&layer)->shape;
    layer.weights = file_weights(&layer)->values;
    if (transpose && !transpose_weights(&layer, err))
        return false;
    layer.K = layer.weight_shape.dim[0];
    layer.D = shape_elements(&layer.weight_shape) / layer.K;
    layer.bias = ARENA_ARRAY(arena, float, layer.K, err);
    if (layer.bias == NULL)
        return false;
    *out_layer = layer;
    return true;
}

/* One element, or K of them along the last axis. In channels-last, that is the axis of the
 * channels; a bias is a vector, whose only axis it is. */
bool layer_fits(const struct layer *layer, int tensor)
{
    const struct tensor *constant = &layer->graph->tensors[tensor];
    if (constant->values == NULL)
        return false;
    int rank = constant->shape.rank;
    int64_t count = shape_elements(&constant->shape);
    int64_t last = rank > 0 ? constant->shape.dim[rank - 1] : 1;
    return count == last && (count == 1 || count == layer->K);
}

/* Element k of a constant that fits. */
static double constant_at(const struct layer *layer, int tensor, int64_t k)
{
    const struct tensor *constant = &layer->graph->tensors[tensor];
    return (double)constant->values[shape_elements(&constant->shape) == 1 ? 0 : k];
}

void layer_add(struct layer *layer, int tensor, double factor)
{
    for (int64_t k = 0; k < layer->K; k++)
        layer->bias[k] = (float)((double)layer->bias[k] + factor * constant_at(layer, tensor, k));
    if (layer->bias_tensor < 0)
        layer->bias_tensor = tensor;
}

bool layer_scale(struct layer *layer, const double *factors, const double *offsets,
                 struct error *err)
{
    float *weights = arena_memdup(layer->arena, layer->weights,
                                  (size_t)(layer->K * layer->D) * sizeof(*weights), err);
    if (weights == NULL)
        return false;
    for (int64_t k = 0; k < layer->K; k++) {
        for (int64_t i = k * layer->D; i < (k + 1) * layer->D; i++)
            weights[i] = (float)((double)weights[i] * factors[k]);
        layer->bias[k] =
            (float)((double)layer->bias[k] * factors[k] + (offsets != NULL ? offsets[k] : 0));
    }
    layer->weights = weights;
    return true;
}

bool layer_scale_weights(struct layer *layer, double factor, struct error *err)
{
    int64_t count = layer->K * layer->D;
    float *weights = ARENA_ARRAY(layer->arena, float, count, err);
    if (weights == NULL)
        return false;
    for (int64_t i = 0; i < count; i++)
        weights[i] = (float)((double)layer->weights[i] * factor);
    layer->weights = weights;
    return true;
}

bool layer_multiply(struct layer *layer, int tensor, bool inverse, struct error *err)
{
    double *factors = ARENA_ARRAY(layer->arena, double, layer->K, err);
    if (factors == NULL)
        return false;
    for (int64_t k = 0; k < layer->K; k++)
        factors[k] = inverse ? 1.0 / constant_at(layer, tensor, k) : constant_at(layer, tensor, k);
    return layer_scale(layer, factors, NULL, err);
}

/* Ioffe and Szegedy, arXiv 1502.03167, with the moments of training, folded as in Jacob et al.,
 * arXiv 1712.05877, equation 14:
 *
 *   f[k] = scale[k] / sqrt(variance[k] + epsilon)
 *   w'[k][…] = f[k] w[k][…]        b'[k] = f[k] b[k] + bias[k] − f[k] mean[k]
 *
 * The operator's `infer` has shown that variance + epsilon > 0. */
bool layer_normalize(struct layer *layer, const struct node *node, struct error *err)
{
    enum input { SCALE = 1, BIAS, MEAN, VARIANCE };
    float epsilon;
    double *factors = ARENA_ARRAY(layer->arena, double, layer->K, err);
    double *offsets = ARENA_ARRAY(layer->arena, double, layer->K, err);
    if (factors == NULL || offsets == NULL ||
        !attribute_real(node, "epsilon", 1e-5F, &epsilon, err))
        return false;
    for (int64_t k = 0; k < layer->K; k++) {
        double variance = constant_at(layer, node->inputs[VARIANCE], k) + (double)epsilon;
        factors[k] = constant_at(layer, node->inputs[SCALE], k) / sqrt(variance);
        offsets[k] = constant_at(layer, node->inputs[BIAS], k) -
                     factors[k] * constant_at(layer, node->inputs[MEAN], k);
    }
    return layer_scale(layer, factors, offsets, err);
}

/* The file's name, with the node's added where several nodes read a constant that is not the same
 * for all of them any more. */
static const char *constant_name(const struct layer *layer, int tensor, struct error *err)
{
    const char *name = layer->graph->tensors[tensor].name;
    if (graph_reader_count(layer->graph, tensor) == 1)
        return name;
    return arena_printf(layer->arena, err, "%s:%s", name, layer->node->name);
}

bool layer_weights(const struct layer *layer, struct tensor *out, struct error *err)
{
    struct tensor weights = *file_weights(layer);
    if (layer->weights != weights.values)
        weights.name = constant_name(layer, layer->node->inputs[WEIGHTS], err);
    weights.shape = layer->weight_shape;
    weights.values = layer->weights;
    *out = weights;
    return weights.name != NULL;
}

bool layer_bias(const struct layer *layer, struct tensor *out, struct error *err)
{
    struct tensor bias = {.type = TENSOR_F32,
                          .shape = {.rank = 1, .dim = {layer->K}},
                          .values = layer->bias,
                          .producer = -1};
    if (layer->bias_tensor >= 0)
        bias.name = constant_name(layer, layer->bias_tensor, err);
    else
        bias.name = arena_printf(layer->arena, err, "%s.bias", layer->node->name);
    *out = bias;
    return bias.name != NULL;
}
