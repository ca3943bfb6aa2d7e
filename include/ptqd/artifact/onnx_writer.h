#pragma once

/* Networks as ONNX files: opset 13, IR 7, in ONNX's axis order, with the tensor and node names of
 * the model file.
 *
 * A float graph is written as it is. A quantized network is written as QCDQ (the convention of
 * Brevitas), which runtimes without sub-byte types execute as well:
 *
 *   activations  QuantizeLinear → Clip to the codes of the width → DequantizeLinear, uint8 codes
 *                when asymmetric, int8 when symmetric; no Clip where 8 bits fill the container
 *   weights      int8 codes, one per byte, → DequantizeLinear per output channel (axis 0) or
 *                tensor, with int8 zero points when asymmetric
 *   biases       int32 codes → DequantizeLinear, scale s_x · s_w[k], no zero point
 *
 * Codes are in the width of their quantizer, whatever the container. Weights, biases and
 * activations that stay in float are written as in a float graph.
 */

#include "ptqd/base/arena.h"
#include "ptqd/nn/graph.h"
#include "ptqd/quant/network.h"

/* A finished graph, in float32. */
bool onnx_write_graph(struct arena *arena, const struct graph *graph, const char *program_version,
                      const uint8_t **out_bytes, size_t *out_size, struct error *err);

/* E_INVALID names the quantizer that was not calibrated, or the layer with a bias beyond int32. */
bool onnx_write_network(struct arena *arena, const struct quant_network *network,
                        const char *program_version, const uint8_t **out_bytes, size_t *out_size,
                        struct error *err);

/* True for operators that can be written. */
bool onnx_can_write(const char *op_type);
