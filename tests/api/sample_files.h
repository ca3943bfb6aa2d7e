#pragma once

/* Files of a small job: the small network as .onnx, samples and labels for it as .npy. */

#include "ptqd/base/arena.h"

#include <stddef.h>
#include <stdint.h>

struct sample_file {
    const uint8_t *bytes;
    size_t size;
};

struct sample_files {
    struct sample_file model, calibration, evaluation, labels;
};

/* `samples` in each data set; the labels are what the network itself gives. */
void sample_files_create(struct arena *arena, int64_t samples, struct sample_files *out_files);
