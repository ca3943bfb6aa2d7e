/* The calibration samples of one run. */

#include "ptqd/recon/samples.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool samples_draw(struct arena *arena, const struct dataset *dataset, int64_t wanted,
                  struct rng *rng, struct samples *out_samples, struct error *err)
{
    int64_t *indices = ARENA_ARRAY(arena, int64_t, dataset->samples, err);
    if (!indices)
        return false;
    for (int64_t i = 0; i < dataset->samples; i++)
        indices[i] = i;
    int64_t count = dataset->samples;
    if (wanted > 0 && wanted < count) {
        rng_shuffle(rng, indices, (size_t)count);
        count = wanted;
        qsort(indices, (size_t)count, sizeof(*indices), compare);
    }
    *out_samples = (struct samples){.dataset = dataset, .indices = indices, .count = count};
    return true;
}

void samples_read(const struct samples *samples, int64_t index, float *out)
{
    dataset_read(samples->dataset, samples->indices[index], out);
}
