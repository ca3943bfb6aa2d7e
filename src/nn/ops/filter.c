#include "filter.h"

#include "ptqd/base/mem.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>

bool filter_infer(const struct graph *graph, const struct node *node, const struct window_map *map,
                  const struct tensor **out_weights, struct error *err)
{
    const struct tensor *tensor;
    if (!infer_input(graph, node, 1, &tensor, err))
        return false;
    if (tensor->values == NULL)
        return FAIL(err, E_UNSUPPORTED, "weights '%s' are computed; they must be a constant",
                    tensor->name);
    if (tensor->shape.rank != map->axes + 2)
        return FAIL(err, E_INVALID, "weights '%s' have %d axes; a map of %d axes needs %d",
                    tensor->name, tensor->shape.rank, map->axes, map->axes + 2);
    *out_weights = tensor;
    return true;
}

bool filter_infer_bias(const struct graph *graph, const struct node *node, int64_t K,
                       struct error *err)
{
    const struct tensor *tensor;
    if (!infer_has_input(node, 2))
        return true;
    if (!infer_input(graph, node, 2, &tensor, err))
        return false;
    if (tensor->values == NULL)
        return FAIL(err, E_UNSUPPORTED, "bias '%s' is computed; it must be a constant",
                    tensor->name);
    if (tensor->shape.rank != 1 || tensor->shape.dim[0] != K)
        return FAIL(err, E_INVALID,
                    "bias '%s' has %" PRId64 " elements in %d axes; it must have "
                    "one for each of %" PRId64 " output channels",
                    tensor->name, shape_elements(&tensor->shape), tensor->shape.rank, K);
    return true;
}

bool filter_check_macs(const int64_t *factors, int count, struct error *err)
{
    int64_t macs = 1;
    for (int i = 0; i < count; i++)
        if (!mem_mul_i64(macs, factors[i], &macs))
            return FAIL(err, E_INVALID, "more than 2^63 multiply-accumulates");
    return true;
}
