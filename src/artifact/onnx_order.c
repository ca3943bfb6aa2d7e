#include "onnx_order.h"

#include <string.h>

int onnx_order_axis(bool channels_last, int axis, int rank)
{
    if (!channels_last || rank < 3 || axis == 0)
        return axis;
    return axis == rank - 1 ? 1 : axis + 1;
}

struct shape onnx_order_shape(const struct tensor *tensor)
{
    struct shape shape = tensor->shape;
    for (int i = 0; i < shape.rank; i++)
        shape.dim[onnx_order_axis(tensor->channels_last, i, shape.rank)] = tensor->shape.dim[i];
    return shape;
}

/* (N, S, C) to (N, C, S), S the product of all axes between. */
static void move_channels(int64_t N, int64_t S, int64_t C, size_t element_bytes,
                          const uint8_t *values, uint8_t *out)
{
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t s = 0; s < S; s++) {
                memcpy(out, values + (size_t)((n * S + s) * C + c) * element_bytes, element_bytes);
                out += element_bytes;
            }
}

const void *onnx_order_values(struct arena *arena, const struct tensor *tensor, const void *values,
                              size_t element_bytes, struct error *err)
{
    int rank = tensor->shape.rank;
    if (!tensor->channels_last || rank < 3)
        return values;
    int64_t N = tensor->shape.dim[0], C = tensor->shape.dim[rank - 1];
    int64_t elements = shape_elements(&tensor->shape);
    uint8_t *out = arena_array(arena, (size_t)elements, element_bytes, err);
    if (out && elements > 0)
        move_channels(N, elements / (N * C), C, element_bytes, values, out);
    return out;
}

const void *onnx_order_transposed(struct arena *arena, const struct tensor *tensor,
                                  const void *values, size_t element_bytes, struct shape *out_shape,
                                  struct error *err)
{
    const uint8_t *from = values;
    struct shape shape = tensor->shape;
    int rank = shape.rank;
    int64_t K = shape.dim[0], C = shape.dim[rank - 1];
    int64_t taps = shape_elements(&shape) / (K * C);
    uint8_t *out = arena_array(arena, (size_t)(K * C * taps), element_bytes, err);
    if (!out)
        return NULL;
    for (int axis = rank - 1; axis >= 2; axis--)
        shape.dim[axis] = shape.dim[axis - 1];
    shape.dim[0] = C;
    shape.dim[1] = K;
    *out_shape = shape;
    uint8_t *to = out;
    for (int64_t c = 0; c < C; c++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t tap = taps - 1; tap >= 0; tap--, to += element_bytes)
                memcpy(to, from + (size_t)((k * taps + tap) * C + c) * element_bytes,
                       element_bytes);
    return out;
}

void onnx_order_perm(const struct tensor *in, const struct tensor *out, const struct node *node,
                     int64_t out_perm[static SHAPE_RANK_MAX])
{
    const struct attribute *perm = node_attribute(node, "perm");
    int rank = in->shape.rank;
    for (int i = 0; i < rank; i++) {
        int from = perm ? (int)perm->integers[i] : rank - 1 - i;
        out_perm[onnx_order_axis(out->channels_last, i, rank)] =
            onnx_order_axis(in->channels_last, from, rank);
    }
}
