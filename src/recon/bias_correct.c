/* Bias correction by expected output: one walk over both networks, in which every layer is executed
 * once to see its shift and once more without it. */

#include "ptqd/recon/bias_correct.h"

#include "ptqd/quant/bias.h"
#include "ptqd/recon/captured_sums.h"
#include "ptqd/recon/walk.h"

#include <math.h>
#include <string.h>

struct correction {
    struct quant_network *network;
    struct walk *walk;
    struct arena *scratch;
    int64_t samples;
    double *shift; /* [K] of the present layer: mean of the float output − mean of the quantized */
    double before, after; /* sums over the layers */
    const struct recon_monitor *listener;
    double fraction; /* of the nodes that are done */
    struct error *err;
};

/* Hands on that a node is under way, with the share of the whole. */
static bool report(void *context, double fraction, double loss)
{
    const struct correction *c = context;
    (void)fraction; /* of the node: three passes of it are one step here */
    return !c->listener->report || c->listener->report(c->listener->context, c->fraction, loss);
}

/* Sets the shifts of a layer; its mean squared float output, over all channels. */
static bool measure(const struct correction *c, const struct quant_layer *layer, double *out_square)
{
    enum { ROWS = 3 };
    int tensor = c->network->graph->nodes[layer->node].outputs[0];
    const struct captured *output = walk_float(c->walk, tensor);
    double *sums = ARENA_ARRAY(c->scratch, double, ROWS * layer->K, c->err);
    if (!sums)
        return false;
    double *given = sums + layer->K, *squares = given + layer->K, square = 0.0;
    if (!captured_add_channels(walk_quantized(c->walk, tensor), layer->K, c->scratch, given,
                               squares, c->err))
        return false;
    memset(squares, 0, (size_t)layer->K * sizeof(double)); /* those of the float output count */
    if (!captured_add_channels(output, layer->K, c->scratch, sums, squares, c->err))
        return false;
    double positions = (double)(output->elements * c->samples / layer->K);
    for (int64_t k = 0; k < layer->K; k++) {
        c->shift[k] = (sums[k] - given[k]) / positions;
        square += squares[k];
    }
    *out_square = square / positions;
    return true;
}

static bool correct_layer(struct correction *c, struct quant_layer *layer,
                          const struct recon_monitor *monitor)
{
    struct arena_mark mark = arena_mark(c->scratch);
    double unit, before = 0.0, after = 0.0;
    if (!walk_node_try(c->walk, layer->node, monitor, c->err) || !measure(c, layer, &unit))
        return false;
    arena_reset(c->scratch, mark);
    for (int64_t k = 0; k < layer->K; k++) {
        float old = layer->bias_values[k];
        float corrected =
            quant_bias_nearest(c->network, layer, k, (float)((double)old + c->shift[k]));
        double left = c->shift[k] - ((double)corrected - (double)old);
        before += c->shift[k] * c->shift[k];
        after += left * left;
        layer->bias_values[k] = corrected;
    }
    if (unit > 0.0) {
        c->before += before / unit;
        c->after += after / unit;
    }
    return true;
}

static bool correct_network(struct correction *c)
{
    struct quant_network *network = c->network;
    const struct graph *graph = network->graph;
    const struct recon_monitor monitor = {.report = report, .context = c};
    int next = 0; /* layers are in execution order */
    for (int node = 0; node < graph->node_count; node++) {
        c->fraction = (double)node / graph->node_count;
        if (!walk_node_float(c->walk, node, &monitor, c->err))
            return false;
        if (next < network->layer_count && network->layers[next].node == node) {
            if (!correct_layer(c, &network->layers[next], &monitor))
                return error_context(c->err, "layer '%s'", network->layers[next].name);
            next++;
        }
        if (!walk_node_quantized(c->walk, node, &monitor, c->err))
            return false;
    }
    return true;
}

bool bias_correct(struct quant_network *network, const struct walk_options *data,
                  const struct recon_monitor *monitor, struct arena *scratch, double *out_before,
                  double *out_after, struct error *err)
{
    struct correction c = {
        .network = network,
        .scratch = scratch,
        .samples = data->count,
        .listener = monitor,
        .err = err,
    };
    int64_t channels = 0;
    for (int i = 0; i < network->layer_count; i++)
        channels = network->layers[i].K > channels ? network->layers[i].K : channels;
    c.shift = ARENA_ARRAY(scratch, double, channels, err);
    if (!c.shift || !walk_create(network, data, &c.walk, err))
        return false;
    bool done = correct_network(&c);
    walk_destroy(c.walk);
    double layers = network->layer_count ? network->layer_count : 1;
    if (done && out_before)
        *out_before = c.before / layers;
    if (done && out_after)
        *out_after = c.after / layers;
    return done;
}
