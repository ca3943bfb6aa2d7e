/* Gradients: the nodes in reverse order, each adding to the gradients of its inputs.
 *
 * A gradient is kept where it is wanted or leads to one that is. One that is not wanted lives from
 * the last node that reads the tensor (the first to add to it) to the tensor's producer, and shares
 * memory with others accordingly. The first to add to a gradient in a pass finds it zeroed, or,
 * where the operator can do that, writes it.
 *
 * Where executors may join, an operator that can completes the gradient of a Relu's output which it
 * alone reads, and writes that of the Relu's input: a pass over memory instead of three. */

#include "ptqd/kern/add.h"
#include "ptqd/kern/difference.h"
#include "ptqd/kern/gradient_rest.h"
#include "ptqd/nn/exec_memory.h"
#include "ptqd/nn/exec_state.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* Marks what depends on the marked tensors; the first node on the way without a gradient, or NULL.
 */
static const struct node *mark_dependents(const struct graph *graph, bool *marks)
{
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        bool depends = false;
        for (int j = 0; j < node->input_count; j++)
            depends |= node->inputs[j] != NODE_ABSENT && marks[node->inputs[j]];
        if (depends && node->op->backward == NULL)
            return node;
        for (int j = 0; depends && j < node->output_count; j++)
            if (node->outputs[j] != NODE_ABSENT)
                marks[node->outputs[j]] = true;
    }
    return NULL;
}

/* Whether all nodes behind a tensor have a gradient, while it can still be asked for. */
static bool check_way(struct exec *exec, int tensor, struct error *err)
{
    const struct graph *graph = exec->graph;
    const char *name = graph->tensors[tensor].name;
    if (!exec->options.gradients || exec->prepared)
        return FAIL(err, E_INTERNAL, "gradient of '%s' asked for %s", name,
                    exec->prepared ? "after the first backward pass"
                                   : "of an executor without gradients");
    if (graph->tensors[tensor].type != TENSOR_F32)
        return FAIL(err, E_INVALID, "'%s' is int64; only float32 has a gradient", name);

    memset(exec->touched, 0, (size_t)graph->tensor_count * sizeof(*exec->touched));
    exec->touched[tensor] = true;
    const struct node *missing = mark_dependents(graph, exec->touched);
    if (missing != NULL)
        return FAIL(err, E_UNSUPPORTED,
                    "node '%s' (%s) on the way from '%s' to the output has no gradient",
                    missing->name, missing->op_type, name);
    return true;
}

bool exec_want_gradient(struct exec *exec, int tensor, struct error *err)
{
    if (!check_way(exec, tensor, err))
        return false;
    exec->wanted[tensor] = true;
    return true;
}

bool exec_reach_input(struct exec *exec, struct error *err)
{
    if (!check_way(exec, exec->graph->input, err))
        return false;
    exec->reaches_input = true;
    return true;
}

/* A Relu joined with the node in front of it, and read by nobody else who adds to a gradient. */
static bool can_complete(const struct exec *exec, const struct node *node)
{
    const struct graph *graph = exec->graph;
    if (!node->op->completes_gradient)
        return false;
    int input = node->inputs[0], producer = graph->tensors[input].producer;
    return producer >= 0 && exec->skipped[producer] && !exec->wanted[input] &&
           !exec->wanted[graph->nodes[producer].inputs[0]] && input != graph->output &&
           exec_count_readers(graph, input) == 1;
}

static void find_completions(struct exec *exec)
{
    const struct graph *graph = exec->graph;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        bool completes = can_complete(exec, node);
        exec->completes[i] = completes ? graph->tensors[node->inputs[0]].producer : -1;
        if (completes)
            exec->completed[exec->completes[i]] = true;
    }
}

/* The tensor whose gradient a node makes by its input: that in front of the Relu it completes. */
static int gradient_of(const struct exec *exec, int node, int input)
{
    int relu = input == 0 ? exec->completes[node] : -1;
    return relu >= 0 ? exec->graph->nodes[relu].inputs[0] : exec->graph->nodes[node].inputs[input];
}

/* Steps are counted backwards: node i is step node_count − i, the start is step 0. */
static struct block gradient_block(const struct exec *exec, int tensor)
{
    const struct graph *graph = exec->graph;
    if (exec->wanted[tensor])
        return (struct block){.first = 0, .last = INT_MAX};
    int producer = graph->tensors[tensor].producer;
    int last_reader = producer;
    for (int i = producer + 1; i < graph->node_count; i++)
        for (int j = 0; j < graph->nodes[i].input_count; j++)
            if (gradient_of(exec, i, j) == tensor)
                last_reader = i;
    return (struct block){.first = graph->node_count - last_reader,
                          .last = graph->node_count - producer};
}

static bool is_completed(const struct exec *exec, int tensor)
{
    int producer = exec->graph->tensors[tensor].producer;
    return producer >= 0 && exec->completed[producer];
}

/* The input is needed for its readers' sake, too. */
static bool is_computed(const struct exec *exec, int tensor)
{
    return exec->needed[tensor] && (tensor != exec->graph->input || exec->wanted[tensor]);
}

static bool has_gradient(const struct exec *exec, int tensor)
{
    return is_computed(exec, tensor) && !is_completed(exec, tensor);
}

/* Decides which gradients are kept, and where. */
static bool prepare(struct exec *exec, struct error *err)
{
    const struct graph *graph = exec->graph;
    struct block *blocks = ARENA_ARRAY(exec->arena, struct block, graph->tensor_count, err);
    if (blocks == NULL)
        return false;
    memcpy(exec->needed, exec->wanted, (size_t)graph->tensor_count * sizeof(*exec->needed));
    exec->needed[graph->input] |= exec->reaches_input;
    (void)mark_dependents(graph, exec->needed); /* exec_want_gradient has seen that all have one */

    find_completions(exec);
    int count = 0;
    size_t bytes;
    for (int i = 0; i < graph->tensor_count; i++) {
        if (!has_gradient(exec, i))
            continue;
        blocks[count] = gradient_block(exec, i);
        if (!exec_tensor_bytes(exec, i, &blocks[count++].bytes, err))
            return false;
    }
    if (!block_place(blocks, count, exec->arena, &bytes, err))
        return false;
    char *memory = arena_alloc(exec->arena, bytes, err);
    if (memory == NULL)
        return error_context(err, "gradients of %" PRId64 " samples (%zu bytes)",
                             exec->options.batch, bytes);
    for (int i = 0, block = 0; i < graph->tensor_count; i++)
        if (has_gradient(exec, i))
            exec->gradients[i] = (float *)(void *)(memory + blocks[block++].offset);
    exec->prepared = true;
    return true;
}

static size_t gradient_bytes(const struct exec *exec, int tensor)
{
    return (size_t)tensor_elements(&exec->graph->tensors[tensor], exec->samples) * sizeof(float);
}

/* The loss's own part of a gradient; NULL where it has none. */
static const struct exec_seed *seed_of(const struct exec *exec, int tensor)
{
    for (int i = 0; i < exec->seed_count; i++)
        if (exec->seeds[i].tensor == tensor)
            return &exec->seeds[i];
    return NULL;
}

/* The memory that a node writes or adds to; NULL where the gradient is not needed. */
static float *touch(struct exec *exec, int tensor, bool *out_fresh)
{
    *out_fresh = false;
    if (tensor == NODE_ABSENT || !is_computed(exec, tensor))
        return NULL;
    *out_fresh = !exec->touched[tensor];
    exec->touched[tensor] = true;
    return exec->gradients[tensor];
}

/* The memory that something is added to; NULL where the gradient is not needed. */
static float *touch_zeroed(struct exec *exec, int tensor)
{
    bool fresh;
    float *gradient = touch(exec, tensor, &fresh);
    if (fresh)
        memset(gradient, 0, gradient_bytes(exec, tensor));
    return gradient;
}

/* Of the gradient that a node completes, if it does. */
static struct gradient_rest rest_of(const struct exec *exec, int node)
{
    const struct exec_seed *seed =
        exec->completes[node] >= 0 ? seed_of(exec, exec->graph->nodes[node].inputs[0]) : NULL;
    return seed != NULL ? (struct gradient_rest){seed->wanted, seed->factor}
                        : (struct gradient_rest){NULL, 0.0f};
}

static bool backward_node(struct exec *exec, int index, struct error *err)
{
    const struct node *node = &exec->graph->nodes[index];
    struct gradient_rest rest = rest_of(exec, index);
    for (int i = 0; i < node->output_count; i++) {
        int output = node->outputs[i];
        exec->call_out[i] = output != NODE_ABSENT ? exec->memory[output] : NULL;
        exec->call_grad_out[i] = output != NODE_ABSENT && exec->planted[output] != NULL
                                     ? exec->planted[output]
                                     : touch_zeroed(exec, output);
    }
    for (int i = 0; i < node->input_count; i++) {
        int input = node->inputs[i], target = gradient_of(exec, index, i);
        exec->call_in[i] = input != NODE_ABSENT ? exec->values[input] : NULL;
        exec->call_fresh[i] = false;
        exec->call_grad_in[i] = node->op->writes_fresh ? touch(exec, target, &exec->call_fresh[i])
                                                       : touch_zeroed(exec, target);
    }
    struct op_call call = {
        .graph = exec->graph,
        .node = node,
        .samples = exec->samples,
        .in = exec->call_in,
        .out = exec->call_out,
        .grad_out = exec->call_grad_out,
        .grad_in = exec->call_grad_in,
        .fresh = exec->call_fresh,
        .rest = exec->completes[index] >= 0 ? &rest : NULL,
        .adds = exec->adds,
        .scratch = exec->scratch,
        .plan = exec->plans[index],
    };
    if (!node->op->backward(&call, err))
        return error_context(err, "gradient of node '%s' (%s)", node->name, node->op_type);
    return true;
}

/* A node has something to pass on when an output got a gradient in this pass, or when it completes
 * one that the loss itself has a part in. */
static bool is_reached(const struct exec *exec, int index)
{
    const struct node *node = &exec->graph->nodes[index];
    if (exec->completed[index])
        return false; /* done by another */
    if (exec->completes[index] >= 0 && seed_of(exec, node->inputs[0]) != NULL)
        return true;
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != NODE_ABSENT && exec->touched[node->outputs[i]])
            return true;
    return false;
}

static bool needs_inputs(const struct exec *exec, const struct node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NODE_ABSENT && exec->needed[node->inputs[i]])
            return true;
    return false;
}

/* The gradient becomes ours when more is added. */
static void unplant(struct exec *exec, int tensor)
{
    if (exec->planted[tensor] != NULL)
        memcpy(exec->gradients[tensor], exec->planted[tensor], gradient_bytes(exec, tensor));
    exec->planted[tensor] = NULL;
}

/* Adds what the loss itself says of tensor. Not before the turn of its producer: until then the
 * memory may be another gradient's. By then all who read the tensor have added to its gradient: one
 * that is the loss's alone is used where it is. */
static void plant(struct exec *exec, const struct exec_seed *seed)
{
    bool fresh;
    int tensor = seed->tensor;
    float *gradient = touch(exec, tensor, &fresh);
    if (gradient == NULL)
        return;
    int64_t count = tensor_elements(&exec->graph->tensors[tensor], exec->samples);
    unplant(exec, tensor);
    if (seed->gradient == NULL)
        (fresh ? difference_f32 : difference_f32_added)(exec->values[tensor], seed->wanted, count,
                                                        seed->factor, gradient);
    else if (!fresh)
        add_f32(gradient, seed->gradient, count, false, gradient);
    else if (exec->wanted[tensor])
        memcpy(gradient, seed->gradient, gradient_bytes(exec, tensor));
    else
        exec->planted[tensor] = seed->gradient;
}

static void plant_all_of(struct exec *exec, int producer)
{
    for (int i = 0; i < exec->seed_count; i++)
        if (exec->graph->tensors[exec->seeds[i].tensor].producer == producer)
            plant(exec, &exec->seeds[i]);
}

/* What a node that completes a gradient does with a loss: there is one, of differences. */
static bool check_seeds(const struct exec *exec, struct error *err)
{
    for (int i = 0; i < exec->seed_count; i++) {
        const struct exec_seed *seed = &exec->seeds[i];
        if (is_completed(exec, seed->tensor) &&
            (seed->gradient != NULL || seed != seed_of(exec, seed->tensor)))
            return FAIL(err, E_INTERNAL,
                        "'%s' is completed where it is read: it takes one loss of differences",
                        exec->graph->tensors[seed->tensor].name);
    }
    return true;
}

bool exec_reserve(struct exec *exec, struct error *err)
{
    return exec->prepared || prepare(exec, err);
}

/* Wanted gradients as they are before the pass: those of constants have a value when it adds. */
static void clear_wanted(struct exec *exec)
{
    const struct graph *graph = exec->graph;
    memset(exec->touched, 0, (size_t)graph->tensor_count * sizeof(*exec->touched));
    for (int i = 0; i < graph->tensor_count; i++) {
        if (exec->wanted[i] && exec->adds && graph->tensors[i].values != NULL)
            exec->touched[i] = true;
        else if (exec->wanted[i])
            memset(exec->gradients[i], 0, gradient_bytes(exec, i));
    }
}

bool exec_backward_from(struct exec *exec, const struct exec_seed *seeds, int count, bool adds,
                        struct error *err)
{
    const struct graph *graph = exec->graph;
    if (!exec->options.gradients || exec->samples == 0)
        return FAIL(err, E_INTERNAL, "a backward pass %s",
                    exec->samples == 0 ? "before any forward pass"
                                       : "of an executor without gradients");
    exec->seeds = seeds;
    exec->seed_count = count;
    exec->adds = adds;
    if (!exec_reserve(exec, err) || !check_seeds(exec, err))
        return false;

    clear_wanted(exec);
    for (int i = 0; i < graph->tensor_count; i++)
        exec->planted[i] = NULL;
    for (int i = graph->node_count - 1; i >= 0; i--) {
        plant_all_of(exec, i);
        if (is_reached(exec, i) && needs_inputs(exec, &graph->nodes[i]) &&
            !backward_node(exec, i, err))
            return false;
    }
    plant_all_of(exec, -1);
    return true;
}

bool exec_backward(struct exec *exec, int tensor, const float *gradient, struct error *err)
{
    struct exec_seed seed = {.tensor = tensor, .gradient = gradient};
    return exec_backward_from(exec, &seed, 1, false, err);
}

const float *exec_gradient(const struct exec *exec, int tensor)
{
    return exec->wanted[tensor] ? exec->gradients[tensor] : NULL;
}
