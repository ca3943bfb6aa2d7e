/* The order in which training sees the samples. */

#include "ptqd/recon/sample_order.h"

#include <string.h>

bool sample_order_create(struct arena *arena, int64_t count, int64_t batch, struct rng *rng,
                         struct sample_order *out_order, struct error *err)
{
    int64_t *in_order = ARENA_ARRAY(arena, int64_t, count, err);
    int64_t *shuffled = ARENA_ARRAY(arena, int64_t, count, err);
    if (!in_order || !shuffled)
        return false;
    for (int64_t i = 0; i < count; i++)
        in_order[i] = shuffled[i] = i;
    *out_order = (struct sample_order){
        .count = count,
        .batch = batch < count ? batch : count,
        .in_order = in_order,
        .shuffled = shuffled,
        .rng = rng,
    };
    return true;
}

int64_t sample_order_epoch(const struct sample_order *order)
{
    return order->count / order->batch;
}

const int64_t *sample_order_step(struct sample_order *order, int64_t step)
{
    int64_t place = step % sample_order_epoch(order);
    if (place == 0)
        rng_shuffle(order->rng, order->shuffled, (size_t)order->count);
    return order->shuffled + place * order->batch;
}

/* With a learning rate that falls to zero the end is nearly always the best. */
enum { MOMENTS = 4 };

int64_t sample_order_moment(int64_t done, int64_t all)
{
    return done * MOMENTS / all;
}

int64_t sample_order_part(int64_t first, int64_t count, int64_t part)
{
    return count - first < part ? count - first : part;
}

/* All activations of a sample and their gradients. A unit's graph has more tensors than it
 * computes.
 */
static int64_t sample_bytes(const struct graph *graph)
{
    int64_t elements = 0;
    for (int i = 0; i < graph->tensor_count; i++) {
        const struct tensor *tensor = &graph->tensors[i];
        if (tensor->batched && (tensor->producer >= 0 || i == graph->input))
            elements += tensor_elements(tensor, 1);
    }
    return 2 * elements * (int64_t)sizeof(float);
}

int64_t sample_order_at_once(const struct graph *graph, int64_t batch, int64_t most_bytes)
{
    int64_t bytes = sample_bytes(graph), count = batch;
    while (count > 1 && bytes > most_bytes / count)
        count = (count + 1) / 2;
    return count;
}

/* A ceiling for memory only. */
static const int64_t NETWORK_BYTES = INT64_C(512) << 20;

int64_t sample_order_of_network(const struct graph *graph, int64_t batch, int64_t most_bytes)
{
    return sample_order_at_once(graph, batch, most_bytes > 0 ? most_bytes : NETWORK_BYTES);
}

/* Milliseconds of a step of distillation, 32, 16 and 8 samples at once: MobileNetV1, down to 3 × 3
 * places, 36.5, 37.3, 39.4; ResNet-8, down to 8 × 8, 26.9, 26.4, 26.7; DS-CNN, 25 × 5 throughout,
 * 9.5, 9.6, 8.9. */
enum { POSITIONS = 512 };

/* Positions of the smallest map that a convolution of a sample makes; 0 where there is none. */
static int64_t smallest_map(const struct graph *graph)
{
    int64_t smallest = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        if (strcmp(node->op_type, "Conv") != 0)
            continue;
        const struct tensor *map = &graph->tensors[node->outputs[0]];
        int64_t positions = tensor_elements(map, 1) / graph->tensors[node->inputs[1]].shape.dim[0];
        if (smallest == 0 || positions < smallest)
            smallest = positions;
    }
    return smallest;
}

int64_t sample_order_in_caches(const struct graph *graph, int64_t count)
{
    int64_t positions = smallest_map(graph);
    while (count > 1 && (count + 1) / 2 * positions >= POSITIONS)
        count = (count + 1) / 2;
    return count;
}
