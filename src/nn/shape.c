/* Shapes, and the permutation of axes between the file's order and channels-last. */

#include "ptqd/base/mem.h"
#include "ptqd/kern/turn.h"
#include "ptqd/nn/graph.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t ELEMENTS_MAX = INT64_C(1) << 40;

int64_t shape_elements(const struct shape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= shape->dim[i];
    return count;
}

bool shape_is_empty_list(const struct shape *shape)
{
    return shape->rank == 1 && shape->dim[0] == 0;
}

bool shape_check(const struct shape *shape, const char *what, struct error *err)
{
    if (shape->rank < 0 || shape->rank > SHAPE_RANK_MAX)
        return FAIL(err, E_INVALID, "'%s' has %d axes; at most %d are supported", what, shape->rank,
                    SHAPE_RANK_MAX);

    char text[128];
    shape_print(shape, text, sizeof(text));
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1)
            return FAIL(err, E_INVALID,
                        "'%s' is %s: axis %d has extent %" PRId64 "; extents start at 1", what,
                        text, i, shape->dim[i]);
        if (!mem_mul_i64(count, shape->dim[i], &count) || count > ELEMENTS_MAX)
            return FAIL(err, E_INVALID, "'%s' is %s: more than 2^40 elements", what, text);
    }
    return true;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

void shape_print(const struct shape *shape, char *out, size_t size)
{
    if (shape->rank == 0) {
        snprintf(out, size, "a scalar");
        return;
    }
    size_t length = 0;
    for (int i = 0; i < shape->rank && length < size; i++) {
        int written =
            snprintf(out + length, size - length, "%s%" PRId64, i > 0 ? "x" : "", shape->dim[i]);
        length += written > 0 ? (size_t)written : 0;
    }
}

int64_t tensor_elements(const struct tensor *tensor, int64_t samples)
{
    int64_t count = shape_elements(&tensor->shape);
    return tensor->batched ? count * samples : count;
}

struct shape shape_permuted(const struct shape *shape, const int *perm)
{
    struct shape permuted = {.rank = shape->rank};
    for (int i = 0; i < shape->rank; i++)
        permuted.dim[i] = shape->dim[perm[i]];
    return permuted;
}

int layout_axis(int axis, int rank)
{
    if (axis == 0)
        return 0;
    return axis == 1 ? rank - 1 : axis - 1;
}

void layout_to_channels_last(int rank, int perm[static SHAPE_RANK_MAX])
{
    for (int axis = 0; axis < rank; axis++)
        perm[layout_axis(axis, rank)] = axis;
}

void layout_to_file_order(int rank, int perm[static SHAPE_RANK_MAX])
{
    for (int axis = 0; axis < rank; axis++)
        perm[axis] = layout_axis(axis, rank);
}

/* Axes of an output, and how far apart their elements are in the input. */
struct walk_axes {
    int count;
    int64_t extent[SHAPE_RANK_MAX], stride[SHAPE_RANK_MAX];
};

/* As few as can be: those of one element go, and those that stay behind each other are one. */
static struct walk_axes permuted_axes(const struct shape *in_shape, const int *perm)
{
    int64_t in_stride[SHAPE_RANK_MAX], step = 1;
    struct walk_axes axes = {.count = 0};
    for (int i = in_shape->rank - 1; i >= 0; i--) {
        in_stride[i] = step;
        step *= in_shape->dim[i];
    }
    for (int i = 0; i < in_shape->rank; i++) {
        int64_t extent = in_shape->dim[perm[i]], stride = in_stride[perm[i]];
        int last = axes.count - 1;
        if (extent == 1)
            continue;
        if (last >= 0 && axes.stride[last] == extent * stride) {
            axes.extent[last] *= extent;
            axes.stride[last] = stride;
        } else {
            axes.extent[axes.count] = extent;
            axes.stride[axes.count++] = stride;
        }
    }
    return axes;
}

/* An odometer over the output's axes but the inner ones: two of a turned matrix, else the last in a
 * strided copy. */
void permute_f32(const float *in, const struct shape *in_shape, const int *perm, float *out)
{
    struct walk_axes axes = permuted_axes(in_shape, perm);
    int last = axes.count - 1;
    int64_t extent = last >= 0 ? axes.extent[last] : 1, stride = last >= 0 ? axes.stride[last] : 1;
    bool turned = last > 0 && axes.stride[last - 1] == 1 && stride == axes.extent[last - 1];
    int outer = turned ? last - 1 : last;
    int64_t inner = turned ? extent * stride : extent, offset = 0;
    int64_t index[SHAPE_RANK_MAX] = {0};
    for (int64_t rest = shape_elements(in_shape) / inner; rest > 0; rest--, out += inner) {
        if (turned)
            turn_f32(in + offset, extent, stride, out);
        for (int64_t i = 0; !turned && i < extent; i++)
            out[i] = in[offset + i * stride];
        for (int axis = outer - 1; axis >= 0; axis--) {
            offset += axes.stride[axis];
            if (++index[axis] < axes.extent[axis])
                break;
            offset -= axes.extent[axis] * axes.stride[axis];
            index[axis] = 0;
        }
    }
}
