/* Convolution of few input channels against the reference: blocks of outputs of all sizes, more
 * bands than one and less than a second, padding wider than the filter, operands that are aligned
 * to a float only. */

#include "kern_support.h"
#include "ptqd/kern/relu.h"
#include "shallow.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_SHAPES = 60,
    FLOAT = 1, /* what operands are off their alignment */
};

/* ResNet-8's, DS-CNN's, MobileNetV1's; one of many bands. */
static const struct conv_shape named_shapes[] = {
    {3, 32, 32, 3, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 32, 32},
    {3, 49, 10, 1, 64, 10, 4, 1, 2, 2, 4, 1, 5, 1, 1, 1, 25, 5},
    {2, 96, 96, 3, 8, 3, 3, 1, 2, 2, 0, 0, 1, 1, 1, 1, 48, 48},
    {1, 61, 224, 3, 104, 3, 3, 1, 2, 2, 0, 0, 1, 1, 1, 1, 30, 112},
};
enum { NAMED_SHAPES = sizeof(named_shapes) / sizeof(named_shapes[0]) };

static bool is_able(void)
{
    return shallow_takes(&named_shapes[0]); /* a processor with its vectors */
}

/* One that it takes. */
static struct conv_shape random_shape(struct rng *rng)
{
    for (;;) {
        struct conv_shape shape = {
            .N = random_between(rng, 1, 3),
            .H = random_between(rng, 1, 30),
            .W = random_between(rng, 1, 30),
            .C = random_between(rng, 1, 4),
            .K = 8 * random_between(rng, 1, 16),
            .R = random_between(rng, 1, 5),
            .S = random_between(rng, 1, 5),
            .G = 1,
            .stride_h = random_between(rng, 1, 3),
            .stride_w = random_between(rng, 1, 3),
            .dilation_h = random_between(rng, 1, 3),
            .dilation_w = 1,
            .pad_top = random_between(rng, 0, 6),
            .pad_left = random_between(rng, 0, 6),
            .pad_bottom = random_between(rng, 0, 6),
            .pad_right = random_between(rng, 0, 6),
        };
        shape.OH = conv_extent(shape.H, shape.R, shape.stride_h, shape.dilation_h, shape.pad_top,
                               shape.pad_bottom);
        shape.OW =
            conv_extent(shape.W, shape.S, shape.stride_w, 1, shape.pad_left, shape.pad_right);
        if (shape.OH >= 1 && shape.OW >= 1 && shallow_takes(&shape))
            return shape;
    }
}

static void check_forward(struct shallow *shallow, const struct conv_shape *shape, const float *x,
                          const float *w, const float *bias, bool relu)
{
    int64_t outputs = conv_output_elements(shape);
    float *y = exact_floats(outputs + FLOAT), *expected = exact_floats(outputs);
    memset(y, 0xff, (size_t)(outputs + FLOAT) * sizeof(*y)); /* NaN, to be written over */
    shallow_forward(shallow, shape->N, x, w, bias, relu, y + FLOAT);
    conv2d_f32(shape, x, w, bias, expected);
    if (relu)
        relu_f32(expected, outputs, expected);
    check_close(y + FLOAT, expected, outputs, conv_column_elements(shape) + 1, "output");
    free(y);
    free(expected);
}

static void check_shape(struct rng *rng, struct conv_shape shape)
{
    struct error err;
    struct shallow *shallow;
    float *x = random_floats(rng, conv_input_elements(&shape) + FLOAT);
    float *w = random_floats(rng, conv_weight_elements(&shape) + FLOAT);
    float *bias = random_floats(rng, shape.K + FLOAT);
    ck_assert_ok(shallow_create(&shape, &shallow, &err), &err);
    check_forward(shallow, &shape, x + FLOAT, w + FLOAT, bias + FLOAT, false);
    check_forward(shallow, &shape, x + FLOAT, w + FLOAT, NULL, true);
    shape.N = 1;
    check_forward(shallow, &shape, x + FLOAT, w + FLOAT, bias + FLOAT, true);
    shallow_destroy(shallow);
    free(x);
    free(w);
    free(bias);
}

START_TEST(it_computes_what_the_reference_computes)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    if (is_able())
        check_shape(&rng, random_shape(&rng));
}
END_TEST

START_TEST(it_computes_the_layers_of_the_field)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    ck_assert_int_eq(shallow_takes(&named_shapes[_i]), is_able());
    if (is_able())
        check_shape(&rng, named_shapes[_i]);
}
END_TEST

START_TEST(a_nan_stays)
{
    struct error err;
    struct rng rng;
    struct shallow *shallow;
    const struct conv_shape *shape = &named_shapes[1];
    if (!is_able())
        return;
    rng_init(&rng, 3, 0);
    float *x = random_floats(&rng, conv_input_elements(shape));
    float *w = random_floats(&rng, conv_weight_elements(shape));
    float *y = exact_floats(conv_output_elements(shape));
    x[0] = NAN;
    ck_assert_ok(shallow_create(shape, &shallow, &err), &err);
    shallow_forward(shallow, 1, x, w, NULL, true, y);
    ck_assert(isnan(y[0]));
    shallow_destroy(shallow);
    free(x);
    free(w);
    free(y);
}
END_TEST

START_TEST(what_it_does_not_compute_it_does_not_take)
{
    for (int field = 0; field < 6; field++) {
        struct conv_shape other = named_shapes[0];
        int64_t *fields[] = {&other.C, &other.K, &other.G, &other.dilation_w, &other.R, &other.OH};
        const int64_t values[] = {5, 17, 2, 2, 300, 0};
        *fields[field] = values[field];
        ck_assert_msg(!shallow_takes(&other), "field %d", field);
    }
    struct conv_shape far = named_shapes[0]; /* 2^20 lines between two taps */
    far.R = 2;
    far.dilation_h = far.pad_top = far.pad_bottom = 1 << 20;
    far.stride_h = 1 << 16;
    ck_assert(!shallow_takes(&far));
    far.dilation_h = 1;
    ck_assert_int_eq(shallow_takes(&far), is_able());
    struct conv_shape cut = named_shapes[0];
    cut.pad_left = -1;
    ck_assert(!shallow_takes(&cut));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shallow");
    TCase *tests = tcase_create("shallow");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, it_computes_what_the_reference_computes, 0, RANDOM_SHAPES);
    tcase_add_loop_test(tests, it_computes_the_layers_of_the_field, 0, NAMED_SHAPES);
    tcase_add_test(tests, a_nan_stays);
    tcase_add_test(tests, what_it_does_not_compute_it_does_not_take);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
