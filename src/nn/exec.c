#include "ptqd/nn/exec.h"

#include "ptqd/nn/exec_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool allocate_lists(struct exec *exec, struct error *err)
{
    const struct graph *graph = exec->graph;
    int inputs = 0, outputs = 0;
    for (int i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].input_count > inputs)
            inputs = graph->nodes[i].input_count;
        if (graph->nodes[i].output_count > outputs)
            outputs = graph->nodes[i].output_count;
    }
    struct arena *arena = exec->arena;
    exec->roots = ARENA_ARRAY(arena, int, graph->tensor_count, err);
    exec->values = ARENA_ARRAY(arena, const float *, graph->tensor_count, err);
    exec->memory = ARENA_ARRAY(arena, float *, graph->tensor_count, err);
    exec->skipped = ARENA_ARRAY(arena, bool, graph->node_count, err);
    exec->rectified = ARENA_ARRAY(arena, bool, graph->node_count, err);
    exec->planted = ARENA_ARRAY(arena, const float *, graph->tensor_count, err);
    exec->plans = ARENA_ARRAY(arena, void *, graph->node_count, err);
    exec->wanted = ARENA_ARRAY(arena, bool, graph->tensor_count, err);
    exec->needed = ARENA_ARRAY(arena, bool, graph->tensor_count, err);
    exec->touched = ARENA_ARRAY(arena, bool, graph->tensor_count, err);
    exec->gradients = ARENA_ARRAY(arena, float *, graph->tensor_count, err);
    exec->completes = ARENA_ARRAY(arena, int, graph->node_count, err);
    exec->completed = ARENA_ARRAY(arena, bool, graph->node_count, err);
    exec->call_in = ARENA_ARRAY(arena, const float *, inputs, err);
    exec->call_grad_in = ARENA_ARRAY(arena, float *, inputs, err);
    exec->call_fresh = ARENA_ARRAY(arena, bool, inputs, err);
    exec->call_out = ARENA_ARRAY(arena, float *, outputs, err);
    exec->call_grad_out = ARENA_ARRAY(arena, const float *, outputs, err);
    return exec->skipped != NULL && exec->rectified != NULL && exec->planted != NULL &&
           exec->roots != NULL && exec->values != NULL && exec->memory != NULL &&
           exec->plans != NULL && exec->wanted != NULL && exec->needed != NULL &&
           exec->touched != NULL && exec->gradients != NULL && exec->completes != NULL &&
           exec->completed != NULL && exec->call_in != NULL && exec->call_grad_in != NULL &&
           exec->call_fresh != NULL && exec->call_out != NULL && exec->call_grad_out != NULL;
}

/* Plans of all nodes, and scratch for the one that needs most. */
static bool prepare_nodes(struct exec *exec, struct error *err)
{
    const struct graph *graph = exec->graph;
    size_t scratch_bytes = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        const struct op *op = node->op;
        const struct op_plan how = {
            .samples = exec->options.batch,
            .gradients = exec->options.gradients,
            .coarse = exec->options.coarse,
            .relu = exec->rectified[i],
        };
        if (op->plan_create != NULL && !exec->options.counts_only &&
            !op->plan_create(graph, node, &how, &exec->plans[i], err))
            return error_context(err, "node '%s' (%s)", node->name, node->op_type);
        if (op->scratch_bytes == NULL)
            continue;
        size_t bytes = op->scratch_bytes(graph, node, exec->options.batch);
        scratch_bytes = bytes > scratch_bytes ? bytes : scratch_bytes;
    }
    exec->scratch = arena_alloc(exec->arena, scratch_bytes, err);
    return exec->scratch != NULL;
}

static bool check_options(const struct graph *graph, const struct exec_options *options,
                          struct error *err)
{
    if (!graph->finished)
        return FAIL(err, E_INTERNAL, "the graph is not finished");
    if (options->batch < 1)
        return FAIL(err, E_INVALID, "a batch of %" PRId64 " samples; at least 1 is needed",
                    options->batch);
    if (options->batch > 1 && !graph->batchable)
        return FAIL(err, E_INVALID,
                    "a batch of %" PRId64 " samples; this network can only execute one at a time",
                    options->batch);
    return true;
}

bool exec_create(const struct graph *graph, const struct exec_options *options,
                 struct exec **out_exec, struct error *err)
{
    if (!check_options(graph, options, err))
        return false;
    struct exec *exec = calloc(1, sizeof(*exec));
    if (exec == NULL)
        return FAIL(err, E_MEMORY, "%zu bytes for an executor", sizeof(*exec));
    exec->graph = graph;
    exec->options = *options;
    exec->arena = arena_create(0);
    if (exec->arena == NULL) {
        (void)FAIL(err, E_MEMORY, "memory for an executor"); /* is false */
        goto fail;
    }
    if (!allocate_lists(exec, err) || !exec_plan_memory(exec, err) || !prepare_nodes(exec, err))
        goto fail;
    *out_exec = exec;
    return true;

fail:
    exec_destroy(exec);
    return false;
}

void exec_destroy(struct exec *exec)
{
    if (exec == NULL)
        return;
    for (int i = 0; exec->plans != NULL && i < exec->graph->node_count; i++)
        if (exec->plans[i] != NULL)
            exec->graph->nodes[i].op->plan_destroy(exec->plans[i]);
    arena_destroy(exec->arena);
    free(exec);
}

size_t exec_bytes(const struct exec *exec)
{
    return arena_used(exec->arena);
}

static bool check_samples(const struct exec *exec, int64_t samples, struct error *err)
{
    if (samples < 1 || samples > exec->options.batch)
        return FAIL(err, E_INVALID, "%" PRId64 " samples; 1 to %" PRId64 " can be executed at once",
                    samples, exec->options.batch);
    return true;
}

float *exec_input(const struct exec *exec)
{
    return exec->options.gradients ? exec->memory[exec->graph->input] : NULL;
}

/* Puts the samples where the nodes read them: with gradients a copy, which stays until the
 * backward pass; else the caller's memory. */
static void take_input(struct exec *exec, const float *input, int64_t samples)
{
    const struct graph *graph = exec->graph;
    if (exec->options.gradients) {
        int64_t count = tensor_elements(&graph->tensors[graph->input], samples);
        if (input != exec->memory[graph->input])
            memcpy(exec->memory[graph->input], input, (size_t)count * sizeof(*input));
        return;
    }
    for (int i = 0; i < graph->tensor_count; i++)
        if (exec->roots[i] == graph->input)
            exec->values[i] = input;
}

static bool forward_node(struct exec *exec, int index, int64_t samples, struct error *err)
{
    const struct node *node = &exec->graph->nodes[index];
    if (node->op->view || exec->skipped[index])
        return true;
    for (int i = 0; i < node->input_count; i++)
        exec->call_in[i] = node->inputs[i] != NODE_ABSENT ? exec->values[node->inputs[i]] : NULL;
    for (int i = 0; i < node->output_count; i++)
        exec->call_out[i] = node->outputs[i] != NODE_ABSENT ? exec->memory[node->outputs[i]] : NULL;
    return exec_node(exec, index, samples, exec->call_in, exec->call_out, err);
}

bool exec_forward(struct exec *exec, const float *input, int64_t samples, struct error *err)
{
    if (!check_samples(exec, samples, err))
        return false;
    take_input(exec, input, samples);
    exec->samples = samples;
    for (int i = 0; i < exec->graph->node_count; i++)
        if (!forward_node(exec, i, samples, err))
            return false;
    return true;
}

bool exec_node(struct exec *exec, int node, int64_t samples, const float *const *in,
               float *const *out, struct error *err)
{
    const struct node *n = &exec->graph->nodes[node];
    struct op_call call = {
        .graph = exec->graph,
        .node = n,
        .samples = samples,
        .in = in,
        .out = out,
        .scratch = exec->scratch,
        .plan = exec->plans[node],
        .relu = exec->rectified[node],
    };
    if (!check_samples(exec, samples, err) || !n->op->forward(&call, err))
        return error_context(err, "node '%s' (%s)", n->name, n->op_type);
    return true;
}

/* By a Relu that its producer computes with it. */
static bool is_overwritten(const struct exec *exec, int tensor)
{
    int producer = exec->graph->tensors[tensor].producer;
    return producer >= 0 && exec->rectified[producer];
}

const float *exec_values(const struct exec *exec, int tensor)
{
    const struct tensor *t = &exec->graph->tensors[tensor];
    bool kept = !t->batched || tensor == exec->graph->output || exec->options.gradients;
    return kept && !is_overwritten(exec, tensor) ? exec->values[tensor] : NULL;
}

void exec_set_constant(struct exec *exec, int tensor, const float *values)
{
    exec->values[tensor] = values;
}
