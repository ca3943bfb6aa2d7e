#include "ptqd/nn/broadcast.h"

#include "ptqd/kern/add.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <string.h>

/* Extents of the output after merging, and how far each input advances along them. */
struct walk {
    int rank;
    int64_t extent[SHAPE_RANK_MAX];
    int64_t step[2][SHAPE_RANK_MAX];
};

static int64_t aligned(const struct shape *shape, int axis, int rank)
{
    int own = axis - (rank - shape->rank);
    return own >= 0 ? shape->dim[own] : 1;
}

static bool broadcast_shape(const struct tensor *a, const struct tensor *b, struct shape *out,
                            struct error *err)
{
    out->rank = a->shape.rank > b->shape.rank ? a->shape.rank : b->shape.rank;
    for (int axis = 0; axis < out->rank; axis++) {
        int64_t of_a = aligned(&a->shape, axis, out->rank);
        int64_t of_b = aligned(&b->shape, axis, out->rank);
        if (of_a != of_b && of_a != 1 && of_b != 1) {
            char a_text[96], b_text[96];
            shape_print(&a->shape, a_text, sizeof(a_text));
            shape_print(&b->shape, b_text, sizeof(b_text));
            return FAIL(err, E_INVALID,
                        "'%s' is %s, '%s' is %s: axis %d has extents %" PRId64 " and %" PRId64
                        ", which must be equal or 1",
                        a->name, a_text, b->name, b_text, axis, of_a, of_b);
        }
        out->dim[axis] = of_a == 1 ? of_b : of_a;
    }
    return true;
}

bool broadcast_infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *a, *b;
    int64_t axis;
    struct shape shape;
    if (!infer_counts(node, 2, 2, err) || !infer_input(graph, node, 0, &a, err) ||
        !infer_input(graph, node, 1, &b, err) || !attribute_int(node, "axis", -1, &axis, err))
        return false;
    if (axis >= 0 && axis + b->shape.rank != a->shape.rank)
        return FAIL(err, E_UNSUPPORTED,
                    "axis is %" PRId64 " (opset 6 and before); only broadcasting of the last axes "
                    "is supported",
                    axis);
    return broadcast_shape(a, b, &shape, err) && infer_output(graph, node, 0, &shape, err);
}

/* Extents of a tensor as it is executed, aligned to `rank` axes. */
static void executed_extents(const struct tensor *tensor, int64_t samples, int rank,
                             int64_t extent[static SHAPE_RANK_MAX])
{
    for (int axis = 0; axis < rank; axis++)
        extent[axis] = aligned(&tensor->shape, axis, rank);
    if (tensor->batched && tensor->shape.rank > 0)
        extent[rank - tensor->shape.rank] *= samples;
}

/* Both inputs go through axis and axis + 1 as through one axis. */
static bool can_merge(const struct walk *walk, int axis)
{
    for (int i = 0; i < 2; i++)
        if (walk->step[i][axis] != walk->step[i][axis + 1] * walk->extent[axis + 1])
            return false;
    return true;
}

static void merge_axes(struct walk *walk)
{
    for (int axis = walk->rank - 2; axis >= 0; axis--) {
        if (!can_merge(walk, axis))
            continue;
        walk->extent[axis] *= walk->extent[axis + 1];
        for (int i = 0; i < 2; i++)
            walk->step[i][axis] = walk->step[i][axis + 1];
        walk->rank--;
        for (int j = axis + 1; j < walk->rank; j++) {
            walk->extent[j] = walk->extent[j + 1];
            for (int i = 0; i < 2; i++)
                walk->step[i][j] = walk->step[i][j + 1];
        }
    }
}

/* Extents of 1 are left out first: their steps mean nothing and would keep axes from merging. */
static struct walk walk_begin(const struct op_call *call)
{
    const struct graph *graph = call->graph;
    const struct node *node = call->node;
    int rank = graph->tensors[node->outputs[0]].shape.rank;
    int64_t extent[2][SHAPE_RANK_MAX], step[2][SHAPE_RANK_MAX];
    for (int i = 0; i < 2; i++) {
        executed_extents(&graph->tensors[node->inputs[i]], call->samples, rank, extent[i]);
        int64_t stride = 1;
        for (int axis = rank - 1; axis >= 0; axis--) {
            step[i][axis] = extent[i][axis] == 1 ? 0 : stride;
            stride *= extent[i][axis];
        }
    }

    struct walk walk = {.rank = 0};
    for (int axis = 0; axis < rank; axis++) {
        int64_t longer = extent[0][axis] == 1 ? extent[1][axis] : extent[0][axis];
        if (longer == 1)
            continue;
        walk.extent[walk.rank] = longer;
        walk.step[0][walk.rank] = step[0][axis];
        walk.step[1][walk.rank++] = step[1][axis];
    }
    if (walk.rank == 0)
        walk = (struct walk){.rank = 1, .extent = {1}};
    merge_axes(&walk);
    return walk;
}

/* Position of the current row in both inputs and the output. */
struct position {
    int64_t index[SHAPE_RANK_MAX];
    int64_t offset[2];
    int64_t out;
};

/* To the next row; false after the last. */
static bool next_row(const struct walk *walk, struct position *position)
{
    position->out += walk->extent[walk->rank - 1];
    for (int axis = walk->rank - 2; axis >= 0; axis--) {
        for (int i = 0; i < 2; i++)
            position->offset[i] += walk->step[i][axis];
        if (++position->index[axis] < walk->extent[axis])
            return true;
        for (int i = 0; i < 2; i++)
            position->offset[i] -= walk->step[i][axis] * walk->extent[axis];
        position->index[axis] = 0;
    }
    return false;
}

void broadcast_forward(const struct op_call *call, broadcast_row *row)
{
    struct walk walk = walk_begin(call);
    struct position at = {.out = 0};
    int last = walk.rank - 1;
    do {
        row(walk.extent[last], call->in[0] + at.offset[0], walk.step[0][last],
            call->in[1] + at.offset[1], walk.step[1][last], call->out[0] + at.out);
    } while (next_row(&walk, &at));
}

enum { TERMS = 256 }; /* elements of a row handled at once: 1 KiB of stack */

/* Adds the terms to one element, or to one element each; with `written` they are its value. */
static void add_terms(int64_t count, const float *terms, bool written, float *grad, int64_t step)
{
    if (written) {
        memcpy(grad, terms, (size_t)count * sizeof(*grad));
        return;
    }
    if (step != 0) {
        add_f32(grad, terms, count, false, grad);
        return;
    }
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)terms[i];
    grad[0] += (float)sum;
}

void broadcast_backward(const struct op_call *call, int input, broadcast_term *term)
{
    float *grad = call->grad_in[input];
    if (grad == NULL)
        return;
    struct walk walk = walk_begin(call);
    struct position at = {.out = 0};
    int last = walk.rank - 1;
    const int64_t step[2] = {walk.step[0][last], walk.step[1][last]};
    bool written = call->fresh[input] && walk.rank == 1 && step[input] == 1;
    if (call->fresh[input] && !written) {
        const struct tensor *tensor = &call->graph->tensors[call->node->inputs[input]];
        memset(grad, 0, (size_t)tensor_elements(tensor, call->samples) * sizeof(*grad));
    }
    do {
        for (int64_t i = 0; i < walk.extent[last]; i += TERMS) {
            int64_t left = walk.extent[last] - i;
            int64_t count = left < TERMS ? left : TERMS;
            float terms[TERMS];
            term(count, call->in[0] + at.offset[0] + i * step[0], step[0],
                 call->in[1] + at.offset[1] + i * step[1], step[1], call->grad_out[0] + at.out + i,
                 terms);
            add_terms(count, terms, written, grad + at.offset[input] + i * step[input],
                      step[input]);
        }
    } while (next_row(&walk, &at));
}
