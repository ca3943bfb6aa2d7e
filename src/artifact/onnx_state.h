#pragma once

/* What the parts of the ONNX writer share: the graph that is written, the names its tensors get in
 * the file, and which constants are in it already. */

#include "onnx_file.h"
#include "ptqd/quant/network.h"

enum { ONNX_OPSET = 13, ONNX_IR_VERSION = 7 };

struct onnx_state {
    struct onnx_file file;
    const struct graph *graph;           /* borrowed */
    const struct quant_network *network; /* borrowed; NULL for a float graph */
    const char **names;      /* [tensor_count] in the file; a Transpose that vanishes passes its
                              * input's on; NULL where no node reads or writes the tensor */
    const char **node_names; /* [node_count] in the file; no two are equal */
    const char *separator;   /* between a name and what is made from it: in no name */
    bool *written;           /* [tensor_count] constants that stand in the file */
    int next_layer;          /* of the network, in execution order */
};

/* Chooses names and separator (onnx_labels.c). */
void onnx_label(struct onnx_state *state);

/* "<tensor's name><separator><what>" */
const char *onnx_derived_name(struct onnx_state *state, int tensor, const char *what);

/* True when the node is a Transpose that changes nothing in the file's axis order. */
bool onnx_transpose_vanishes(const struct graph *graph, const struct node *node);

/* The name of an input; a constant is put into the file before its first use (onnx_rules.c). */
const char *onnx_input_name(struct onnx_state *state, int tensor);

/* Writes one node after its rule; E_UNSUPPORTED when there is none (onnx_rules.c). */
void onnx_write_node(struct onnx_state *state, const struct node *node);

/* The nodes of an activation quantizer; the dequantized weights and bias of a layer (onnx_qcdq.c).
 */
void onnx_write_activation(struct onnx_state *state, const struct node *node);
void onnx_write_layer_constants(struct onnx_state *state, const struct quant_layer *layer);
