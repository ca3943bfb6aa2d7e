#pragma once

/* The names of values in an ONNX graph, each with the tensor that stands for it. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct Onnx__GraphProto;

struct onnx_name {
    const char *text; /* borrowed from the GraphProto */
    int tensor;       /* index in the graph, -1: none yet */
    bool initializer; /* an initializer has the name */
};

struct onnx_names {
    struct onnx_name *rows; /* sorted by text */
    size_t count;
};

/* Every name that a node reads or writes, or an initializer has. */
bool onnx_names_create(struct arena *arena, const struct Onnx__GraphProto *graph,
                       struct onnx_names *out_names, struct error *err);

/* The row of a name; NULL when it is none of those. */
struct onnx_name *onnx_names_find(const struct onnx_names *names, const char *text);
