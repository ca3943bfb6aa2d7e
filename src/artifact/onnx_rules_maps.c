/* Rules of operators that cut maps or make them larger. */

#include "onnx_rules.h"

#include "ptqd/nn/infer.h"

/* Lists are attributes before opset 10. A list that the node doesn't give is written as axes 0, 1 …
 * and as steps of 1. */
void onnx_write_slice(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule)
{
    (void)rule;
    static const char *const names[] = {NULL, "starts", "ends", "axes", "steps"};
    enum { STARTS = 1, AXES = 3, STEPS = 4 };
    const struct tensor *in = &state->graph->tensors[node->inputs[0]];
    struct integer_list lists[STEPS + 1] = {0};
    for (int i = STARTS; i <= STEPS; i++)
        if (!infer_ints(state->graph, node, names[i], i, &lists[i], state->file.err)) {
            onnx_file_fail(&state->file);
            return;
        }
    size_t count = lists[STARTS].count;
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    onnx_rule_input(state, written, node->inputs[0]);
    for (int i = STARTS; i <= STEPS; i++) {
        int64_t values[SHAPE_RANK_MAX];
        for (size_t j = 0; j < count; j++) {
            bool given = lists[i].count > 0;
            values[j] = given ? lists[i].values[j] : i == AXES ? (int64_t)j : 1;
            if (i == AXES)
                values[j] = onnx_rule_axis(in, values[j]);
        }
        onnx_rule_integers(state, written, node, names[i], values, count);
    }
}

/* The lengths are an attribute before opset 13, and may be left out; they are those of the
 * outputs. */
void onnx_write_split(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule)
{
    (void)rule;
    const struct tensor *in = &state->graph->tensors[node->inputs[0]];
    const struct attribute *attribute = node_attribute(node, "axis");
    int64_t axis = attribute ? attribute->integer : 0;
    int64_t *lengths = ARENA_ARRAY(state->file.arena, int64_t, node->output_count, state->file.err);
    if (!lengths) {
        onnx_file_fail(&state->file);
        return;
    }
    Onnx__NodeProto *written = onnx_rule_begin(state, node, node->op_type);
    for (int i = 0; i < node->output_count; i++) {
        const struct shape *shape = &state->graph->tensors[node->outputs[i]].shape;
        lengths[i] = shape->dim[axis < 0 ? axis + shape->rank : axis];
        if (i > 0)
            onnx_file_output(&state->file, written, state->names[node->outputs[i]]);
    }
    onnx_rule_input(state, written, node->inputs[0]);
    onnx_rule_integers(state, written, node, "split", lengths, (size_t)node->output_count);
    onnx_file_int(&state->file, written, "axis", onnx_rule_axis(in, axis));
}
