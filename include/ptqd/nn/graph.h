#pragma once

/* The network: tensors and nodes in ONNX's vocabulary, one node per operator.
 *
 * Life of a graph: a model format adds tensors and nodes in the file's own axis order; then
 * graph_finish sorts the nodes topologically, checks every node through its operator, infers every
 * shape, and moves activations to channels-last (N, H, W, C), with explicit Transpose nodes where
 * the file's order is needed (the network's input and output keep the order of the file).
 * A finished graph is read-only; rewriting (folding, adding quantizers) builds a new one.
 *
 * On the way nodes that the output does not depend on are removed, nodes of constants alone are
 * evaluated, Constant nodes become constants, and transposes that cancel each other go away.
 *
 * Shapes are those of one sample: the leading extent of a `batched` tensor is multiplied by the
 * number of samples when it is executed.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHAPE_RANK_MAX = 8 };

struct shape {
    int rank;
    int64_t dim[SHAPE_RANK_MAX];
};

enum tensor_type { TENSOR_F32, TENSOR_I64 };

struct tensor {
    const char *name; /* as in the model file */
    enum tensor_type type;
    struct shape shape;      /* leading extent for one sample */
    bool batched;            /* depends on the network's input */
    bool channels_last;      /* axes moved: (N, C, …) of the file is (N, …, C) here */
    const float *values;     /* constant of TENSOR_F32, else NULL; a list (one axis) may be empty */
    const int64_t *integers; /* constant of TENSOR_I64 (shapes, axes), else NULL */
    int producer;            /* node that writes it, -1 for inputs and constants */
};

enum attribute_type {
    ATTRIBUTE_INT,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_STRING,
    ATTRIBUTE_INTS,
    ATTRIBUTE_FLOATS,
    ATTRIBUTE_TENSOR, /* `tensor` is the index of a constant tensor of the graph */
};

struct attribute {
    const char *name;
    enum attribute_type type;
    int64_t integer;
    double real;
    const char *string;
    const int64_t *integers;
    const float *reals;
    size_t count; /* of integers or reals */
    int tensor;
};

enum { NODE_ABSENT = -1 }; /* an optional input that is not given */

struct node {
    const char *name; /* as in the file, or "<op>_<index>" where the file has none */
    const char *op_type;
    const struct op *op;   /* set by graph_finish (borrowed, static) */
    int *inputs, *outputs; /* tensor indices; inputs may be NODE_ABSENT */
    int input_count, output_count;
    struct attribute *attributes;
    int attribute_count;
    void *detail; /* the operator's own, from `infer`: parsed attributes in the graph's arena */
};

struct graph {
    struct arena *arena; /* borrowed: everything of the graph lives in it */
    int64_t opset;       /* ONNX operator set the nodes are written in */
    struct tensor *tensors;
    int tensor_count, tensor_capacity;
    struct node *nodes; /* in execution order once finished */
    int node_count, node_capacity;
    int input, output; /* tensor indices; one input and one output */
    bool batchable;    /* several samples may be executed at once */
    bool finished;
};

/* An empty graph whose memory is `arena`. */
bool graph_create(struct arena *arena, struct graph **out_graph, struct error *err);

/* Copies the description (name, shape, constant data are copied into the arena where `copy_data`).
 */
bool graph_add_tensor(struct graph *graph, const struct tensor *tensor, bool copy_data,
                      int *out_index, struct error *err);

/* Copies the node with its name, lists and attributes. `op` and `detail` are NULL for operators of
 * op_table (graph_finish sets them); an operator of another room (FakeQuantize) comes with its own
 * `op` and `detail`, which are kept. Sets the producer of its outputs; a tensor with two producers
 * is E_INVALID. */
bool graph_add_node(struct graph *graph, const struct node *node, int *out_index,
                    struct error *err);

/* Index of the tensor with this name, -1 when there is none. Linear; for lookups in tests. */
int graph_find_tensor(const struct graph *graph, const char *name);
int graph_find_node(const struct graph *graph, const char *name);

/* Sorts, checks, infers and moves to channels-last as described above. All unsupported operators
 * are reported at once (E_UNSUPPORTED), by node name and type. A cycle, an input without producer,
 * a zero or overflowing shape, a NaN or infinite constant: E_INVALID with node and tensor named.
 * Tensors and nodes are renumbered. */
bool graph_finish(struct graph *graph, struct error *err);

/* For a rewritten copy of a finished graph: resolves operators, sorts and infers again, but does
 * not move axes (they are where they belong already). Tensors keep their numbers; nodes keep theirs
 * when they are in order and all lead to the output. */
bool graph_refinish(struct graph *graph, struct error *err);

/* How many nodes read a tensor (the network's output counts as one reader). */
int graph_reader_count(const struct graph *graph, int tensor);
/* The only node that reads the tensor, or -1 when none or several do, or it is the output. */
int graph_only_reader(const struct graph *graph, int tensor);
/* What a Softmax makes the tensor of, the logits; the tensor itself when none does. */
int graph_before_softmax(const struct graph *graph, int tensor);

/* The attribute, or NULL. */
const struct attribute *node_attribute(const struct node *node, const char *name);

/* True for one axis of extent 0: what files give for an optional input that isn't given. */
bool shape_is_empty_list(const struct shape *shape);
/* Elements of a shape (graph_finish has shown that they can be counted). */
int64_t shape_elements(const struct shape *shape);
/* E_INVALID when an extent is below 1 or the product is above 2^40. */
bool shape_check(const struct shape *shape, const char *what, struct error *err);
bool shape_equal(const struct shape *a, const struct shape *b);
/* "1x49x10" */
void shape_print(const struct shape *shape, char *out, size_t size);
/* Elements of a tensor when `samples` samples are executed at once. */
int64_t tensor_elements(const struct tensor *tensor, int64_t samples);
