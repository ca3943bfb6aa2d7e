/* Depthwise convolution against the reference, over shapes that take its loops apart: tails of
 * channels, tiles along either axis and over samples, strides, dilation, padding. */

#include "depthwise.h"
#include "kern_support.h"
#include "ptqd/kern/relu.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_CASES = 24,
    CASE_SHAPES = 6,
    FLOAT = 1 /* what operands are off their alignment */
};

static void set_extents(struct conv_shape *shape)
{
    shape->OH = conv_extent(shape->H, shape->R, shape->stride_h, shape->dilation_h, shape->pad_top,
                            shape->pad_bottom);
    shape->OW = conv_extent(shape->W, shape->S, shape->stride_w, shape->dilation_w, shape->pad_left,
                            shape->pad_right);
}

static struct conv_shape random_candidate(struct rng *rng)
{
    bool line = random_between(rng, 0, 3) == 0, small = random_between(rng, 0, 1) == 0;
    int64_t C = random_between(rng, 1, small && random_between(rng, 0, 3) == 0 ? 300 : 30);
    struct conv_shape shape = {
        .N = small ? random_between(rng, 1, 10) : random_between(rng, 1, 2),
        .H = line ? 1 : random_between(rng, 1, small ? 5 : 20),
        .W = random_between(rng, 1, small ? 5 : 20),
        .C = C,
        .K = C,
        .G = C,
        .R = line ? 1 : random_between(rng, 1, 5),
        .S = random_between(rng, 1, 7),
        .stride_h = random_between(rng, 1, 3),
        .stride_w = random_between(rng, 1, 3),
        .dilation_h = random_between(rng, 1, 3),
        .dilation_w = random_between(rng, 1, 3),
    };
    shape.pad_top = line ? 0 : random_between(rng, 0, 2 * shape.R);
    shape.pad_bottom = line ? 0 : random_between(rng, 0, shape.R);
    shape.pad_left = random_between(rng, 0, 2 * shape.S);
    shape.pad_right = random_between(rng, 0, shape.S);
    set_extents(&shape);
    return shape;
}

static struct conv_shape random_shape(struct rng *rng)
{
    struct conv_shape shape = random_candidate(rng);
    while (shape.OH < 1 || shape.OW < 1)
        shape = random_candidate(rng);
    return shape;
}

/* Everything a test of one shape needs, FLOAT elements into its memory. */
struct operands {
    struct conv_shape shape;
    int64_t inputs, outputs;
    float *x, *w, *bias, *grad_y, *y, *expected_y, *grad_x, *expected_grad_x;
    struct depthwise *depthwise;
};

static struct operands operands_create(struct rng *rng, const struct conv_shape *shape)
{
    struct error err;
    int64_t inputs = conv_input_elements(shape), outputs = conv_output_elements(shape);
    struct operands at = {
        .shape = *shape,
        .inputs = inputs,
        .outputs = outputs,
        .x = random_floats(rng, inputs + FLOAT) + FLOAT,
        .w = random_floats(rng, conv_weight_elements(shape) + FLOAT) + FLOAT,
        .bias = random_floats(rng, shape->K + FLOAT) + FLOAT,
        .grad_y = random_floats(rng, outputs + FLOAT) + FLOAT,
        .y = exact_floats(outputs + FLOAT) + FLOAT,
        .expected_y = exact_floats(outputs + FLOAT) + FLOAT,
        .grad_x = random_floats(rng, inputs + FLOAT) + FLOAT,
    };
    at.expected_grad_x = copy_floats(at.grad_x - FLOAT, inputs + FLOAT) + FLOAT;
    ck_assert_ok(depthwise_create(shape, true, &at.depthwise, &err), &err);
    return at;
}

static void operands_destroy(struct operands *at)
{
    float *all[] = {at->x, at->w,          at->bias,   at->grad_y,
                    at->y, at->expected_y, at->grad_x, at->expected_grad_x};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i] - FLOAT);
    depthwise_destroy(at->depthwise);
}

static void check_forward(const struct operands *at, const float *bias, bool relu)
{
    const struct conv_shape *shape = &at->shape;
    memset(at->y, 0xff, (size_t)at->outputs * sizeof(*at->y)); /* NaN, to be written over */
    depthwise_forward(at->depthwise, shape->N, at->x, at->w, bias, relu, at->y);
    conv2d_f32(shape, at->x, at->w, bias, at->expected_y);
    if (relu)
        relu_f32(at->expected_y, at->outputs, at->expected_y);
    check_close(at->y, at->expected_y, at->outputs, shape->R * shape->S + 1, "output");
}

static void check_grad_x(const struct operands *at, bool fresh)
{
    const struct conv_shape *shape = &at->shape;
    if (fresh) {
        memset(at->grad_x, 0xff, (size_t)at->inputs * sizeof(*at->grad_x));
        memset(at->expected_grad_x, 0, (size_t)at->inputs * sizeof(*at->grad_x));
    }
    depthwise_grad_x(at->depthwise, shape->N, at->w, at->grad_y, fresh, at->grad_x);
    conv2d_f32_grad_x(shape, at->w, at->grad_y, at->expected_grad_x);
    check_close(at->grad_x, at->expected_grad_x, at->inputs, shape->R * shape->S + 1,
                fresh ? "fresh gradient" : "gradient");
}

static void check_shape(struct rng *rng, const struct conv_shape *shape)
{
    struct operands at = operands_create(rng, shape);
    check_forward(&at, at.bias, false);
    check_forward(&at, NULL, false);
    check_forward(&at, at.bias, true);
    check_grad_x(&at, false);
    check_grad_x(&at, true);
    operands_destroy(&at);
}

START_TEST(both_passes_are_those_of_the_reference)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    for (int i = 0; i < CASE_SHAPES; i++) {
        struct conv_shape shape = random_shape(&rng);
        check_shape(&rng, &shape);
    }
}
END_TEST

/* Tails of 16 and 8 channels and none, more than one part of channels; tiles along lines, across
 * them, and over samples; bands of lines; a stride larger than the filter and than the map. */
static const struct conv_shape named_shapes[] = {
    {1, 25, 5, 24, 24, 3, 3, 24, 1, 1, 1, 1, 1, 1, 1, 1, 25, 5},
    {1, 5, 25, 40, 40, 3, 3, 40, 1, 1, 1, 1, 1, 1, 1, 1, 5, 25},
    {9, 3, 3, 139, 139, 3, 3, 139, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3},
    {1, 24, 20, 8, 8, 3, 3, 8, 1, 1, 1, 1, 1, 1, 1, 1, 24, 20},
    {1, 20, 20, 27, 27, 3, 3, 27, 2, 2, 0, 0, 1, 1, 1, 1, 10, 10},
    {2, 1, 128, 9, 9, 1, 3, 9, 1, 1, 0, 0, 0, 0, 1, 1, 1, 126},
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
    {2, 9, 4, 3, 3, 2, 1, 3, 4, 7, 0, 0, 0, 0, 1, 1, 2, 1},
    {2, 12, 13, 5, 5, 3, 3, 5, 2, 3, 4, 4, 4, 4, 2, 3, 8, 5},
};
enum { NAMED_SHAPES = sizeof(named_shapes) / sizeof(named_shapes[0]) };

START_TEST(named_shapes_are_computed_as_well)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    struct conv_shape shape = named_shapes[_i];
    set_extents(&shape);
    ck_assert_int_eq(shape.OH, named_shapes[_i].OH);
    ck_assert_int_eq(shape.OW, named_shapes[_i].OW);
    check_shape(&rng, &shape);
}
END_TEST

/* A batch gives the bits that its samples give alone. */
static void check_samples(const struct operands *at)
{
    const struct conv_shape *shape = &at->shape;
    int64_t inputs = at->inputs / shape->N, outputs = at->outputs / shape->N;
    depthwise_forward(at->depthwise, shape->N, at->x, at->w, at->bias, true, at->y);
    depthwise_grad_x(at->depthwise, shape->N, at->w, at->grad_y, false, at->grad_x);
    for (int64_t n = 0; n < shape->N; n++) {
        depthwise_forward(at->depthwise, 1, at->x + n * inputs, at->w, at->bias, true,
                          at->expected_y + n * outputs);
        depthwise_grad_x(at->depthwise, 1, at->w, at->grad_y + n * outputs, false,
                         at->expected_grad_x + n * inputs);
    }
    check_same_bits(at->y, at->expected_y, at->outputs, "output");
    check_same_bits(at->grad_x, at->expected_grad_x, at->inputs, "gradient");
}

START_TEST(the_number_of_samples_changes_no_bit)
{
    struct rng rng;
    rng_init(&rng, 3, (uint64_t)_i);
    struct conv_shape shape = named_shapes[_i];
    shape.N = 10;
    struct operands at = operands_create(&rng, &shape);
    check_samples(&at);
    operands_destroy(&at);
}
END_TEST

START_TEST(other_groups_and_tiny_maps_are_not_taken)
{
    struct conv_shape shape = named_shapes[0];
    ck_assert(depthwise_takes(&shape));
    shape.K = 2 * shape.C;
    ck_assert(!depthwise_takes(&shape));
    shape = named_shapes[0];
    shape.G = 1;
    ck_assert(!depthwise_takes(&shape));
    ck_assert(!depthwise_takes(&named_shapes[2]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("depthwise");
    TCase *depthwise = tcase_create("depthwise");
    tcase_set_timeout(depthwise, 60);
    tcase_add_loop_test(depthwise, both_passes_are_those_of_the_reference, 0,
                        RANDOM_CASES / (support_short() ? 4 : 1));
    tcase_add_loop_test(depthwise, named_shapes_are_computed_as_well, 0, NAMED_SHAPES);
    tcase_add_loop_test(depthwise, the_number_of_samples_changes_no_bit, 0, NAMED_SHAPES);
    tcase_add_test(depthwise, other_groups_and_tiny_maps_are_not_taken);
    suite_add_tcase(suite, depthwise);
    return support_run(suite);
}
