/* Winograd convolution against the reference: tiles that lie on the map in part, padding on each
 * side, more tiles than a part has, operands that are aligned to a float only. */

#include "kern_support.h"
#include "ptqd/kern/conv.h"
#include "ptqd/kern/relu.h"
#include "support.h"
#include "winograd.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_SHAPES = 24,
    COARSE = 16, /* check_close of so many times the terms: errors 4 times as large */
    FLOAT = 1,   /* what operands are off their alignment */
};

static struct conv_shape shape_of(int64_t N, int64_t H, int64_t W, int64_t C, int64_t K)
{
    return (struct conv_shape){
        .N = N,
        .H = H,
        .W = W,
        .C = C,
        .K = K,
        .R = 3,
        .S = 3,
        .G = 1,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = 1,
        .pad_left = 1,
        .pad_bottom = 1,
        .pad_right = 1,
        .OH = H,
        .OW = W,
    };
}

/* One that it takes. */
static struct conv_shape random_shape(struct rng *rng)
{
    for (;;) {
        struct conv_shape shape =
            shape_of(random_between(rng, 1, 5), random_between(rng, 2, 20),
                     random_between(rng, 2, 20), 16 * random_between(rng, 1, 4),
                     16 * random_between(rng, 1, 4));
        shape.pad_top = random_between(rng, 0, 2);
        shape.pad_left = random_between(rng, 0, 2);
        shape.pad_bottom = random_between(rng, 0, 2);
        shape.pad_right = random_between(rng, 0, 2);
        shape.OH = conv_extent(shape.H, 3, 1, 1, shape.pad_top, shape.pad_bottom);
        shape.OW = conv_extent(shape.W, 3, 1, 1, shape.pad_left, shape.pad_right);
        if (shape.OH >= 1 && shape.OW >= 1 && winograd_takes(&shape))
            return shape;
    }
}

static void check_forward(struct winograd *winograd, const struct conv_shape *shape, const float *x,
                          const float *w, const float *bias, bool relu)
{
    int64_t outputs = conv_output_elements(shape);
    float *y = exact_floats(outputs), *expected = exact_floats(outputs);
    memset(y, 0xff, (size_t)outputs * sizeof(*y)); /* NaN, to be written over */
    winograd_forward(winograd, shape->N, x, w, bias, relu, y);
    conv2d_f32(shape, x, w, bias, expected);
    if (relu)
        relu_f32(expected, outputs, expected);
    check_close(y, expected, outputs, COARSE * conv_column_elements(shape), "output");
    free(y);
    free(expected);
}

static void check_grad_x(struct winograd *winograd, const struct conv_shape *shape, struct rng *rng,
                         const float *w, const float *grad_y, bool fresh)
{
    int64_t inputs = conv_input_elements(shape);
    float *grad_x = random_floats(rng, inputs), *expected = copy_floats(grad_x, inputs);
    if (fresh) {
        memset(grad_x, 0xff, (size_t)inputs * sizeof(*grad_x));
        memset(expected, 0, (size_t)inputs * sizeof(*expected));
    }
    winograd_grad_x(winograd, shape->N, w, grad_y, fresh, grad_x);
    conv2d_f32_grad_x(shape, w, grad_y, expected);
    check_close(grad_x, expected, inputs, COARSE * 9 * shape->K, "gradient of the input");
    free(grad_x);
    free(expected);
}

static void check_grad_w(struct winograd *winograd, const struct conv_shape *shape, struct rng *rng,
                         const float *x, const float *grad_y)
{
    int64_t weights = conv_weight_elements(shape);
    float *grad_w = random_floats(rng, weights), *expected = copy_floats(grad_w, weights);
    winograd_grad_w(winograd, shape->N, x, grad_y, grad_w);
    conv2d_f32_grad_w(shape, x, grad_y, expected);
    check_close(grad_w, expected, weights, COARSE * shape->N * shape->OH * shape->OW,
                "gradient of the weights");
    free(grad_w);
    free(expected);
}

static void check_shape(struct rng *rng, struct conv_shape shape)
{
    struct error err;
    struct winograd *winograd;
    float *x = random_floats(rng, conv_input_elements(&shape) + FLOAT);
    float *w = random_floats(rng, conv_weight_elements(&shape) + FLOAT);
    float *bias = random_floats(rng, shape.K + FLOAT);
    float *grad_y = random_floats(rng, conv_output_elements(&shape) + FLOAT);
    ck_assert_ok(winograd_create(&shape, &winograd, &err), &err);
    for (int less = 0; less<2; less++, shape.N = shape.N> 1 ? shape.N - 1 : 1) {
        check_forward(winograd, &shape, x + FLOAT, w + FLOAT, bias + FLOAT, false);
        check_forward(winograd, &shape, x + FLOAT, w + FLOAT, NULL, true);
        check_grad_x(winograd, &shape, rng, w + FLOAT, grad_y + FLOAT, false);
        check_grad_x(winograd, &shape, rng, w + FLOAT, grad_y + FLOAT, true);
        check_grad_w(winograd, &shape, rng, x + FLOAT, grad_y + FLOAT);
    }
    winograd_destroy(winograd);
    free(x);
    free(w);
    free(bias);
    free(grad_y);
}

START_TEST(it_computes_what_the_reference_computes)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct conv_shape shape = shape_of(1, 4, 4, 16, 16);
    if (!winograd_takes(&shape))
        return; /* a processor without its vectors */
    check_shape(&rng, random_shape(&rng));
}
END_TEST

/* Those of ResNet-8, and one with more tiles than a part has in a line. */
START_TEST(it_computes_the_layers_of_the_field)
{
    const struct conv_shape shapes[] = {
        shape_of(3, 32, 32, 16, 16),
        shape_of(3, 16, 16, 32, 32),
        shape_of(3, 8, 8, 64, 64),
        shape_of(1, 9, 130, 32, 16),
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct rng rng;
        rng_init(&rng, 2, i);
        if (winograd_takes(&shapes[i]))
            check_shape(&rng, shapes[i]);
    }
}
END_TEST

START_TEST(what_it_does_not_compute_it_does_not_take)
{
    struct conv_shape shape = shape_of(2, 8, 8, 16, 16);
    bool able = winograd_takes(&shape);
    const struct conv_shape small = shape_of(2, 3, 3, 16, 16); /* half of a tile and more */
    ck_assert_int_eq(winograd_takes(&small), able);
    const struct conv_shape tiny = shape_of(2, 2, 2, 16, 16);
    ck_assert(!winograd_takes(&tiny));
    for (int field = 0; field < 7; field++) {
        struct conv_shape other = shape;
        int64_t *fields[] = {&other.C,          &other.K, &other.stride_h, &other.stride_w,
                             &other.dilation_w, &other.G, &other.pad_left};
        *fields[field] += field == 6 ? 2 : 1;
        ck_assert_msg(!winograd_takes(&other), "field %d", field);
    }
}
END_TEST

/* A plan takes it only where its errors are borne. */
START_TEST(only_where_it_is_borne_is_rounded_coarsely)
{
    struct error err;
    struct rng rng;
    struct conv_shape shape = shape_of(2, 8, 8, 16, 16);
    int64_t outputs = conv_output_elements(&shape);
    rng_init(&rng, 3, 0);
    float *x = random_floats(&rng, conv_input_elements(&shape));
    float *w = random_floats(&rng, conv_weight_elements(&shape));
    float *y[CONV_USE_COUNT], *expected = exact_floats(outputs);
    for (int use = 0; use < CONV_USE_COUNT; use++) {
        struct conv_plan *plan;
        y[use] = exact_floats(outputs);
        ck_assert_ok(conv_plan_create(&shape, (enum conv_use)use, &plan, &err), &err);
        ck_assert_ok(conv_plan_forward(plan, 2, x, w, NULL, y[use], &err), &err);
        conv_plan_destroy(plan);
    }
    check_same_bits(y[CONV_FORWARD], y[CONV_GRADIENTS], outputs, "without and with gradients");
    if (winograd_takes(&shape))
        ck_assert_int_ne(
            memcmp(y[CONV_FORWARD], y[CONV_TRAINING], (size_t)outputs * sizeof(*expected)), 0);
    conv2d_f32(&shape, x, w, NULL, expected);
    check_same_bits(y[CONV_INFERENCE], y[CONV_TRAINING], outputs, "coarse without gradients");
    check_close(y[CONV_TRAINING], expected, outputs, COARSE * 9 * 16, "in training");
    for (int use = 0; use < CONV_USE_COUNT; use++)
        free(y[use]);
    free(x);
    free(w);
    free(expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("winograd");
    TCase *tests = tcase_create("winograd");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, it_computes_what_the_reference_computes, 0, RANDOM_SHAPES);
    tcase_add_test(tests, it_computes_the_layers_of_the_field);
    tcase_add_test(tests, what_it_does_not_compute_it_does_not_take);
    tcase_add_test(tests, only_where_it_is_borne_is_rounded_coarsely);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
