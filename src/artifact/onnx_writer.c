/* From a graph to the bytes of an ONNX file: nodes in execution order, constants as they are first
 * used. */

#include "ptqd/artifact/onnx_writer.h"

#include "artifact_format.h"
#include "onnx_order.h"
#include "onnx_state.h"

/* The layer that node `n` is; NULL when it is none. Nodes come in order. */
static const struct quant_layer *take_layer(struct onnx_state *state, int n)
{
    const struct quant_network *network = state->network;
    if (!network || state->next_layer == network->layer_count ||
        network->layers[state->next_layer].node != n)
        return NULL;
    return &network->layers[state->next_layer++];
}

static void write_ends(struct onnx_state *state)
{
    const struct graph *graph = state->graph;
    const struct tensor *input = &graph->tensors[graph->input];
    const struct tensor *output = &graph->tensors[graph->output];
    struct shape input_shape = onnx_order_shape(input);
    struct shape output_shape = onnx_order_shape(output);
    onnx_file_set_input(&state->file, input->name, &input_shape, graph->batchable);
    onnx_file_set_output(&state->file, output->name, &output_shape, graph->batchable);
}

static bool write_model(struct arena *arena, const struct graph *graph,
                        const struct quant_network *network, const char *program_version,
                        const uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    struct onnx_state state = {
        .graph = graph,
        .network = network,
        .names = ARENA_ARRAY(arena, const char *, graph->tensor_count, err),
        .node_names = ARENA_ARRAY(arena, const char *, graph->node_count, err),
        .written = ARENA_ARRAY(arena, bool, graph->tensor_count, err),
    };
    if (!state.names || !state.node_names || !state.written)
        return false;
    onnx_file_init(&state.file, arena, err);
    onnx_label(&state);
    for (int n = 0; n < graph->node_count && !state.file.failed; n++) {
        const struct quant_layer *layer = take_layer(&state, n);
        if (layer)
            onnx_write_layer_constants(&state, layer);
        onnx_write_node(&state, &graph->nodes[n]);
    }
    write_ends(&state);
    if (!onnx_file_pack(&state.file, ONNX_IR_VERSION, ONNX_OPSET, program_version, out_bytes,
                        out_size))
        return error_context(err, "ONNX file");
    return true;
}

bool onnx_write_graph(struct arena *arena, const struct graph *graph, const char *program_version,
                      const uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    return write_model(arena, graph, NULL, program_version, out_bytes, out_size, err);
}

bool onnx_write_network(struct arena *arena, const struct quant_network *network,
                        const char *program_version, const uint8_t **out_bytes, size_t *out_size,
                        struct error *err)
{
    if (!artifact_check_calibrated(network, err))
        return error_context(err, "ONNX file");
    return write_model(arena, network->graph, network, program_version, out_bytes, out_size, err);
}

static bool write_artifact(struct arena *arena, const struct quant_network *network,
                           const struct artifact_origin *origin, struct artifact *out_artifact,
                           struct error *err)
{
    struct artifact artifact = {.name = "model.onnx", .media_type = "application/octet-stream"};
    if (!onnx_write_network(arena, network, origin->program_version, &artifact.bytes,
                            &artifact.size, err))
        return false;
    *out_artifact = artifact;
    return true;
}

const struct artifact_format artifact_format_onnx = {
    .name = "onnx",
    .help = "ONNX, opset 13: QuantizeLinear, Clip, DequantizeLinear with codes in int8 containers.",
    .packing = "One code per byte, as int8 (weights, symmetric activations) or uint8 (asymmetric "
               "activations), whatever the width; biases int32; little-endian.",
    .write = write_artifact,
};
