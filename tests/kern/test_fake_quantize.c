/* Laws of simulated quantization, over formats of 2 to 8 bits. */

#include "kern_support.h"
#include "ptqd/kern/difference.h"
#include "ptqd/kern/fake_quantize.h"
#include "ptqd/kern/relu.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct format {
    float scale;
    int32_t zero_point, low, high;
};

enum { FORMATS = 60 };

static struct format random_format(struct rng *rng)
{
    int bits = (int)random_between(rng, 2, 8);
    struct format format = {.scale =
                                (float)ldexp(1 + rng_uniform(rng), (int)rng_below(rng, 20) - 12)};
    if (random_between(rng, 0, 1) == 0) {
        format.low = -(1 << (bits - 1));
        format.high = (1 << (bits - 1)) - 1;
    } else {
        format.high = (1 << bits) - 1;
        format.zero_point = (int32_t)random_between(rng, 0, format.high);
    }
    return format;
}

/* Reaching to twice the range on both sides. */
static float *random_values(struct rng *rng, struct format format, int64_t count)
{
    float *values = random_floats(rng, count);
    for (int64_t i = 0; i < count; i++)
        values[i] *= 2 * format.scale * (float)(format.high - format.low);
    return values;
}

static void apply(struct format format, const float *x, int64_t count, float *y)
{
    fake_quantize_f32(x, (size_t)count, format.scale, format.zero_point, format.low, format.high,
                      y);
}

enum { COUNT = 1003 };

/* Equation 1 as it is written, in float64 where that changes nothing: x/s rounded once to float32,
 * everything after it is whole. */
static float by_definition(struct format format, float x)
{
    double code = nearbyint((double)(x / format.scale)) + format.zero_point;
    code = fmin(fmax(code, format.low), format.high);
    return format.scale * (float)(code - format.zero_point);
}

START_TEST(values_are_those_of_the_definition)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct format format = random_format(&rng);
    float *x = random_values(&rng, format, COUNT), *y = exact_floats(COUNT);
    apply(format, x, COUNT, y);
    for (int i = 0; i < COUNT; i++)
        check_float(y[i], by_definition(format, x[i]));
    free(x);
    free(y);
}
END_TEST

/* Applying it again changes nothing, and nothing inside the range moves by more than half a step.
 */
START_TEST(quantizing_twice_is_quantizing_once)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    struct format format = random_format(&rng);
    float *x = random_values(&rng, format, COUNT), *y = exact_floats(COUNT);
    float *again = exact_floats(COUNT);
    apply(format, x, COUNT, y);
    apply(format, y, COUNT, again);
    check_same_bits(again, y, COUNT, "value");
    float lowest = format.scale * (float)(format.low - format.zero_point);
    float highest = format.scale * (float)(format.high - format.zero_point);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(y[i] >= lowest && y[i] <= highest);
        if (x[i] >= lowest && x[i] <= highest)
            ck_assert(fabsf(y[i] - x[i]) <= 0.5001f * format.scale);
    }
    free(x);
    free(y);
    free(again);
}
END_TEST

START_TEST(the_codes_give_the_values)
{
    struct rng rng;
    rng_init(&rng, 3, (uint64_t)_i);
    struct format format = random_format(&rng);
    float *x = random_values(&rng, format, COUNT), *y = exact_floats(COUNT);
    int32_t *codes = exact_alloc(COUNT * sizeof(*codes));
    x[0] = NAN;
    apply(format, x, COUNT, y);
    quantize_codes_f32(x, COUNT, format.scale, format.zero_point, format.low, format.high, codes);
    ck_assert_int_eq(codes[0], format.zero_point);
    for (int i = 1; i < COUNT; i++) {
        ck_assert(codes[i] >= format.low && codes[i] <= format.high);
        check_float(y[i], format.scale * (float)(codes[i] - format.zero_point));
    }
    free(x);
    free(y);
    free(codes);
}
END_TEST

START_TEST(halves_go_to_the_even_code)
{
    const float x[] = {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 3.5f};
    const float expected[] = {-2, -2, 0, 0, 2, 2, 4};
    float y[7];
    fake_quantize_f32(x, 7, 1.0f, 0, -8, 7, y);
    for (int i = 0; i < 7; i++)
        check_float(y[i], expected[i]);
    fake_quantize_f32(x, 7, 1.0f, 3, 0, 15, y); /* rounding comes before the zero point */
    for (int i = 0; i < 7; i++)
        check_float(y[i], expected[i]);
}
END_TEST

/* 0.3f / 0.1f rounds to 3 − and 0.3f · (1 / 0.1f) to 3 +: only the division gives ONNX's code. */
START_TEST(the_scale_divides)
{
    int differences = 0;
    for (int i = 1; i < 20000; i++) {
        float scale = (float)i * 1.7e-4f, x = 2.5f * scale, y;
        fake_quantize_f32(&x, 1, scale, 0, -128, 127, &y);
        check_float(y, scale * rintf(x / scale));
        differences += rintf(x / scale) != rintf(x * (1 / scale));
    }
    ck_assert_int_gt(differences, 0); /* or this test shows nothing */
}
END_TEST

START_TEST(zero_is_zero_infinities_clamp_and_nan_stays)
{
    struct rng rng;
    rng_init(&rng, 4, (uint64_t)_i);
    struct format format = random_format(&rng);
    float x[40];
    for (int i = 0; i < 40; i += 4) { /* more than a vector: in its body and in its rest */
        x[i] = 0;
        x[i + 1] = INFINITY;
        x[i + 2] = -INFINITY;
        x[i + 3] = NAN;
    }
    float y[39];
    apply(format, x, 39, y);
    for (int i = 0; i < 39; i++) {
        if (i % 4 == 0)
            check_float(y[i], 0);
        else if (i % 4 == 1)
            check_float(y[i], format.scale * (float)(format.high - format.zero_point));
        else if (i % 4 == 2)
            check_float(y[i], format.scale * (float)(format.low - format.zero_point));
        else
            ck_assert(isnan(y[i]));
    }
}
END_TEST

START_TEST(the_gradient_passes_inside_the_range_and_is_added)
{
    const float x[] = {-2.01f, -2.0f, -0.4f, 0, 0.9f, 1.0f, 1.01f, INFINITY, NAN};
    const float grad_y[] = {3, 3, 3, 3, 3, 3, 3, 3, 3};
    const float expected[] = {1, 4, 4, 4, 4, 4, 1, 1, 1};
    float grad_x[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    fake_quantize_f32_grad_x(x, 9, 1.0f, 2, 0, 3, grad_y, false, grad_x);
    for (int i = 0; i < 9; i++)
        check_float(grad_x[i], expected[i]);
}
END_TEST

/* A format per channel is the same as each channel by itself, on any axis, with or without zero
 * points, forward and gradient. */
/* Law: the gradients of scale and zero point are the published formulas (LSQ eq. 3, LSQ+ 3.1), and
 * that of x is the plain one. Tolerance: float32 sums of 16 lanes over 4096 elements. */
START_TEST(the_gradient_of_the_format_is_the_published_one)
{
    struct rng rng;
    rng_init(&rng, 31, 0);
    enum { MANY = 5003 };
    for (int i = 0; i < FORMATS; i++) {
        struct format f = random_format(&rng);
        float *x = random_values(&rng, f, MANY), *grad_y = random_floats(&rng, MANY);
        float *grad_x = calloc(MANY, sizeof(float)), *plain = calloc(MANY, sizeof(float));
        x[7] = NAN;
        double scale = 0, zero_point = 0, size = 0;
        for (int64_t j = 0; j < MANY; j++) {
            double place = (double)(x[j] / f.scale), at = place + f.zero_point;
            double g = (double)grad_y[j], term = 0;
            if (at < f.low || at > f.high) {
                term = (at < f.low ? f.low : f.high) - f.zero_point;
                zero_point -= g * (double)f.scale;
            } else if (!isnan(at)) {
                term = nearbyint(place) - place;
            }
            scale += g * term;
            size += fabs(g * term);
        }
        struct fake_quantize_grad grad = {.scale = 1, .zero_point = 2};
        fake_quantize_f32_grad(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, NULL, false,
                               grad_x, &grad);
        fake_quantize_f32_grad_x(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, false,
                                 plain);
        double tolerance = 256 * 6e-8; /* additions in a lane times half a unit in the last place */
        ck_assert_double_le(fabs(grad.scale - 1 - scale), tolerance * size + 1e-12);
        ck_assert_double_le(fabs(grad.zero_point - 2 - zero_point),
                            tolerance * MANY * (double)f.scale);
        ck_assert_mem_eq(grad_x, plain, MANY * sizeof(float));
        memset(grad_x, 0xff, MANY * sizeof(float)); /* NaN, to be written over */
        fake_quantize_f32_grad_x(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, true,
                                 grad_x);
        ck_assert_mem_eq(grad_x, plain, MANY * sizeof(float));
        memset(grad_x, 0xff, MANY * sizeof(float)); /* NaN, to be written over */
        struct fake_quantize_grad again = {.scale = 1, .zero_point = 2}, alone = again;
        fake_quantize_f32_grad(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, NULL, true,
                               grad_x, &again);
        ck_assert_mem_eq(grad_x, plain, MANY * sizeof(float));
        fake_quantize_f32_grad(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, NULL, false,
                               NULL, &alone);
        ck_assert_mem_eq(&again, &grad, sizeof(grad));
        ck_assert_mem_eq(&alone, &grad, sizeof(grad));
        free(x), free(grad_y), free(grad_x), free(plain);
    }
}
END_TEST

START_TEST(channels_are_quantized_as_if_alone)
{
    struct rng rng;
    rng_init(&rng, 5, (uint64_t)_i);
    size_t outer = (size_t)random_between(&rng, 1, 5),
           channels = (size_t)random_between(&rng, 1, 40);
    size_t inner = _i % 2 == 0 ? 1 : (size_t)random_between(&rng, 2, 40);
    int64_t count = (int64_t)(outer * channels * inner);
    struct format common = random_format(&rng);
    float *scale = exact_floats((int64_t)channels);
    int32_t *zero_point = exact_alloc(channels * sizeof(*zero_point));
    for (size_t c = 0; c < channels; c++) {
        scale[c] = common.scale * (float)(1 + rng_uniform(&rng));
        zero_point[c] = (int32_t)random_between(&rng, common.low, common.high);
    }
    struct fake_quantize_channels format = {
        .outer = outer,
        .channels = channels,
        .inner = inner,
        .scale = scale,
        .zero_point = common.low <= 0 && _i % 3 == 0 ? NULL : zero_point,
        .low = common.low,
        .high = common.high,
    };
    float *x = random_values(&rng, common, count), *y = exact_floats(count);
    float *grad_y = random_floats(&rng, count), *grad_x = exact_floats(count);
    fake_quantize_channels_f32(&format, x, y);
    fake_quantize_channels_f32_grad_x(&format, x, grad_y, grad_x);
    for (int64_t i = 0; i < count; i++) {
        size_t c = (size_t)i / inner % channels;
        int32_t zero = format.zero_point != NULL ? zero_point[c] : 0;
        float expected, gradient = 0;
        fake_quantize_f32(&x[i], 1, scale[c], zero, common.low, common.high, &expected);
        fake_quantize_f32_grad_x(&x[i], 1, scale[c], zero, common.low, common.high, &grad_y[i],
                                 false, &gradient);
        check_float(y[i], expected);
        check_float(grad_x[i], gradient);
    }
    free(scale);
    free(zero_point);
    free(x);
    free(y);
    free(grad_y);
    free(grad_x);
}
END_TEST

START_TEST(it_works_in_place)
{
    struct rng rng;
    rng_init(&rng, 6, (uint64_t)_i);
    struct format format = random_format(&rng);
    float *x = random_values(&rng, format, COUNT), *y = exact_floats(COUNT);
    apply(format, x, COUNT, y);
    apply(format, x, COUNT, x);
    check_same_bits(x, y, COUNT, "value");
    free(x);
    free(y);
}
END_TEST

/* Law: a completed gradient is what three passes give: the quantizer's, that of a loss of x, and
 * the Relu's slope, to the last bit; the format's gradients do not change. */
START_TEST(a_completed_gradient_is_that_of_three_passes)
{
    struct rng rng;
    rng_init(&rng, 37, 0);
    enum { MANY = 5003 };
    for (int i = 0; i < FORMATS; i++) {
        struct format f = random_format(&rng);
        float *x = random_values(&rng, f, MANY), *grad_y = random_floats(&rng, MANY);
        float *wanted = random_floats(&rng, MANY), *expected = exact_floats(MANY);
        float *summed = exact_floats(MANY), *given = exact_floats(MANY);
        relu_f32(x, MANY, x);
        for (int compared = 0; compared < 2; compared++) {
            struct gradient_rest rest = {compared ? wanted : NULL, 0.25f};
            struct fake_quantize_grad plain = {0}, completed = {0};
            fake_quantize_f32_grad(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, NULL,
                                   true, summed, &plain);
            if (compared)
                difference_f32_added(x, wanted, MANY, rest.factor, summed);
            relu_f32_grad_x(x, MANY, summed, true, expected);
            fake_quantize_f32_grad(x, MANY, f.scale, f.zero_point, f.low, f.high, grad_y, &rest,
                                   true, given, &completed);
            ck_assert_mem_eq(given, expected, MANY * sizeof(float));
            ck_assert_mem_eq(&completed, &plain, sizeof(plain));
        }
        free(x), free(grad_y), free(wanted), free(expected), free(summed), free(given);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fake_quantize");
    TCase *laws = tcase_create("laws");
    tcase_add_loop_test(laws, values_are_those_of_the_definition, 0, FORMATS);
    tcase_add_loop_test(laws, quantizing_twice_is_quantizing_once, 0, FORMATS);
    tcase_add_loop_test(laws, the_codes_give_the_values, 0, FORMATS);
    tcase_add_test(laws, halves_go_to_the_even_code);
    tcase_add_test(laws, the_scale_divides);
    tcase_add_loop_test(laws, zero_is_zero_infinities_clamp_and_nan_stays, 0, FORMATS);
    tcase_add_test(laws, the_gradient_passes_inside_the_range_and_is_added);
    tcase_add_test(laws, the_gradient_of_the_format_is_the_published_one);
    tcase_add_test(laws, a_completed_gradient_is_that_of_three_passes);
    tcase_add_loop_test(laws, channels_are_quantized_as_if_alone, 0, FORMATS);
    tcase_add_loop_test(laws, it_works_in_place, 0, FORMATS);
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
