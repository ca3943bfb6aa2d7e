/* The weights of a MAC node as a matrix. */

#include "ptqd/recon/mac_matrix.h"

#include "ptqd/nn/op.h"

#include <math.h>
#include <string.h>

bool mac_owns_constants(const struct graph *graph, const struct node *node)
{
    if (!node->op->mac || strcmp(node->op_type, "MatMul") == 0 || node->input_count < 3)
        return false;
    for (int input = 1; input <= 2; input++) {
        int tensor = node->inputs[input];
        if (tensor == NODE_ABSENT || !graph->tensors[tensor].values ||
            graph_reader_count(graph, tensor) != 1)
            return false;
    }
    return true;
}

struct mac_matrix mac_matrix_of(const struct graph *graph, const struct node *node, float *values)
{
    const struct shape *shape = &graph->tensors[node->inputs[1]].shape;
    const struct attribute *group = node_attribute(node, "group");
    int64_t K = shape->dim[0];
    return (struct mac_matrix){
        .values = values,
        .K = K,
        .D = shape_elements(shape) / K,
        .rows_per_group = K / (group ? group->integer : 1),
        .width = shape->dim[shape->rank - 1], /* channels are last: [K][R][S][C/G] or [K][C] */
    };
}

int64_t mac_matrix_inputs(const struct mac_matrix *matrix)
{
    return matrix->width * (matrix->K / matrix->rows_per_group);
}

double mac_matrix_row_range(const struct mac_matrix *matrix, int64_t channel)
{
    float range = 0.0f;
    for (int64_t d = 0; d < matrix->D; d++)
        range = fmaxf(range, fabsf(matrix->values[channel * matrix->D + d]));
    return (double)range;
}

double mac_matrix_column_scale(const struct mac_matrix *matrix, int64_t channel, float factor)
{
    int64_t group = channel / matrix->width, offset = channel % matrix->width;
    float range = 0.0f;
    for (int64_t row = 0; row < matrix->rows_per_group; row++) {
        float *w = matrix->values + (group * matrix->rows_per_group + row) * matrix->D;
        for (int64_t d = offset; d < matrix->D; d += matrix->width) {
            w[d] *= factor;
            range = fmaxf(range, fabsf(w[d]));
        }
    }
    return (double)range;
}

bool mac_channels_stay(const struct graph *graph, const struct node *node)
{
    const struct shape *shape = &graph->tensors[node->inputs[0]].shape;
    int wide_axes = 0;
    for (int axis = 0; axis < shape->rank; axis++)
        wide_axes += shape->dim[axis] > 1;
    return node->op->view && wide_axes <= 1;
}
