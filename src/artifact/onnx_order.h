#pragma once

/* From the program's axis order back to ONNX's: a `channels_last` tensor (N, …, C) leaves as
 * (N, C, …). */

#include "ptqd/base/arena.h"
#include "ptqd/nn/graph.h"

/* The axis of (N, C, …) that `axis` of (N, …, C) is. */
int onnx_order_axis(bool channels_last, int axis, int rank);

struct shape onnx_order_shape(const struct tensor *tensor);

/* The elements of a constant in the file's order, of `element_bytes` each; `values` itself when its
 * order is that already. NULL when memory is out. */
const void *onnx_order_values(struct arena *arena, const struct tensor *tensor, const void *values,
                              size_t element_bytes, struct error *err);

/* Weights of a ConvTranspose, [K][…][C/G] with mirrored taps here, as (C/G, K, …): ONNX's order for
 * one group; for several, the groups are to be parted. `out_shape` is set when it succeeds. */
const void *onnx_order_transposed(struct arena *arena, const struct tensor *tensor,
                                  const void *values, size_t element_bytes, struct shape *out_shape,
                                  struct error *err);

/* Permutation of a Transpose between the file's order of its input and that of its output. */
void onnx_order_perm(const struct tensor *in, const struct tensor *out, const struct node *node,
                     int64_t out_perm[static SHAPE_RANK_MAX]);
