#pragma once

/* From the messages of an ONNX model to a graph. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"

struct Onnx__GraphProto;

/* Adds all tensors and nodes to `graph`, whose opset is set already. Nothing of `graph` points
 * into `proto` afterwards; `scratch` is for the names while it lasts.
 *
 * Constant nodes and initializers become constant tensors, operators of other domains nodes of
 * type "<domain>.<type>". What only an operator that isn't supported needs is left out. */
bool onnx_graph_import(const struct Onnx__GraphProto *proto, struct arena *scratch,
                       struct graph *graph, struct error *err);
