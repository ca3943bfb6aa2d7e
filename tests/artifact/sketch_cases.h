#pragma once

/* Small graphs with every operator, for export_sketches.c. */

#include "sketch.h"

struct sketch_case {
    const char *name;
    int64_t opset;
    int64_t input[4];                           /* extents; 0: one axis less */
    int (*build)(struct sketch *sketch, int x); /* from the input to the output */
};

struct sketch_cases {
    const struct sketch_case *rows;
    int count;
};

/* Operators of Conv networks; those that cut maps or make them larger. */
extern const struct sketch_cases sketch_cases_plain, sketch_cases_maps;
