/* The plan of the quantizers.
 *
 * Each MAC node wants its data in a format, or in float; what only sums read has a format of its
 * own. Of the wishes for one tensor the widest wins, of equal widths the first in execution order:
 * the tensor is stored once. A node that wants float reads the tensor as it is, whatever others
 * want.
 *
 * Some operators map grid values to values of the same grid (zero is always on it): moving,
 * selecting and ReLU. The network's input is quantized where it enters, so behind such operators no
 * second quantizer is needed. Unless a layer wants it in float: then the input stays as it is, and
 * each reader that wants it quantized quantizes what it reads.
 */

#include "formats.h"

#include "ptqd/nn/op.h"

#include <string.h>

struct quant_layer_format quant_options_layer(const struct quant_options *options, int layer)
{
    if (options->layers)
        return options->layers[layer];
    struct quant_layer_format format = {
        .weights = options->weights,
        .per_channel = options->per_channel,
        .weight_range = options->weight_range,
        .input = options->activations,
        .input_range = options->activation_range,
    };
    format.input.bits = QUANT_BITS_OF_TENSOR;
    return format;
}

static bool activations_are_float(const struct formats *formats)
{
    return quantizer_format_is_float(&formats->options->activations);
}

/* Bits of a tensor whose readers do not say. */
static int usual_bits(const struct formats *formats, int tensor)
{
    const struct quant_options *options = formats->options;
    bool is_input = formats->tensors[tensor].of_input && !activations_are_float(formats);
    return is_input ? options->input_bits : options->activations.bits;
}

static struct tensor_format layer_wish(const struct formats *formats, int layer, int tensor)
{
    struct quant_layer_format format = quant_options_layer(formats->options, layer);
    struct tensor_format wish = {.format = format.input, .range = format.input_range};
    if (wish.format.bits == QUANT_BITS_OF_TENSOR)
        wish.format.bits = usual_bits(formats, tensor);
    return wish;
}

/* Of what no layer reads: sums, and whatever else stands at the network's entry. */
static struct tensor_format other_wish(const struct formats *formats, int tensor)
{
    const struct quant_options *options = formats->options;
    struct tensor_format wish = {.format = options->activations,
                                 .range = options->activation_range};
    wish.format.bits = usual_bits(formats, tensor);
    if (options->sum_bits && !formats->tensors[tensor].of_input)
        wish.format.bits = options->sum_bits;
    return wish;
}

static bool is_data(const struct graph *graph, int tensor)
{
    return tensor != NODE_ABSENT && !graph->tensors[tensor].values &&
           !graph->tensors[tensor].integers;
}

int formats_source(const struct formats *formats, const struct node *node, int layer, int input)
{
    const struct graph *folded = formats->folded;
    int tensor = node->inputs[input];
    if (!is_data(folded, tensor))
        return READS_FLOAT;
    bool wanted = false;
    if (layer >= 0) {
        struct tensor_format wish = layer_wish(formats, layer, tensor);
        wanted = input == 0 && !quantizer_format_is_float(&wish.format);
    } else if (strcmp(node->op_type, "Add") == 0) {
        wanted = !activations_are_float(formats);
    }
    if (formats->input_first &&
        (tensor == folded->input || (wanted && formats->tensors[tensor].of_input)))
        return folded->input; /* at the entry everyone sees the quantized values */
    return wanted ? tensor : READS_FLOAT;
}

/* Notes which tensors hold the network's input, and counts the MAC nodes. */
static void survey(struct formats *formats)
{
    const struct graph *folded = formats->folded;
    int layers = 0;
    formats->tensors[folded->input].of_input = true;
    for (int n = 0; n < folded->node_count; n++) {
        const struct node *node = &folded->nodes[n];
        formats->layer_of[n] = node->op->mac ? layers++ : -1;
        for (int i = 0; node->op->keeps_grid && i < node->output_count; i++)
            if (node->outputs[i] != NODE_ABSENT)
                formats->tensors[node->outputs[i]].of_input =
                    formats->tensors[node->inputs[0]].of_input;
    }
}

/* True when a MAC node reads values of the network's input in float. */
static bool input_is_read_in_float(const struct formats *formats)
{
    const struct graph *folded = formats->folded;
    for (int n = 0; n < folded->node_count; n++) {
        const struct node *node = &folded->nodes[n];
        if (formats->layer_of[n] >= 0 && formats->tensors[node->inputs[0]].of_input &&
            formats_source(formats, node, formats->layer_of[n], 0) == READS_FLOAT)
            return true;
    }
    return false;
}

static void add_wish(struct tensor_format *tensor, const struct tensor_format *wish)
{
    if (wish->format.bits <= tensor->format.bits)
        return;
    tensor->format = wish->format;
    tensor->range = wish->range;
}

static void add_layer_wishes(struct formats *formats)
{
    const struct graph *folded = formats->folded;
    for (int n = 0; n < folded->node_count; n++) {
        int layer = formats->layer_of[n];
        if (layer < 0)
            continue;
        int source = formats_source(formats, &folded->nodes[n], layer, 0);
        struct tensor_format wish = layer_wish(formats, layer, folded->nodes[n].inputs[0]);
        if (source != READS_FLOAT)
            add_wish(&formats->tensors[source], &wish);
    }
}

/* After those of the layers: what these do not read quantized is only added. */
static void add_other_wishes(struct formats *formats)
{
    const struct graph *folded = formats->folded;
    for (int n = 0; n < folded->node_count; n++) {
        const struct node *node = &folded->nodes[n];
        for (int i = 0; formats->layer_of[n] < 0 && i < node->input_count; i++) {
            int source = formats_source(formats, node, -1, i);
            if (source == READS_FLOAT || formats->tensors[source].format.bits > 0)
                continue;
            struct tensor_format wish = other_wish(formats, source);
            add_wish(&formats->tensors[source], &wish);
        }
    }
}

bool formats_plan(struct arena *arena, const struct graph *folded,
                  const struct quant_options *options, struct formats *out_formats,
                  struct error *err)
{
    struct formats formats = {
        .folded = folded,
        .options = options,
        .tensors = ARENA_ARRAY(arena, struct tensor_format, folded->tensor_count, err),
        .layer_of = ARENA_ARRAY(arena, int, folded->node_count, err),
    };
    if (!formats.tensors || !formats.layer_of)
        return false;
    survey(&formats);
    formats.input_first = !activations_are_float(&formats) && !input_is_read_in_float(&formats);
    add_layer_wishes(&formats);
    add_other_wishes(&formats);
    *out_formats = formats;
    return true;
}
