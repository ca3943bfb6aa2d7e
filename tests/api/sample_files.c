#include "sample_files.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/artifact/onnx_writer.h"
#include "ptqd/nn/npy.h"

static struct sample_file encode(struct arena *arena, const char *descr, int rank,
                                 const int64_t *dim, const void *values)
{
    struct error err = {0};
    uint8_t *bytes;
    size_t size;
    ck_assert_ok(npy_encode(arena, descr, rank, dim, values, &bytes, &size, &err), &err);
    return (struct sample_file){bytes, size};
}

static struct sample_file encode_samples(struct arena *arena, const struct dataset *dataset)
{
    float *values = ARENA_ARRAY(arena, float, dataset->samples *SMALL_NETWORK_INPUTS, NULL);
    for (int64_t i = 0; i < dataset->samples; i++)
        dataset_read(dataset, i, values + i * SMALL_NETWORK_INPUTS);
    const int64_t dim[] = {dataset->samples, 3, 8, 8};
    return encode(arena, "<f4", 4, dim, values);
}

void sample_files_create(struct arena *arena, int64_t samples, struct sample_files *out_files)
{
    struct error err = {0};
    const struct graph *graph = small_network_create(arena, 1);
    const struct dataset *calibration = small_network_data(arena, graph, samples, false, 2);
    const struct dataset *evaluation = small_network_data(arena, graph, samples, true, 3);
    struct sample_files files = {
        .calibration = encode_samples(arena, calibration),
        .evaluation = encode_samples(arena, evaluation),
        .labels = encode(arena, "<i8", 1, &samples, evaluation->labels),
    };
    ck_assert_ok(
        onnx_write_graph(arena, graph, "test", &files.model.bytes, &files.model.size, &err), &err);
    *out_files = files;
}
