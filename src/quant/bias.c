/* Biases as int32 codes. */

#include "ptqd/quant/bias.h"

#include <inttypes.h>
#include <math.h>

/* The largest float32 below 2^31: a code above it would decode to what has no code. */
static const double code_limit = 2147483520.0;

/* Half of that: what it decodes to still has a code when the scale is rounded. */
static const float nearest_limit = 1073741824.0f;

bool quant_bias_has_codes(const struct quant_layer *layer)
{
    return layer->activation >= 0 && !quant_layer_is_float(layer);
}

float quant_bias_scale(const struct quant_network *network, const struct quant_layer *layer,
                       int64_t k)
{
    const struct quantizer *weights = &layer->quantizer;
    return network->activations[layer->activation].quantizer.scales[0] *
           weights->scales[quantizer_channel(weights, k)];
}

float quant_bias_nearest(const struct quant_network *network, const struct quant_layer *layer,
                         int64_t k, float bias)
{
    if (!quant_bias_has_codes(layer))
        return bias;
    float scale = quant_bias_scale(network, layer, k);
    if (!(scale > 0.0f)) /* the product of two small ones */
        return 0.0f;
    return fminf(fmaxf(rintf(bias / scale), -nearest_limit), nearest_limit) * scale;
}

/* Two subnormal factors may have the product 0: then only a bias of 0 has a code. */
bool quant_bias_encode(const struct quant_network *network, const struct quant_layer *layer,
                       int32_t *out_codes, struct error *err)
{
    for (int64_t k = 0; k < layer->K; k++) {
        double scale = (double)quant_bias_scale(network, layer, k);
        double bias = (double)layer->bias_values[k];
        double code = bias == 0.0 ? 0.0 : rint(bias / scale);
        if (!(fabs(code) <= code_limit))
            return FAIL(err, E_INVALID,
                        "layer '%s': the bias of channel %" PRId64 " is %g, that is %g steps of "
                        "its scale %g (input scale · weight scale); at most %.0f fit an int32",
                        layer->name, k, bias, code, scale, code_limit);
        out_codes[k] = (int32_t)code;
    }
    return true;
}

/* The codes of every layer in turn; with `decode` they replace the biases. */
static bool encode_layers(struct quant_network *network, bool decode, int32_t *codes,
                          struct error *err)
{
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        if (!quant_bias_has_codes(layer))
            continue;
        if (!quant_bias_encode(network, layer, codes, err))
            return false;
        for (int64_t k = 0; decode && k < layer->K; k++)
            layer->bias_values[k] = (float)codes[k] * quant_bias_scale(network, layer, k);
    }
    return true;
}

bool quant_network_round_biases(struct quant_network *network, struct error *err)
{
    int64_t longest = 0;
    for (int i = 0; i < network->layer_count; i++)
        if (network->layers[i].K > longest)
            longest = network->layers[i].K;
    struct arena_mark mark = arena_mark(network->arena);
    int32_t *codes = ARENA_ARRAY(network->arena, int32_t, longest, err);
    bool ok = codes != NULL && encode_layers(network, false, codes, err) &&
              encode_layers(network, true, codes, err);
    arena_reset(network->arena, mark);
    return ok;
}
