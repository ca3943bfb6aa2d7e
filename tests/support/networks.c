#include "networks.h"

#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/npy.h"

#include <stdio.h>
#include <string.h>

const struct network_case network_cases[NETWORK_CASES] = {
    {"ResNet-8", "cifar10", 1.0, 0.8800},
    {"DS-CNN", "kws", 1.0, 0.9213},
    {"MobileNetV1", "vww", 1.0 / 255.0, 0.8040},
    {"HAR CNN", "har", 1.0, 0.9054},
};

enum { PATH_BYTES = 512, FILE_LIMIT_BYTES = 64 << 20 };

static bool read_file(struct arena *arena, const struct network_case *about, const char *name,
                      char **out_bytes, size_t *out_size)
{
    char file[PATH_BYTES], path[PATH_BYTES];
    struct error err = {.message = ""};
    (void)snprintf(file, sizeof(file), "%s/%s", about->directory, name); /* short names */
    if (!support_data_path(file, path, sizeof(path)))
        return false;
    support_require(file_read(arena, path, FILE_LIMIT_BYTES, out_bytes, out_size, &err), &err);
    return true;
}

/* The labelled samples "<name>_x.npy" and "<name>_y.npy"; NULL when they are not there. */
static struct dataset *load_labelled(struct network *network, const char *name)
{
    struct error err = {.message = ""};
    struct dataset_options options = {.scale = network->about->scale,
                                      .limit_bytes = FILE_LIMIT_BYTES};
    struct dataset *dataset;
    char *samples, *labels, file[PATH_BYTES];
    size_t samples_size, labels_size;
    (void)snprintf(file, sizeof(file), "%s_x.npy", name); /* short names */
    if (!read_file(network->arena, network->about, file, &samples, &samples_size))
        return NULL;
    (void)snprintf(file, sizeof(file), "%s_y.npy", name); /* likewise */
    if (!read_file(network->arena, network->about, file, &labels, &labels_size))
        return NULL;
    support_require(dataset_load(network->arena, (const uint8_t *)samples, samples_size, &options,
                                 &dataset, &err),
                    &err);
    support_require(dataset_set_labels(network->arena, dataset, (const uint8_t *)labels,
                                       labels_size, &err),
                    &err);
    return dataset;
}

bool network_load(const struct network_case *about, struct network *out_network)
{
    struct error err = {.message = ""};
    struct network network = {.about = about, .arena = arena_create(0)};
    struct dataset_options options = {.scale = about->scale, .limit_bytes = FILE_LIMIT_BYTES};
    char *model, *calibration;
    size_t model_size, calibration_size;
    network.evaluation = load_labelled(&network, "test");
    if (!network.evaluation ||
        !read_file(network.arena, about, "model.onnx", &model, &model_size) ||
        !read_file(network.arena, about, "calib.npy", &calibration, &calibration_size)) {
        arena_destroy(network.arena);
        return false;
    }
    network.copies = load_labelled(&network, "test_jpeg");
    support_require(model_import(network.arena, (const uint8_t *)model, model_size, &network.graph,
                                 NULL, &err),
                    &err);
    support_require(dataset_load(network.arena, (const uint8_t *)calibration, calibration_size,
                                 &options, &network.calibration, &err),
                    &err);
    *out_network = network;
    return true;
}

void network_finish(struct network *network)
{
    arena_destroy(network->arena);
}

enum { HOLD_OUT = 5 };

/* The samples whose number leaves the remainder HOLD_OUT − 1, or those where it does not. */
static struct dataset *part_of(struct network *network, const struct dataset *all, bool held_out)
{
    struct error err = {.message = ""};
    const struct array *values = all->values;
    size_t bytes = values->count / (size_t)all->samples * values->type->bytes, size;
    uint8_t *data = arena_alloc(network->arena, (size_t)all->samples * bytes, &err), *file;
    int64_t dim[ARRAY_RANK_MAX];
    memcpy(dim, values->dim, sizeof(dim));
    dim[0] = 0;
    support_require(data != NULL, &err);
    for (int64_t i = 0; i < all->samples; i++)
        if ((i % HOLD_OUT == HOLD_OUT - 1) == held_out)
            memcpy(data + (size_t)dim[0]++ * bytes, values->data + (size_t)i * bytes, bytes);
    struct dataset_options options = {.scale = network->about->scale,
                                      .limit_bytes = FILE_LIMIT_BYTES};
    struct dataset *part = NULL;
    support_require(npy_encode(network->arena, values->type->descr, values->rank, dim, data, &file,
                               &size, &err) &&
                        dataset_load(network->arena, file, size, &options, &part, &err),
                    &err);
    return part;
}

/* The float network's classes of a data set. */
static const int64_t *classes_of(struct network *network, const struct dataset *dataset)
{
    struct error err = {.message = ""};
    struct exec *exec;
    const struct graph *graph = network->graph;
    int64_t classes = tensor_elements(&graph->tensors[graph->output], 1);
    float *input = ARENA_ARRAY(network->arena, float, shape_elements(&dataset->shape), &err);
    int64_t *labels = ARENA_ARRAY(network->arena, int64_t, dataset->samples, &err);
    support_require(input && labels &&
                        exec_create(graph, &(struct exec_options){.batch = 1}, &exec, &err),
                    &err);
    for (int64_t i = 0; i < dataset->samples; i++) {
        dataset_read(dataset, i, input);
        support_require(exec_forward(exec, input, 1, &err), &err);
        const float *output = exec_values(exec, graph->output);
        for (int64_t j = 1; j < classes; j++)
            labels[i] = output[j] > output[labels[i]] ? j : labels[i];
    }
    exec_destroy(exec);
    return labels;
}

void network_hold_out(struct network *network)
{
    const struct dataset *all = network->calibration;
    network->calibration = part_of(network, all, false);
    network->evaluation = part_of(network, all, true);
    network->evaluation->labels = classes_of(network, network->evaluation);
    network->copies = NULL;
}
