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
static const struct recon_monitor nobody;

/* A layer of each kind, and one of each width. */
static const struct layer_fixture_options shapes[] = {
    {.K = 8, .D = 24, .positions = 400, .bits = 2, .noise = 0.02, .correlation = 1.0},
    {.K = 8, .D = 24, .positions = 400, .bits = 3, .noise = 0.02, .correlation = 1.0},
    {.K = 8, .D = 24, .positions = 400, .bits = 4, .noise = 0.02, .correlation = 1.0},
    {.K = 4, .D = 24, .positions = 400, .bits = 5, .noise = 0.02, .correlation = 0.9},
    {.K = 4, .D = 24, .positions = 400, .bits = 6, .noise = 0.02, .correlation = 0.9},
    {.K = 4, .D = 24, .positions = 400, .bits = 7, .noise = 0.02, .correlation = 0.9},
    {.K = 4, .D = 24, .positions = 400, .bits = 8, .noise = 0.02, .correlation = 0.9},
    /* depthwise, grouped */
    {.K = 12, .D = 9, .G = 12, .positions = 300, .bits = 3, .noise = 0.05, .correlation = 0.8},
    {.K = 6, .D = 40, .G = 2, .positions = 300, .bits = 3, .correlation = 0.5},
    /* fewer positions than weights: H is singular */
    {.K = 3, .D = 50, .positions = 20, .bits = 4, .noise = 0.02, .correlation = 0.5},
    /* one of everything */
    {.K = 1, .D = 1, .positions = 50, .bits = 4, .noise = 0.1},
    {.K = 5, .D = 1, .G = 5, .positions = 50, .bits = 2, .noise = 0.1},
    {.K = 1, .D = 30, .positions = 200, .bits = 2, .correlation = 0.5},
    /* one scale for all channels */
    {.K = 6, .D = 20, .positions = 200, .bits = 3, .correlation = 0.5, .per_tensor = true},
    {.K = 6, .D = 9, .G = 6, .positions = 200, .bits = 4, .correlation = 0.5, .per_tensor = true},
    /* with zero points */
    {.K = 6, .D = 20, .positions = 200, .bits = 2, .correlation = 0.5, .asymmetric = true},
    {.K = 6, .D = 20, .positions = 200, .bits = 8, .correlation = 0.5, .asymmetric = true},
    {.K = 6, .D = 20, .positions = 200, .bits = 3, .asymmetric = true, .per_tensor = true},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]), CORRELATED = 3 /* the first */ };

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

static void make(int shape, struct layer_fixture *f)
{
    struct layer_fixture_options about = shapes[shape];
    about.G = about.G ? about.G : 1;
    about.seed = (uint64_t)shape + 1;
    layer_fixture_init(f, arena, &about);
}

static bool try_solve(const struct method *method, struct layer_fixture *f,
                      const struct recon_monitor *monitor)
{
    struct arena_mark mark = arena_mark(arena);
    bool done = method->solve(method->uses_data ? &f->problem : NULL, &options, monitor, arena,
                              &f->layer, &err);
    arena_reset(arena, mark);
    return done;
}

static void solve(const struct method *method, struct layer_fixture *f)
{
    ck_assert_ok(try_solve(method, f, &nobody), &err);
}

/* Calls `check` for every method with every shape that it takes. */
static void for_all(void (*check)(const struct method *method, int shape))
{
    for (const struct method *const *row = method_table(); *row; row++)
        for (int shape = 0; shape < SHAPES; shape++)
            if (!(*row)->only_symmetric || !shapes[shape].asymmetric)
                check(*row, shape);
}

static int64_t channel_of(const struct layer_fixture *f, int64_t cell)
{
    return f->layer.quantizer.channels == 1 ? 0 : cell / f->D;
}

/* Law: a method's codes are on the grid, and the values are the decoded codes. */
static void check_codes(const struct method *method, int shape)
{
    struct layer_fixture f;
    make(shape, &f);
    solve(method, &f);
    for (int64_t i = 0; i < f.K * f.D; i++) {
        int8_t code = f.layer.codes[i];
        ck_assert_int_ge(code, f.layer.quantizer.low);
        ck_assert_int_le(code, f.layer.quantizer.high);
        ck_assert(f.layer.weight_values[i] ==
                  quantizer_decode(&f.layer.quantizer, channel_of(&f, i), code));
    }
}

START_TEST(codes_are_on_the_grid_and_decoded)
{
    for_all(check_codes);
}
END_TEST

/* Law: a method that uses the data is no worse than rounding to nearest with the best bias. */
static void check_descent(const struct method *method, int shape)
{
    struct layer_fixture f;
    if (!method->uses_data)
        return;
    make(shape, &f);
    linear_problem_set_bias(&f.problem, &f.layer);
    double nearest = linear_problem_layer_error(&f.problem, &f.layer);
    solve(method, &f);
    double solved = linear_problem_layer_error(&f.problem, &f.layer);
    ck_assert_msg(solved <= nearest * (1.0 + 1e-6), "%s, shape %d: %g > %g", method->name, shape,
                  solved, nearest);
    if (shape < CORRELATED) /* where there is much to gain */
        ck_assert_msg(solved <= 0.85 * nearest, "%s, shape %d: %g, nearest %g", method->name, shape,
                      solved, nearest);
}

START_TEST(methods_that_use_the_data_descend)
{
    for_all(check_descent);
}
END_TEST

/* Law: what was found before is not made worse. */
static void check_better_start(const struct method *method, int shape)
{
    struct layer_fixture f;
    if (!method->uses_data)
        return;
    make(shape, &f);
    solve(method_find("grid"), &f);
    double before = linear_problem_layer_error(&f.problem, &f.layer);
    solve(method, &f);
    double after = linear_problem_layer_error(&f.problem, &f.layer);
    ck_assert_msg(after <= before * (1.0 + 1e-6), "%s, shape %d: %g > %g", method->name, shape,
                  after, before);
}

START_TEST(a_better_start_is_kept)
{
    for_all(check_better_start);
}
END_TEST

/* Law: a method changes its own variables only: scales and zero points when it says so, zero points
 * only where the format has them. */
static void check_variables(const struct method *method, int shape)
{
    struct layer_fixture f;
    make(shape, &f);
    const struct quantizer *quantizer = &f.layer.quantizer;
    size_t channels = (size_t)quantizer->channels;
    float *scales = arena_memdup(arena, quantizer->scales, channels * sizeof(float), &err);
    int32_t *zeros = arena_memdup(arena, quantizer->zero_points, channels * sizeof(int32_t), &err);
    solve(method, &f);
    ck_assert(quantizer_ready(quantizer));
    if (!method->changes_scales)
        ck_assert_mem_eq(scales, quantizer->scales, channels * sizeof(float));
    if (!method->changes_zero_points || quantizer->format.symmetric)
        ck_assert_mem_eq(zeros, quantizer->zero_points, channels * sizeof(int32_t));
    for (size_t i = 0; i < channels; i++) {
        ck_assert_int_ge(quantizer->zero_points[i], quantizer->low);
        ck_assert_int_le(quantizer->zero_points[i], quantizer->high);
    }
}

START_TEST(methods_change_their_own_variables)
{
    for_all(check_variables);
}
END_TEST

/* Law: no scale goes below what the caller allows. */
static void check_limit(const struct method *method, int shape)
{
    struct layer_fixture f;
    make(shape, &f);
    const struct quantizer *quantizer = &f.layer.quantizer;
    size_t channels = (size_t)quantizer->channels;
    float *least = arena_memdup(arena, quantizer->scales, channels * sizeof(float), &err);
    options.least_scales = least;
    solve(method, &f);
    for (size_t i = 0; i < channels; i++)
        ck_assert(quantizer->scales[i] >= least[i]);
}

START_TEST(scales_keep_to_their_limit)
{
    for_all(check_limit);
}
END_TEST

/* Law: same problem, same bits. */
static void check_determinism(const struct method *method, int shape)
{
    struct layer_fixture a, b;
    make(shape, &a);
    make(shape, &b);
    solve(method, &a);
    solve(method, &b);
    ck_assert_mem_eq(a.layer.codes, b.layer.codes, (size_t)(a.K * a.D));
    ck_assert_mem_eq(a.layer.quantizer.scales, b.layer.quantizer.scales,
                     (size_t)a.layer.quantizer.channels * sizeof(float));
    ck_assert_mem_eq(a.layer.bias_values, b.layer.bias_values, (size_t)a.K * sizeof(float));
}

START_TEST(methods_are_deterministic)
{
    for_all(check_determinism);
}
END_TEST

/* Law: inputs that never change, and weights of zero, decide nothing, but break nothing. */
static void check_degenerate(const struct method *method, int shape)
{
    for (int zero_weights = 0; zero_weights < 2; zero_weights++) {
        struct layer_fixture f;
        make(shape, &f);
        memset(f.problem.target, 0, (size_t)(f.K * f.D) * sizeof(double));
        if (zero_weights)
            memset(f.weights, 0, (size_t)(f.K * f.D) * sizeof(float));
        else
            memset(f.problem.H, 0, (size_t)(f.G * f.D * f.D) * sizeof(double));
        solve(method, &f);
        ck_assert(quantizer_ready(&f.layer.quantizer));
        for (int64_t i = 0; i < f.K * f.D; i++)
            ck_assert(isfinite(f.layer.weight_values[i]));
        for (int64_t k = 0; k < f.K; k++)
            ck_assert(isfinite(f.layer.bias_values[k]));
    }
}

START_TEST(constant_inputs_and_zero_weights_are_survived)
{
    for_all(check_degenerate);
}
END_TEST

/* Law: what rounding leaves of the moments of inputs that hardly change makes no weights large. */
START_TEST(constant_inputs_make_no_weights_large)
{
    const struct layer_fixture_options about = {
        .K = 8, .D = 24, .G = 1, .positions = 400, .bits = 8, .still = true, .seed = 1};
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture f;
        double largest = 0.0;
        layer_fixture_init(&f, arena, &about);
        for (int64_t i = 0; i < f.K * f.D; i++)
            largest = fmax(largest, fabs((double)f.weights[i]));
        solve(*row, &f);
        for (int64_t i = 0; i < f.K * f.D; i++)
            ck_assert_double_le(fabs((double)f.layer.weight_values[i]), 1.5 * largest);
    }
}
END_TEST

START_TEST(formats_with_zero_points_are_refused_with_the_reason)
{
    for (const struct method *const *row = method_table(); *row; row++)
        for (int shape = 0; shape < SHAPES; shape++) {
            struct layer_fixture f;
            if (!(*row)->only_symmetric || !shapes[shape].asymmetric)
                continue;
            make(shape, &f);
            ck_assert_fails(try_solve(*row, &f, &nobody), &err, E_UNSUPPORTED, "zero points");
        }
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    int *calls = context;
    (void)fraction, (void)loss; /* only whether it is called */
    return ++*calls < 3;
}

/* Law: the first report that is answered with no is the last, and the layer stays as it was. */
START_TEST(methods_that_iterate_stop_when_asked)
{
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture f;
        int calls = 0;
        struct recon_monitor monitor = {.report = refuse, .context = &calls};
        if (!(*row)->uses_data)
            continue;
        make(0, &f);
        size_t cells = (size_t)(f.K * f.D), bytes = (size_t)f.K * sizeof(float);
        int8_t *codes = arena_memdup(arena, f.layer.codes, cells, &err);
        float *scales = arena_memdup(arena, f.layer.quantizer.scales, bytes, &err);
        ck_assert_fails(try_solve(*row, &f, &monitor), &err, E_CANCELLED, "stopped");
        ck_assert_int_eq(calls, 3);
        ck_assert_mem_eq(codes, f.layer.codes, cells);
        ck_assert_mem_eq(scales, f.layer.quantizer.scales, bytes);
    }
}
END_TEST

struct attempt {
    const struct method *method;
    struct layer_fixture *layer;
};

static bool attempt(struct arena *scratch, void *context, struct error *error)
{
    const struct attempt *a = context;
    return a->method->solve(a->method->uses_data ? &a->layer->problem : NULL, &options, &nobody,
                            scratch, &a->layer->layer, error);
}

/* Law: a failing allocation is an error, whichever it is. */
START_TEST(failing_allocations_are_errors)
{
    options.iterations = 2;
    for (const struct method *const *row = method_table(); *row; row++) {
        struct layer_fixture f;
        make(0, &f);
        size_t failures = support_fail_each_allocation(attempt, &(struct attempt){*row, &f});
        ck_assert((*row)->uses_data == (failures > 0));
    }
}
END_TEST

struct silence {
    double last, longest; /* seconds of this thread's work */
};

static bool listen_for_silence(void *context, double fraction, double loss)
{
    struct silence *silence = context;
    double now = support_cpu_seconds();
    ck_assert(fraction >= 0.0 && fraction <= 1.0);
    ck_assert(isnan(loss) || isfinite(loss));
    silence->longest = fmax(silence->longest, now - silence->last);
    silence->last = now;
    return true;
}

/* Law: there is a report at least every 100 ms of work, also on a large layer. */
START_TEST(methods_report_often)
{
    struct layer_fixture_options large = {
        .K = 64, .D = 400, .G = 1, .positions = 100, .bits = 4, .correlation = 0.5, .seed = 1};
    struct layer_fixture f;
    layer_fixture_init(&f, arena, &large);
    options.iterations = 20;
    for (const struct method *const *row = method_table(); *row; row++) {
        struct silence silence = {.last = support_cpu_seconds()};
        struct recon_monitor monitor = {.report = listen_for_silence, .context = &silence};
        quant_layer_round(&f.layer);
        ck_assert_ok(try_solve(*row, &f, &monitor), &err);
        (void)listen_for_silence(&silence, 1.0, (double)NAN); /* the silence at the end */
        ck_assert_msg(support_short() || silence.longest < 0.1, "%s: %g s", (*row)->name,
                      silence.longest);
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
    tcase_add_test(tcase, a_better_start_is_kept);
    tcase_add_test(tcase, methods_change_their_own_variables);
    tcase_add_test(tcase, scales_keep_to_their_limit);
    tcase_add_test(tcase, methods_are_deterministic);
    tcase_add_test(tcase, constant_inputs_and_zero_weights_are_survived);
    tcase_add_test(tcase, constant_inputs_make_no_weights_large);
    tcase_add_test(tcase, formats_with_zero_points_are_refused_with_the_reason);
    tcase_add_test(tcase, methods_that_iterate_stop_when_asked);
    tcase_add_test(tcase, failing_allocations_are_errors);
    tcase_add_test(tcase, methods_report_often);
    tcase_add_test(tcase, the_pipeline_offers_every_method);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
