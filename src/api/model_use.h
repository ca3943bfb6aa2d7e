#pragma once

/* A model as a graph, for as long as somebody looks at it. */

#include "api_private.h"

#include "ptqd/nn/graph.h"

struct model_format;

struct model_user {
    /* Graph and `scratch` are gone when it is over. */
    bool (*use)(void *context, const struct graph *graph, struct arena *scratch, struct error *err);
    void *context;
};

/* Imports the bytes of a file, in memory of the budget of imports. */
bool model_use(struct api *api, const uint8_t *bytes, size_t size, struct model_user user,
               const struct model_format **out_format, struct error *err);
/* The same with an uploaded model. */
bool stored_model_use(struct api *api, const char *id, struct model_user user, struct error *err);
