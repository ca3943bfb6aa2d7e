/* Transposed convolution: against the reference convolution of the stuffed input, which is its
 * definition, and its gradients as the transposed maps. */

#include "kern_support.h"
#include "ptqd/kern/deconv.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { RANDOM_SHAPES = 150 };

static struct deconv_shape random_shape(struct rng *rng)
{
    struct deconv_shape shape = {
        .N = random_between(rng, 1, 3),
        .H = random_between(rng, 1, 6),
        .W = random_between(rng, 1, 6),
        .R = random_between(rng, 1, 4),
        .S = random_between(rng, 1, 4),
        .G = random_between(rng, 1, 3),
        .stride_h = random_between(rng, 1, 3),
        .stride_w = random_between(rng, 1, 3),
        .dilation_h = random_between(rng, 1, 2),
        .dilation_w = random_between(rng, 1, 2),
    };
    shape.C = shape.G * random_between(rng, 1, 9);
    shape.K = shape.G * random_between(rng, 1, 9);
    if (random_between(rng, 0, 3) == 0)
        shape.C = shape.K = shape.G = random_between(rng, 1, 17); /* depthwise */
    shape.pad_top = random_between(rng, 0, shape.dilation_h * (shape.R - 1));
    shape.pad_left = random_between(rng, 0, shape.dilation_w * (shape.S - 1));
    int64_t reach_h = deconv_reach(shape.H, shape.R, shape.stride_h, shape.dilation_h);
    int64_t reach_w = deconv_reach(shape.W, shape.S, shape.stride_w, shape.dilation_w);
    shape.OH = reach_h - shape.pad_top - random_between(rng, 0, shape.dilation_h * (shape.R - 1)) +
               random_between(rng, 0, shape.stride_h - 1);
    shape.OW = reach_w - shape.pad_left - random_between(rng, 0, shape.dilation_w * (shape.S - 1)) +
               random_between(rng, 0, shape.stride_w - 1);
    return shape;
}

static struct deconv_shape random_valid_shape(struct rng *rng)
{
    struct deconv_shape shape = random_shape(rng);
    while (shape.OH < 1 || shape.OW < 1)
        shape = random_shape(rng);
    return shape;
}

struct operands {
    struct deconv_shape shape;
    struct conv_shape conv; /* of the stuffed input */
    int64_t inputs, weights, outputs;
    float *x, *w, *bias, *grad_y;
};

static struct operands operands_create(struct rng *rng, struct deconv_shape shape)
{
    struct operands at = {.shape = shape, .conv = deconv_as_conv(&shape)};
    at.inputs = shape.N * shape.H * shape.W * shape.C;
    at.weights = conv_weight_elements(&at.conv);
    at.outputs = conv_output_elements(&at.conv);
    at.x = random_floats(rng, at.inputs);
    at.w = random_floats(rng, at.weights);
    at.bias = random_floats(rng, shape.K);
    at.grad_y = random_floats(rng, at.outputs);
    return at;
}

static void operands_destroy(struct operands *at)
{
    free(at->x);
    free(at->w);
    free(at->bias);
    free(at->grad_y);
}

static float *stuffed_input(const struct operands *at)
{
    float *stuffed = exact_floats(conv_input_elements(&at->conv));
    deconv_stuff_f32(&at->shape, at->x, stuffed);
    return stuffed;
}

/* 1 2 with 1 zero between, under a filter 10 100 1000 of the convolution: by hand. */
START_TEST(a_small_case_is_what_it_is_by_hand)
{
    struct error err;
    struct deconv_plan *plan;
    const struct deconv_shape shape = {.N = 1,
                                       .H = 1,
                                       .W = 2,
                                       .C = 1,
                                       .K = 1,
                                       .R = 1,
                                       .S = 3,
                                       .G = 1,
                                       .stride_h = 1,
                                       .stride_w = 2,
                                       .dilation_h = 1,
                                       .dilation_w = 1,
                                       .OH = 1,
                                       .OW = 6};
    const float x[] = {1, 2}, w[] = {10, 100, 1000}, bias[] = {0.5f};
    const float expected[] = {1000.5f, 100.5f, 2010.5f, 200.5f, 20.5f, 0.5f};
    float y[6];
    ck_assert_int_eq(deconv_reach(2, 3, 2, 1), 5);
    ck_assert_int_eq(deconv_macs(&shape), 6);
    ck_assert_ok(deconv_plan_create(&shape, false, &plan, &err), &err);
    ck_assert_ok(deconv_plan_forward(plan, 1, x, w, bias, y, &err), &err);
    for (int i = 0; i < 6; i++)
        check_float(y[i], expected[i]);
    deconv_plan_destroy(plan);
}
END_TEST

static void check_forward(struct deconv_plan *plan, const struct operands *at, const float *stuffed,
                          int64_t N)
{
    struct error err;
    struct conv_shape conv = at->conv;
    conv.N = N;
    int64_t outputs = conv_output_elements(&conv);
    float *y = exact_floats(outputs), *expected = exact_floats(outputs);
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        const float *bias = with_bias ? at->bias : NULL;
        ck_assert_ok(deconv_plan_forward(plan, N, at->x, at->w, bias, y, &err), &err);
        conv2d_f32(&conv, stuffed, at->w, bias, expected);
        check_close(y, expected, outputs, conv_column_elements(&conv) + 1, "output");
    }
    free(y);
    free(expected);
}

START_TEST(it_is_the_convolution_of_the_stuffed_input)
{
    struct error err;
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct operands at = operands_create(&rng, random_valid_shape(&rng));
    struct deconv_plan *plan;
    float *stuffed = stuffed_input(&at);
    ck_assert_ok(deconv_plan_create(&at.shape, false, &plan, &err), &err);
    check_forward(plan, &at, stuffed, at.shape.N);
    if (at.shape.N > 1)
        check_forward(plan, &at, stuffed, at.shape.N - 1);
    deconv_plan_destroy(plan);
    free(stuffed);
    operands_destroy(&at);
}
END_TEST

/* The gradient of the stuffed map, where it has elements of x. */
static void gather(const struct operands *at, const float *grad_stuffed, float *grad_x)
{
    const struct deconv_shape *shape = &at->shape;
    for (int64_t i = 0; i < at->inputs; i++) {
        int64_t c = i % shape->C, w = i / shape->C % shape->W;
        int64_t h = i / shape->C / shape->W % shape->H, n = i / shape->C / shape->W / shape->H;
        int64_t row = n * at->conv.H + h * shape->stride_h;
        grad_x[i] += grad_stuffed[(row * at->conv.W + w * shape->stride_w) * shape->C + c];
    }
}

/* Law: gradients are those of the reference convolution, and are added to. */
START_TEST(gradients_are_those_of_the_convolution)
{
    struct error err;
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    struct operands at = operands_create(&rng, random_valid_shape(&rng));
    struct deconv_plan *plan;
    float *stuffed = stuffed_input(&at);
    float *grad_stuffed = exact_floats(conv_input_elements(&at.conv));
    float *grad_x = random_floats(&rng, at.inputs), *grad_w = random_floats(&rng, at.weights);
    float *x_expected = copy_floats(grad_x, at.inputs);
    float *w_expected = copy_floats(grad_w, at.weights);
    ck_assert_ok(deconv_plan_create(&at.shape, true, &plan, &err), &err);
    ck_assert_ok(deconv_plan_grad_x(plan, at.shape.N, at.w, at.grad_y, grad_x, &err), &err);
    ck_assert_ok(deconv_plan_grad_w(plan, at.shape.N, at.x, at.grad_y, grad_w, &err), &err);
    conv2d_f32_grad_x(&at.conv, at.w, at.grad_y, grad_stuffed);
    gather(&at, grad_stuffed, x_expected);
    conv2d_f32_grad_w(&at.conv, stuffed, at.grad_y, w_expected);
    check_close(grad_x, x_expected, at.inputs,
                at.shape.R * at.shape.S * at.shape.K / at.shape.G + 1, "gradient of the input");
    check_close(grad_w, w_expected, at.weights, at.shape.N * at.shape.OH * at.shape.OW + 1,
                "gradient of the weights");
    deconv_plan_destroy(plan);
    free(stuffed);
    free(grad_stuffed);
    free(grad_x);
    free(grad_w);
    free(x_expected);
    free(w_expected);
    operands_destroy(&at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deconv");
    TCase *tcase = tcase_create("laws");
    int part = support_short() ? 4 : 1;
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_small_case_is_what_it_is_by_hand);
    tcase_add_loop_test(tcase, it_is_the_convolution_of_the_stuffed_input, 0, RANDOM_SHAPES / part);
    tcase_add_loop_test(tcase, gradients_are_those_of_the_convolution, 0, RANDOM_SHAPES / part);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
