/* Resampling against the definition, and its gradient as the transposed map. */

#include "kern_support.h"
#include "ptqd/kern/resample.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { RANDOM_SHAPES = 100, ON_AN_ELEMENT = 3 /* one in so many taps */ };

struct operands {
    struct resample_shape shape;
    struct resample_tap *taps;
    float *x, *y;
    int64_t inputs, outputs;
};

static struct operands operands_create(struct rng *rng)
{
    struct operands at = {
        .shape = {.outer = random_between(rng, 1, 4),
                  .in = random_between(rng, 1, 9),
                  .out = random_between(rng, 1, 9),
                  .inner = random_between(rng, 1, 20)},
    };
    const struct resample_shape *shape = &at.shape;
    at.inputs = shape->outer * shape->in * shape->inner;
    at.outputs = shape->outer * shape->out * shape->inner;
    at.taps = exact_alloc((size_t)shape->out * sizeof(*at.taps));
    for (int64_t i = 0; i < shape->out; i++)
        at.taps[i] = (struct resample_tap){
            .low = random_between(rng, 0, shape->in - 1),
            .high = random_between(rng, 0, shape->in - 1),
            .share = random_between(rng, 1, ON_AN_ELEMENT) == 1 ? 0 : (float)rng_uniform(rng),
        };
    at.x = random_floats(rng, at.inputs);
    at.y = exact_floats(at.outputs);
    return at;
}

static void operands_destroy(struct operands *at)
{
    free(at->taps);
    free(at->x);
    free(at->y);
}

START_TEST(elements_lie_between_those_of_the_taps)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct operands at = operands_create(&rng);
    const struct resample_shape *shape = &at.shape;
    resample_f32(shape, at.taps, at.x, at.y);
    for (int64_t i = 0; i < at.outputs; i++) {
        int64_t inner = i % shape->inner, outer = i / shape->inner / shape->out;
        const struct resample_tap *tap = &at.taps[i / shape->inner % shape->out];
        const float *x = at.x + outer * shape->in * shape->inner + inner;
        double low = (double)x[tap->low * shape->inner];
        double high = (double)x[tap->high * shape->inner];
        double expected = low + (double)tap->share * (high - low);
        ck_assert_double_le(fabs((double)at.y[i] - expected), 3e-7);
    }
    operands_destroy(&at);
}
END_TEST

/* Law: Σ y · g = Σ x · (gradient of x for g), as the map is linear; gradients are added to. */
START_TEST(the_gradient_is_the_transposed_map)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    struct operands at = operands_create(&rng);
    float *grad_y = random_floats(&rng, at.outputs), *grad_x = exact_floats(at.inputs);
    for (int64_t i = 0; i < at.inputs; i++)
        grad_x[i] = 0.5F;
    resample_f32(&at.shape, at.taps, at.x, at.y);
    resample_f32_grad_x(&at.shape, at.taps, grad_y, grad_x);
    double left = 0, right = 0;
    for (int64_t i = 0; i < at.outputs; i++)
        left += (double)at.y[i] * (double)grad_y[i];
    for (int64_t i = 0; i < at.inputs; i++)
        right += (double)at.x[i] * ((double)grad_x[i] - 0.5);
    ck_assert_double_le(fabs(left - right), 1e-6 * (double)at.outputs);
    free(grad_y);
    free(grad_x);
    operands_destroy(&at);
}
END_TEST

START_TEST(a_neighbour_without_a_share_is_not_looked_at)
{
    const struct resample_shape shape = {.outer = 1, .in = 2, .out = 1, .inner = 1};
    const struct resample_tap tap = {.low = 0, .high = 1, .share = 0};
    float y;
    resample_f32(&shape, &tap, (const float[]){3, NAN}, &y);
    check_float(y, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resample");
    TCase *tcase = tcase_create("laws");
    tcase_add_loop_test(tcase, elements_lie_between_those_of_the_taps, 0, RANDOM_SHAPES);
    tcase_add_loop_test(tcase, the_gradient_is_the_transposed_map, 0, RANDOM_SHAPES);
    tcase_add_test(tcase, a_neighbour_without_a_share_is_not_looked_at);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
