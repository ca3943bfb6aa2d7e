#pragma once

/* The values of one tensor for all calibration samples: in memory, in a spill file, or in the data
 * set itself, from which they are read as often as they are wanted.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/spill.h"
#include "ptqd/recon/samples.h"

struct captured {
    int64_t samples;  /* rows; 1 where one row serves all */
    int64_t elements; /* of one sample */
    bool constant;    /* one row serves all: the tensor does not depend on the input */
    /* One of these. */
    float *values;                /* [samples][elements] */
    struct spill *spill;          /* the same as a file */
    const struct samples *source; /* borrowed: rows from `first` on */
    int64_t first;
};

/* Values given by the caller, borrowed. */
struct captured captured_values(float *values, int64_t samples, int64_t elements);

/* Samples from `first` that are a batch of `count`: as pointer to where they are, or read into
 * `buffer` (count · elements, unused where captured_resident). NULL on an error. */
const float *captured_read(const struct captured *captured, int64_t first, int64_t count,
                           float *buffer, struct error *err);
/* Where samples from `first` on are computed, and then written: in memory their place, else in
 * `buffer`. Not for those of a data set. */
float *captured_place(const struct captured *captured, int64_t first, float *buffer);
bool captured_write(const struct captured *captured, int64_t first, int64_t count,
                    const float *values, struct error *err);
static inline bool captured_resident(const struct captured *captured)
{
    return captured->values != NULL;
}

/* All samples to [samples][elements]. */
bool captured_copy(const struct captured *captured, float *out, struct error *err);

/* Reading through a buffer of one's own. */
struct captured_reader {
    const struct captured *of; /* borrowed */
    float *buffer;
};

/* For up to `most` samples at once. */
bool captured_open(const struct captured *captured, int64_t most, struct arena *arena,
                   struct captured_reader *out_reader, struct error *err);
static inline const float *captured_at(const struct captured_reader *reader, int64_t first,
                                       int64_t count, struct error *err)
{
    return captured_read(reader->of, first, count, reader->buffer, err);
}

/* Samples of so many elements that make a pass over all of them worth its overhead and take at most
 * 8 MiB; at least 1. */
int64_t captured_chunk(int64_t elements);
