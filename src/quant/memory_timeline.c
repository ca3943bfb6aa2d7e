/* Memory over the execution order. */

#include "ptqd/quant/memory_timeline.h"

#include "ptqd/nn/op.h"
#include "ptqd/quant/lifetime.h"

enum { FLOAT_BYTES = 4 };

/* The tensor that each buffer was made for: that of the node it begins with. */
static void name_buffers(const struct graph *graph, const struct lifetime *lifetime,
                         const char **names)
{
    for (int t = 0; t < graph->tensor_count; t++) {
        int buffer = lifetime->buffer_of[t];
        if (buffer == LIFETIME_NO_BUFFER)
            continue;
        bool begins =
            t == graph->input || graph->tensors[t].producer == lifetime->buffers[buffer].first;
        if (begins && !names[buffer])
            names[buffer] = graph->tensors[t].name;
    }
}

static bool is_alive(const struct buffer *buffer, int node)
{
    return buffer->first <= node && node <= buffer->last;
}

static bool list_alive(struct arena *arena, const struct lifetime *lifetime, int node,
                       const char *const *names, struct memory_step *step, struct error *err)
{
    int count = 0;
    for (int b = 0; b < lifetime->buffer_count; b++)
        count += is_alive(&lifetime->buffers[b], node);
    step->tensors = ARENA_ARRAY(arena, struct memory_tensor, count, err);
    if (!step->tensors)
        return false;
    for (int b = 0; b < lifetime->buffer_count; b++) {
        const struct buffer *buffer = &lifetime->buffers[b];
        if (is_alive(buffer, node))
            step->tensors[step->tensor_count++] =
                (struct memory_tensor){names[b],
                                       lifetime_packed_bytes(buffer->elements, buffer->bits)};
    }
    return true;
}

bool memory_timeline_make(struct arena *arena, const struct graph *graph,
                          struct memory_timeline *out_timeline, struct error *err)
{
    struct lifetime lifetime;
    struct memory_timeline timeline = {
        .steps = ARENA_ARRAY(arena, struct memory_step, graph->node_count, err)};
    if (!timeline.steps || !lifetime_plan(arena, graph, &lifetime, err))
        return false;
    const char **names = ARENA_ARRAY(arena, const char *, lifetime.buffer_count, err);
    if (!names)
        return false;
    name_buffers(graph, &lifetime, names);
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (!lifetime_is_of_device(graph, n))
            continue;
        struct memory_step *step = &timeline.steps[timeline.step_count++];
        *step = (struct memory_step){
            .node = node->name,
            .op = node->op->name,
            .bytes = lifetime.live_bytes[n],
            .float_bytes = FLOAT_BYTES * lifetime.live_elements[n],
        };
        if (!list_alive(arena, &lifetime, n, names, step, err))
            return false;
    }
    *out_timeline = timeline;
    return true;
}
