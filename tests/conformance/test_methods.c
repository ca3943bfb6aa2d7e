/* What every reconstruction method of methods.def keeps to. */

#include "layer_fixture.h"
#include "support.h"

#include "ptqd/flow/pipeline.h"
#include "ptqd/recon/method.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct method_options options;

static const struct layer_fixture_options shapes[] = {
    {.K = 8,
     .D = 24,
     .G = 1,
     .positions = 400,
     .bits = 2,
     .noise = 0.02,
     .correlation = 1.0,
     .seed = 1},
    {.K = 8,
     .D = 24,
     .G = 1,
     .positions = 400,
     .bits = 4,
     .noise = 0.02,
     .correlation = 1.0,
     .seed = 2},
    {.K = 12,
     .D = 9,
     .G = 12,
     .positions = 300,
     .bits = 3,
     .noise = 0.05,
     .correlation = 0.8,
     .seed = 3},
    {.K = 6,
     .D = 40,
     .G = 2,
     .positions = 300,
     .bits = 3,
     .noise = 0.0,
     .correlation = 0.5,
     .seed = 4},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* The defaults of the pipeline. */
static void setup(void)
{
    struct pipeline pipeline = {0};
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    options = (struct method_options){
        .iterations = pipeline.optimize.iterations,
        .learning_rate = pipeline.optimize.learning_rate,
        .effort = 1.0,
        .regularization = pipeline.optimize.regularization,
        .warm_start = pipeline.optimize.warm_start,
    };
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void solve(const struct method *method, struct layer_fixture *f)
{
    struct recon_monitor monitor = {0};
    ck_assert_ok(method->solve(method->uses_data ? &f->problem : NULL, &options, &monitor, arena,
                               &f->layer, &err),
                 &err);
}

/* Law: a method's codes are on the grid, and the values are the decoded codes. */
START_TEST(codes_are_on_the_grid_and_decoded)
{
    for (const struct method *const *row = method_table(); *row; row++)
        for (int i = 0; i < SHAPES; i++) {
            struct layer_fixture f;
            layer_fixture_init(&f, arena, &shapes[i]);
            solve(*row, &f);
            for (int64_t j = 0; j < f.K * f.D; j++) {
                int8_t code = f.layer.codes[j];
                ck_assert_int_ge(code, f.layer.quantizer.low);
                ck_assert_int_le(code, f.layer.quantizer.high);
                ck_assert(f.layer.weight_values[j] ==
                          quantizer_decode(&f.layer.quantizer, j / f.D, code));
            }
        }
}
END_TEST

/* Law: a method that uses the data is no worse than rounding to nearest with the best bias; on
 * correlated inputs it is clearly better. */
START_TEST(methods_that_use_the_data_descend)
{
    for (const struct method *const *row = method_table(); *row; row++)
        for (int i = 0; (*row)->uses_data && i < SHAPES; i++) {
            struct layer_fixture f;
            layer_fixture_init(&f, arena, &shapes[i]);
            linear_problem_set_bias(&f.problem, &f.layer);
            double nearest = linear_problem_layer_error(&f.problem, &f.layer);
            solve(*row, &f);
            double solved = linear_problem_layer_error(&f.problem, &f.layer);
            ck_assert_msg(solved <= nearest, "%s, shape %d: %g > %g", (*row)->name, i, solved,
                          nearest);
            if (shapes[i].correlation >= 1.0)
                ck_assert_msg(solved <= 0.8 * nearest, "%s, shape %d: %g, nearest %g", (*row)->name,
                              i, solved, nearest);
        }
}
END_TEST

/* Law: a method changes its own variables only: scales when it says so, zero points never. */
START_TEST(methods_change_their_own_variables)
{
    for (const struct method *const *row = method_table(); *row; row++)
        for (int i = 0; i < SHAPES; i++) {
            struct layer_fixture f;
            layer_fixture_init(&f, arena, &shapes[i]);
            const struct quantizer *quantizer = &f.layer.quantizer;
            size_t bytes = (size_t)f.K * sizeof(float);
            float *scales = arena_memdup(arena, quantizer->scales, bytes, &err);
            solve(*row, &f);
            if (!(*row)->changes_scales)
                ck_assert_mem_eq(scales, quantizer->scales, bytes);
            ck_assert(quantizer_ready(quantizer));
            for (int64_t k = 0; k < f.K; k++)
                ck_assert_int_eq(quantizer->zero_points[k], 0);
        }
}
END_TEST

/* Law: no scale goes below what the caller allows. */
START_TEST(scales_keep_to_their_limit)
{
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &shapes[1]);
        size_t bytes = (size_t)f.K * sizeof(float);
        float *least = arena_memdup(arena, f.layer.quantizer.scales, bytes, &err);
        options.least_scales = least;
        solve(*row, &f);
        for (int64_t k = 0; k < f.K; k++)
            ck_assert(f.layer.quantizer.scales[k] >= least[k]);
    }
}
END_TEST

/* Law: same problem, same bits. */
START_TEST(methods_are_deterministic)
{
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture a, b;
        layer_fixture_init(&a, arena, &shapes[0]);
        layer_fixture_init(&b, arena, &shapes[0]);
        solve(*row, &a);
        solve(*row, &b);
        ck_assert_mem_eq(a.layer.codes, b.layer.codes, (size_t)(a.K * a.D));
        ck_assert_mem_eq(a.layer.quantizer.scales, b.layer.quantizer.scales,
                         (size_t)a.K * sizeof(float));
        ck_assert_mem_eq(a.layer.bias_values, b.layer.bias_values, (size_t)a.K * sizeof(float));
    }
}
END_TEST

/* Law: inputs that never change decide nothing, but break nothing. */
START_TEST(constant_inputs_are_survived)
{
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &shapes[0]);
        memset(f.problem.H, 0, (size_t)(f.G * f.D * f.D) * sizeof(double));
        memset(f.problem.target, 0, (size_t)(f.K * f.D) * sizeof(double));
        solve(*row, &f);
        for (int64_t j = 0; j < f.K * f.D; j++)
            ck_assert(isfinite(f.layer.weight_values[j]));
    }
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    int *calls = context;
    (void)fraction, (void)loss; /* only whether it is called */
    return ++*calls < 3;
}

START_TEST(methods_that_iterate_stop_when_asked)
{
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture f;
        int calls = 0;
        struct recon_monitor monitor = {.report = refuse, .context = &calls};
        if (!(*row)->uses_data)
            continue;
        layer_fixture_init(&f, arena, &shapes[0]);
        ck_assert_fails((*row)->solve(&f.problem, &options, &monitor, arena, &f.layer, &err), &err,
                        E_CANCELLED, "stopped");
        ck_assert_int_eq(calls, 3);
    }
}
END_TEST

/* Law: the pipeline's choices are the rows of the registry, in order. */
START_TEST(the_pipeline_offers_every_method)
{
    const struct param *param = param_find(pipeline_table(), "optimize.variable");
    int i = 0;
    for (const struct method *const *row = method_table(); *row; row++, i++) {
        ck_assert_str_eq(param->choices[i], (*row)->name);
        ck_assert_ptr_eq(method_find((*row)->name), *row);
    }
    ck_assert_ptr_null(param->choices[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("methods");
    TCase *tcase = tcase_create("laws");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, codes_are_on_the_grid_and_decoded);
    tcase_add_test(tcase, methods_that_use_the_data_descend);
    tcase_add_test(tcase, methods_change_their_own_variables);
    tcase_add_test(tcase, scales_keep_to_their_limit);
    tcase_add_test(tcase, methods_are_deterministic);
    tcase_add_test(tcase, constant_inputs_are_survived);
    tcase_add_test(tcase, methods_that_iterate_stop_when_asked);
    tcase_add_test(tcase, the_pipeline_offers_every_method);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
