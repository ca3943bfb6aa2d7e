/* One sorted list, searched by bisection: no hash whose collisions a file could be made for.
 * O(n log n) comparisons for n mentions of names in the file. */

#include "ptqd/nn/onnx_names.h"

#include "onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* An empty name is that of an optional input which is not given. */
static void add(struct onnx_names *names, const char *text, bool initializer)
{
    if (text != NULL && text[0] != '\0')
        names->rows[names->count++] =
            (struct onnx_name){.text = text, .tensor = -1, .initializer = initializer};
}

static size_t count_mentions(const Onnx__GraphProto *graph)
{
    size_t count = graph->n_initializer;
    for (size_t i = 0; i < graph->n_node; i++)
        count += graph->node[i]->n_input + graph->node[i]->n_output;
    return count;
}

static void add_mentions(struct onnx_names *names, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        add(names, graph->initializer[i]->name, true);
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        for (size_t j = 0; j < node->n_input; j++)
            add(names, node->input[j], false);
        for (size_t j = 0; j < node->n_output; j++)
            add(names, node->output[j], false);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct onnx_name *)a)->text, ((const struct onnx_name *)b)->text);
}

static void merge_equal(struct onnx_names *names)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (kept > 0 && compare(&names->rows[kept - 1], &names->rows[i]) == 0)
            names->rows[kept - 1].initializer |= names->rows[i].initializer;
        else
            names->rows[kept++] = names->rows[i];
    }
    names->count = kept;
}

bool onnx_names_create(struct arena *arena, const struct Onnx__GraphProto *graph,
                       struct onnx_names *out_names, struct error *err)
{
    struct onnx_names names = {
        .rows = ARENA_ARRAY(arena, struct onnx_name, count_mentions(graph), err)};
    if (names.rows == NULL)
        return false;
    add_mentions(&names, graph);
    qsort(names.rows, names.count, sizeof(names.rows[0]), compare);
    merge_equal(&names);
    *out_names = names;
    return true;
}

struct onnx_name *onnx_names_find(const struct onnx_names *names, const char *text)
{
    struct onnx_name key = {.text = text};
    return bsearch(&key, names->rows, names->count, sizeof(key), compare);
}
