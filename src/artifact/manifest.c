/* manifest.json: what the artifacts of a run were made from, and every number format in them.
 *
 *   program, model, calibration, evaluation, seed, variant    where the network came from
 *   artifacts      name, media type, bytes, SHA-256, and how codes lie in the file
 *   activations    tensor, format (bits, scheme, low, high), scale, zero point
 *   layers         node, the activation it reads (null: float), format of the weights, their scales
 *                  and, when asymmetric, zero points
 *
 * Weights that stay in float have "bits": 32 alone. Scales have nine significant digits, which is
 * enough to read the same float32 again.
 */

#include "artifact_format.h"
#include "ptqd/base/text.h"

#include <inttypes.h>

enum { MANIFEST_BYTES_MAX = 64 << 20 };

static void put_member(struct text *text, const char *name, const char *value)
{
    text_printf(text, "  \"%s\": ", name);
    if (value)
        text_put_json_string(text, value);
    else
        text_puts(text, "null");
    text_puts(text, ",\n");
}

static void put_origin(struct text *text, const struct artifact_origin *origin)
{
    put_member(text, "program_version", origin->program_version);
    put_member(text, "model", origin->model);
    put_member(text, "calibration", origin->calibration);
    put_member(text, "evaluation", origin->evaluation);
    text_printf(text, "  \"seed\": %" PRIu64 ",\n", origin->seed);
    text_printf(text, "  \"variant\": %s,\n", origin->variant ? origin->variant : "null");
}

static void put_artifacts(struct text *text, const struct artifact *artifacts,
                          const char *const *packings, int count)
{
    text_puts(text, "  \"artifacts\": [");
    for (int i = 0; i < count; i++) {
        text_puts(text, i > 0 ? ",\n    {\"name\": " : "\n    {\"name\": ");
        text_put_json_string(text, artifacts[i].name);
        text_puts(text, ", \"media_type\": ");
        text_put_json_string(text, artifacts[i].media_type);
        text_printf(text, ", \"bytes\": %zu, \"sha256\": \"%s\", \"packing\": ", artifacts[i].size,
                    artifacts[i].sha256);
        text_put_json_string(text, packings[i]);
        text_puts(text, "}");
    }
    text_puts(text, "],\n");
}

/* The members that all quantizers have, after a comma. */
static void put_format(struct text *text, const struct quantizer *quantizer)
{
    text_printf(text,
                ", \"bits\": %d, \"scheme\": \"%s\", \"low\": %" PRId32 ", \"high\": %" PRId32,
                quantizer->format.bits, quantizer->format.symmetric ? "symmetric" : "asymmetric",
                quantizer->low, quantizer->high);
}

static void put_activations(struct text *text, const struct quant_network *network)
{
    text_puts(text, "  \"activations\": [");
    for (int i = 0; i < network->activation_count; i++) {
        const struct quant_activation *activation = &network->activations[i];
        text_puts(text, i > 0 ? ",\n    {\"name\": " : "\n    {\"name\": ");
        text_put_json_string(text, activation->name);
        put_format(text, &activation->quantizer);
        text_printf(text, ", \"scale\": %.9g, \"zero_point\": %" PRId32 "}",
                    (double)activation->quantizer.scales[0], activation->quantizer.zero_points[0]);
    }
    text_puts(text, "],\n");
}

/* The format of a layer's weights, after a comma. */
static void put_weights(struct text *text, const struct quantizer *weights)
{
    if (quantizer_format_is_float(&weights->format)) {
        text_printf(text, ", \"bits\": %d", weights->format.bits);
        return;
    }
    put_format(text, weights);
    text_printf(text, ", \"granularity\": \"%s\", \"scale_count\": %" PRId64 ", \"scales\": [",
                weights->channels > 1 ? "channel" : "tensor", weights->channels);
    for (int64_t k = 0; k < weights->channels; k++)
        text_printf(text, k > 0 ? ", %.9g" : "%.9g", (double)weights->scales[k]);
    if (weights->format.symmetric) {
        text_puts(text, "]");
        return;
    }
    text_puts(text, "], \"zero_points\": [");
    for (int64_t k = 0; k < weights->channels; k++)
        text_printf(text, k > 0 ? ", %" PRId32 : "%" PRId32, weights->zero_points[k]);
    text_puts(text, "]");
}

static void put_layers(struct text *text, const struct quant_network *network)
{
    text_puts(text, "  \"layers\": [");
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        text_puts(text, i > 0 ? ",\n    {\"name\": " : "\n    {\"name\": ");
        text_put_json_string(text, layer->name);
        text_puts(text, ", \"input\": ");
        if (layer->activation >= 0)
            text_put_json_string(text, network->activations[layer->activation].name);
        else
            text_puts(text, "null");
        put_weights(text, &layer->quantizer);
        text_puts(text, "}");
    }
    text_puts(text, "]\n");
}

bool manifest_write(struct arena *arena, const struct quant_network *network,
                    const struct artifact_origin *origin, const struct artifact *artifacts,
                    const char *const *packings, int count, struct artifact *out_manifest,
                    struct error *err)
{
    struct text text;
    text_init(&text, MANIFEST_BYTES_MAX);
    text_puts(&text, "{\n");
    put_origin(&text, origin);
    put_artifacts(&text, artifacts, packings, count);
    put_activations(&text, network);
    put_layers(&text, network);
    text_puts(&text, "}\n");
    size_t size = text.length;
    char *copy = text_dup(&text, arena, err);
    text_finish(&text);
    if (!copy)
        return false;
    *out_manifest = (struct artifact){
        .name = "manifest.json",
        .media_type = "application/json",
        .bytes = (const uint8_t *)copy,
        .size = size,
    };
    return true;
}
