/* Shifted and mixed samples. */

#include "ptqd/recon/augment.h"

#include "ptqd/quant/network.h"

#include <string.h>

/* Which axis of the input holds the channels: the one that the change to channels-last moves to the
 * end, or the last. */
static int channel_axis(const struct graph *graph)
{
    int tensor = graph->input, reader = graph_only_reader(graph, tensor);
    if (reader >= 0 && graph->nodes[reader].op == &op_fake_quantize)
        reader = graph_only_reader(graph, graph->nodes[reader].outputs[0]);
    const struct shape *shape = &graph->tensors[tensor].shape;
    if (reader < 0 || strcmp(graph->nodes[reader].op_type, "Transpose") != 0)
        return shape->rank - 1;
    const struct attribute *perm = node_attribute(&graph->nodes[reader], "perm");
    return perm ? (int)perm->integers[shape->rank - 1] : shape->rank - 1;
}

void augmenter_init(const struct graph *graph, const struct augment_options *options,
                    struct augmenter *out_augmenter)
{
    const struct shape *shape = &graph->tensors[graph->input].shape;
    int channels = channel_axis(graph);
    struct augmenter augmenter = {
        .options = *options,
        .elements = shape_elements(shape),
        .rank = shape->rank - 1,
    };
    for (int axis = 1; axis < shape->rank; axis++) {
        augmenter.extent[axis - 1] = shape->dim[axis];
        if (shape->rank == 2 || axis == channels)
            continue;
        augmenter.reach[axis - 1] = (int64_t)(options->shift * (double)shape->dim[axis]);
        augmenter.width_axis = axis - 1;
    }
    augmenter.is_image = shape->rank == 4 && shape->dim[channels] == 3;
    *out_augmenter = augmenter;
}

/* Rows of an axis in a sample: [outer][extent][inner]. */
struct rows {
    int64_t outer, extent, inner;
};

static struct rows rows_of(const struct augmenter *augmenter, int axis)
{
    struct rows rows = {.extent = augmenter->extent[axis], .inner = 1};
    for (int i = axis + 1; i < augmenter->rank; i++)
        rows.inner *= augmenter->extent[i];
    rows.outer = augmenter->elements / (rows.extent * rows.inner);
    return rows;
}

/* Writes a cell, which stays where it is, over `count` others. */
static void repeat(const float *cell, int64_t inner, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < inner; j++)
            to[i * inner + j] = cell[j];
}

/* Moves a sample along one axis, forward or (places < 0) back; what is left free at an edge gets
 * the edge's values. */
static void shift(struct rows rows, int64_t places, float *sample)
{
    int64_t distance = places < 0 ? -places : places, stay = rows.extent - distance;
    size_t bytes = (size_t)(stay * rows.inner) * sizeof(float);
    for (int64_t o = 0; o < rows.outer; o++) {
        float *first = sample + o * rows.extent * rows.inner;
        float *moved = first + distance * rows.inner;
        float *last = first + (rows.extent - 1) * rows.inner;
        memmove(places > 0 ? moved : first, places > 0 ? first : moved, bytes);
        if (places > 0)
            repeat(first, rows.inner, distance - 1, first + rows.inner);
        else
            repeat(last, rows.inner, distance - 1, first + stay * rows.inner);
    }
}

static void mirror(struct rows rows, float *sample)
{
    for (int64_t o = 0; o < rows.outer; o++) {
        float *low = sample + o * rows.extent * rows.inner;
        float *high = low + (rows.extent - 1) * rows.inner;
        for (; low < high; low += rows.inner, high -= rows.inner)
            for (int64_t j = 0; j < rows.inner; j++) {
                float value = low[j];
                low[j] = high[j];
                high[j] = value;
            }
    }
}

static void move_sample(const struct augmenter *augmenter, struct rng *rng, float *sample)
{
    for (int axis = 0; axis < augmenter->rank; axis++) {
        int64_t reach = augmenter->reach[axis];
        int64_t places = reach > 0 ? (int64_t)rng_below(rng, (uint64_t)(2 * reach + 1)) - reach : 0;
        if (places != 0)
            shift(rows_of(augmenter, axis), places, sample);
    }
    if (augmenter->options.mirror && augmenter->is_image && rng_below(rng, 2) == 1)
        mirror(rows_of(augmenter, augmenter->width_axis), sample);
}

void augmenter_apply(const struct augmenter *augmenter, struct rng *rng, int64_t count,
                     float *samples)
{
    int64_t elements = augmenter->elements;
    for (int64_t i = 0; i < count; i++)
        move_sample(augmenter, rng, samples + i * elements);
    /* A partner may have been mixed before: then the two are three. */
    for (int64_t i = 0; augmenter->options.mix > 0.0 && i < count; i++) {
        float *sample = samples + i * elements;
        const float *partner = samples + (int64_t)rng_below(rng, (uint64_t)count) * elements;
        float own = (float)(0.5 + 0.5 * rng_uniform(rng));
        if (rng_uniform(rng) >= augmenter->options.mix)
            continue;
        for (int64_t j = 0; j < elements; j++)
            sample[j] = own * sample[j] + (1.0f - own) * partner[j];
    }
}
