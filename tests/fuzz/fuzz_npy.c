/* Data files, `.npy` and `.npz`. Laws: what is refused has a message and a code that blames the
 * file (or its size), never this program; what is accepted has finite values within the range that
 * it states, and labels within its classes. */

#include "ptqd/nn/dataset.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const size_t arena_limit_bytes = (size_t)256 << 20;
static const struct dataset_options options = {.scale = 0.5,
                                               .zero_point = -3,
                                               .limit_bytes = (size_t)64 << 20};

static void check_sample(const struct dataset *dataset, int64_t index, float *sample)
{
    int64_t elements = shape_elements(&dataset->shape);
    dataset_read(dataset, index, sample);
    for (int64_t i = 0; i < elements; i++) {
        double value = (double)sample[i];
        assert(isfinite(value) && value >= dataset->min && value <= dataset->max);
        (void)value;
    }
}

static void check(struct arena *arena, const struct dataset *dataset)
{
    int64_t elements = shape_elements(&dataset->shape);
    float *sample = ARENA_ARRAY(arena, float, elements, NULL);
    assert(dataset->samples > 0 && elements > 0);
    for (int64_t i = 0; sample && i < dataset->samples; i++)
        check_sample(dataset, i, sample);
    for (int64_t i = 0; dataset->labels && i < dataset->samples; i++)
        assert(dataset->labels[i] >= 0 && dataset->labels[i] < dataset->classes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct arena *arena = arena_create(arena_limit_bytes);
    struct error err = {.message = ""};
    struct dataset *dataset;
    if (!arena)
        return 0;
    if (dataset_load(arena, bytes, size, &options, &dataset, &err))
        check(arena, dataset);
    else
        assert(err.message[0] != '\0' && err.code != E_INTERNAL);
    arena_destroy(arena);
    return 0;
}
