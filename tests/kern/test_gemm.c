/* Products: oneDNN against the plain loops, for all storages. */

#include "kern_support.h"
#include "ptqd/kern/gemm.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { CASES = 20, SHAPES = 10 }; /* shapes of a case share a process, and oneDNN's start */

static int64_t rows_of(int64_t rows, int64_t columns, bool transposed)
{
    return transposed ? columns : rows;
}

static struct gemm_shape random_shape(struct rng *rng)
{
    struct gemm_shape shape = {
        .M = random_between(rng, 1, 70),
        .N = random_between(rng, 1, 70),
        .K = random_between(rng, 1, 300),
        .transpose_a = random_between(rng, 0, 1) == 1,
        .transpose_b = random_between(rng, 0, 1) == 1,
    };
    if (random_between(rng, 0, 1) == 1) {
        shape.lda = rows_of(shape.K, shape.M, shape.transpose_a) + random_between(rng, 0, 5);
        shape.ldb = rows_of(shape.N, shape.K, shape.transpose_b) + random_between(rng, 0, 5);
        shape.ldc = shape.N + random_between(rng, 0, 5);
    }
    return shape;
}

/* Elements from the first to the last of a stored matrix, and no more. */
static int64_t stored(int64_t rows, int64_t columns, int64_t stride)
{
    return (rows - 1) * (stride != 0 ? stride : columns) + columns;
}

static void check_product(struct rng *rng, int64_t variant)
{
    struct gemm_shape shape = random_shape(rng);
    int64_t M = shape.M, N = shape.N, K = shape.K;
    const float factors[] = {0.0f, 1.0f, -0.75f};
    float alpha = factors[variant % 3 == 0 ? 2 : 1], beta = factors[variant / 3 % 3];
    int64_t count = stored(M, N, shape.ldc);
    float *a =
        random_floats(rng, shape.transpose_a ? stored(K, M, shape.lda) : stored(M, K, shape.lda));
    float *b =
        random_floats(rng, shape.transpose_b ? stored(N, K, shape.ldb) : stored(K, N, shape.ldb));
    float *c = random_floats(rng, count), *expected = copy_floats(c, count);
    gemm_f32(&shape, alpha, a, b, beta, c);
    gemm_f32_reference(&shape, alpha, a, b, beta, expected);
    check_close(c, expected, count, K + 1, "product");
    free(a);
    free(b);
    free(c);
    free(expected);
}

START_TEST(products_are_those_of_plain_loops)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    for (int i = 0; i < SHAPES; i++)
        check_product(&rng, i);
}
END_TEST

START_TEST(beta_zero_forgets_even_nan)
{
    const struct gemm_shape shape = {.M = 2, .N = 2, .K = 2};
    const float a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8}, expected[] = {19, 22, 43, 50};
    float c[] = {NAN, NAN, NAN, NAN}, d[] = {NAN, NAN, NAN, NAN};
    gemm_f32(&shape, 1.0f, a, b, 0.0f, c);
    gemm_f32_reference(&shape, 1.0f, a, b, 0.0f, d);
    for (int i = 0; i < 4; i++) {
        check_float(c[i], expected[i]);
        check_float(d[i], expected[i]);
    }
}
END_TEST

START_TEST(the_same_product_has_the_same_bits_every_time)
{
    struct rng rng;
    rng_init(&rng, 2, 0);
    const struct gemm_shape shape = {.M = 64, .N = 70, .K = 4096, .transpose_a = true};
    float *a = random_floats(&rng, shape.M * shape.K), *b = random_floats(&rng, shape.N * shape.K);
    float *first = exact_floats(shape.M * shape.N), *again = exact_floats(shape.M * shape.N);
    gemm_f32(&shape, 1.0f, a, b, 0.0f, first);
    for (int i = 0; i < 5; i++) {
        gemm_f32(&shape, 1.0f, a, b, 0.0f, again);
        check_same_bits(first, again, shape.M * shape.N, "product");
    }
    free(a);
    free(b);
    free(first);
    free(again);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm");
    TCase *laws = tcase_create("laws");
    tcase_add_loop_test(laws, products_are_those_of_plain_loops, 0, CASES);
    tcase_add_test(laws, beta_zero_forgets_even_nan);
    tcase_add_test(laws, the_same_product_has_the_same_bits_every_time);
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
