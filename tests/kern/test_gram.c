/* Second moments against plain loops in float64 over the columns of im2col, by every way and every
 * version that runs here. */

#include "gram_ways.h"
#include "kern_support.h"
#include "ptqd/kern/gram.h"
#include "ptqd/kern/im2col.h"
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 8, SHAPES = 10 }; /* shapes of a case share a process, and oneDNN's start */

static struct gram gram_create(int64_t G, int64_t D)
{
    return (struct gram){
        .G = G,
        .D = D,
        .inner = exact_doubles(G * D * D),
        .cross = exact_doubles(G * D * D),
        .sum_float = exact_doubles(G * D),
        .sum_quantized = exact_doubles(G * D),
    };
}

static void gram_destroy(struct gram *gram)
{
    free(gram->inner);
    free(gram->cross);
    free(gram->sum_float);
    free(gram->sum_quantized);
}

static void add_plainly(struct gram *gram, const struct conv_shape *shape, const float *x,
                        const float *x_quantized)
{
    int64_t positions = shape->N * shape->OH * shape->OW, D = gram->D;
    float *a = exact_floats(D), *b = exact_floats(D);
    gram->positions += positions;
    for (int64_t g = 0; g < gram->G; g++) {
        for (int64_t p = 0; p < positions; p++) {
            im2col_group_f32(shape, x, g, p, 1, a);
            im2col_group_f32(shape, x_quantized, g, p, 1, b);
            for (int64_t i = 0; i < D; i++) {
                gram->sum_float[g * D + i] += (double)a[i];
                gram->sum_quantized[g * D + i] += (double)b[i];
                for (int64_t j = 0; j < D; j++) {
                    gram->inner[(g * D + i) * D + j] += (double)b[i] * (double)b[j];
                    gram->cross[(g * D + i) * D + j] += (double)a[i] * (double)b[j];
                }
            }
        }
    }
    free(a);
    free(b);
}

/* Values are in [−1, 1) and float32 sums are no longer than a block: each addition of at most
 * √block terms' size rounds by ε/2 of it, over all blocks. Independent roundings: √positions. */
static void check_moments(const double *moments, const double *expected, int64_t count,
                          int64_t positions, const char *what)
{
    int64_t block = positions < GRAM_BLOCK ? positions : GRAM_BLOCK;
    double tolerance =
        4 * (double)FLT_EPSILON * (sqrt((double)positions) + 1) * sqrt((double)block + 16);
    for (int64_t i = 0; i < count; i++)
        ck_assert_element(fabs(moments[i] - expected[i]) <= tolerance,
                          "%s, element %lld: %.9g and %.9g differ by more than %g", what,
                          (long long)i, moments[i], expected[i], tolerance);
}

static void check_grams(const struct gram *gram, const struct gram *expected)
{
    int64_t matrix = gram->G * gram->D * gram->D, row = gram->G * gram->D, n = gram->positions;
    ck_assert_int_eq(n, expected->positions);
    check_moments(gram->inner, expected->inner, matrix, n, "x̂ x̂ᵀ");
    check_moments(gram->sum_quantized, expected->sum_quantized, row, n, "Σ x̂");
    if (gram->cross != NULL) {
        check_moments(gram->cross, expected->cross, matrix, n, "x x̂ᵀ");
        check_moments(gram->sum_float, expected->sum_float, row, n, "Σ x");
    }
}

/* H is symmetric to the last bit: solvers count on it. */
static void check_symmetric(const struct gram *gram)
{
    int64_t D = gram->D;
    for (int64_t g = 0; g < gram->G; g++)
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j < i; j++)
                ck_assert_element(gram->inner[(g * D + i) * D + j] ==
                                      gram->inner[(g * D + j) * D + i],
                                  "H[%lld][%lld] is not H[%lld][%lld]", (long long)i, (long long)j,
                                  (long long)j, (long long)i);
}

/* x and x̂ of two calls, the second with fewer samples: scratch is for any number of them. */
struct calls {
    struct conv_shape shape[2];
    float *x[2], *x_quantized[2];
};

static void add_here(const struct gram_version *version, struct gram *gram,
                     const struct conv_shape *shape, const float *x, const float *x_quantized,
                     void *scratch)
{
    (void)version; /* the fastest way has the fastest version */
    gram_add_conv(gram, shape, x, x_quantized, scratch);
}

static void add_columns(const struct gram_version *version, struct gram *gram,
                        const struct conv_shape *shape, const float *x, const float *x_quantized,
                        void *scratch)
{
    (void)version; /* the plain one is slow; the shift structure has all */
    gram_columns_add(gram_version_here(), gram, shape, x, x_quantized, scratch);
    gram->positions += shape->N * shape->OH * shape->OW;
}

static void add_shift(const struct gram_version *version, struct gram *gram,
                      const struct conv_shape *shape, const float *x, const float *x_quantized,
                      void *scratch)
{
    gram_f32_shift_add(version, gram, shape, x, x_quantized, scratch);
    gram->positions += shape->N * shape->OH * shape->OW;
}

static void add_lanes(const struct gram_version *version, struct gram *gram,
                      const struct conv_shape *shape, const float *x, const float *x_quantized,
                      void *scratch)
{
    gram_f32_lanes_add(version, gram, shape, x, x_quantized, scratch);
    gram->positions += shape->N * shape->OH * shape->OW;
}

struct way {
    size_t (*scratch_bytes)(const struct conv_shape *shape);
    void (*add)(const struct gram_version *version, struct gram *gram,
                const struct conv_shape *shape, const float *x, const float *x_quantized,
                void *scratch);
    bool has_versions;
};

static const struct way ways[] = {
    {gram_conv_scratch_bytes, add_here, false},
    {gram_columns_scratch_bytes, add_columns, false},
    {gram_f32_shift_scratch_bytes, add_shift, true},
    {gram_f32_lanes_scratch_bytes, add_lanes, true},
};

static void check_way(const struct way *way, const struct gram_version *version,
                      const struct calls *calls, const struct gram *expected)
{
    struct gram gram = gram_create(expected->G, expected->D);
    size_t bytes = way->scratch_bytes(&calls->shape[0]);
    void *scratch = exact_alloc(bytes);
    memset(scratch, 0xff, bytes); /* NaN: undefined content */
    for (int call = 0; call < 2; call++)
        way->add(version, &gram, &calls->shape[call], calls->x[call], calls->x_quantized[call],
                 scratch);
    check_grams(&gram, expected);
    check_symmetric(&gram);
    gram_destroy(&gram);
    free(scratch);
}

static void check_shape(struct rng *rng, struct conv_shape shape)
{
    struct calls calls = {.shape = {shape, shape}};
    struct gram expected = gram_create(shape.G, conv_column_elements(&shape));
    calls.shape[1].N = shape.N > 1 ? shape.N - 1 : 1;
    for (int call = 0; call < 2; call++) {
        int64_t count = conv_input_elements(&calls.shape[call]);
        calls.x[call] = random_floats(rng, count);
        calls.x_quantized[call] = random_floats(rng, count);
        add_plainly(&expected, &calls.shape[call], calls.x[call], calls.x_quantized[call]);
    }
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
        for (int version = 0; version < (ways[way].has_versions ? gram_version_count : 1);
             version++)
            if (!ways[way].has_versions || gram_versions[version].runs_here())
                check_way(&ways[way], &gram_versions[version], &calls, &expected);
    for (int call = 0; call < 2; call++) {
        free(calls.x[call]);
        free(calls.x_quantized[call]);
    }
    gram_destroy(&expected);
}

START_TEST(moments_of_any_convolution_are_those_of_plain_loops)
{
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    for (int i = 0; i < SHAPES; i++) {
        struct conv_shape shape = random_conv_shape(&rng);
        while (shape.G * conv_column_elements(&shape) > 400) /* the plain loops are slow */
            shape = random_conv_shape(&rng);
        check_shape(&rng, shape);
    }
}
END_TEST

/* Beside gram_shapes: blocks cut within a sample and within a row; for depthwise filters, steps of
 * two with the padding at either end, more rows than are taken at once, vectors beyond the end,
 * pairs of samples, one by one and together, and what is left of them. */
static const struct conv_shape own_shapes[] = {
    {2, 70, 70, 17, 17, 1, 3, 17, 1, 2, 0, 1, 0, 0, 1, 1, 70, 35},
    {2, 1, 5000, 3, 3, 1, 4, 3, 1, 1, 0, 1, 0, 2, 1, 1, 1, 5000},
    {7, 9, 6, 64, 2, 1, 1, 1, 2, 1, 0, 0, 0, 0, 1, 1, 5, 6},
    {2, 50, 50, 80, 1, 1, 1, 1, 1, 2, 0, 0, 0, 0, 1, 1, 50, 25},
    {90, 4, 5, 40, 40, 3, 3, 40, 1, 1, 1, 1, 1, 1, 1, 1, 4, 5},
    {2, 40, 40, 100, 100, 3, 3, 100, 2, 2, 0, 1, 0, 1, 1, 1, 20, 20},
    {5, 12, 8, 24, 24, 3, 3, 24, 2, 2, 1, 1, 0, 0, 1, 1, 6, 4},
    {40, 7, 3, 33, 33, 3, 3, 33, 1, 1, 1, 1, 1, 1, 1, 1, 7, 3},
    {3, 9, 6, 18, 18, 5, 3, 18, 2, 2, 2, 0, 2, 1, 1, 1, 5, 3},
    {3, 2, 9, 16, 16, 5, 3, 16, 1, 1, 4, 1, 4, 1, 2, 1, 2, 9},
    {600, 1, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
    {6, 100, 90, 43, 2, 1, 1, 1, 3, 2, 0, 0, -1, -1, 1, 1, 33, 44},
    {5, 30, 8, 78, 3, 1, 1, 3, 2, 3, 0, 1, 0, 1, 1, 1, 15, 3},
    {5, 70, 60, 8, 8, 3, 3, 8, 1, 1, 1, 1, 1, 1, 1, 1, 70, 60},
    {6, 12, 9, 8, 16, 3, 3, 8, 2, 2, 0, 1, 1, 1, 1, 1, 6, 5},
};

START_TEST(moments_of_many_positions_are_those_of_plain_loops)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    check_shape(&rng, _i < GRAM_SHAPES ? gram_shapes[_i] : own_shapes[_i - GRAM_SHAPES]);
}
END_TEST

/* x == x̂: the same as two copies, and C = H to the last bit. Without C: the same H. */
START_TEST(the_same_input_twice_makes_both_matrices_equal)
{
    struct rng rng;
    rng_init(&rng, 3, (uint64_t)_i);
    struct conv_shape shape = _i == 0 ? gram_shapes[1] : random_conv_shape(&rng);
    int64_t matrix = shape.G * conv_column_elements(&shape) * conv_column_elements(&shape);
    float *x = random_floats(&rng, conv_input_elements(&shape));
    float *copy = copy_floats(x, conv_input_elements(&shape));
    void *scratch = exact_alloc(gram_conv_scratch_bytes(&shape));
    struct gram same = gram_create(shape.G, conv_column_elements(&shape));
    struct gram two = gram_create(same.G, same.D), alone = gram_create(same.G, same.D);
    gram_add_conv(&same, &shape, x, x, scratch);
    gram_add_conv(&two, &shape, x, copy, scratch);
    struct gram inner_only = alone;
    inner_only.cross = inner_only.sum_float = NULL;
    gram_add_conv(&inner_only, &shape, copy, x, scratch);
    check_grams(&same, &two);
    for (int64_t i = 0; i < matrix; i++) {
        ck_assert(same.cross[i] == same.inner[i]);
        ck_assert(inner_only.inner[i] == same.inner[i]);
        ck_assert(two.inner[i] == same.inner[i]);
    }
    free(x);
    free(copy);
    free(scratch);
    gram_destroy(&same);
    gram_destroy(&two);
    gram_destroy(&alone);
}
END_TEST

START_TEST(a_dense_layer_has_one_position_per_sample)
{
    struct rng rng;
    rng_init(&rng, 4, (uint64_t)_i);
    int64_t C = random_between(&rng, 1, _i == 0 ? 500 : 60);
    int64_t N = _i == 1 ? 9000 : random_between(&rng, 1, 50);
    struct conv_shape shape = {.N = N,
                               .H = 1,
                               .W = 1,
                               .C = C,
                               .K = 1,
                               .R = 1,
                               .S = 1,
                               .G = 1,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .OH = 1,
                               .OW = 1};
    struct gram gram = gram_create(1, C), expected = gram_create(1, C);
    float *x = random_floats(&rng, N * C), *x_quantized = random_floats(&rng, N * C);
    void *scratch = exact_alloc(gram_dense_scratch_bytes(C));
    gram_add_dense(&gram, N, x, x_quantized, scratch);
    add_plainly(&expected, &shape, x, x_quantized);
    check_grams(&gram, &expected);
    check_symmetric(&gram);
    free(x);
    free(x_quantized);
    free(scratch);
    gram_destroy(&gram);
    gram_destroy(&expected);
}
END_TEST

/* Whether some pair of taps (r, s) and (r', s') that far apart has the first one at a place. */
static bool is_needed(const struct conv_shape *shape, int64_t h, int64_t w, int64_t down,
                      int64_t right)
{
    for (int64_t r = 0; r < shape->R; r++)
        for (int64_t s = 0; s < shape->S; s++) {
            int64_t row = h + shape->pad_top - r * shape->dilation_h;
            int64_t column = w + shape->pad_left - s * shape->dilation_w;
            if (r + down < 0 || r + down >= shape->R || s + right < 0 || s + right >= shape->S ||
                row < 0 || column < 0 || row % shape->stride_h != 0 ||
                column % shape->stride_w != 0)
                continue;
            if (row / shape->stride_h < shape->OH && column / shape->stride_w < shape->OW)
                return true;
        }
    return false;
}

static int64_t needed_products(const struct conv_shape *shape)
{
    int64_t C = shape->C / shape->G, products = 0;
    for (int64_t down = 0; down < shape->R; down++)
        for (int64_t right = down == 0 ? 0 : 1 - shape->S; right < shape->S; right++)
            for (int64_t place = 0; place < shape->H * shape->W; place++) {
                int64_t h = place / shape->W, w = place % shape->W;
                int64_t other_h = h + down * shape->dilation_h;
                int64_t other_w = w + right * shape->dilation_w;
                if (other_h < shape->H && other_w >= 0 && other_w < shape->W &&
                    is_needed(shape, h, w, down, right))
                    products += down == 0 && right == 0 ? C * (C + 1) / 2 : C * C;
            }
    return shape->N * products;
}

START_TEST(needed_products_are_those_of_places_that_windows_share)
{
    struct rng rng;
    rng_init(&rng, 5, (uint64_t)_i);
    struct conv_shape shape = random_conv_shape(&rng);
    ck_assert_int_eq(gram_conv_products(&shape), needed_products(&shape));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gram");
    int part = support_short() ? 4 : 1;
    TCase *laws = tcase_create("laws");
    tcase_set_timeout(laws, 60);
    tcase_add_loop_test(laws, moments_of_any_convolution_are_those_of_plain_loops, 0, CASES / part);
    tcase_add_loop_test(laws, moments_of_many_positions_are_those_of_plain_loops, 0,
                        GRAM_SHAPES + sizeof(own_shapes) / sizeof(own_shapes[0]));
    tcase_add_loop_test(laws, the_same_input_twice_makes_both_matrices_equal, 0, 8 / part);
    tcase_add_loop_test(laws, a_dense_layer_has_one_position_per_sample, 0, 6);
    tcase_add_loop_test(laws, needed_products_are_those_of_places_that_windows_share, 0, 64 / part);
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
