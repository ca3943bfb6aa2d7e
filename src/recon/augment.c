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

bool augmenter_create(struct arena *arena, const struct graph *graph,
                      const struct augment_options *options, struct augmenter *out_augmenter,
                      struct error *err)
{
    const struct shape *shape = &graph->tensors[graph->input].shape;
    int channels = channel_axis(graph);
    struct augmenter augmenter = {
        .options = *options,
        .elements = shape_elements(shape),
        .rank = shape->rank - 1,
        .other = ARENA_ARRAY(arena, float, shape_elements(shape), err),
    };
    if (!augmenter.other)
        return false;
    for (int axis = 1; axis < shape->rank; axis++) {
        augmenter.extent[axis - 1] = shape->dim[axis];
        if (shape->rank == 2 || axis == channels)
            continue;
        augmenter.reach[axis - 1] = (int64_t)(options->shift * (double)shape->dim[axis]);
        augmenter.width_axis = axis - 1;
    }
    augmenter.is_image = shape->rank == 4 && shape->dim[channels] == 3;
    *out_augmenter = augmenter;
    return true;
}

/* The place that comes to place `to` when an axis is moved, or turned round. */
static int64_t source_of(int64_t to, int64_t extent, int64_t places, bool mirrored)
{
    int64_t from = mirrored ? extent - 1 - to : to - places;
    return from < 0 ? 0 : from >= extent ? extent - 1 : from;
}

/* Cells are often single values, too small for a call. */
static void copy_cell(const float *from, int64_t count, float *to)
{
    if (count == 1)
        *to = *from;
    else
        memcpy(to, from, (size_t)count * sizeof(float));
}

/* Moves a sample by `places` along one axis, or mirrors it: [outer][extent][inner]. */
static void rearrange(const struct augmenter *augmenter, int axis, int64_t places, bool mirrored,
                      float *sample)
{
    int64_t extent = augmenter->extent[axis], inner = 1;
    for (int i = axis + 1; i < augmenter->rank; i++)
        inner *= augmenter->extent[i];
    int64_t outer = augmenter->elements / (extent * inner);
    memcpy(augmenter->other, sample, (size_t)augmenter->elements * sizeof(float));
    for (int64_t o = 0; o < outer; o++)
        for (int64_t e = 0; e < extent; e++)
            copy_cell(augmenter->other +
                          (o * extent + source_of(e, extent, places, mirrored)) * inner,
                      inner, sample + (o * extent + e) * inner);
}

static void move_sample(const struct augmenter *augmenter, struct rng *rng, float *sample)
{
    for (int axis = 0; axis < augmenter->rank; axis++) {
        int64_t reach = augmenter->reach[axis];
        int64_t places = reach > 0 ? (int64_t)rng_below(rng, (uint64_t)(2 * reach + 1)) - reach : 0;
        if (places != 0)
            rearrange(augmenter, axis, places, false, sample);
    }
    if (augmenter->options.mirror && augmenter->is_image && rng_below(rng, 2) == 1)
        rearrange(augmenter, augmenter->width_axis, 0, true, sample);
}

void augmenter_apply(struct augmenter *augmenter, struct rng *rng, int64_t count, float *samples)
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
