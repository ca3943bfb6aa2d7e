#pragma once

/* Data sets: samples, and optionally labels, from `.npy` and `.npz` bytes.
 *
 * The first axis counts samples. What a network sees is (stored − zero_point) · scale. Values are
 * kept as stored and turned into float32 when they are read.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"
#include "ptqd/nn/npy.h"

struct dataset_options {
    double scale;           /* finite, > 0 */
    double zero_point;      /* finite */
    size_t limit_bytes;     /* most bytes after decompression */
    struct reading reading; /* of the file, and of what was unpacked of it */
};

struct dataset {
    int64_t samples;
    struct shape shape; /* of one sample, without the leading axis */
    const char *dtype;  /* numpy's: "<f4", "|u1" … */
    double scale, zero_point;
    const struct array *values;
    const int64_t *labels; /* [samples], or NULL */
    int64_t classes;       /* 1 + largest label; 0 without labels */
    double min, max;       /* of the values as the network sees them */
};

/* Borrows `bytes` where it can. `.npz`: `x`, and `y` when there; an `.npy` is `x`. E_SYNTAX for
 * what is not such a file or is truncated, E_INVALID for empty, NaN, infinite, negative labels
 * (with the index and the value), E_TOO_LARGE. */
bool dataset_load(struct arena *arena, const uint8_t *bytes, size_t size,
                  const struct dataset_options *options, struct dataset **out_dataset,
                  struct error *err);

/* Puts labels (an integer `.npy` of one axis) on a data set; the counts must agree. */
bool dataset_set_labels(struct arena *arena, struct dataset *dataset, const uint8_t *bytes,
                        size_t size, struct error *err);

/* Sample `index` as float32, C order: shape_elements(&dataset->shape) values. */
void dataset_read(const struct dataset *dataset, int64_t index, float *out);

/* E_INVALID with both shapes when the samples don't fit the network's input. */
bool dataset_check_input(const struct dataset *dataset, const struct graph *graph,
                         struct error *err);
/* E_INVALID when the labels need more classes than the network's output has; a single value has
 * two. */
bool dataset_check_labels(const struct dataset *dataset, const struct graph *graph,
                          struct error *err);
