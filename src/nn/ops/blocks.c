#include "blocks.h"

struct blocks blocks_of(const struct op_call *call, int tensor, int axis)
{
    const struct tensor *t = &call->graph->tensors[tensor];
    struct blocks blocks = {.count = 1, .size = 1};
    for (int i = 0; i < t->shape.rank; i++)
        *(i < axis ? &blocks.count : &blocks.size) *= t->shape.dim[i];
    if (t->batched)
        blocks.count *= call->samples;
    return blocks;
}
