/* Weights on the way to their codes against plain formulas. */

#include "kern_support.h"
#include "ptqd/kern/blended_quantize.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { FORMATS = 200, LONGEST = 70 };

static struct blended_format random_blend(struct rng *rng)
{
    int bits = (int)random_between(rng, 2, 8);
    int32_t low = -(1 << (bits - 1)), high = (1 << (bits - 1)) - 1;
    struct blended_format format = {
        .scale = (float)exp(rng_normal(rng)),
        .zero_point = (int32_t)random_between(rng, low, high),
        .low = low,
        .high = high,
        .blend = (float)rng_uniform(rng),
        .moves = rng_below(rng, 2) == 1,
    };
    format.unit = format.moves ? format.scale : (float)exp(rng_normal(rng));
    return format;
}

static double code_of(double v, const struct blended_format *format)
{
    double code = nearbyint(v / ((double)format->scale / (double)format->unit));
    return fmin(fmax(code + format->zero_point, format->low), format->high);
}

/* Law: at blend 1 the values are those of the codes, at 0 the weights, between them in between. */
START_TEST(values_go_from_weights_to_codes)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int round = 0; round < FORMATS; round++) {
        struct blended_format format = random_blend(&rng);
        int64_t count = random_between(&rng, 1, LONGEST);
        float *v = random_floats(&rng, count), *values = exact_floats(count);
        int8_t codes[LONGEST];
        if (round % 3 == 0)
            format.blend = round % 2 == 0 ? 0.0f : 1.0f;
        blended_quantize_f32(v, (size_t)count, &format, codes, values);
        for (int64_t i = 0; i < count; i++) {
            double weight = (double)format.unit * (double)v[i];
            double place = (double)v[i] / ((double)format.scale / (double)format.unit);
            if (fabs(place - floor(place) - 0.5) < 1e-4)
                continue; /* a tie in one precision may be none in the other */
            ck_assert_int_eq(codes[i], (int)code_of((double)v[i], &format));
            double quantized = (double)format.scale * (codes[i] - format.zero_point);
            double expected = weight + (double)format.blend * (quantized - weight);
            ck_assert_double_eq_tol((double)values[i], expected, 1e-5 * (1 + fabs(expected)));
        }
        free(v), free(values);
    }
}
END_TEST

/* Law: gradients are those of the header's formulas, whatever the memory held. */
START_TEST(gradients_are_those_of_the_formulas)
{
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (int round = 0; round < FORMATS; round++) {
        struct blended_format format = random_blend(&rng);
        int64_t count = random_between(&rng, 1, LONGEST);
        float *v = random_floats(&rng, count), *gradient = random_floats(&rng, count);
        float *values = exact_floats(count), *grad_v = random_floats(&rng, count);
        int8_t codes[LONGEST];
        double sum = 0, size = 0;
        blended_quantize_f32(v, (size_t)count, &format, codes, values);
        float given =
            blended_quantize_f32_grad(v, values, (size_t)count, &format, gradient, grad_v);
        for (int64_t i = 0; i < count; i++) {
            float weight = v[i] * format.unit;
            float place = weight / format.scale + (float)format.zero_point;
            bool between = place >= (float)format.low && place <= (float)format.high;
            bool follows = place >= (float)format.low - 0.5f && place <= (float)format.high + 0.5f;
            double slope = follows ? 1.0 : 1.0 - (double)format.blend;
            double expected = slope * (double)format.scale * (double)gradient[i];
            ck_assert_double_eq_tol((double)grad_v[i], expected, 1e-5 * (1 + fabs(expected)));
            double rise = (double)values[i] - (!format.moves && between ? (double)weight : 0.0);
            sum += (double)gradient[i] * rise;
            size += fabs((double)gradient[i] * rise);
        }
        ck_assert_double_eq_tol((double)given, sum, 1e-5 * (1 + size));
        free(v), free(gradient), free(values), free(grad_v);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blended_quantize");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, values_go_from_weights_to_codes);
    tcase_add_test(tcase, gradients_are_those_of_the_formulas);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
