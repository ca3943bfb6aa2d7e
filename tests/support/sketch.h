#pragma once

/* Small graphs for tests, in a few lines. Errors end the program. */

#include "ptqd/base/rng.h"
#include "ptqd/nn/graph.h"

enum { SKETCH_ATTRIBUTES_MAX = 8 };

struct sketch {
    struct arena *arena; /* borrowed */
    struct graph *graph;
    struct attribute attributes[SKETCH_ATTRIBUTES_MAX]; /* of the next node */
    int attribute_count;
};

/* A list of extents, axes …: `SKETCH(1, 3, 8, 8)` */
#define SKETCH(...)                                                                                \
    (struct shape)                                                                                 \
    {                                                                                              \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ }         \
    }

void sketch_init(struct sketch *sketch, struct arena *arena, int64_t opset);

int sketch_input(struct sketch *sketch, const char *name, struct shape shape);

/* A constant with fixed values of both signs, from −1 to 1; its name decides which. */
int sketch_constant(struct sketch *sketch, const char *name, struct shape shape);
int sketch_scalar(struct sketch *sketch, const char *name, float value);
int sketch_integers(struct sketch *sketch, const char *name, struct shape values);

/* Attributes of the node that is added next. */
void sketch_int(struct sketch *sketch, const char *name, int64_t value);
void sketch_real(struct sketch *sketch, const char *name, double value);
void sketch_text(struct sketch *sketch, const char *name, const char *value);
void sketch_ints(struct sketch *sketch, const char *name, struct shape values);

/* A node with one output, both called `name`; gives the output. Inputs end with SKETCH_END. */
enum { SKETCH_END = -2 };
int sketch_node(struct sketch *sketch, const char *op_type, const char *name, ...);

/* A node with several outputs, named "<name>.0" and so on, that reads `input` and, unless it is
 * NODE_ABSENT, `second`. */
void sketch_node_outputs(struct sketch *sketch, const char *op_type, const char *name, int input,
                         int second, int *out_tensors, int count);

/* The same values (N, C, …), which are channels-last inside: averages over windows of one element.
 */
int sketch_channels_last(struct sketch *sketch, const char *name, int input, int map_axes);

/* A convolution with weights "<name>.weight" and bias "<name>.bias", `filter` its R and S (or R)
 * and pads that keep the size at stride 1. */
int sketch_conv(struct sketch *sketch, const char *name, int input, int64_t K, int64_t C,
                struct shape filter);

/* Normal values in the place of "<layer>.weight", of the deviation gain / √D for D values a row;
 * row k is `spread`^(k mod 3 − 1) times as large. */
void sketch_normal_weights(struct sketch *sketch, struct rng *rng, const char *layer, double gain,
                           double spread);

/* The last tensor becomes the output, and the graph is finished. */
struct graph *sketch_finish(struct sketch *sketch, int output);
