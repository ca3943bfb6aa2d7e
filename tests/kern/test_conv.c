/* Convolution: the reference against itself (its gradients against differences), and oneDNN
 * against the reference. Run with OMP_NUM_THREADS=4, which must not matter. */

#include "kern_support.h"
#include "ptqd/kern/conv.h"
#include "support.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_SHAPES = 80 };

/* Everything a test of one shape needs. */
struct operands {
    struct conv_shape shape;
    float *x, *w, *bias, *grad_y;
};

static struct operands operands_create(struct rng *rng, struct conv_shape shape)
{
    return (struct operands){
        .shape = shape,
        .x = random_floats(rng, conv_input_elements(&shape)),
        .w = random_floats(rng, conv_weight_elements(&shape)),
        .bias = random_floats(rng, shape.K),
        .grad_y = random_floats(rng, conv_output_elements(&shape)),
    };
}

static void operands_destroy(struct operands *at)
{
    free(at->x);
    free(at->w);
    free(at->bias);
    free(at->grad_y);
}

/* Layers of the networks of the field, and shapes that once made trouble elsewhere: a filter larger
 * than the map, one position, one channel, a multiplier on depthwise. */
static const struct conv_shape named_shapes[] = {
    {2, 49, 10, 1, 64, 10, 4, 1, 2, 2, 4, 1, 5, 1, 1, 1, 25, 5},
    {2, 25, 5, 64, 64, 3, 3, 64, 1, 1, 1, 1, 1, 1, 1, 1, 25, 5},
    {2, 25, 5, 64, 64, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 25, 5},
    {2, 32, 32, 3, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 32, 32},
    {2, 32, 32, 16, 32, 3, 3, 1, 2, 2, 0, 0, 1, 1, 1, 1, 16, 16},
    {2, 48, 48, 8, 8, 3, 3, 8, 1, 1, 1, 1, 1, 1, 1, 1, 48, 48},
    {2, 48, 48, 16, 16, 3, 3, 16, 2, 2, 0, 0, 1, 1, 1, 1, 24, 24},
    {2, 3, 3, 256, 256, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 3, 3},
    {2, 1, 128, 9, 64, 1, 3, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 126},
    {3, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 4, 4, 3, 6, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4},
    {1, 7, 9, 6, 4, 2, 3, 2, 2, 1, 1, 0, 0, 2, 2, 3, 3, 5},
};
enum { NAMED_SHAPES = sizeof(named_shapes) / sizeof(named_shapes[0]) };

START_TEST(extents_follow_the_formula)
{
    ck_assert_int_eq(conv_extent(49, 10, 2, 1, 4, 5), 25);
    ck_assert_int_eq(conv_extent(10, 4, 2, 1, 1, 1), 5);
    ck_assert_int_eq(conv_extent(32, 3, 2, 1, 0, 1), 16);
    ck_assert_int_eq(conv_extent(7, 3, 1, 3, 0, 0), 1);
    ck_assert_int_eq(conv_extent(6, 3, 1, 3, 0, 0), 0);
    for (int i = 0; i < NAMED_SHAPES; i++) {
        const struct conv_shape *at = &named_shapes[i];
        ck_assert_int_eq(conv_extent(at->H, at->R, at->stride_h, at->dilation_h, at->pad_top,
                                     at->pad_bottom),
                         at->OH);
        ck_assert_int_eq(conv_extent(at->W, at->S, at->stride_w, at->dilation_w, at->pad_left,
                                     at->pad_right),
                         at->OW);
    }
}
END_TEST

/* First layer of the reference networks, by hand: K·R·S·C/G·OH·OW. */
START_TEST(multiply_accumulates_are_counted_with_padding)
{
    ck_assert_int_eq(conv_macs(&named_shapes[0]), 64 * 40 * 25 * 5);
    ck_assert_int_eq(conv_macs(&named_shapes[1]), 64 * 9 * 25 * 5);
    ck_assert_int_eq(conv_macs(&named_shapes[3]), 16 * 27 * 32 * 32);
}
END_TEST

/* 1·1 + 2·2 + … on a 3 × 3 map with a 2 × 2 filter, padding above and on the left. */
START_TEST(a_small_case_is_what_it_is_by_hand)
{
    const struct conv_shape shape = {.N = 1,
                                     .H = 3,
                                     .W = 3,
                                     .C = 1,
                                     .K = 1,
                                     .R = 2,
                                     .S = 2,
                                     .G = 1,
                                     .stride_h = 2,
                                     .stride_w = 2,
                                     .pad_top = 1,
                                     .pad_left = 1,
                                     .dilation_h = 1,
                                     .dilation_w = 1,
                                     .OH = 2,
                                     .OW = 2};
    const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, w[] = {1, 2, 3, 4}, bias[] = {0.5f};
    const float expected[] = {4 * 1 + 0.5f, 3 * 2 + 4 * 3 + 0.5f, 2 * 4 + 4 * 7 + 0.5f,
                              1 * 5 + 2 * 6 + 3 * 8 + 4 * 9 + 0.5f};
    float y[4];
    conv2d_f32(&shape, x, w, bias, y);
    for (int i = 0; i < 4; i++)
        check_float(y[i], expected[i]);
}
END_TEST

/* Σ y · grad_y, the scalar whose gradients are checked, in float64. */
static double objective(const struct operands *at, float *y)
{
    conv2d_f32(&at->shape, at->x, at->w, at->bias, y);
    double sum = 0;
    for (int64_t i = 0; i < conv_output_elements(&at->shape); i++)
        sum += (double)y[i] * (double)at->grad_y[i];
    return sum;
}

/* The objective is linear in each operand, so a central difference of any width is exact but for
 * rounding: ±1 keeps that small. At most `terms` outputs depend on one value. */
static void check_gradient(const struct operands *at, float *operand, const float *gradient,
                           int64_t count, const char *what)
{
    int64_t outputs = conv_output_elements(&at->shape);
    float *y = exact_floats(outputs);
    for (int64_t i = 0; i < count; i++) {
        float old = operand[i];
        operand[i] = old + 1;
        double above = objective(at, y);
        operand[i] = old - 1;
        double below = objective(at, y);
        operand[i] = old;
        double difference = (above - below) / 2;
        ck_assert_msg(fabs(difference - (double)gradient[i]) <= 1e-5 * (double)(outputs + 10),
                      "%s, element %lld: %g by differences, %g by the kernel", what, (long long)i,
                      difference, (double)gradient[i]);
    }
    free(y);
}

START_TEST(gradients_of_the_reference_are_those_of_differences)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct conv_shape shape = random_conv_shape(&rng);
    shape.N = 2;
    if (conv_output_elements(&shape) * conv_input_elements(&shape) > 200000)
        return; /* differences cost a pass per element: small shapes are enough */
    struct operands at = operands_create(&rng, shape);
    float *grad_x = exact_floats(conv_input_elements(&shape));
    float *grad_w = exact_floats(conv_weight_elements(&shape));
    float *grad_bias = exact_floats(shape.K);
    conv2d_f32_grad_x(&shape, at.w, at.grad_y, grad_x);
    conv2d_f32_grad_w(&shape, at.x, at.grad_y, grad_w);
    conv2d_f32_grad_bias(&shape, at.grad_y, grad_bias);
    check_gradient(&at, at.x, grad_x, conv_input_elements(&shape), "input");
    check_gradient(&at, at.w, grad_w, conv_weight_elements(&shape), "weights");
    check_gradient(&at, at.bias, grad_bias, shape.K, "bias");
    free(grad_x);
    free(grad_w);
    free(grad_bias);
    operands_destroy(&at);
}
END_TEST

/* All three passes of a plan, for the first N samples, against the reference; gradients start from
 * the same random values. */
static void check_plan(struct conv_plan *plan, const struct operands *at, int64_t N,
                       struct rng *rng)
{
    struct error err;
    struct conv_shape shape = at->shape;
    shape.N = N;
    int64_t inputs = conv_input_elements(&shape), outputs = conv_output_elements(&shape);
    int64_t weights = conv_weight_elements(&shape);
    float *y = exact_floats(outputs), *y_reference = exact_floats(outputs);
    ck_assert_ok(conv_plan_forward(plan, N, at->x, at->w, at->bias, y, &err), &err);
    conv2d_f32(&shape, at->x, at->w, at->bias, y_reference);
    check_close(y, y_reference, outputs, conv_column_elements(&shape) + 1, "output");
    ck_assert_ok(conv_plan_forward(plan, N, at->x, at->w, NULL, y, &err), &err);
    conv2d_f32(&shape, at->x, at->w, NULL, y_reference);
    check_close(y, y_reference, outputs, conv_column_elements(&shape), "output without bias");

    float *grad_x = random_floats(rng, inputs), *grad_x_reference = copy_floats(grad_x, inputs);
    int64_t terms = shape.K / shape.G * shape.R * shape.S + 1;
    ck_assert_ok(conv_plan_grad_x(plan, N, at->w, at->grad_y, false, grad_x, &err), &err);
    conv2d_f32_grad_x(&shape, at->w, at->grad_y, grad_x_reference);
    check_close(grad_x, grad_x_reference, inputs, terms, "gradient of the input");
    memset(grad_x, 0xff, (size_t)inputs * sizeof(*grad_x)); /* NaN, to be written over */
    memset(grad_x_reference, 0, (size_t)inputs * sizeof(*grad_x));
    ck_assert_ok(conv_plan_grad_x(plan, N, at->w, at->grad_y, true, grad_x, &err), &err);
    conv2d_f32_grad_x(&shape, at->w, at->grad_y, grad_x_reference);
    check_close(grad_x, grad_x_reference, inputs, terms, "fresh gradient of the input");

    float *grad_w = random_floats(rng, weights), *grad_w_reference = copy_floats(grad_w, weights);
    ck_assert_ok(conv_plan_grad_w(plan, N, at->x, at->grad_y, grad_w, &err), &err);
    conv2d_f32_grad_w(&shape, at->x, at->grad_y, grad_w_reference);
    check_close(grad_w, grad_w_reference, weights, N * shape.OH * shape.OW + 1,
                "gradient of the weights");
    free(y);
    free(y_reference);
    free(grad_x);
    free(grad_x_reference);
    free(grad_w);
    free(grad_w_reference);
}

/* Forward with Relu behind it: max(y, 0) of the plan without. */
static void check_relu(const struct operands *at)
{
    struct error err;
    struct conv_plan *plan;
    int64_t outputs = conv_output_elements(&at->shape);
    float *y = exact_floats(outputs), *expected = exact_floats(outputs);
    ck_assert_ok(conv_plan_create_relu(&at->shape, CONV_FORWARD, &plan, &err), &err);
    ck_assert_ok(conv_plan_forward(plan, at->shape.N, at->x, at->w, at->bias, y, &err), &err);
    conv2d_f32(&at->shape, at->x, at->w, at->bias, expected);
    for (int64_t i = 0; i < outputs; i++)
        expected[i] = expected[i] > 0 ? expected[i] : 0;
    check_close(y, expected, outputs, conv_column_elements(&at->shape) + 1, "rectified output");
    conv_plan_destroy(plan);
    free(y);
    free(expected);
}

static void check_shape(struct rng *rng, struct conv_shape shape)
{
    struct error err;
    struct conv_plan *plan;
    struct operands at = operands_create(rng, shape);
    ck_assert_ok(conv_plan_create(&shape, CONV_GRADIENTS, &plan, &err), &err);
    check_plan(plan, &at, shape.N, rng);
    if (shape.N > 1)
        check_plan(plan, &at, shape.N - 1, rng);
    check_relu(&at);
    conv_plan_destroy(plan);
    operands_destroy(&at);
}

START_TEST(a_plan_computes_what_the_reference_computes)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    check_shape(&rng, random_conv_shape(&rng));
}
END_TEST

START_TEST(a_plan_computes_the_layers_of_the_field)
{
    struct rng rng;
    rng_init(&rng, 3, (uint64_t)_i);
    check_shape(&rng, named_shapes[_i]);
}
END_TEST

/* Strided 1 × 1 filters for which oneDNN 2.6 wrote past a buffer of its own, a stride on one axis
 * only, and groups: all that the plan gathers. */
static const struct conv_shape pointwise_shapes[] = {
    {2, 64, 64, 3, 4, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 32, 32},
    {2, 64, 64, 4, 8, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 32, 32},
    {3, 48, 48, 8, 16, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 24, 24},
    {2, 64, 64, 8, 16, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 32, 32},
    {2, 64, 64, 12, 16, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 32, 32},
    {1, 96, 96, 8, 16, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 48, 48},
    {2, 7, 9, 5, 3, 1, 1, 1, 3, 1, 0, 0, 0, 0, 1, 1, 3, 9},
    {2, 8, 10, 6, 4, 1, 1, 2, 1, 4, 0, 0, 0, 0, 1, 1, 8, 3},
    {2, 5, 6, 8, 8, 1, 1, 8, 2, 2, 0, 0, 0, 0, 1, 1, 3, 3},
};
enum { POINTWISE_SHAPES = sizeof(pointwise_shapes) / sizeof(pointwise_shapes[0]) };

START_TEST(a_plan_computes_strided_filters_of_one_tap)
{
    struct rng rng;
    rng_init(&rng, 7, (uint64_t)_i);
    check_shape(&rng, pointwise_shapes[_i]);
}
END_TEST

/* Callers' tensors are parts of larger ones: nothing may count on alignment. */
START_TEST(operands_may_be_aligned_to_a_float_only)
{
    struct error err;
    struct rng rng;
    rng_init(&rng, 4, (uint64_t)_i);
    struct conv_shape shape = named_shapes[_i];
    int64_t outputs = conv_output_elements(&shape);
    struct conv_plan *plan;
    float *x = random_floats(&rng, conv_input_elements(&shape) + 1);
    float *w = random_floats(&rng, conv_weight_elements(&shape) + 1);
    float *y = exact_floats(outputs + 1), *expected = exact_floats(outputs);
    ck_assert_ok(conv_plan_create(&shape, CONV_FORWARD, &plan, &err), &err);
    ck_assert_ok(conv_plan_forward(plan, shape.N, x + 1, w + 1, NULL, y + 1, &err), &err);
    conv2d_f32(&shape, x + 1, w + 1, NULL, expected);
    check_close(y + 1, expected, outputs, conv_column_elements(&shape), "output");
    conv_plan_destroy(plan);
    free(x);
    free(w);
    free(y);
    free(expected);
}
END_TEST

/* More numbers of samples than a plan remembers, up and down: each time the bits of a plan that was
 * made for that number. */
START_TEST(a_plan_serves_any_number_of_samples_up_to_its_own)
{
    struct error err;
    struct rng rng;
    rng_init(&rng, 5, 0);
    struct conv_shape shape = named_shapes[5];
    shape.N = 7;
    struct operands at = operands_create(&rng, shape);
    struct conv_plan *plan;
    int64_t outputs = conv_output_elements(&shape);
    float *y = exact_floats(outputs), *expected = exact_floats(outputs);
    ck_assert_ok(conv_plan_create(&shape, CONV_FORWARD, &plan, &err), &err);
    const int64_t numbers[] = {7, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1, 7};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct conv_shape own = shape;
        struct conv_plan *own_plan;
        own.N = numbers[i];
        ck_assert_ok(conv_plan_create(&own, CONV_FORWARD, &own_plan, &err), &err);
        ck_assert_ok(conv_plan_forward(plan, own.N, at.x, at.w, at.bias, y, &err), &err);
        ck_assert_ok(conv_plan_forward(own_plan, own.N, at.x, at.w, at.bias, expected, &err), &err);
        check_same_bits(y, expected, conv_output_elements(&own), "output");
        conv_plan_destroy(own_plan);
    }
    conv_plan_destroy(plan);
    free(y);
    free(expected);
    operands_destroy(&at);
}
END_TEST

/* One plan and where its results go, for execution by another thread. */
struct execution {
    struct conv_plan *plan;
    const struct operands *at;
    float *y, *grad_x, *grad_w;
};

static void *execute(void *argument)
{
    struct error err;
    struct execution *execution = argument;
    const struct operands *at = execution->at;
    int64_t N = at->shape.N;
    bool good =
        conv_plan_forward(execution->plan, N, at->x, at->w, at->bias, execution->y, &err) &&
        conv_plan_grad_x(execution->plan, N, at->w, at->grad_y, false, execution->grad_x, &err) &&
        conv_plan_grad_w(execution->plan, N, at->x, at->grad_y, execution->grad_w, &err);
    return good ? execution : NULL;
}

static struct execution execution_create(struct conv_plan *plan, const struct operands *at)
{
    return (struct execution){
        .plan = plan,
        .at = at,
        .y = exact_floats(conv_output_elements(&at->shape)),
        .grad_x = exact_floats(conv_input_elements(&at->shape)),
        .grad_w = exact_floats(conv_weight_elements(&at->shape)),
    };
}

static void execution_destroy(struct execution *execution)
{
    free(execution->y);
    free(execution->grad_x);
    free(execution->grad_w);
}

static int count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

START_TEST(any_thread_gives_the_same_bits_and_starts_no_others)
{
    struct error err;
    struct rng rng;
    rng_init(&rng, 6, (uint64_t)_i);
    struct conv_shape shape = named_shapes[_i];
    struct operands at = operands_create(&rng, shape);
    struct conv_plan *plan;
    int threads = count_threads();
    ck_assert_ok(conv_plan_create(&shape, CONV_GRADIENTS, &plan, &err), &err);
    struct execution here = execution_create(plan, &at), there = execution_create(plan, &at);
    ck_assert_ptr_nonnull(execute(&here));
    ck_assert_int_eq(count_threads(), threads);

    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, execute, &there), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_nonnull(result);
    ck_assert_int_le(count_threads(), threads + 1); /* the joined one may still be on its way out */
    check_same_bits(here.y, there.y, conv_output_elements(&shape), "output");
    check_same_bits(here.grad_x, there.grad_x, conv_input_elements(&shape), "input's gradient");
    check_same_bits(here.grad_w, there.grad_w, conv_weight_elements(&shape), "weights' gradient");
    execution_destroy(&here);
    execution_destroy(&there);
    conv_plan_destroy(plan);
    operands_destroy(&at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv");
    int part = support_short() ? 4 : 1;
    TCase *reference = tcase_create("reference");
    tcase_add_test(reference, extents_follow_the_formula);
    tcase_add_test(reference, multiply_accumulates_are_counted_with_padding);
    tcase_add_test(reference, a_small_case_is_what_it_is_by_hand);
    tcase_add_loop_test(reference, gradients_of_the_reference_are_those_of_differences, 0,
                        40 / part);
    suite_add_tcase(suite, reference);
    TCase *plan = tcase_create("plan");
    tcase_set_timeout(plan, 60);
    tcase_add_loop_test(plan, a_plan_computes_what_the_reference_computes, 0, RANDOM_SHAPES / part);
    tcase_add_loop_test(plan, a_plan_computes_the_layers_of_the_field, 0, NAMED_SHAPES);
    tcase_add_loop_test(plan, a_plan_computes_strided_filters_of_one_tap, 0, POINTWISE_SHAPES);
    tcase_add_loop_test(plan, operands_may_be_aligned_to_a_float_only, 0, NAMED_SHAPES);
    tcase_add_test(plan, a_plan_serves_any_number_of_samples_up_to_its_own);
    tcase_add_loop_test(plan, any_thread_gives_the_same_bits_and_starts_no_others, 0, NAMED_SHAPES);
    suite_add_tcase(suite, plan);
    return support_run(suite);
}
