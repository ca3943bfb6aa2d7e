/* Nodes that depend on constants alone (weights behind a Transpose or an Identity) are executed
 * once, when the graph is finished. This happens in the file's order, in which spatial operators
 * can't be executed. */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/passes.h"

#include <inttypes.h>

/* A constant that a small file asks for must not take the machine's memory. */
static const int64_t ELEMENTS_MAX = INT64_C(1) << 26;

static bool execute(const struct graph *graph, const struct node *node, const float *const *in,
                    float *const *out, struct error *err)
{
    const struct op *op = node->op;
    struct op_call call = {.graph = graph, .node = node, .samples = 1, .in = in, .out = out};
    size_t scratch_bytes = op->scratch_bytes != NULL ? op->scratch_bytes(graph, node, 1) : 0;
    if (scratch_bytes > 0) {
        call.scratch = arena_alloc(graph->arena, scratch_bytes, err);
        if (call.scratch == NULL)
            return false;
    }
    const struct op_plan how = {.samples = 1};
    if (op->plan_create != NULL && !op->plan_create(graph, node, &how, &call.plan, err))
        return false;
    bool done = op->forward(&call, err);
    if (op->plan_destroy != NULL)
        op->plan_destroy(call.plan);
    return done;
}

/* Memory for the constant that an output becomes. */
static float *output_values(const struct graph *graph, int tensor, struct error *err)
{
    int64_t count = shape_elements(&graph->tensors[tensor].shape);
    if (count <= ELEMENTS_MAX)
        return ARENA_ARRAY(graph->arena, float, count, err);
    (void)FAIL(err, E_TOO_LARGE, "makes a constant of %" PRId64 " elements; at most %" PRId64,
               count, ELEMENTS_MAX); /* NULL says so */
    return NULL;
}

static bool can_evaluate(const struct node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] == NODE_ABSENT)
            return false;
    return node->op->forward != NULL && node->op->layout != LAYOUT_SPATIAL;
}

bool node_evaluate(struct graph *graph, struct node *node, struct error *err)
{
    const float **in = ARENA_ARRAY(graph->arena, const float *, node->input_count, err);
    float **out = ARENA_ARRAY(graph->arena, float *, node->output_count, err);
    if (in == NULL || out == NULL)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NODE_ABSENT)
            in[i] = graph->tensors[node->inputs[i]].values;

    if (!can_evaluate(node))
        return FAIL(err, E_UNSUPPORTED, "depends on constants alone and can't be evaluated");
    for (int i = 0; i < node->output_count; i++) {
        out[i] = output_values(graph, node->outputs[i], err);
        if (out[i] == NULL)
            return false;
    }
    if (!execute(graph, node, in, out, err))
        return false;
    for (int i = 0; i < node->output_count; i++)
        graph->tensors[node->outputs[i]].values = out[i];
    return true;
}
