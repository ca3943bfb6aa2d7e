/* Columns: with the weights as a matrix they give the convolution; groups and parts are cuts of the
 * whole. */

#include "kern_support.h"
#include "ptqd/kern/gemm.h"
#include "ptqd/kern/im2col.h"
#include "support.h"

#include <stdlib.h>

enum { RANDOM_SHAPES = 50 };

/* y [positions][K/G] of group g = columns · wᵀ, for every group. */
START_TEST(columns_times_weights_is_the_convolution)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    struct conv_shape shape = random_conv_shape(&rng);
    int64_t positions = shape.N * shape.OH * shape.OW, D = conv_column_elements(&shape);
    int64_t outputs = shape.K / shape.G;
    float *x = random_floats(&rng, conv_input_elements(&shape));
    float *w = random_floats(&rng, conv_weight_elements(&shape));
    float *columns = exact_floats(positions * D);
    float *y = exact_floats(positions * shape.K), *expected = exact_floats(positions * shape.K);
    for (int64_t g = 0; g < shape.G; g++) {
        im2col_group_f32(&shape, x, g, 0, positions, columns);
        struct gemm_shape product = {
            .M = positions, .N = outputs, .K = D, .transpose_b = true, .ldc = shape.K};
        gemm_f32_reference(&product, 1.0f, columns, w + g * outputs * D, 0.0f, y + g * outputs);
    }
    conv2d_f32(&shape, x, w, NULL, expected);
    check_close(y, expected, positions * shape.K, D, "output");
    free(x);
    free(w);
    free(columns);
    free(y);
    free(expected);
}
END_TEST

START_TEST(a_group_is_a_cut_of_all_channels)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    struct conv_shape shape = random_conv_shape(&rng);
    int64_t positions = shape.N * shape.OH * shape.OW, taps = shape.R * shape.S;
    int64_t channels = shape.C / shape.G;
    float *x = random_floats(&rng, conv_input_elements(&shape));
    float *all = exact_floats(positions * taps * shape.C);
    float *group = exact_floats(positions * taps * channels);
    im2col_f32(&shape, x, 0, positions, all);
    for (int64_t g = 0; g < shape.G; g++) {
        im2col_group_f32(&shape, x, g, 0, positions, group);
        for (int64_t row = 0; row < positions * taps; row++)
            check_same_bits(group + row * channels, all + row * shape.C + g * channels, channels,
                            "tap");
    }
    free(x);
    free(all);
    free(group);
}
END_TEST

START_TEST(positions_can_be_taken_in_parts)
{
    struct rng rng;
    rng_init(&rng, 3, (uint64_t)_i);
    struct conv_shape shape = random_conv_shape(&rng);
    int64_t positions = shape.N * shape.OH * shape.OW, D = shape.R * shape.S * shape.C;
    float *x = random_floats(&rng, conv_input_elements(&shape));
    float *whole = exact_floats(positions * D), *parts = exact_floats(positions * D);
    im2col_f32(&shape, x, 0, positions, whole);
    for (int64_t first = 0, count; first < positions; first += count) {
        count = random_between(&rng, 1, positions - first);
        im2col_f32(&shape, x, first, count, parts + first * D);
    }
    check_same_bits(parts, whole, positions * D, "columns");
    free(x);
    free(whole);
    free(parts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("im2col");
    TCase *laws = tcase_create("laws");
    tcase_add_loop_test(laws, columns_times_weights_is_the_convolution, 0, RANDOM_SHAPES);
    tcase_add_loop_test(laws, a_group_is_a_cut_of_all_channels, 0, RANDOM_SHAPES);
    tcase_add_loop_test(laws, positions_can_be_taken_in_parts, 0, RANDOM_SHAPES);
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
