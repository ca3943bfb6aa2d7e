/* The order in which training sees the samples. */

#include "ptqd/recon/sample_order.h"

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

/* A ceiling for memory only. Parts that the caches hold do not pay: the deep layers, of small maps
 * and many weights, lose what the first ones gain. Milliseconds of a step of distillation, 32, 16
 * and 8 samples at once: MobileNetV1 36.5, 37.3, 39.4; ResNet-8 26.9, 26.4, 26.7; DS-CNN 9.5, 9.6,
 * 8.9. */
static const int64_t NETWORK_BYTES = INT64_C(512) << 20;

int64_t sample_order_of_network(const struct graph *graph, int64_t batch, int64_t most_bytes)
{
    return sample_order_at_once(graph, batch, most_bytes > 0 ? most_bytes : NETWORK_BYTES);
}
