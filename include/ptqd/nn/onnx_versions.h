#pragma once

/* Operators whose meaning has changed between operator sets. */

#include "ptqd/base/error.h"

#include <stdint.h>

struct Onnx__NodeProto;

enum { ONNX_OPSET_MIN = 1, ONNX_OPSET_MAX = 21, ONNX_IR_MIN = 3, ONNX_IR_MAX = 13 };

/* E_UNSUPPORTED when the node, in this operator set, says something that the operators of nn/ops
 * would read otherwise: they are written against sets 7 to 17. */
bool onnx_versions_check(const struct Onnx__NodeProto *node, int64_t opset, struct error *err);
