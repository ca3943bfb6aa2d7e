#pragma once

/* One ONNX node (NodeProto): its operator's name, its attributes, the value of a Constant. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"

struct Onnx__NodeProto;

/* "" and "ai.onnx" are the domain of ONNX's own operators. */
bool onnx_domain_is_default(const char *domain);

/* The operator's type, with "<domain>." before it where it is not one of ONNX's own; borrowed or
 * in the arena. NULL with E_INVALID when the node has none. */
const char *onnx_node_op_type(struct arena *arena, const struct Onnx__NodeProto *node,
                              struct error *err);

/* Numbers, texts and lists of numbers; borrowed or in the arena. E_UNSUPPORTED for attributes that
 * are tensors, graphs or lists of texts: no supported operator but Constant has them. */
bool onnx_node_attributes(struct arena *arena, const struct Onnx__NodeProto *node,
                          struct attribute **out_attributes, int *out_count, struct error *err);

/* The tensor, number or list that a Constant node stands for; values are in the arena. */
bool onnx_node_constant(struct arena *arena, const struct Onnx__NodeProto *node,
                        struct tensor *out_tensor, struct error *err);
