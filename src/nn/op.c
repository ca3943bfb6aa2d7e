#include "ptqd/nn/op.h"

#include <string.h>

#define OP(op_type, object) extern const struct op object;
#include "ops/ops.def"
#undef OP

static const struct op *const table[] = {
#define OP(op_type, object) &object,
#include "ops/ops.def"
#undef OP
    NULL,
};

const struct op *const *op_table(void)
{
    return table;
}

const struct op *op_find(const char *op_type)
{
    for (const struct op *const *row = table; *row != NULL; row++)
        if (strcmp((*row)->name, op_type) == 0)
            return *row;
    return NULL;
}

int64_t node_macs(const struct graph *graph, const struct node *node)
{
    return node->op->macs != NULL ? node->op->macs(graph, node) : 0;
}
