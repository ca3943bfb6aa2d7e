#pragma once

/* One operator in a network of its own: input → node → output, all other inputs constant. Built as
 * a model format builds it, in the file's order of axes; executed as the finished graph has it. */

#include "ptqd/base/arena.h"
#include "ptqd/base/rng.h"
#include "ptqd/nn/op.h"

enum { NODE_CASE_INPUTS = 5, NODE_CASE_ATTRIBUTES = 8 };

/* What a test says about it. */
struct node_spec {
    const char *op;
    struct shape input;                           /* of the network */
    struct shape constants[NODE_CASE_INPUTS - 1]; /* of the further inputs; rank < 0: absent */
    int constant_count;
    const float *values[NODE_CASE_INPUTS - 1];         /* of the constants; NULL: random */
    struct attribute attributes[NODE_CASE_ATTRIBUTES]; /* up to the first without name */
    int64_t opset;                                     /* 0: 13 */
};

#define NODE_INT(attribute_name, value)                                                            \
    {                                                                                              \
        .name = (attribute_name), .type = ATTRIBUTE_INT, .integer = (value)                        \
    }
#define NODE_REAL(attribute_name, value)                                                           \
    {                                                                                              \
        .name = (attribute_name), .type = ATTRIBUTE_FLOAT, .real = (value)                         \
    }
#define NODE_STRING(attribute_name, value)                                                         \
    {                                                                                              \
        .name = (attribute_name), .type = ATTRIBUTE_STRING, .string = (value)                      \
    }
#define NODE_INTS(attribute_name, ...)                                                             \
    {                                                                                              \
        .name = (attribute_name), .type = ATTRIBUTE_INTS,                                          \
        .integers = (const int64_t[]){__VA_ARGS__},                                                \
        .count = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)                                \
    }

struct node_case {
    struct arena *arena;
    struct graph *graph;
    const struct node *node; /* in the finished graph */
    struct rng rng;          /* for its constants and whatever the test draws */
};

/* False with the error of graph_finish. The arena lives until node_case_finish in both cases. */
bool node_case_init(struct node_case *at, const struct node_spec *spec, uint64_t seed,
                    struct error *err);
void node_case_finish(struct node_case *at);

/* Checks the shape of the network's output, which is in the file's order. */
void node_case_check_output(const struct node_case *at, const struct shape *expected);

/* Random values for input 0, and elements of it and of the output, for `samples` samples. */
float *node_case_input(struct node_case *at, int64_t samples);
int64_t node_case_inputs(const struct node_case *at, int64_t samples);
int64_t node_case_outputs(const struct node_case *at, int64_t samples);

/* The output for these samples, in the graph's order of axes; in the case's arena. */
float *node_case_run(struct node_case *at, const float *x, int64_t samples);

/* A tensor of (N, C, …) moved to (N, …, C), and back; `shape` is the one of `values`. */
float *node_case_channels_last(struct node_case *at, const float *values,
                               const struct shape *shape);
float *node_case_file_order(struct node_case *at, const float *values, const struct shape *shape);

/* Compares backward with central differences of Σ y·g, g random, for every float input, ±`step`;
 * `tolerance` is relative to 1 + |gradient|. Also checks that gradients are added. */
void node_case_check_gradients(struct node_case *at, int64_t samples, float step, double tolerance);
