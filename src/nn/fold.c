/* One pass over the nodes in order of execution. A node is copied into the new graph; a Conv,
 * ConvTranspose, Gemm or MatMul takes the nodes behind it along, as long as they can be folded into
 * its weights and bias and nothing else reads what is between. */

#include "ptqd/nn/fold.h"

#include "ptqd/nn/fold_layer.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <string.h>

enum { INPUT, WEIGHTS, ADDEND };

struct fold {
    const struct graph *from;
    struct graph *to;
    int *tensors; /* [from->tensor_count]: index in `to`, -1: not there yet */
    bool *done;   /* [from->node_count]: folded into an earlier node */
};

static bool is_op(const struct node *node, const char *op_type)
{
    return strcmp(node->op_type, op_type) == 0;
}

/* With weights whose output channels lead. */
static bool is_convolution(const struct node *node)
{
    return is_op(node, "Conv") || is_op(node, "ConvTranspose");
}

/* Index in the new graph of a tensor, which is added when it is not there. */
static bool fold_tensor(struct fold *fold, int tensor, int *out, struct error *err)
{
    int *index = &fold->tensors[tensor];
    if (*index < 0 && !graph_add_tensor(fold->to, &fold->from->tensors[tensor], false, index, err))
        return false;
    *out = *index;
    return true;
}

static bool fold_list(struct fold *fold, int **list, int count, struct error *err)
{
    int *copy = ARENA_ARRAY(fold->to->arena, int, count, err);
    if (copy == NULL)
        return false;
    for (int i = 0; i < count; i++) {
        copy[i] = NODE_ABSENT;
        if ((*list)[i] != NODE_ABSENT && !fold_tensor(fold, (*list)[i], &copy[i], err))
            return false;
    }
    *list = copy;
    return true;
}

static bool copy_node(struct fold *fold, const struct node *node, struct error *err)
{
    struct node copy = *node;
    int index;
    return fold_list(fold, &copy.inputs, copy.input_count, err) &&
           fold_list(fold, &copy.outputs, copy.output_count, err) &&
           graph_add_node(fold->to, &copy, &index, err);
}

/* What a node is to folding. */
enum role { ROLE_OTHER, ROLE_LAYER, ROLE_NOTHING };

static bool begin_conv(const struct fold *fold, const struct node *node, struct layer *layer,
                       struct error *err)
{
    if (!layer_begin(fold->from, node, false, fold->to->arena, layer, err))
        return false;
    if (infer_has_input(node, ADDEND))
        layer_add(layer, node->inputs[ADDEND], 1);
    return true;
}

/* ROLE_LAYER when y = alpha x w + beta c can be said as y = x wᵀ + b. */
static bool begin_gemm(const struct fold *fold, const struct node *node, struct layer *layer,
                       enum role *out_role, struct error *err)
{
    int64_t transpose_a, transpose_b;
    float alpha, beta;
    if (!attribute_int(node, "transA", 0, &transpose_a, err) ||
        !attribute_int(node, "transB", 0, &transpose_b, err) ||
        !attribute_real(node, "alpha", 1, &alpha, err) ||
        !attribute_real(node, "beta", 1, &beta, err) ||
        !layer_begin(fold->from, node, transpose_b == 0, fold->to->arena, layer, err))
        return false;
    bool addend = infer_has_input(node, ADDEND);
    if (transpose_a != 0 || (addend && !layer_fits(layer, node->inputs[ADDEND]))) {
        *out_role = ROLE_OTHER;
        return true;
    }
    if (addend)
        layer_add(layer, node->inputs[ADDEND], (double)beta);
    *out_role = ROLE_LAYER;
    return alpha == 1.0F || layer_scale_weights(layer, (double)alpha, err);
}

/* ROLE_LAYER for a matrix times a constant matrix. */
static bool begin_matmul(const struct fold *fold, const struct node *node, struct layer *layer,
                         enum role *out_role, struct error *err)
{
    const struct tensor *x = &fold->from->tensors[node->inputs[INPUT]];
    const struct tensor *weights = &fold->from->tensors[node->inputs[WEIGHTS]];
    bool dense = x->values == NULL && x->shape.rank == 2 && weights->values != NULL &&
                 weights->shape.rank == 2;
    *out_role = dense ? ROLE_LAYER : ROLE_OTHER;
    return !dense || layer_begin(fold->from, node, true, fold->to->arena, layer, err);
}

static bool begin(const struct fold *fold, const struct node *node, struct layer *layer,
                  enum role *out_role, struct error *err)
{
    *out_role = ROLE_OTHER;
    if (is_op(node, "Gemm"))
        return begin_gemm(fold, node, layer, out_role, err);
    if (is_op(node, "MatMul"))
        return begin_matmul(fold, node, layer, out_role, err);
    if (is_convolution(node)) {
        *out_role = ROLE_LAYER;
        return begin_conv(fold, node, layer, err);
    }
    if ((is_op(node, "Identity") || is_op(node, "Dropout")) &&
        node->outputs[0] != fold->from->output)
        *out_role = ROLE_NOTHING;
    return true;
}

/* The constant that an operator of two operands combines with the layer's output, one per channel;
 * -1: none. */
static int other_operand(const struct layer *layer, const struct node *node)
{
    const struct graph *graph = layer->graph;
    if (node->input_count != 2 ||
        !shape_equal(&graph->tensors[node->outputs[0]].shape, &graph->tensors[layer->output].shape))
        return -1;
    int other = node->inputs[node->inputs[0] == layer->output ? 1 : 0];
    return other != layer->output && layer_fits(layer, other) ? other : -1;
}

static bool is_nowhere_zero(const struct graph *graph, int constant)
{
    int64_t count = shape_elements(&graph->tensors[constant].shape);
    for (int64_t i = 0; i < count; i++)
        if (graph->tensors[constant].values[i] == 0.0f)
            return false;
    return true;
}

/* y + c, y · c, y − c and y / c, where y is the layer's output. */
static bool extend_by_constant(struct layer *layer, const struct node *node, bool *out_folded,
                               struct error *err)
{
    bool is_sum = is_op(node, "Add"), is_product = is_op(node, "Mul"),
         is_quotient = is_op(node, "Div");
    bool any_order = is_sum || is_product;
    bool known = any_order || is_quotient || is_op(node, "Sub");
    int other = known ? other_operand(layer, node) : -1;
    *out_folded = other >= 0 && (any_order || node->inputs[0] == layer->output) &&
                  !(is_quotient && !is_nowhere_zero(layer->graph, other));
    if (!*out_folded)
        return true;
    if (is_product || is_quotient)
        return layer_multiply(layer, other, is_quotient, err);
    layer_add(layer, other, is_sum ? 1 : -1);
    return true;
}

/* Folds the node that reads the layer's output; *out_folded says whether it could be. */
static bool extend(struct layer *layer, const struct node *node, bool *out_folded,
                   struct error *err)
{
    *out_folded = true;
    if (is_op(node, "Identity") || is_op(node, "Dropout"))
        return true;
    if (is_op(node, "BatchNormalization"))
        return layer_normalize(layer, node, err);
    return extend_by_constant(layer, node, out_folded, err);
}

static bool extend_all(struct fold *fold, struct layer *layer, struct error *err)
{
    for (;;) {
        int reader = graph_only_reader(fold->from, layer->output);
        if (reader < 0)
            return true;
        const struct node *node = &fold->from->nodes[reader];
        bool folded;
        if (!extend(layer, node, &folded, err))
            return error_context(err, "node '%s' (%s)", node->name, node->op_type);
        if (!folded)
            return true;
        fold->done[reader] = true;
        layer->output = node->outputs[0];
    }
}

/* Weights that did not change stay the tensor they are, for all who read them. */
static bool add_weights(struct fold *fold, const struct layer *layer, int *out, struct error *err)
{
    int file = layer->node->inputs[WEIGHTS];
    struct tensor weights;
    if (layer->weights == fold->from->tensors[file].values)
        return fold_tensor(fold, file, out, err);
    return layer_weights(layer, &weights, err) &&
           graph_add_tensor(fold->to, &weights, false, out, err);
}

static bool add_layer(struct fold *fold, const struct layer *layer, struct error *err)
{
    struct attribute transpose_b = {.name = "transB", .type = ATTRIBUTE_INT, .integer = 1};
    int inputs[3], output, index;
    struct tensor bias;
    if (!fold_tensor(fold, layer->node->inputs[INPUT], &inputs[INPUT], err) ||
        !add_weights(fold, layer, &inputs[WEIGHTS], err) || !layer_bias(layer, &bias, err) ||
        !graph_add_tensor(fold->to, &bias, false, &inputs[ADDEND], err) ||
        !fold_tensor(fold, layer->output, &output, err))
        return false;

    struct node node = *layer->node;
    node.inputs = inputs;
    node.input_count = 3;
    node.outputs = &output;
    node.output_count = 1;
    if (!is_convolution(&node)) {
        node.op_type = "Gemm";
        node.op = op_find("Gemm");
        node.attributes = &transpose_b;
        node.attribute_count = 1;
    }
    return graph_add_node(fold->to, &node, &index, err);
}

static bool fold_node(struct fold *fold, const struct node *node, struct error *err)
{
    struct layer layer;
    enum role role;
    if (!begin(fold, node, &layer, &role, err))
        return false;
    switch (role) {
    case ROLE_NOTHING:
        return fold_tensor(fold, node->inputs[INPUT], &fold->tensors[node->outputs[0]], err);
    case ROLE_LAYER:
        return extend_all(fold, &layer, err) && add_layer(fold, &layer, err);
    case ROLE_OTHER:
        break;
    }
    return copy_node(fold, node, err);
}

static bool fold_begin(const struct graph *graph, struct arena *arena, struct fold *fold,
                       struct error *err)
{
    *fold = (struct fold){.from = graph};
    fold->tensors = ARENA_ARRAY(arena, int, graph->tensor_count, err);
    fold->done = ARENA_ARRAY(arena, bool, graph->node_count, err);
    if (fold->tensors == NULL || fold->done == NULL || !graph_create(arena, &fold->to, err))
        return false;
    for (int i = 0; i < graph->tensor_count; i++)
        fold->tensors[i] = -1;
    fold->to->opset = graph->opset;
    return fold_tensor(fold, graph->input, &fold->to->input, err);
}

bool graph_fold(const struct graph *graph, struct arena *arena, struct graph **out,
                struct error *err)
{
    struct fold fold;
    if (!fold_begin(graph, arena, &fold, err))
        return false;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        if (!fold.done[i] && !fold_node(&fold, node, err))
            return error_context(err, "folding node '%s' (%s)", node->name, node->op_type);
    }
    if (!fold_tensor(&fold, graph->output, &fold.to->output, err) || !graph_refinish(fold.to, err))
        return false;
    *out = fold.to;
    return true;
}
