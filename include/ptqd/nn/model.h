#pragma once

/* Model files. A format is a row of model_formats.def: recognised by content, never by name. */

#include "ptqd/nn/graph.h"

struct model_format {
    const char *name; /* "onnx", "tflite" */
    /* True when the bytes look like this format (magic, first fields); never reads past `size`. */
    bool (*recognize)(const uint8_t *bytes, size_t size);
    /* Adds everything to `graph`, in the file's order; graph_finish follows. */
    bool (*import)(const uint8_t *bytes, size_t size, struct graph *graph, struct error *err);
};

const struct model_format *const *model_format_table(void); /* NULL-terminated */

/* The format that the bytes begin like; NULL: none. */
const struct model_format *model_recognize(const uint8_t *bytes, size_t size);

/* Recognises, imports and finishes. `out_format` may be NULL. */
bool model_import(struct arena *arena, const uint8_t *bytes, size_t size, struct graph **out_graph,
                  const struct model_format **out_format, struct error *err);
