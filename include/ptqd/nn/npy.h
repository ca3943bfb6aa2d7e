#pragma once

/* numpy's `.npy`: one array in one file, read from memory and written to memory. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/nn/graph.h"

enum { ARRAY_RANK_MAX = SHAPE_RANK_MAX + 1 }; /* a sample's axes, and the axis of samples */

struct array_type {
    const char *descr; /* numpy's name: "<f4", "|u1" … */
    size_t bytes;      /* of one element */
    bool integer;
    double (*value)(const uint8_t *element);
    /* (stored − zero_point) · scale of `count` elements */
    void (*read)(const uint8_t *elements, size_t count, double scale, double zero_point,
                 float *out);
};

/* An array in C order, elements as they are in the file (little-endian). */
struct array {
    const struct array_type *type;
    int rank;
    int64_t dim[ARRAY_RANK_MAX]; /* ≥ 0 */
    size_t count;                /* elements */
    const uint8_t *data;         /* borrowed from the file, or in the arena (Fortran order) */
};

/* Lets the owner of a file's bytes know how far they were read, so that what lies before need not
 * stay in memory. It may be read again, from the start. `passed` NULL: nobody wants to know. */
struct reading {
    void (*passed)(void *context, const uint8_t *end);
    void *context; /* borrowed */
};

/* By numpy's name; E_UNSUPPORTED for those that npy_decode does not read. */
bool array_type_find(const char *descr, const struct array_type **out_type, struct error *err);

/* True when the bytes start as an `.npy` file does. */
bool npy_recognize(const uint8_t *bytes, size_t size);

/* Reads a whole file. E_SYNTAX for what is not one, is truncated or has bytes left over (with both
 * numbers); E_UNSUPPORTED for element types other than f2 f4 f8 i1 u1 i2 i4 i8, for big-endian ones
 * and for more than ARRAY_RANK_MAX axes. Zero extents are allowed. */
bool npy_decode(struct arena *arena, const uint8_t *bytes, size_t size, struct array *out_array,
                struct error *err);

/* A version 1.0 file of an array in C order; `descr` is one that npy_decode reads, `values` its
 * elements. */
bool npy_encode(struct arena *arena, const char *descr, int rank, const int64_t *dim,
                const void *values, uint8_t **out_bytes, size_t *out_size, struct error *err);

/* Elements `first` … `first + count − 1` as (stored − zero_point) · scale. */
void array_read(const struct array *array, size_t first, size_t count, double scale,
                double zero_point, float *out);

/* One element as it is stored; above 2^53 rounded. */
double array_value(const struct array *array, size_t index);
