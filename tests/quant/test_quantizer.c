#include "ptqd/quant/quantizer.h"

#include "support.h"

#include "golden/quantizer_codes.h"

#include "ptqd/base/rng.h"

#include <math.h>
#include <stdio.h>

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

enum { ASYMMETRIC, SYMMETRIC, NARROW, SIGNED_CODES, KINDS };

static const struct quantizer_format kinds[KINDS] = {
    [ASYMMETRIC] = {.symmetric = false},
    [SYMMETRIC] = {.symmetric = true},
    [NARROW] = {.symmetric = true, .narrow = true},
    [SIGNED_CODES] = {.signed_codes = true},
};

#define FORMAT_EACH(bits, kind)                                                                    \
    for (int bits = QUANTIZER_BITS_MIN; bits <= QUANTIZER_BITS_MAX; bits++)                        \
        for (int kind = 0; kind < KINDS; kind++)

static struct quantizer make_kind(int bits, int kind, double min, double max)
{
    struct quantizer quantizer;
    struct quantizer_format format = kinds[kind];
    format.bits = bits;
    ck_assert_ok(quantizer_create(arena, &format, 1, &quantizer, &err), &err);
    ck_assert_ok(quantizer_set_range(&quantizer, 0, min, max, &err), &err);
    return quantizer;
}

/* Law (arXiv 2203.05492, eq. 1): 2^b codes; symmetric from -2^(b-1), or -p when narrow. */
START_TEST(the_grid_has_the_codes_of_its_width)
{
    FORMAT_EACH(bits, kind)
    {
        struct quantizer quantizer = make_kind(bits, kind, -1.0, 1.0);
        int32_t codes = quantizer.high - quantizer.low + 1;
        int missing = kind == NARROW ? 1 : 0;
        ck_assert_int_eq(codes, (1 << bits) - missing);
        ck_assert_int_eq(quantizer.low, kind == ASYMMETRIC ? 0 : -(1 << (bits - 1)) + missing);
    }
}
END_TEST

/* Law: scales, zero points, codes and values are numpy's to the bit, ties and infinities too. */
START_TEST(every_format_is_that_of_numpy)
{
    for (int i = 0; i < GOLDEN_FORMATS; i++) {
        const struct golden_format *golden = &golden_formats[i];
        struct quantizer_format format = {.bits = golden->bits,
                                          .symmetric = golden->symmetric,
                                          .narrow = golden->narrow,
                                          .signed_codes = golden->signed_codes};
        struct quantizer quantizer;
        ck_assert_ok(quantizer_create(arena, &format, 1, &quantizer, &err), &err);
        ck_assert_ok(quantizer_set_range(&quantizer, 0, golden->min, golden->max, &err), &err);
        ck_assert_msg(quantizer.scales[0] == golden->scale, "%d bits, %g to %g", golden->bits,
                      golden->min, golden->max);
        ck_assert_int_eq(quantizer.zero_points[0], golden->zero_point);
        for (int j = 0; j < GOLDEN_VALUES; j++) {
            float value,
                expected = golden->scale * (float)(golden_codes[i][j] - golden->zero_point);
            quantizer_apply(&quantizer, 0, &golden_values[j], 1, &value);
            ck_assert_int_eq(quantizer_encode(&quantizer, 0, golden_values[j]), golden_codes[i][j]);
            ck_assert_msg(value == expected, "%g: %g, not %g", (double)golden_values[j],
                          (double)value, (double)expected);
        }
    }
}
END_TEST

START_TEST(widths_outside_two_to_eight_and_float_are_refused)
{
    struct quantizer quantizer;
    for (int bits = -1; bits <= 33; bits++) {
        struct quantizer_format format = {.bits = bits};
        if ((bits >= 2 && bits <= 8) || bits == QUANTIZER_BITS_FLOAT)
            continue;
        char expected[64];
        snprintf(expected, sizeof(expected), "bits is %d; 2 to 8 and 32 (float) are supported",
                 bits);
        ck_assert_fails(quantizer_create(arena, &format, 1, &quantizer, &err), &err, E_INVALID,
                        expected);
    }
}
END_TEST

START_TEST(an_asymmetric_grid_is_not_narrow)
{
    struct quantizer quantizer;
    struct quantizer_format format = {.bits = 4, .narrow = true};
    ck_assert_fails(quantizer_create(arena, &format, 1, &quantizer, &err), &err, E_INVALID,
                    "symmetric grid");
}
END_TEST

/* Law: signed codes are those from 0 on, less 2^(b−1); the values are the same. */
START_TEST(signed_codes_are_the_others_shifted)
{
    for (int bits = QUANTIZER_BITS_MIN; bits <= QUANTIZER_BITS_MAX; bits++) {
        struct quantizer plain = make_kind(bits, ASYMMETRIC, -0.7, 2.1);
        struct quantizer with_sign = make_kind(bits, SIGNED_CODES, -0.7, 2.1);
        int32_t half = 1 << (bits - 1);
        ck_assert(plain.scales[0] == with_sign.scales[0]);
        ck_assert_int_eq(plain.zero_points[0] - half, with_sign.zero_points[0]);
        for (int i = -100; i <= 300; i++) {
            float x = 0.01f * (float)i, a, b;
            quantizer_apply(&plain, 0, &x, 1, &a);
            quantizer_apply(&with_sign, 0, &x, 1, &b);
            ck_assert(a == b);
            ck_assert_int_eq(quantizer_encode(&plain, 0, x) - half,
                             quantizer_encode(&with_sign, 0, x));
        }
    }
}
END_TEST

START_TEST(float_has_no_scales_and_needs_no_range)
{
    struct quantizer quantizer;
    struct quantizer_format format = {.bits = QUANTIZER_BITS_FLOAT, .symmetric = true};
    ck_assert_ok(quantizer_create(arena, &format, 7, &quantizer, &err), &err);
    ck_assert(quantizer_format_is_float(&quantizer.format));
    ck_assert_int_eq(quantizer.channels, 0);
    ck_assert(quantizer_ready(&quantizer));
}
END_TEST

/* Law: zero is on the grid, whatever the range. */
START_TEST(zero_stays_zero)
{
    static const double ranges[][2] = {{0, 0},          {-1, 1},        {0.5, 3},  {-7, -2},
                                       {-1e-30, 1e-30}, {-1e30, 1e-30}, {0, 1e-45}};
    FORMAT_EACH(bits, kind)
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        struct quantizer quantizer = make_kind(bits, kind, ranges[i][0], ranges[i][1]);
        float zero = 0.0f, y;
        quantizer_apply(&quantizer, 0, &zero, 1, &y);
        ck_assert(y == 0.0f);
        ck_assert(quantizer.low <= quantizer.zero_points[0]);
        ck_assert(quantizer.zero_points[0] <= quantizer.high);
        ck_assert(quantizer.scales[0] > 0.0f && isfinite(quantizer.scales[0]));
    }
}
END_TEST

/* Law: quantizing what is quantized changes nothing; codes and values agree. */
START_TEST(quantizing_twice_is_quantizing_once)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    FORMAT_EACH(bits, kind)
    {
        struct quantizer quantizer = make_kind(bits, kind, -0.7, 2.1);
        for (int i = 0; i < 200; i++) {
            float x = (float)(3.0 * rng_normal(&rng)), once, twice;
            quantizer_apply(&quantizer, 0, &x, 1, &once);
            quantizer_apply(&quantizer, 0, &once, 1, &twice);
            ck_assert(once == twice);
            int32_t code = quantizer_encode(&quantizer, 0, x);
            ck_assert_int_ge(code, quantizer.low);
            ck_assert_int_le(code, quantizer.high);
            ck_assert(quantizer_decode(&quantizer, 0, code) == once);
        }
    }
}
END_TEST

/* Law: inside the range the error is at most half a step (and a rounding error of float32). */
START_TEST(the_error_is_half_a_step_at_most)
{
    FORMAT_EACH(bits, kind)
    {
        struct quantizer quantizer = make_kind(bits, kind, -1.0, 1.5);
        double scale = (double)quantizer.scales[0];
        double low = ((double)quantizer.low - quantizer.zero_points[0]) * scale;
        double high = ((double)quantizer.high - quantizer.zero_points[0]) * scale;
        for (int i = 0; i <= 1000; i++) {
            float x = (float)(low + (high - low) * i / 1000.0), y;
            quantizer_apply(&quantizer, 0, &x, 1, &y);
            ck_assert_double_le(fabs((double)y - (double)x), 0.5 * scale * (1.0 + 1e-5));
        }
    }
}
END_TEST

START_TEST(the_range_reaches_both_ends)
{
    FORMAT_EACH(bits, kind)
    {
        struct quantizer quantizer = make_kind(bits, kind, -1.0, 1.5);
        double scale = (double)quantizer.scales[0];
        double low = ((double)quantizer.low - quantizer.zero_points[0]) * scale;
        double high = ((double)quantizer.high - quantizer.zero_points[0]) * scale;
        double slack = kinds[kind].symmetric ? 0.0 : 0.5 * scale; /* zero points are whole */
        ck_assert_double_le(low, -1.0 + slack + 1e-6);
        ck_assert_double_ge(high, 1.5 - slack - 1e-6);
    }
}
END_TEST

START_TEST(infinity_clamps_and_nan_stays)
{
    FORMAT_EACH(bits, kind)
    {
        struct quantizer quantizer = make_kind(bits, kind, -1.0, 1.0);
        float x[] = {INFINITY, -INFINITY, NAN}, y[3];
        quantizer_apply(&quantizer, 0, x, 3, y);
        ck_assert(y[0] == quantizer_decode(&quantizer, 0, quantizer.high));
        ck_assert(y[1] == quantizer_decode(&quantizer, 0, quantizer.low));
        ck_assert(isnan(y[2]));
        ck_assert_int_eq(quantizer_encode(&quantizer, 0, NAN), quantizer.zero_points[0]);
    }
}
END_TEST

START_TEST(a_range_must_be_finite_and_in_order)
{
    struct quantizer quantizer = make_kind(4, ASYMMETRIC, -1.0, 1.0);
    ck_assert_fails(quantizer_set_range(&quantizer, 0, NAN, 1.0, &err), &err, E_INVALID,
                    "nan to 1");
    ck_assert_fails(quantizer_set_range(&quantizer, 0, 0.0, INFINITY, &err), &err, E_INVALID,
                    "0 to inf");
    ck_assert_fails(quantizer_set_range(&quantizer, 0, 2.0, 1.0, &err), &err, E_INVALID, "2 to 1");
}
END_TEST

START_TEST(it_is_ready_when_every_channel_has_a_scale)
{
    struct quantizer quantizer;
    struct quantizer_format format = {.bits = 4, .symmetric = true};
    ck_assert_ok(quantizer_create(arena, &format, 2, &quantizer, &err), &err);
    ck_assert(!quantizer_ready(&quantizer));
    ck_assert_ok(quantizer_set_range(&quantizer, 1, -1.0, 1.0, &err), &err);
    ck_assert(!quantizer_ready(&quantizer));
    ck_assert_ok(quantizer_set_range(&quantizer, 0, -1.0, 1.0, &err), &err);
    ck_assert(quantizer_ready(&quantizer));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantizer");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_grid_has_the_codes_of_its_width);
    tcase_add_test(tcase, every_format_is_that_of_numpy);
    tcase_add_test(tcase, widths_outside_two_to_eight_and_float_are_refused);
    tcase_add_test(tcase, an_asymmetric_grid_is_not_narrow);
    tcase_add_test(tcase, signed_codes_are_the_others_shifted);
    tcase_add_test(tcase, float_has_no_scales_and_needs_no_range);
    tcase_add_test(tcase, zero_stays_zero);
    tcase_add_test(tcase, quantizing_twice_is_quantizing_once);
    tcase_add_test(tcase, the_error_is_half_a_step_at_most);
    tcase_add_test(tcase, the_range_reaches_both_ends);
    tcase_add_test(tcase, infinity_clamps_and_nan_stays);
    tcase_add_test(tcase, a_range_must_be_finite_and_in_order);
    tcase_add_test(tcase, it_is_ready_when_every_channel_has_a_scale);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
