#include "ptqd/api/describe.h"

#include "ptqd/nn/npy.h"
#include "ptqd/nn/op.h"

#include <stdlib.h>
#include <string.h>

/* ---- models ---- */

static void add_shape(struct json *object, const char *key, const struct shape *shape)
{
    struct json *list = json_add_array(object, key);
    for (int i = 0; i < shape->rank; i++)
        json_add_integer(list, NULL, shape->dim[i]);
}

/* (N, …, C) of the graph as the (N, C, …) of the file. */
static struct shape file_shape(const struct tensor *tensor)
{
    struct shape shape = tensor->shape;
    if (!tensor->channels_last || shape.rank < 3)
        return shape;
    shape.dim[1] = tensor->shape.dim[shape.rank - 1];
    for (int i = 2; i < shape.rank; i++)
        shape.dim[i] = tensor->shape.dim[i - 1];
    return shape;
}

static void add_tensor_shape(struct json *object, const char *key, const struct graph *graph,
                             int tensor)
{
    if (tensor == NODE_ABSENT) {
        json_add_null(object, key);
        return;
    }
    struct shape shape = file_shape(&graph->tensors[tensor]);
    add_shape(object, key, &shape);
}

static const struct schema_member end_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"shape", .type = SCHEMA_INTEGER, .list = true,
     .help = "In the order of the file, for one sample"},
    {0},
};
const struct schema model_end_schema = {
    .name = "ModelEnd",
    .help = "The input or the output of a network",
    .members = end_members,
};

static void add_end(struct json *object, const char *key, const struct graph *graph, int tensor)
{
    struct json *end = json_add_object(object, key);
    json_add_string(end, "name", graph->tensors[tensor].name);
    add_tensor_shape(end, "shape", graph, tensor);
}

static int64_t parameters_of(const struct graph *graph, const struct node *node)
{
    int64_t parameters = 0;
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != NODE_ABSENT && graph->tensors[node->inputs[i]].values != NULL)
            parameters += shape_elements(&graph->tensors[node->inputs[i]].shape);
    }
    return parameters;
}

/* The windows of a convolution or pooling; null for any other operator. */
static void add_kernel(struct json *layer, const struct graph *graph, const struct node *node)
{
    const struct attribute *attribute = node_attribute(node, "kernel_shape");
    if (attribute != NULL && attribute->type == ATTRIBUTE_INTS) {
        struct json *kernel = json_add_array(layer, "kernel");
        for (size_t i = 0; i < attribute->count; i++)
            json_add_integer(kernel, NULL, attribute->integers[i]);
        return;
    }
    /* The attribute may be left out: weights are (K, C/G, …) in the file. */
    if (strcmp(node->op_type, "Conv") != 0 && strcmp(node->op_type, "ConvTranspose") != 0) {
        json_add_null(layer, "kernel");
        return;
    }
    struct shape weights = file_shape(&graph->tensors[node->inputs[1]]);
    struct json *kernel = json_add_array(layer, "kernel");
    for (int i = 2; i < weights.rank; i++)
        json_add_integer(kernel, NULL, weights.dim[i]);
}

static const struct schema_member layer_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"op", .type = SCHEMA_STRING},
    {"input_shape", .type = SCHEMA_INTEGER, .list = true, .null = true},
    {"output_shape", .type = SCHEMA_INTEGER, .list = true, .null = true},
    {"kernel", .type = SCHEMA_INTEGER, .list = true, .null = true},
    {"groups", .type = SCHEMA_INTEGER},
    {"macs", .type = SCHEMA_INTEGER},
    {"parameters", .type = SCHEMA_INTEGER},
    {0},
};
const struct schema model_layer_schema = {
    .name = "ModelLayer",
    .help = "A node of a network",
    .members = layer_members,
};

static void add_layer(struct json *list, const struct graph *graph, const struct node *node)
{
    const struct attribute *groups = node_attribute(node, "group");
    struct json *layer = json_add_object(list, NULL);
    json_add_string(layer, "name", node->name);
    json_add_string(layer, "op", node->op_type);
    add_tensor_shape(layer, "input_shape", graph, node->input_count > 0 ? node->inputs[0] : -1);
    add_tensor_shape(layer, "output_shape", graph, node->outputs[0]);
    add_kernel(layer, graph, node);
    json_add_integer(layer, "groups", groups != NULL ? groups->integer : 1);
    json_add_integer(layer, "macs", node_macs(graph, node));
    json_add_integer(layer, "parameters", parameters_of(graph, node));
}

/* True for a Transpose that changes the layout inside and is not in the file. */
static bool is_layout_change(const struct graph *graph, const struct node *node)
{
    return strcmp(node->op_type, "Transpose") == 0 &&
           graph->tensors[node->inputs[0]].channels_last !=
               graph->tensors[node->outputs[0]].channels_last;
}

bool describe_model(struct json *object, const struct graph *graph, struct arena *arena,
                    struct error *err)
{
    int64_t macs = 0, parameters = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        macs += node_macs(graph, node);
        parameters += parameters_of(graph, node);
    }
    add_end(object, "input", graph, graph->input);
    add_end(object, "output", graph, graph->output);
    json_add_integer(object, "macs", macs);
    json_add_integer(object, "parameters", parameters);
    struct json *layers = json_array(arena);
    for (int i = 0; i < graph->node_count; i++) {
        if (!is_layout_change(graph, &graph->nodes[i]))
            add_layer(layers, graph, &graph->nodes[i]);
    }
    const char *text = json_print_string(layers, arena, NULL, err);
    json_add_string(object, "layers", text);
    return text != NULL;
}

/* ---- models as graphs ---- */

struct numbering {
    const struct graph *graph;
    int *ids; /* [node_count] as clients count the nodes; -1: not in the file */
};

/* The number of the node that makes the tensor, for who does not see changes of the layout; -1 for
 * constants and the network's input, which is `*out_is_input`. */
static int maker_of(const struct numbering *numbering, int tensor, bool *out_is_input)
{
    const struct graph *graph = numbering->graph;
    int producer = tensor == NODE_ABSENT ? -1 : graph->tensors[tensor].producer;
    while (producer >= 0 && numbering->ids[producer] < 0) {
        tensor = graph->nodes[producer].inputs[0];
        producer = graph->tensors[tensor].producer;
    }
    *out_is_input = tensor == graph->input;
    return producer >= 0 ? numbering->ids[producer] : -1;
}

static const struct schema_member node_members[] = {
    {"id", .type = SCHEMA_INTEGER, .help = "Counts the nodes"},
    {"name", .type = SCHEMA_STRING},
    {"op", .type = SCHEMA_STRING},
    {"layer", .type = SCHEMA_BOOL, .help = "It multiplies, and is one of the layers of a run"},
    {"output_shape", .type = SCHEMA_INTEGER, .list = true},
    {"macs", .type = SCHEMA_INTEGER},
    {"parameters", .type = SCHEMA_INTEGER},
    {"inputs", .type = SCHEMA_INTEGER, .list = true, .help = "Ids of the nodes that it reads"},
    {"from_input", .type = SCHEMA_BOOL, .help = "It reads the network's input, too"},
    {0},
};
const struct schema model_node_schema = {
    .name = "ModelNode",
    .help = "A node of a network and what it reads",
    .members = node_members,
};

static void add_node(struct json *list, const struct numbering *numbering, int index)
{
    const struct graph *graph = numbering->graph;
    const struct node *node = &graph->nodes[index];
    int64_t macs = node_macs(graph, node);
    bool from_input = false;
    struct json *object = json_add_object(list, NULL);
    json_add_integer(object, "id", numbering->ids[index]);
    json_add_string(object, "name", node->name);
    json_add_string(object, "op", node->op_type);
    json_add_bool(object, "layer", macs > 0);
    add_tensor_shape(object, "output_shape", graph, node->outputs[0]);
    json_add_integer(object, "macs", macs);
    json_add_integer(object, "parameters", parameters_of(graph, node));
    struct json *inputs = json_add_array(object, "inputs");
    for (int i = 0; i < node->input_count; i++) {
        bool is_input;
        int maker = maker_of(numbering, node->inputs[i], &is_input);
        if (maker >= 0)
            json_add_integer(inputs, NULL, maker);
        from_input = from_input || is_input;
    }
    json_add_bool(object, "from_input", from_input);
}

bool describe_graph(struct json *object, const struct graph *graph, struct arena *arena,
                    struct error *err)
{
    struct numbering numbering = {graph, ARENA_ARRAY(arena, int, graph->node_count, err)};
    int count = 0;
    if (numbering.ids == NULL)
        return false;
    for (int i = 0; i < graph->node_count; i++)
        numbering.ids[i] = is_layout_change(graph, &graph->nodes[i]) ? -1 : count++;
    add_end(object, "input", graph, graph->input);
    struct json *nodes = json_add_array(object, "nodes");
    for (int i = 0; i < graph->node_count; i++) {
        if (numbering.ids[i] >= 0)
            add_node(nodes, &numbering, i);
    }
    bool is_input;
    int last = maker_of(&numbering, graph->output, &is_input);
    struct json *outputs = json_add_array(object, "outputs");
    if (last >= 0)
        json_add_integer(outputs, NULL, last);
    return true;
}

/* ---- reading descriptions ---- */

static bool read_shape(const struct json *object, struct shape *out, struct error *err)
{
    const struct json *list;
    if (!json_member(object, "shape", &list, err) || !json_expect(list, JSON_ARRAY, err))
        return false;
    struct shape shape = {0};
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v)) {
        if (shape.rank == SHAPE_RANK_MAX)
            return FAIL(err, E_INVALID, "a shape has more than %d axes", SHAPE_RANK_MAX);
        if (!json_as_integer(v, 1, INT64_MAX, &shape.dim[shape.rank++], err))
            return false;
    }
    *out = shape;
    return true;
}

static bool read_end(const struct json *detail, const char *key, struct tensor *out,
                     struct error *err)
{
    const struct json *end, *name;
    return json_member(detail, key, &end, err) && json_member(end, "name", &name, err) &&
           json_as_string(name, &out->name, err) && read_shape(end, &out->shape, err);
}

bool describe_read_model(const struct json *detail, struct arena *arena, struct graph **out_ends,
                         struct error *err)
{
    struct graph *graph = ARENA_NEW(arena, struct graph, err);
    struct tensor *tensors = ARENA_ARRAY(arena, struct tensor, 2, err);
    if (graph == NULL || tensors == NULL)
        return false;
    if (!read_end(detail, "input", &tensors[0], err) ||
        !read_end(detail, "output", &tensors[1], err))
        return error_context(err, "the stored description of a model");
    *graph = (struct graph){.arena = arena,
                            .tensors = tensors,
                            .tensor_count = 2,
                            .tensor_capacity = 2,
                            .input = 0,
                            .output = 1};
    *out_ends = graph;
    return true;
}

static bool read_products(const struct json *layer, const char **out_name, int64_t *out_macs,
                          struct error *err)
{
    const struct json *name, *macs;
    return json_member(layer, "name", &name, err) && json_as_string(name, out_name, err) &&
           json_member(layer, "macs", &macs, err) &&
           json_as_integer(macs, 0, INT64_MAX, out_macs, err);
}

bool describe_read_layers(const struct json *detail, struct arena *arena, const char ***out_names,
                          int *out_count, struct error *err)
{
    static const struct json_limits limits = {.bytes = (size_t)64 << 20,
                                              .depth = 4,
                                              .values = 4 * 1000 * 1000};
    const struct json *text;
    const char *bytes;
    struct json *list;
    if (!json_member(detail, "layers", &text, err) || !json_as_string(text, &bytes, err) ||
        !json_parse(arena, bytes, strlen(bytes), &limits, &list, err))
        return false;
    const char **names = ARENA_ARRAY(arena, const char *, json_count(list), err);
    int count = 0;
    if (names == NULL)
        return false;
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v)) {
        int64_t macs;
        if (!read_products(v, &names[count], &macs, err))
            return error_context(err, "the stored description of a model");
        count += macs > 0;
    }
    *out_names = names;
    *out_count = count;
    return true;
}

/* ---- data sets ---- */

/* True for an integer `.npy` with one axis: labels, which no network takes as input. */
static bool is_labels(struct arena *arena, const uint8_t *bytes, size_t size,
                      struct array *out_array)
{
    return npy_recognize(bytes, size) && npy_decode(arena, bytes, size, out_array, NULL) &&
           out_array->rank == 1 && out_array->type->integer && out_array->count > 0;
}

static bool load_labels(struct arena *arena, const uint8_t *bytes, size_t size,
                        const struct array *array, struct dataset **out_dataset, struct error *err)
{
    struct dataset *dataset = ARENA_NEW(arena, struct dataset, err);
    if (dataset == NULL)
        return false;
    *dataset = (struct dataset){.samples = array->dim[0], .dtype = array->type->descr, .scale = 1};
    if (!dataset_set_labels(arena, dataset, bytes, size, err))
        return false;
    dataset->min = dataset->max = (double)dataset->labels[0];
    for (int64_t i = 0; i < dataset->samples; i++) {
        double label = (double)dataset->labels[i];
        dataset->min = label < dataset->min ? label : dataset->min;
        dataset->max = label > dataset->max ? label : dataset->max;
    }
    *out_dataset = dataset;
    return true;
}

bool describe_load(struct arena *arena, const uint8_t *bytes, size_t size,
                   const struct dataset_options *options, struct dataset **out_dataset,
                   bool *out_labels_only, struct error *err)
{
    struct array array;
    *out_labels_only = is_labels(arena, bytes, size, &array);
    if (*out_labels_only)
        return load_labels(arena, bytes, size, &array, out_dataset, err);
    return dataset_load(arena, bytes, size, options, out_dataset, err);
}

void describe_dataset(struct json *object, const struct dataset *dataset, bool labels_only)
{
    add_shape(object, "shape", &dataset->shape);
    json_add_string(object, "dtype", dataset->dtype);
    json_add_bool(object, "labels", dataset->labels != NULL);
    json_add_bool(object, "labels_only", labels_only);
    if (dataset->labels != NULL)
        json_add_integer(object, "classes", dataset->classes);
    else
        json_add_null(object, "classes");
    json_add_number(object, "min", dataset->min);
    json_add_number(object, "max", dataset->max);
}

static bool read_dataset(const struct json *detail, struct described_dataset *out,
                         struct error *err)
{
    struct described_dataset described = {0};
    const struct json *labels, *labels_only, *classes, *type;
    bool ok = read_shape(detail, &described.dataset.shape, err) &&
              json_member(detail, "dtype", &type, err) &&
              json_as_string(type, &described.dataset.dtype, err) &&
              array_type_find(described.dataset.dtype, &described.type, err) &&
              json_member(detail, "labels", &labels, err) &&
              json_as_bool(labels, &described.labels, err) &&
              json_member(detail, "labels_only", &labels_only, err) &&
              json_as_bool(labels_only, &described.labels_only, err) &&
              json_member(detail, "classes", &classes, err) &&
              (json_type(classes) == JSON_NULL ||
               json_as_integer(classes, 1, INT64_MAX, &described.dataset.classes, err));
    if (!ok)
        return error_context(err, "the stored description of a data set");
    described.dataset.dtype = described.type->descr;
    *out = described;
    return true;
}

bool describe_read_dataset(const struct dataset_row *row, struct arena *arena,
                           struct described_dataset *out, struct error *err)
{
    struct json *detail;
    if (!json_parse(arena, row->detail, strlen(row->detail), NULL, &detail, err) ||
        !read_dataset(detail, out, err))
        return false;
    out->dataset.samples = row->samples;
    out->dataset.scale = row->scale;
    out->dataset.zero_point = row->zero_point;
    return true;
}
