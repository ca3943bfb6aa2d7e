/* Which activations share memory.
 *
 * Without gradients a root lives from the node that writes it to the last node that reads it or one
 * that shares its memory. A node works in place when nothing reads its input later. With gradients
 * everything lives for ever, and only views share, and a Relu with the layer that computes it. */

#include "ptqd/base/mem.h"
#include "ptqd/nn/exec_memory.h"
#include "ptqd/nn/exec_state.h"

#include <limits.h>

enum { FOR_EVER = INT_MAX };

bool exec_tensor_bytes(const struct exec *exec, int tensor, size_t *out_bytes, struct error *err)
{
    const struct tensor *t = &exec->graph->tensors[tensor];
    size_t samples = t->batched ? (size_t)exec->options.batch : 1;
    size_t bytes;
    if (!mem_mul((size_t)shape_elements(&t->shape), samples, &bytes) ||
        !mem_mul(bytes, sizeof(float), &bytes))
        return FAIL(err, E_MEMORY, "'%s' with %lld samples is larger than the address space",
                    t->name, (long long)exec->options.batch);
    *out_bytes = bytes;
    return true;
}

/* The last node that reads each tensor. */
static int *last_readers(const struct exec *exec, struct error *err)
{
    const struct graph *graph = exec->graph;
    int *last = ARENA_ARRAY(exec->arena, int, graph->tensor_count, err);
    if (last == NULL)
        return NULL;
    for (int i = 0; i < graph->tensor_count; i++)
        last[i] = graph->tensors[i].producer;
    for (int i = 0; i < graph->node_count; i++)
        for (int j = 0; j < graph->nodes[i].input_count; j++)
            if (graph->nodes[i].inputs[j] != NODE_ABSENT)
                last[graph->nodes[i].inputs[j]] = i;
    last[graph->output] = FOR_EVER;
    return last;
}

/* In place: the input is ours, this is its last use, and no other input is in the same memory under
 * another shape. `last` is by root. */
static bool works_in_place(const struct exec *exec, int index, const int *last)
{
    const struct graph *graph = exec->graph;
    const struct node *node = &graph->nodes[index];
    if (!node->op->in_place || exec->options.gradients || node->inputs[0] == NODE_ABSENT)
        return false;
    int input = node->inputs[0], root = exec->roots[input];
    const struct tensor *in = &graph->tensors[input], *out = &graph->tensors[node->outputs[0]];
    if (!in->batched || root == graph->input || last[root] > index ||
        tensor_elements(in, 1) != tensor_elements(out, 1))
        return false;
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] != NODE_ABSENT && node->inputs[i] != input &&
            exec->roots[node->inputs[i]] == root)
            return false;
    return true;
}

int exec_count_readers(const struct graph *graph, int tensor)
{
    int count = 0;
    for (int i = 0; i < graph->node_count; i++)
        for (int j = 0; j < graph->nodes[i].input_count; j++)
            count += graph->nodes[i].inputs[j] == tensor;
    return count;
}

/* A Relu alone behind a node that can compute it as well. */
static bool can_join(const struct exec *exec, const struct node *node)
{
    const struct graph *graph = exec->graph;
    int input = node->inputs[0], producer = graph->tensors[input].producer;
    return producer >= 0 && graph->nodes[producer].op->joins_relu && input != graph->output &&
           (exec->options.kept == NULL || !exec->options.kept[input]) &&
           exec_count_readers(graph, input) == 1;
}

static void find_joins(struct exec *exec)
{
    const struct graph *graph = exec->graph;
    for (int i = 0; exec->options.joins && i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        if (!node->op->rectifies || !can_join(exec, node))
            continue;
        exec->skipped[i] = true;
        exec->rectified[graph->tensors[node->inputs[0]].producer] = true;
    }
}

/* Sets the roots; afterwards `last` is the end of each root's life. */
static void find_roots(struct exec *exec, int *last)
{
    const struct graph *graph = exec->graph;
    for (int i = 0; i < graph->tensor_count; i++)
        exec->roots[i] = i;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        if (!node->op->view && !exec->skipped[i] && !works_in_place(exec, i, last))
            continue;
        int output = node->outputs[0], root = exec->roots[node->inputs[0]];
        exec->roots[output] = root;
        if (last[output] > last[root])
            last[root] = last[output];
    }
}

/* A tensor that needs memory of its own. */
static bool is_block(const struct exec *exec, int tensor)
{
    const struct tensor *t = &exec->graph->tensors[tensor];
    bool written = t->producer >= 0 || (tensor == exec->graph->input && exec->options.gradients);
    return written && exec->roots[tensor] == tensor;
}

/* Blocks of all roots, in order of the tensors; NULL on failure. */
static struct block *make_blocks(const struct exec *exec, const int *last, int *out_count,
                                 struct error *err)
{
    const struct graph *graph = exec->graph;
    struct block *blocks = ARENA_ARRAY(exec->arena, struct block, graph->tensor_count, err);
    int count = 0;
    for (int i = 0; blocks != NULL && i < graph->tensor_count; i++) {
        if (!is_block(exec, i))
            continue;
        struct block *block = &blocks[count++];
        block->first = exec->options.gradients ? 0 : graph->tensors[i].producer;
        block->last = exec->options.gradients ? FOR_EVER : last[i];
        if (!exec_tensor_bytes(exec, i, &block->bytes, err))
            return NULL;
    }
    *out_count = count;
    return blocks;
}

bool exec_plan_memory(struct exec *exec, struct error *err)
{
    const struct graph *graph = exec->graph;
    int *last = last_readers(exec, err);
    if (last == NULL)
        return false;
    find_joins(exec);
    find_roots(exec, last);

    int count;
    size_t bytes;
    struct block *blocks = make_blocks(exec, last, &count, err);
    if (blocks == NULL || !block_place(blocks, count, exec->arena, &bytes, err))
        return false;
    char *memory = arena_alloc(exec->arena, bytes, err);
    if (memory == NULL)
        return error_context(err, "activations of %lld samples (%zu bytes)",
                             (long long)exec->options.batch, bytes);

    for (int i = 0, block = 0; i < graph->tensor_count; i++)
        if (is_block(exec, i))
            exec->memory[i] = (float *)(void *)(memory + blocks[block++].offset);
    for (int i = 0; i < graph->tensor_count; i++) {
        exec->memory[i] = exec->memory[exec->roots[i]];
        exec->values[i] =
            graph->tensors[i].values != NULL ? graph->tensors[i].values : exec->memory[i];
    }
    return true;
}
