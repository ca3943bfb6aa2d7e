#include "model_laws.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/model.h"

#include <assert.h>

static const size_t arena_limit_bytes = (size_t)256 << 20;
static const int64_t executed_elements_max = 1 << 14; /* keeps an input in the milliseconds */

/* Elements of all tensors of one sample. */
static int64_t count_elements(const struct graph *graph)
{
    int64_t count = 0;
    for (int i = 0; i < graph->tensor_count; i++) {
        struct error err;
        bool countable = shape_check(&graph->tensors[i].shape, graph->tensors[i].name, &err);
        assert(countable || graph->tensors[i].integers != NULL);
        if (countable)
            count += shape_elements(&graph->tensors[i].shape);
    }
    return count;
}

static void execute(const struct graph *graph)
{
    struct error err;
    struct exec *exec = NULL;
    static float input[1 << 14];
    if (exec_create(graph, &(struct exec_options){.batch = 1}, &exec, &err)) {
        bool ok = exec_forward(exec, input, 1, &err);
        assert(!ok || exec_values(exec, graph->output) != NULL);
        (void)ok;
    }
    exec_destroy(exec);
}

void model_laws_check(const uint8_t *bytes, size_t size)
{
    struct arena *arena = arena_create(arena_limit_bytes);
    if (arena == NULL)
        return;
    struct error err = {.message = ""};
    struct graph *graph;
    if (!model_import(arena, bytes, size, &graph, NULL, &err)) {
        assert(err.message[0] != '\0' && err.code != E_INTERNAL);
    } else {
        assert(graph->finished && graph->tensors[graph->output].batched);
        if (count_elements(graph) <= executed_elements_max)
            execute(graph);
    }
    arena_destroy(arena);
}
