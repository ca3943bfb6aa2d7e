/* Gradients: the nodes in reverse order, each adding to the gradients of its inputs.
 *
 * A gradient is kept where it is wanted or leads to one that is. One that is not wanted lives from
 * the last node that reads the tensor (the first to add to it) to the tensor's producer, and shares
 * memory with others accordingly. The first to add to a gradient in a pass finds it zeroed, or,
 * where the operator can do that, writes it. */

#include "ptqd/kern/difference.h"
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

bool exec_want_gradient(struct exec *exec, int tensor, struct error *err)
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
    exec->wanted[tensor] = true;
    return true;
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
            if (graph->nodes[i].inputs[j] == tensor)
                last_reader = i;
    return (struct block){.first = graph->node_count - last_reader,
                          .last = graph->node_count - producer};
}

/* Decides which gradients are kept, and where. */
static bool prepare(struct exec *exec, struct error *err)
{
    const struct graph *graph = exec->graph;
    struct block *blocks = ARENA_ARRAY(exec->arena, struct block, graph->tensor_count, err);
    if (blocks == NULL)
        return false;
    memcpy(exec->needed, exec->wanted, (size_t)graph->tensor_count * sizeof(*exec->needed));
    (void)mark_dependents(graph, exec->needed); /* exec_want_gradient has seen that all have one */

    int count = 0;
    size_t bytes;
    for (int i = 0; i < graph->tensor_count; i++) {
        if (!exec->needed[i])
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
        if (exec->needed[i])
            exec->gradients[i] = (float *)(void *)(memory + blocks[block++].offset);
    exec->prepared = true;
    return true;
}

static size_t gradient_bytes(const struct exec *exec, int tensor)
{
    return (size_t)tensor_elements(&exec->graph->tensors[tensor], exec->samples) * sizeof(float);
}

/* The memory that a node writes or adds to; NULL where the gradient is not needed. */
static float *touch(struct exec *exec, int tensor, bool *out_fresh)
{
    *out_fresh = false;
    if (tensor == NODE_ABSENT || !exec->needed[tensor])
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

static bool backward_node(struct exec *exec, int index, struct error *err)
{
    const struct node *node = &exec->graph->nodes[index];
    for (int i = 0; i < node->output_count; i++) {
        int output = node->outputs[i];
        exec->call_out[i] = output != NODE_ABSENT ? exec->memory[output] : NULL;
        exec->call_grad_out[i] = output != NODE_ABSENT && exec->planted[output] != NULL
                                     ? exec->planted[output]
                                     : touch_zeroed(exec, output);
    }
    for (int i = 0; i < node->input_count; i++) {
        int input = node->inputs[i];
        exec->call_in[i] = input != NODE_ABSENT ? exec->values[input] : NULL;
        exec->call_fresh[i] = false;
        exec->call_grad_in[i] = node->op->writes_fresh ? touch(exec, input, &exec->call_fresh[i])
                                                       : touch_zeroed(exec, input);
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
        .scratch = exec->scratch,
        .plan = exec->plans[index],
    };
    if (!node->op->backward(&call, err))
        return error_context(err, "gradient of node '%s' (%s)", node->name, node->op_type);
    return true;
}

/* A node has something to pass on when an output got a gradient in this pass. */
static bool is_reached(const struct exec *exec, const struct node *node)
{
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

static void add(int64_t count, const float *restrict terms, float *restrict gradient)
{
    for (int64_t i = 0; i < count; i++)
        gradient[i] += terms[i];
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
        add(count, seed->gradient, gradient);
    else if (exec->wanted[tensor])
        memcpy(gradient, seed->gradient, gradient_bytes(exec, tensor));
    else
        exec->planted[tensor] = seed->gradient;
}

static void plant_all_of(struct exec *exec, const struct exec_seed *seeds, int count, int producer)
{
    for (int i = 0; i < count; i++)
        if (exec->graph->tensors[seeds[i].tensor].producer == producer)
            plant(exec, &seeds[i]);
}

bool exec_reserve(struct exec *exec, struct error *err)
{
    return exec->prepared || prepare(exec, err);
}

bool exec_backward_from(struct exec *exec, const struct exec_seed *seeds, int count,
                        struct error *err)
{
    const struct graph *graph = exec->graph;
    if (!exec->options.gradients || exec->samples == 0)
        return FAIL(err, E_INTERNAL, "a backward pass %s",
                    exec->samples == 0 ? "before any forward pass"
                                       : "of an executor without gradients");
    if (!exec_reserve(exec, err))
        return false;

    memset(exec->touched, 0, (size_t)graph->tensor_count * sizeof(*exec->touched));
    for (int i = 0; i < graph->tensor_count; i++)
        exec->planted[i] = NULL;
    for (int i = 0; i < graph->tensor_count; i++)
        if (exec->wanted[i])
            memset(exec->gradients[i], 0, gradient_bytes(exec, i));
    for (int i = graph->node_count - 1; i >= 0; i--) {
        plant_all_of(exec, seeds, count, i);
        if (is_reached(exec, &graph->nodes[i]) && needs_inputs(exec, &graph->nodes[i]) &&
            !backward_node(exec, i, err))
            return false;
    }
    plant_all_of(exec, seeds, count, -1);
    return true;
}

bool exec_backward(struct exec *exec, int tensor, const float *gradient, struct error *err)
{
    struct exec_seed seed = {.tensor = tensor, .gradient = gradient};
    return exec_backward_from(exec, &seed, 1, err);
}

const float *exec_gradient(const struct exec *exec, int tensor)
{
    return exec->wanted[tensor] ? exec->gradients[tensor] : NULL;
}
