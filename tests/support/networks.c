#include "networks.h"

#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/nn/model.h"

#include <stdio.h>
#include <stdlib.h>

const struct network_case network_cases[NETWORK_CASES] = {
    {"ResNet-8", "cifar10", 1.0, 0.8800},
    {"DS-CNN", "kws", 1.0, 0.9213},
    {"MobileNetV1", "vww", 1.0 / 255.0, 0.8040},
    {"HAR CNN", "har", 1.0, 0.9054},
};

enum { PATH_BYTES = 512, FILE_LIMIT_BYTES = 64 << 20 };

static void require(bool ok, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static bool read_file(struct arena *arena, const struct network_case *about, const char *name,
                      char **out_bytes, size_t *out_size)
{
    char file[PATH_BYTES], path[PATH_BYTES];
    struct error err = {.message = ""};
    (void)snprintf(file, sizeof(file), "%s/%s", about->directory, name); /* short names */
    if (!support_data_path(file, path, sizeof(path)))
        return false;
    require(file_read(arena, path, FILE_LIMIT_BYTES, out_bytes, out_size, &err), &err);
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
    require(dataset_load(network->arena, (const uint8_t *)samples, samples_size, &options, &dataset,
                         &err),
            &err);
    require(dataset_set_labels(network->arena, dataset, (const uint8_t *)labels, labels_size, &err),
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
    require(model_import(network.arena, (const uint8_t *)model, model_size, &network.graph, NULL,
                         &err),
            &err);
    require(dataset_load(network.arena, (const uint8_t *)calibration, calibration_size, &options,
                         &network.calibration, &err),
            &err);
    *out_network = network;
    return true;
}

void network_finish(struct network *network)
{
    arena_destroy(network->arena);
}
