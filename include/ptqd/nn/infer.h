#pragma once

/* What the operators' `infer` and `relayout` functions share: reading attributes and inputs,
 * setting outputs, moving axes. Messages have no node name: graph_finish puts "node 'x' (Conv): "
 * before.
 *
 * An `infer` sets type and shape of the outputs; `batched` and `channels_last` of the outputs are
 * set by the caller beforehand. Where an operator mixes the samples of a batched input (a softmax
 * over axis 0), it sets graph->batchable to false. An output whose leading extent isn't 1, and one
 * of higher rank than a batched input in a broadcast, is noticed without the operator's help.
 */

#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"
#include "ptqd/nn/op.h"

/* Attributes; `fallback` where the node has none of this name; E_INVALID when it has another type.
 */
bool attribute_int(const struct node *node, const char *name, int64_t fallback, int64_t *out,
                   struct error *err);
bool attribute_real(const struct node *node, const char *name, float fallback, float *out,
                    struct error *err);
bool attribute_string(const struct node *node, const char *name, const char *fallback,
                      const char **out, struct error *err);

/* A list of integers; `values` is NULL when it is not given. Borrowed from the graph. */
struct integer_list {
    const int64_t *values;
    size_t count;
};
bool attribute_ints(const struct node *node, const char *name, struct integer_list *out,
                    struct error *err);

/* The same of floats. */
struct real_list {
    const float *values;
    size_t count;
};
bool attribute_reals(const struct node *node, const char *name, struct real_list *out,
                     struct error *err);

/* The list of an attribute (before some opset) or of a constant integer input (since): the input
 * wins. `input` -1: attribute only. A runtime or float32 input is E_UNSUPPORTED, by name. */
bool infer_ints(const struct graph *graph, const struct node *node, const char *attribute,
                int input, struct integer_list *out, struct error *err);

/* A scalar of an attribute or of a constant float32 input, as infer_ints. */
bool infer_scalar(const struct graph *graph, const struct node *node, const char *attribute,
                  int input, float fallback, float *out, struct error *err);

/* E_INVALID unless there are `min` to `max` inputs, the first `min` of them given. */
bool infer_input_counts(const struct node *node, int min, int max, struct error *err);

/* The same, and E_UNSUPPORTED unless there is one output. */
bool infer_counts(const struct node *node, int min, int max, struct error *err);

/* Tensor of an input that must be float32 and have values. Borrowed until the next
 * graph_add_tensor. */
bool infer_input(const struct graph *graph, const struct node *node, int input,
                 const struct tensor **out, struct error *err);

/* True when the input is given (an index beyond the list, or NODE_ABSENT, is not). */
bool infer_has_input(const struct node *node, int input);

/* Sets an output to float32 of this shape, which is checked. */
bool infer_output(struct graph *graph, const struct node *node, int output,
                  const struct shape *shape, struct error *err);

/* An axis of −rank … rank−1 as 0 … rank−1; E_INVALID otherwise. */
bool infer_axis(int64_t axis, int rank, int *out_axis, struct error *err);

/* The axis that `axis` of a (N, C, …) tensor is in (N, …, C). */
int layout_axis(int axis, int rank);
/* Permutations of Transpose: out.dim[i] = in.dim[perm[i]]. */
void layout_to_channels_last(int rank, int perm[static SHAPE_RANK_MAX]);
void layout_to_file_order(int rank, int perm[static SHAPE_RANK_MAX]);
struct shape shape_permuted(const struct shape *shape, const int *perm);

/* out[i…] = in[i…permuted], C order both. */
void permute_f32(const float *in, const struct shape *in_shape, const int *perm, float *out);

/* For relayout: the constant in `input` with its axes permuted. A constant with other readers is
 * left alone and the node gets a copy "<name>:<suffix>" (the same one for all who ask alike).
 * Moved constants have channels_last set. May move graph->tensors. */
bool relayout_constant(struct graph *graph, struct node *node, int input, const int *perm,
                       const char *suffix, struct error *err);

/* The same with values in another order than a permutation gives: `values` are in the graph's
 * arena. */
bool relayout_replace(struct graph *graph, struct node *node, int input, const struct shape *shape,
                      const float *values, const char *suffix, struct error *err);

/* For relayout: replaces (or adds) an integer attribute. */
bool relayout_attribute_int(struct graph *graph, struct node *node, const char *name, int64_t value,
                            struct error *err);

/* Replaces (or adds) an attribute that is a list of floats; `values` are copied. */
bool relayout_attribute_reals(struct graph *graph, struct node *node, const char *name,
                              const float *values, size_t count, struct error *err);

/* For relayout: replaces the list that infer_ints reads, whether attribute or input. */
bool relayout_ints(struct graph *graph, struct node *node, const char *attribute, int input,
                   const int64_t *values, size_t count, struct error *err);
