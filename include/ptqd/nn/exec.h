#pragma once

/* Execution of a finished graph, single-threaded and deterministic.
 *
 * With `gradients` every activation is kept until the next forward pass and exec_backward works;
 * without, activations share memory by lifetime.
 */

#include "ptqd/nn/graph.h"

struct exec;

struct exec_options {
    int64_t batch;  /* most samples at once; 1 when the graph is not batchable */
    bool gradients; /* exec_backward will be called */
    /* Layers may round more coarsely where that is faster, as they do with `gradients`: errors are
     * four times as large. Not for a simulation, whose values are codes. */
    bool coarse;
    /* A layer may compute the Relu behind it as well: exec_node is not called, and exec_values has
     * nothing of the tensor between the two, but for those in `kept` ([tensor_count], or NULL:
     * none; read by exec_create only). A NaN may become 0 there. A seed of that Relu's output then
     * has to be one of differences, and the only one. */
    bool joins;
    const bool *kept;
    /* Nothing will be executed: exec_want_gradient, exec_reserve and exec_bytes work. */
    bool counts_only;
};

/* `graph` is borrowed. E_MEMORY names the bytes wanted; with `gradients` an operator without a
 * gradient on the way from a wanted tensor to the output is E_UNSUPPORTED, by name. */
bool exec_create(const struct graph *graph, const struct exec_options *options,
                 struct exec **out_exec, struct error *err);
void exec_destroy(struct exec *exec);

/* Executes up to `batch` samples; `input` has samples · elements of one input. */
bool exec_forward(struct exec *exec, const float *input, int64_t samples, struct error *err);

/* With `gradients` (else NULL): where the input stays until the backward pass, for `batch` samples.
 * A caller that puts its input there itself and passes this to exec_forward saves the copy. */
float *exec_input(const struct exec *exec);

/* Values of a tensor after the last forward pass: the output always, any tensor with `gradients`,
 * else NULL. Constants give their data. Valid until the next forward pass. */
const float *exec_values(const struct exec *exec, int tensor);

/* Another value for a constant (quantized weights, tuned biases); borrowed until replaced. */
void exec_set_constant(struct exec *exec, int tensor, const float *values);

/* Asks for the gradient of a tensor (a constant, or an activation), before the first backward. */
bool exec_want_gradient(struct exec *exec, int tensor, struct error *err);

/* Makes the nodes that read the graph's input go backward for what they learn themselves, as a
 * quantizer its scale, though nobody wants the input's gradient: it is not computed. Before the
 * first backward. */
bool exec_reach_input(struct exec *exec, struct error *err);

/* Takes the memory of the wanted gradients now instead of with the first backward pass. */
bool exec_reserve(struct exec *exec, struct error *err);

/* Memory of an executor, but for what the library of kernels takes. */
size_t exec_bytes(const struct exec *exec);

/* Gradients of a scalar loss, given its gradient with respect to `tensor` (often the output), for
 * the samples of the last forward pass. Wanted gradients are set, not added to, by each call. */
bool exec_backward(struct exec *exec, int tensor, const float *gradient, struct error *err);

/* The same for a loss that sees several tensors: the gradient with respect to each. With `adds`
 * these are more samples of the same step: adds to the wanted gradients of constants and to what
 * nodes learn themselves. */
struct exec_seed {
    int tensor;
    const float *gradient; /* or NULL: factor · (values of the tensor − wanted) */
    const float *wanted;
    float factor;
};
bool exec_backward_from(struct exec *exec, const struct exec_seed *seeds, int count, bool adds,
                        struct error *err);
const float *exec_gradient(const struct exec *exec, int tensor);

/* One node on the caller's own memory: `in` and `out` as in struct op_call. */
bool exec_node(struct exec *exec, int node, int64_t samples, const float *const *in,
               float *const *out, struct error *err);
