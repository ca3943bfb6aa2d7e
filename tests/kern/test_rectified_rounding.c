/* Weights between two codes against plain formulas. */

#include "kern_support.h"
#include "ptqd/kern/rectified_rounding.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { GRIDS = 200, LONGEST = 70 };

/* Of h, and of a power over β. */
static const double TOLERANCE = 4e-7;

struct sample {
    struct rounding_grid grid;
    struct rounding_pull pull;
    int64_t count;
    float *alpha, *floors, *gradient;
};

static struct sample random_sample(struct rng *rng)
{
    int bits = (int)random_between(rng, 2, 8);
    int32_t zero_point = (int32_t)random_between(rng, 0, (1 << bits) - 1);
    struct sample sample = {
        .grid = {.scale = (float)exp(rng_normal(rng)),
                 .low = (float)-zero_point,
                 .high = (float)((1 << bits) - 1 - zero_point)},
        .pull = {.lambda = rng_below(rng, 3) == 0 ? 0.0f : (float)rng_uniform(rng),
                 .beta = (float)(1 + 19 * rng_uniform(rng))},
        .count = random_between(rng, 1, LONGEST),
    };
    sample.alpha = random_floats(rng, sample.count);
    sample.floors = exact_floats(sample.count);
    sample.gradient = random_floats(rng, sample.count);
    for (int64_t i = 0; i < sample.count; i++) {
        sample.alpha[i] *= rng_below(rng, 8) == 0 ? 100.0f : 1.5f;
        sample.floors[i] = sample.grid.low + (float)random_between(rng, -2, (1 << bits) + 1);
    }
    return sample;
}

static void free_sample(struct sample *sample)
{
    free(sample->alpha), free(sample->floors), free(sample->gradient);
}

/* Law: values are those of the header's formulas. */
START_TEST(values_lie_between_codes)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int round = 0; round < GRIDS; round++) {
        struct sample s = random_sample(&rng);
        float *values = exact_floats(s.count);
        rectified_rounding_f32(s.alpha, s.floors, (size_t)s.count, &s.grid, values);
        for (int64_t i = 0; i < s.count; i++) {
            double code = (double)s.floors[i] + rectified_sigmoid((double)s.alpha[i]);
            double expected = fmin(fmax(code, (double)s.grid.low), (double)s.grid.high);
            ck_assert_double_eq_tol((double)(values[i] / s.grid.scale), expected,
                                    TOLERANCE * (1 + fabs(expected)));
        }
        free(values);
        free_sample(&s);
    }
}
END_TEST

static double expected_gradient(const struct sample *s, int64_t i, double *out_tolerance)
{
    double sigma = 1 / (1 + exp(-(double)s->alpha[i])), h = sigma * 1.2 - 0.1;
    double code = (double)s->floors[i] + h, u = 2 * h - 1;
    double beta = (double)s->pull.beta, lambda = (double)s->pull.lambda;
    bool inside = code >= (double)s->grid.low && code <= (double)s->grid.high;
    double by_h = inside ? (double)s->grid.scale * (double)s->gradient[i] : 0;
    double height = 2 * lambda * beta, slope = sigma * (1 - sigma) * 1.2;
    *out_tolerance = TOLERANCE * (1e-6 + fabs(by_h) + height * beta);
    return slope * (by_h - copysign(height * pow(fabs(u), beta - 1), u));
}

/* Law: gradients are those of the header's formulas, whatever the memory held, and zero where the
 * sigmoid is clipped. */
START_TEST(gradients_are_those_of_the_formulas)
{
    struct rng rng;
    rng_init(&rng, 2, 0);
    int clipped = 0, pulled = 0;
    for (int round = 0; round < GRIDS; round++) {
        struct sample s = random_sample(&rng);
        float *grad_alpha = random_floats(&rng, s.count);
        rectified_rounding_f32_grad(s.alpha, s.floors, (size_t)s.count, &s.grid, &s.pull,
                                    s.gradient, grad_alpha);
        for (int64_t i = 0; i < s.count; i++) {
            double h = rectified_sigmoid((double)s.alpha[i]), tolerance;
            double expected = expected_gradient(&s, i, &tolerance);
            if (fmin(h, 1 - h) < 1e-6) { /* clipped, or in one precision only */
                ck_assert(h > 0 && h < 1 ? true : grad_alpha[i] == 0);
                clipped++;
                continue;
            }
            ck_assert_double_eq_tol((double)grad_alpha[i], expected, tolerance);
            pulled += s.pull.lambda > 0;
        }
        free(grad_alpha);
        free_sample(&s);
    }
    ck_assert_int_gt(clipped, GRIDS);
    ck_assert_int_gt(pulled, GRIDS);
}
END_TEST

/* Law: whatever α is, ŵ and gradient are finite. */
START_TEST(extremes_give_finite_values)
{
    const float alpha[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-45f, 0.5f};
    enum { COUNT = sizeof(alpha) / sizeof(alpha[0]) };
    const struct rounding_grid grid = {.scale = 0.5f, .low = -8, .high = 7};
    const struct rounding_pull pull = {.lambda = 0.01f, .beta = 20};
    float values[COUNT], grad_alpha[COUNT];
    const float floors[COUNT] = {0}, gradient[COUNT] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    rectified_rounding_f32(alpha, floors, COUNT, &grid, values);
    rectified_rounding_f32_grad(alpha, floors, COUNT, &grid, &pull, gradient, grad_alpha);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(values[i] >= 0 && values[i] <= 0.5f);
        ck_assert(isfinite(grad_alpha[i]));
    }
    ck_assert(values[2] == 0.5f && values[3] == 0);
}
END_TEST

START_TEST(the_inverse_is_one)
{
    for (double fraction = 0; fraction <= 1; fraction += 1.0 / 64)
        ck_assert_double_eq_tol(rectified_sigmoid(rectified_sigmoid_inverse(fraction)), fraction,
                                1e-12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rectified_rounding");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, values_lie_between_codes);
    tcase_add_test(tcase, gradients_are_those_of_the_formulas);
    tcase_add_test(tcase, extremes_give_finite_values);
    tcase_add_test(tcase, the_inverse_is_one);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
