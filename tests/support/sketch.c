#include "sketch.h"

#include "support.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { INPUTS_MAX = 8, NAME_BYTES = 64 };

void sketch_init(struct sketch *sketch, struct arena *arena, int64_t opset)
{
    struct error err = {.message = ""};
    *sketch = (struct sketch){.arena = arena};
    support_require(graph_create(arena, &sketch->graph, &err), &err);
    sketch->graph->opset = opset;
}

static int add_tensor(struct sketch *sketch, const struct tensor *tensor)
{
    struct error err = {.message = ""};
    int index = -1;
    support_require(graph_add_tensor(sketch->graph, tensor, true, &index, &err), &err);
    return index;
}

int sketch_input(struct sketch *sketch, const char *name, struct shape shape)
{
    struct tensor tensor = {.name = name, .shape = shape, .producer = -1};
    sketch->graph->input = add_tensor(sketch, &tensor);
    return sketch->graph->input;
}

int sketch_constant(struct sketch *sketch, const char *name, struct shape shape)
{
    struct error err = {.message = ""};
    struct rng rng;
    uint64_t stream = 0;
    for (const char *at = name; *at != '\0'; at++)
        stream = stream * 31 + (unsigned char)*at;
    rng_init(&rng, 1, stream);
    int64_t count = shape_elements(&shape);
    float *values = ARENA_ARRAY(sketch->arena, float, count, &err);
    support_require(values != NULL, &err);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(2.0 * rng_uniform(&rng) - 1.0);
    struct tensor tensor = {.name = name, .shape = shape, .values = values, .producer = -1};
    return add_tensor(sketch, &tensor);
}

int sketch_scalar(struct sketch *sketch, const char *name, float value)
{
    struct tensor tensor = {.name = name, .values = &value, .producer = -1};
    return add_tensor(sketch, &tensor);
}

int sketch_integers(struct sketch *sketch, const char *name, struct shape values)
{
    struct tensor tensor = {.name = name,
                            .type = TENSOR_I64,
                            .shape = {.rank = 1, .dim = {values.rank}},
                            .integers = values.dim,
                            .producer = -1};
    return add_tensor(sketch, &tensor);
}

static struct attribute *next_attribute(struct sketch *sketch, const char *name,
                                        enum attribute_type type)
{
    assert(sketch->attribute_count < SKETCH_ATTRIBUTES_MAX);
    struct attribute *attribute = &sketch->attributes[sketch->attribute_count++];
    *attribute = (struct attribute){.name = name, .type = type};
    return attribute;
}

void sketch_int(struct sketch *sketch, const char *name, int64_t value)
{
    next_attribute(sketch, name, ATTRIBUTE_INT)->integer = value;
}

void sketch_real(struct sketch *sketch, const char *name, double value)
{
    next_attribute(sketch, name, ATTRIBUTE_FLOAT)->real = value;
}

void sketch_text(struct sketch *sketch, const char *name, const char *value)
{
    next_attribute(sketch, name, ATTRIBUTE_STRING)->string = value;
}

void sketch_ints(struct sketch *sketch, const char *name, struct shape values)
{
    struct error err = {.message = ""};
    struct attribute *attribute = next_attribute(sketch, name, ATTRIBUTE_INTS);
    attribute->count = (size_t)values.rank;
    attribute->integers = arena_memdup(sketch->arena, values.dim,
                                       attribute->count * sizeof(*attribute->integers), &err);
    support_require(attribute->integers != NULL, &err);
}

/* Adds the node with the attributes that were set for it. */
static void add_node(struct sketch *sketch, struct node *node)
{
    struct error err = {.message = ""};
    int index;
    node->attributes = sketch->attributes;
    node->attribute_count = sketch->attribute_count;
    support_require(graph_add_node(sketch->graph, node, &index, &err), &err);
    sketch->attribute_count = 0;
}

int sketch_node(struct sketch *sketch, const char *op_type, const char *name, ...)
{
    int inputs[INPUTS_MAX], count = 0;
    va_list arguments;
    va_start(arguments, name);
    for (int input = va_arg(arguments, int); input != SKETCH_END; input = va_arg(arguments, int)) {
        assert(count < INPUTS_MAX);
        inputs[count++] = input;
    }
    va_end(arguments);

    struct tensor tensor = {.name = name, .producer = -1};
    int output = add_tensor(sketch, &tensor);
    struct node node = {
        .name = name,
        .op_type = op_type,
        .inputs = inputs,
        .outputs = &output,
        .input_count = count,
        .output_count = 1,
    };
    add_node(sketch, &node);
    return output;
}

void sketch_node_outputs(struct sketch *sketch, const char *op_type, const char *name, int input,
                         int second, int *out_tensors, int count)
{
    for (int i = 0; i < count; i++) {
        char output[NAME_BYTES];
        (void)snprintf(output, sizeof(output), "%s.%d", name, i);
        struct tensor tensor = {.name = output, .producer = -1};
        out_tensors[i] = add_tensor(sketch, &tensor);
    }
    int inputs[] = {input, second};
    struct node node = {
        .name = name,
        .op_type = op_type,
        .inputs = inputs,
        .outputs = out_tensors,
        .input_count = second == NODE_ABSENT ? 1 : 2,
        .output_count = count,
    };
    add_node(sketch, &node);
}

int sketch_channels_last(struct sketch *sketch, const char *name, int input, int map_axes)
{
    sketch_ints(sketch, "kernel_shape", (struct shape){.rank = map_axes, .dim = {1, 1}});
    return sketch_node(sketch, "AveragePool", name, input, SKETCH_END);
}

int sketch_conv(struct sketch *sketch, const char *name, int input, int64_t K, int64_t C,
                struct shape filter)
{
    char weight_name[NAME_BYTES], bias_name[NAME_BYTES];
    (void)snprintf(weight_name, sizeof(weight_name), "%s.weight", name);
    (void)snprintf(bias_name, sizeof(bias_name), "%s.bias", name);
    struct shape shape = {.rank = filter.rank + 2, .dim = {K, C}};
    struct shape pads = {.rank = 2 * filter.rank};
    for (int i = 0; i < filter.rank; i++) {
        shape.dim[2 + i] = filter.dim[i];
        pads.dim[i] = (filter.dim[i] - 1) / 2;
        pads.dim[filter.rank + i] = filter.dim[i] / 2;
    }
    int weight = sketch_constant(sketch, weight_name, shape);
    int bias = sketch_constant(sketch, bias_name, SKETCH(K));
    sketch_ints(sketch, "pads", pads);
    return sketch_node(sketch, "Conv", name, input, weight, bias, SKETCH_END);
}

void sketch_normal_weights(struct sketch *sketch, struct rng *rng, const char *layer, double gain,
                           double spread)
{
    struct error err = {.message = ""};
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s.weight", layer);
    struct tensor *tensor = &sketch->graph->tensors[graph_find_tensor(sketch->graph, name)];
    int64_t count = shape_elements(&tensor->shape), per_row = count / tensor->shape.dim[0];
    float *values = ARENA_ARRAY(sketch->arena, float, count, &err);
    support_require(values != NULL, &err);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(gain * pow(spread, (double)(i / per_row % 3 - 1)) * rng_normal(rng) /
                            sqrt((double)per_row));
    tensor->values = values;
}

struct graph *sketch_finish(struct sketch *sketch, int output)
{
    struct error err = {.message = ""};
    sketch->graph->output = output;
    support_require(graph_finish(sketch->graph, &err), &err);
    return sketch->graph;
}
