#include "node_case.h"

#include "support.h"

#include "ptqd/nn/infer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int add_tensor(struct node_case *at, const struct tensor *tensor)
{
    struct error err;
    int index;
    ck_assert_ok(graph_add_tensor(at->graph, tensor, true, &index, &err), &err);
    return index;
}

static float *new_floats(struct node_case *at, int64_t count)
{
    struct error err;
    float *values = ARENA_ARRAY(at->arena, float, count, &err);
    ck_assert_msg(values != NULL, "%s", err.message);
    return values;
}

/* In [0.25, 1.25): nothing that a variance or a divisor can't be. */
static float *random_constant(struct node_case *at, const struct shape *shape)
{
    int64_t count = shape_elements(shape);
    float *values = new_floats(at, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(0.25 + rng_uniform(&at->rng));
    return values;
}

static int add_constant(struct node_case *at, const struct node_spec *spec, int index)
{
    const struct shape *shape = &spec->constants[index];
    if (shape->rank < 0)
        return NODE_ABSENT;
    char name[] = {'c', (char)('1' + index), '\0'};
    struct tensor tensor = {
        .name = name,
        .shape = *shape,
        .values = spec->values[index] != NULL ? spec->values[index] : random_constant(at, shape),
        .producer = -1,
    };
    return add_tensor(at, &tensor);
}

static void build(struct node_case *at, const struct node_spec *spec)
{
    struct error err;
    struct tensor x = {.name = "x", .shape = spec->input, .producer = -1};
    int inputs[NODE_CASE_INPUTS] = {add_tensor(at, &x)}, index, count = 0;
    for (int i = 0; i < spec->constant_count; i++)
        inputs[i + 1] = add_constant(at, spec, i);
    struct tensor y = {.name = "y", .producer = -1};
    int outputs[] = {add_tensor(at, &y)};
    struct attribute attributes[NODE_CASE_ATTRIBUTES];
    memcpy(attributes, spec->attributes, sizeof(attributes));
    while (count < NODE_CASE_ATTRIBUTES && attributes[count].name != NULL)
        count++;
    struct node node = {
        .name = "node",
        .op_type = spec->op,
        .inputs = inputs,
        .outputs = outputs,
        .input_count = spec->constant_count + 1,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = count,
    };
    ck_assert_ok(graph_add_node(at->graph, &node, &index, &err), &err);
    at->graph->input = inputs[0];
    at->graph->output = outputs[0];
    at->graph->opset = spec->opset != 0 ? spec->opset : 13;
}

bool node_case_init(struct node_case *at, const struct node_spec *spec, uint64_t seed,
                    struct error *err)
{
    *at = (struct node_case){.arena = arena_create(0)};
    ck_assert_ptr_nonnull(at->arena);
    rng_init(&at->rng, seed, 0);
    if (!graph_create(at->arena, &at->graph, err))
        return false;
    build(at, spec);
    if (!graph_finish(at->graph, err))
        return false;
    at->node = &at->graph->nodes[graph_find_node(at->graph, "node")];
    return true;
}

void node_case_finish(struct node_case *at)
{
    arena_destroy(at->arena);
}

void node_case_check_output(const struct node_case *at, const struct shape *expected)
{
    char text[128], expected_text[128];
    shape_print(&at->graph->tensors[at->graph->output].shape, text, sizeof(text));
    shape_print(expected, expected_text, sizeof(expected_text));
    ck_assert_str_eq(text, expected_text);
}

int64_t node_case_inputs(const struct node_case *at, int64_t samples)
{
    return tensor_elements(&at->graph->tensors[at->node->inputs[0]], samples);
}

int64_t node_case_outputs(const struct node_case *at, int64_t samples)
{
    return tensor_elements(&at->graph->tensors[at->node->outputs[0]], samples);
}

static float *random_values(struct node_case *at, int64_t count)
{
    float *values = new_floats(at, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(2 * rng_uniform(&at->rng) - 1);
    return values;
}

float *node_case_input(struct node_case *at, int64_t samples)
{
    return random_values(at, node_case_inputs(at, samples));
}

/* One execution with its own copies of the constants, so that a test can change them. */
struct execution {
    struct op_call call;
    float *in[NODE_CASE_INPUTS];
    float *out[1];
};

static void begin(struct node_case *at, const float *x, int64_t samples, bool gradients,
                  struct execution *out)
{
    struct error err;
    const struct op *op = at->node->op;
    *out = (struct execution){.out = {new_floats(at, node_case_outputs(at, samples))}};
    for (int i = 0; i < at->node->input_count; i++) {
        if (at->node->inputs[i] == NODE_ABSENT)
            continue;
        const struct tensor *tensor = &at->graph->tensors[at->node->inputs[i]];
        int64_t count = tensor_elements(tensor, samples);
        out->in[i] = new_floats(at, count);
        memcpy(out->in[i], i == 0 ? x : tensor->values, (size_t)count * sizeof(float));
    }
    out->call =
        (struct op_call){.graph = at->graph, .node = at->node, .samples = samples, .out = out->out};
    if (op->scratch_bytes != NULL)
        out->call.scratch =
            arena_alloc(at->arena, op->scratch_bytes(at->graph, at->node, samples), &err);
    const struct op_plan how = {.samples = samples, .gradients = gradients};
    if (op->plan_create != NULL)
        ck_assert_ok(op->plan_create(at->graph, at->node, &how, &out->call.plan, &err), &err);
}

static void forward(const struct node_case *at, struct execution *execution)
{
    struct error err;
    const float *in[NODE_CASE_INPUTS];
    for (int i = 0; i < NODE_CASE_INPUTS; i++)
        in[i] = execution->in[i];
    struct op_call call = execution->call;
    call.in = in;
    ck_assert_ok(at->node->op->forward(&call, &err), &err);
}

static void end(const struct node_case *at, struct execution *execution)
{
    if (at->node->op->plan_destroy != NULL)
        at->node->op->plan_destroy(execution->call.plan);
}

float *node_case_run(struct node_case *at, const float *x, int64_t samples)
{
    struct execution execution;
    begin(at, x, samples, false, &execution);
    forward(at, &execution);
    end(at, &execution);
    return execution.out[0];
}

static float *permuted(struct node_case *at, const float *values, const struct shape *shape,
                       const int *perm)
{
    float *moved = new_floats(at, shape_elements(shape));
    permute_f32(values, shape, perm, moved);
    return moved;
}

float *node_case_channels_last(struct node_case *at, const float *values, const struct shape *shape)
{
    int perm[SHAPE_RANK_MAX];
    layout_to_channels_last(shape->rank, perm);
    return permuted(at, values, shape, perm);
}

float *node_case_file_order(struct node_case *at, const float *values, const struct shape *shape)
{
    int perm[SHAPE_RANK_MAX];
    layout_to_file_order(shape->rank, perm);
    return permuted(at, values, shape, perm);
}

static double objective(const struct node_case *at, struct execution *execution,
                        const float *weight, int64_t count)
{
    forward(at, execution);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)execution->out[0][i] * (double)weight[i];
    return sum;
}

/* What every gradient holds before the pass: it must still be there afterwards. */
static const float GRADIENT_START = 0.5f;

static void backward(struct node_case *at, struct execution *execution, const float *weight,
                     bool is_fresh, float *gradients[NODE_CASE_INPUTS])
{
    struct error err;
    const float *in[NODE_CASE_INPUTS];
    bool fresh[NODE_CASE_INPUTS];
    for (int i = 0; i < NODE_CASE_INPUTS; i++) {
        fresh[i] = is_fresh;
        in[i] = execution->in[i];
        gradients[i] = NULL;
        if (in[i] == NULL)
            continue;
        int64_t count =
            tensor_elements(&at->graph->tensors[at->node->inputs[i]], execution->call.samples);
        gradients[i] = new_floats(at, count);
        for (int64_t j = 0; j < count; j++)
            gradients[i][j] = is_fresh ? NAN : GRADIENT_START;
    }
    struct op_call call = execution->call;
    call.in = in;
    call.grad_in = gradients;
    call.fresh = fresh;
    call.grad_out = &weight;
    ck_assert_ok(at->node->op->backward(&call, &err), &err);
}

/* Law: what is written to a gradient without a value is what is added to one that has one. */
static void check_fresh(struct node_case *at, struct execution *execution, const float *weight,
                        int64_t samples, float *const added[NODE_CASE_INPUTS])
{
    float *written[NODE_CASE_INPUTS];
    if (!at->node->op->writes_fresh)
        return;
    backward(at, execution, weight, true, written);
    for (int i = 0; i < at->node->input_count; i++) {
        int64_t count = written[i] == NULL
                            ? 0
                            : tensor_elements(&at->graph->tensors[at->node->inputs[i]], samples);
        for (int64_t j = 0; j < count; j++) {
            double expected = (double)(added[i][j] - GRADIENT_START);
            double tolerance = 1e-6 * (1 + fabs(expected)); /* some units of float32 */
            ck_assert_double_eq_tol((double)written[i][j], expected, tolerance);
        }
    }
}

void node_case_check_gradients(struct node_case *at, int64_t samples, float step, double tolerance)
{
    struct execution execution;
    float *gradients[NODE_CASE_INPUTS];
    int64_t outputs = node_case_outputs(at, samples);
    const float *weight = random_values(at, outputs);
    begin(at, node_case_input(at, samples), samples, true, &execution);
    forward(at, &execution);
    backward(at, &execution, weight, false, gradients);
    check_fresh(at, &execution, weight, samples, gradients);
    for (int i = 0; i < at->node->input_count; i++) {
        if (gradients[i] == NULL)
            continue;
        const struct tensor *tensor = &at->graph->tensors[at->node->inputs[i]];
        for (int64_t j = 0; j < tensor_elements(tensor, samples); j++) {
            float *value = &execution.in[i][j], old = *value;
            *value = old + step;
            double above = objective(at, &execution, weight, outputs);
            *value = old - step;
            double below = objective(at, &execution, weight, outputs);
            *value = old;
            double expected = (above - below) / (2 * (double)step);
            double gradient = (double)(gradients[i][j] - GRADIENT_START);
            ck_assert_msg(fabs(gradient - expected) <= tolerance * (1 + fabs(expected)),
                          "input %d, element %lld: %g by differences, %g by the operator", i,
                          (long long)j, expected, gradient);
        }
    }
    end(at, &execution);
}
