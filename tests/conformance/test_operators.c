/* Every operator, against differences.
 *
 * Law: for L = Σ weights · outputs, the derivative that exec_backward gives for every input and
 * every constant x[i] equals (L(x[i] + h) − L(x[i] − h)) / 2h up to its error: h²/6 · L''' from the
 * formula and the rounding of the outputs, ε · Σ |weights · outputs| / 2h.
 *
 * Inputs lie on a grid whose values are all different and none nearer than 2h to zero, to each
 * other or to the bounds that the cases use, so that no difference straddles a kink.
 *
 * A case per operator and variant; every operator of the table has at least one, but for those that
 * are listed as having no gradient. All float32 constants of a case are checked. */

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/op.h"

#include "graph_run.h"
#include "operator_cases.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double step = 0.005;
static const double tolerance = 2e-3; /* of 1 + |derivative|: ε · 100 / 2h, and room */
static const double warn_tolerance = 5e-4;

static struct error err;
static struct arena *arena;

static void setup(void)
{
    arena = arena_create(1 << 26);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Operators that make a value from nothing. */
static const char *const without_gradient[] = {"Constant"};

static bool is_without_gradient(const char *op_type)
{
    for (size_t i = 0; i < sizeof(without_gradient) / sizeof(without_gradient[0]); i++)
        if (strcmp(without_gradient[i], op_type) == 0)
            return true;
    return false;
}

START_TEST(every_operator_has_a_gradient_and_a_case)
{
    for (const struct op *const *row = op_table(); *row != NULL; row++) {
        const char *name = (*row)->name;
        bool found = is_without_gradient(name);
        ck_assert_msg(found == ((*row)->backward == NULL), "operator %s has %s gradient", name,
                      found ? "a" : "no");
        for (int i = 0; i < operator_case_count; i++)
            found |= strcmp(operator_cases[i].op_type, name) == 0;
        ck_assert_msg(found, "operator %s has no case", name);
    }
}
END_TEST

START_TEST(every_case_is_of_an_operator_with_a_gradient)
{
    const struct op *op = op_find(operator_cases[_i].op_type);
    ck_assert_msg(op != NULL && op->backward != NULL, "%s", operator_cases[_i].op_type);
}
END_TEST

/* Different values, (k + 1/2) · grid in random order. */
static float *grid_values(int64_t count, double scale)
{
    struct rng rng;
    rng_init(&rng, 11, 1);
    float *values = ARENA_ARRAY(arena, float, count, &err);
    int64_t *order = ARENA_ARRAY(arena, int64_t, count, &err);
    ck_assert(values != NULL && order != NULL);
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    rng_shuffle(&rng, order, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(scale * operator_case_grid * ((double)(order[i] - count / 2) + 0.5));
    return values;
}

/* What is differentiated: a graph, its inputs, and the weights of the loss. */
struct trial {
    const char *op_type;
    struct graph *graph;
    struct exec *exec;
    int64_t samples;
    float *input;
    float *loss_weights;
    int64_t outputs;
    int constants; /* that the case was built with */
};

static double loss(const struct trial *trial)
{
    ck_assert_ok(exec_forward(trial->exec, trial->input, trial->samples, &err), &err);
    const float *output = exec_values(trial->exec, trial->graph->output);
    double sum = 0;
    for (int64_t i = 0; i < trial->outputs; i++)
        sum += (double)output[i] * (double)trial->loss_weights[i];
    return sum;
}

static double difference(const struct trial *trial, float *value)
{
    float before = *value;
    *value = (float)((double)before + step);
    double up = loss(trial), from = (double)*value;
    *value = (float)((double)before - step);
    double down = loss(trial), width = from - (double)*value;
    *value = before;
    return (up - down) / width;
}

/* All elements of a tensor; `values` is what the executor computes with. */
static void check_tensor(const struct trial *trial, int tensor, float *values)
{
    const struct tensor *t = &trial->graph->tensors[tensor];
    int64_t count = tensor_elements(t, trial->samples);
    const float *gradient = exec_gradient(trial->exec, tensor);
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double expected = difference(trial, &values[i]);
        double error = fabs((double)gradient[i] - expected) / (1 + fabs(expected));
        ck_assert_msg(error <= tolerance, "%s: d loss / d %s[%lld] is %g, by differences %g",
                      trial->op_type, t->name, (long long)i, (double)gradient[i], expected);
        worst = fmax(worst, error);
    }
    if (worst > warn_tolerance)
        fprintf(stderr, "warning: %s: gradient of %s is off by %g\n", trial->op_type, t->name,
                worst);
}

static int count_constants(const struct graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->tensor_count; i++)
        count += graph->tensors[i].values != NULL;
    return count;
}

static struct trial trial_begin(const struct operator_case *c)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, c->opset != 0 ? c->opset : 13);
    int x = sketch_input(&sketch, "x", c->input);
    int y = c->build(&sketch, x, c->op_type);
    struct trial trial = {.op_type = c->op_type, .constants = count_constants(sketch.graph)};
    trial.graph = sketch_finish(&sketch, y);
    trial.samples = trial.graph->batchable ? 2 : 1;
    trial.outputs = tensor_elements(&trial.graph->tensors[trial.graph->output], trial.samples);
    int64_t inputs = tensor_elements(&trial.graph->tensors[trial.graph->input], trial.samples);
    trial.input = grid_values(inputs, c->scale > 0 ? c->scale : 1);
    trial.loss_weights = graph_run_values(arena, trial.outputs, 5);
    struct exec_options options = {.batch = trial.samples, .gradients = true};
    ck_assert_ok(exec_create(trial.graph, &options, &trial.exec, &err), &err);
    return trial;
}

/* Constants that the graph reads get memory of their own, so that they can be changed. */
static float **own_constants(const struct trial *trial)
{
    const struct graph *graph = trial->graph;
    float **constants = ARENA_ARRAY(arena, float *, graph->tensor_count, &err);
    ck_assert_ptr_nonnull(constants);
    for (int i = 0; i < graph->tensor_count; i++) {
        const struct tensor *t = &graph->tensors[i];
        if (t->values == NULL)
            continue;
        constants[i] =
            arena_memdup(arena, t->values, (size_t)shape_elements(&t->shape) * sizeof(float), &err);
        exec_set_constant(trial->exec, i, constants[i]);
        ck_assert_ok(exec_want_gradient(trial->exec, i, &err), &err);
    }
    return constants;
}

START_TEST(gradients_equal_differences)
{
    struct trial trial = trial_begin(&operator_cases[_i]);
    float **constants = own_constants(&trial);
    ck_assert_ok(exec_want_gradient(trial.exec, trial.graph->input, &err), &err);
    (void)loss(&trial); /* the forward pass that the gradients are of */
    ck_assert_ok(exec_backward(trial.exec, trial.graph->output, trial.loss_weights, &err), &err);

    check_tensor(&trial, trial.graph->input, trial.input);
    int checked = 0;
    for (int i = 0; i < trial.graph->tensor_count; i++) {
        if (constants[i] == NULL)
            continue;
        check_tensor(&trial, i, constants[i]);
        checked++;
    }
    ck_assert_int_eq(checked, trial.constants);
    exec_destroy(trial.exec);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operators");
    TCase *tcase = tcase_create("gradients");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_operator_has_a_gradient_and_a_case);
    tcase_add_loop_test(tcase, every_case_is_of_an_operator_with_a_gradient, 0,
                        operator_case_count);
    tcase_add_loop_test(tcase, gradients_equal_differences, 0, operator_case_count);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
