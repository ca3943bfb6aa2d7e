/* Pooling against the definition, written the other way round: over all cells of the map, asking
 * which windows they are in. */

#include "kern_support.h"
#include "ptqd/kern/pool.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { RANDOM_SHAPES = 200 };

static struct pool_shape random_candidate(struct rng *rng)
{
    struct pool_shape shape = {
        .N = random_between(rng, 1, 3),
        .H = random_between(rng, 1, 12),
        .W = random_between(rng, 1, 12),
        .C = random_between(rng, 1, 40),
        .R = random_between(rng, 1, 4),
        .S = random_between(rng, 1, 4),
        .stride_h = random_between(rng, 1, 3),
        .stride_w = random_between(rng, 1, 3),
        .dilation_h = random_between(rng, 1, 2),
        .dilation_w = random_between(rng, 1, 2),
        .count_include_pad = random_between(rng, 0, 1) == 1,
    };
    shape.pad_top = random_between(rng, 0, shape.R - 1);
    shape.pad_bottom = random_between(rng, 0, shape.R - 1);
    shape.pad_left = random_between(rng, 0, shape.S - 1);
    shape.pad_right = random_between(rng, 0, shape.S - 1);
    bool ceil_mode = random_between(rng, 0, 1) == 1;
    shape.OH = pool_extent(shape.H, shape.R, shape.stride_h, shape.dilation_h, shape.pad_top,
                           shape.pad_bottom, ceil_mode);
    shape.OW = pool_extent(shape.W, shape.S, shape.stride_w, shape.dilation_w, shape.pad_left,
                           shape.pad_right, ceil_mode);
    return shape;
}

static struct pool_shape random_shape(struct rng *rng)
{
    struct pool_shape shape = random_candidate(rng);
    while (shape.OH < 1 || shape.OW < 1)
        shape = random_candidate(rng);
    return shape;
}

/* Whether coordinate `at` is a tap of the window that starts at `start`. */
static bool in_window(int64_t at, int64_t start, int64_t dilation, int64_t window)
{
    int64_t distance = at - start;
    return distance >= 0 && distance % dilation == 0 && distance / dilation < window;
}

/* What one window of one channel has. */
struct summary {
    double sum, maximum;
    int64_t cells, cells_with_padding;
};

static struct summary summarize(const struct pool_shape *shape, const float *x, int64_t n,
                                int64_t oh, int64_t ow, int64_t c)
{
    struct summary summary = {.maximum = -INFINITY};
    int64_t top = oh * shape->stride_h - shape->pad_top;
    int64_t left = ow * shape->stride_w - shape->pad_left;
    for (int64_t h = -shape->pad_top; h < shape->H + shape->pad_bottom; h++) {
        for (int64_t w = -shape->pad_left; w < shape->W + shape->pad_right; w++) {
            if (!in_window(h, top, shape->dilation_h, shape->R) ||
                !in_window(w, left, shape->dilation_w, shape->S))
                continue;
            summary.cells_with_padding++;
            if (h < 0 || h >= shape->H || w < 0 || w >= shape->W)
                continue;
            double value = (double)x[((n * shape->H + h) * shape->W + w) * shape->C + c];
            summary.cells++;
            summary.sum += value;
            summary.maximum = value > summary.maximum ? value : summary.maximum;
        }
    }
    return summary;
}

START_TEST(windows_are_those_of_the_definition)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct pool_shape shape = random_shape(&rng);
    int64_t outputs = shape.N * shape.OH * shape.OW * shape.C;
    float *x = random_floats(&rng, shape.N * shape.H * shape.W * shape.C);
    float *maxima = exact_floats(outputs), *averages = exact_floats(outputs);
    max_pool_f32(&shape, x, maxima);
    average_pool_f32(&shape, x, averages);
    for (int64_t i = 0; i < outputs; i++) {
        int64_t c = i % shape.C, ow = i / shape.C % shape.OW;
        int64_t oh = i / shape.C / shape.OW % shape.OH, n = i / shape.C / shape.OW / shape.OH;
        struct summary expected = summarize(&shape, x, n, oh, ow, c);
        int64_t cells = shape.count_include_pad ? expected.cells_with_padding : expected.cells;
        double average = cells > 0 ? expected.sum / (double)cells : 0;
        ck_assert_double_eq((double)maxima[i], expected.maximum);
        ck_assert_double_eq_tol((double)averages[i], average, 1e-7);
    }
    free(x);
    free(maxima);
    free(averages);
}
END_TEST

/* Values one unit apart and shuffled: no step of a difference changes which is the largest. */
static float *distinct_floats(struct rng *rng, int64_t count)
{
    float *values = exact_floats(count);
    for (int64_t i = 0; i < count; i++) {
        int64_t other = random_between(rng, 0, i);
        values[i] = values[other];
        values[other] = (float)i;
    }
    return values;
}

typedef void (*pool_function)(const struct pool_shape *shape, const float *x, float *y);

static double objective(const struct pool_shape *shape, pool_function pool, const float *x,
                        const float *grad_y, float *y)
{
    pool(shape, x, y);
    double sum = 0;
    for (int64_t i = 0; i < shape->N * shape->OH * shape->OW * shape->C; i++)
        if (isfinite(y[i])) /* windows without a cell are constant */
            sum += (double)y[i] * (double)grad_y[i];
    return sum;
}

/* Both are piecewise linear: with a step of 1/4 central differences are exact but for rounding. */
static void check_gradient(const struct pool_shape *shape, pool_function pool, float *x,
                           const float *grad_y, const float *gradient, const char *what)
{
    float *y = exact_floats(shape->N * shape->OH * shape->OW * shape->C);
    for (int64_t i = 0; i < shape->N * shape->H * shape->W * shape->C; i++) {
        float old = x[i];
        x[i] = old + 0.25f;
        double above = objective(shape, pool, x, grad_y, y);
        x[i] = old - 0.25f;
        double below = objective(shape, pool, x, grad_y, y);
        x[i] = old;
        ck_assert_msg(fabs((above - below) * 2 - (double)gradient[i]) <= 1e-2,
                      "%s, element %lld: %g by differences, %g by the kernel", what, (long long)i,
                      (above - below) * 2, (double)gradient[i]);
    }
    free(y);
}

START_TEST(gradients_are_those_of_differences_and_are_added)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    struct pool_shape shape = random_shape(&rng);
    shape.N = 1;
    shape.C = 2;
    int64_t inputs = shape.H * shape.W * shape.C, outputs = shape.OH * shape.OW * shape.C;
    float *x = distinct_floats(&rng, inputs), *y = exact_floats(outputs);
    float *grad_y = random_floats(&rng, outputs);
    float *grad_max = exact_floats(inputs), *grad_average = exact_floats(inputs);
    for (int64_t i = 0; i < inputs; i++)
        grad_max[i] = grad_average[i] = 1;
    max_pool_f32(&shape, x, y);
    max_pool_f32_grad_x(&shape, x, y, grad_y, grad_max);
    average_pool_f32_grad_x(&shape, grad_y, grad_average);
    for (int64_t i = 0; i < inputs; i++) {
        grad_max[i] -= 1;
        grad_average[i] -= 1;
    }
    check_gradient(&shape, max_pool_f32, x, grad_y, grad_max, "maximum");
    check_gradient(&shape, average_pool_f32, x, grad_y, grad_average, "average");
    free(x);
    free(y);
    free(grad_y);
    free(grad_max);
    free(grad_average);
}
END_TEST

START_TEST(of_equal_maxima_the_first_gets_the_gradient)
{
    struct pool_shape shape = pool_global_shape(1, 4, 1);
    const float x[] = {1, 3, 3, 2}, grad_y[] = {5};
    float y[1], grad_x[4] = {0};
    max_pool_f32(&shape, x, y);
    max_pool_f32_grad_x(&shape, x, y, grad_y, grad_x);
    const float expected[] = {0, 5, 0, 0};
    check_same_bits(grad_x, expected, 4, "gradient");
}
END_TEST

START_TEST(a_nan_is_the_maximum_and_the_average)
{
    struct pool_shape shape = pool_global_shape(1, 3, 2);
    const float x[] = {1, NAN, NAN, 7, 2, 8}, grad_y[] = {1, 1};
    float y[2], grad_x[6] = {0};
    max_pool_f32(&shape, x, y);
    ck_assert(isnan(y[0]));
    ck_assert(isnan(y[1]));
    max_pool_f32_grad_x(&shape, x, y, grad_y, grad_x); /* nothing equals it: no gradient */
    for (int i = 0; i < 6; i++)
        check_float(grad_x[i], 0);
    average_pool_f32(&shape, x, y);
    ck_assert(isnan(y[0]));
}
END_TEST

/* With ceil_mode the last window starts on the map or before it, never in the padding after. */
START_TEST(ceil_mode_adds_a_window_only_where_one_can_start)
{
    ck_assert_int_eq(pool_extent(4, 3, 2, 1, 0, 0, false), 1);
    ck_assert_int_eq(pool_extent(4, 3, 2, 1, 0, 0, true), 2);
    ck_assert_int_eq(pool_extent(32, 3, 2, 1, 0, 0, true), 16);
    ck_assert_int_eq(pool_extent(2, 1, 3, 1, 0, 1, true), 1);
    ck_assert_int_eq(pool_extent(3, 2, 2, 1, 1, 1, true), 2);
    ck_assert_int_eq(pool_extent(2, 5, 1, 1, 1, 1, true), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *laws = tcase_create("laws");
    tcase_add_loop_test(laws, windows_are_those_of_the_definition, 0, RANDOM_SHAPES);
    tcase_add_loop_test(laws, gradients_are_those_of_differences_and_are_added, 0, 100);
    tcase_add_test(laws, of_equal_maxima_the_first_gets_the_gradient);
    tcase_add_test(laws, a_nan_is_the_maximum_and_the_average);
    tcase_add_test(laws, ceil_mode_adds_a_window_only_where_one_can_start);
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
