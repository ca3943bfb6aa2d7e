/* Second moments of codes against plain loops in whole numbers, by every way and every version that
 * runs here. */

#include "gram_codes_ways.h"
#include "gram_codes_with.h"
#include "kern_support.h"
#include "ptqd/kern/fake_quantize.h"
#include "ptqd/kern/im2col.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 8, SHAPES = 10 };

static struct gram gram_create(int64_t G, int64_t D)
{
    return (struct gram){
        .G = G,
        .D = D,
        .inner = exact_doubles(G * D * D),
        .sum_quantized = exact_doubles(G * D),
    };
}

static void gram_destroy(struct gram *gram)
{
    free(gram->inner);
    free(gram->sum_quantized);
}

/* Of any width, narrow ones too; zero anywhere, often at an end. */
static struct gram_grid random_grid(struct rng *rng)
{
    int32_t last = (1 << random_between(rng, 2, 8)) - (int32_t)random_between(rng, 1, 2);
    int64_t zero = random_between(rng, -last, 2 * last);
    return (struct gram_grid){
        .scale = 1.0f,
        .zero = zero < 0      ? 0
                : zero > last ? last
                              : (int32_t)zero,
        .last = last,
    };
}

/* Memory of exactly this size at an odd address; `out_memory` is to be freed. */
static uint8_t *random_codes(struct rng *rng, const struct gram_grid *grid, int64_t count,
                             void **out_memory)
{
    uint8_t *codes = exact_alloc((size_t)count + 1);
    *out_memory = codes++;
    for (int64_t i = 0; i < count; i++)
        codes[i] = (uint8_t)random_between(rng, 0, grid->last);
    return codes;
}

/* In units of the scale: whole numbers, which float32 and float64 hold. */
static void add_plainly(struct gram *gram, const struct conv_shape *shape,
                        const struct gram_grid *grid, const uint8_t *codes)
{
    int64_t positions = shape->N * shape->OH * shape->OW, D = gram->D;
    float *x = exact_floats(conv_input_elements(shape)), *column = exact_floats(D);
    for (int64_t i = 0; i < conv_input_elements(shape); i++)
        x[i] = (float)(codes[i] - grid->zero);
    gram->positions += positions;
    for (int64_t g = 0; g < gram->G; g++)
        for (int64_t p = 0; p < positions; p++) {
            im2col_group_f32(shape, x, g, p, 1, column);
            for (int64_t i = 0; i < D; i++) {
                gram->sum_quantized[g * D + i] += (double)column[i];
                for (int64_t j = 0; j < D; j++)
                    gram->inner[(g * D + i) * D + j] += (double)column[i] * (double)column[j];
            }
        }
    free(x);
    free(column);
}

static void check_equal(const struct gram *gram, const struct gram *expected)
{
    int64_t row = gram->G * gram->D;
    ck_assert_int_eq(gram->positions, expected->positions);
    for (int64_t i = 0; i < row; i++)
        ck_assert_element(gram->sum_quantized[i] == expected->sum_quantized[i],
                          "Σ x̂, element %lld: %.17g instead of %.17g", (long long)i,
                          gram->sum_quantized[i], expected->sum_quantized[i]);
    for (int64_t i = 0; i < row * gram->D; i++)
        ck_assert_element(gram->inner[i] == expected->inner[i],
                          "x̂ x̂ᵀ, element %lld: %.17g instead of %.17g", (long long)i,
                          gram->inner[i], expected->inner[i]);
}

/* A way to the moments, and its scratch. */
struct way {
    size_t (*scratch_bytes)(const struct conv_shape *shape);
    void (*add)(const struct gram_version *version, struct gram *gram,
                const struct conv_shape *shape, const struct gram_grid *grid, const uint8_t *codes,
                void *scratch);
    bool (*takes)(const struct conv_shape *shape); /* or NULL: any */
};

static const struct way ways[] = {
    {gram_codes_columns_scratch_bytes, gram_codes_columns_add, NULL},
    {gram_codes_shift_scratch_bytes, gram_codes_shift_add, NULL},
    {gram_codes_lanes_scratch_bytes, gram_codes_lanes_add, NULL},
    {gram_codes_depthwise_scratch_bytes, gram_codes_depthwise_add, gram_codes_depthwise_takes},
};

/* Codes of two calls, the second with fewer samples: scratch is for any number of them. */
struct calls {
    struct conv_shape shape[2];
    struct gram_grid grid;
    uint8_t *codes[2];
};

static void check_way(const struct way *way, const struct gram_version *version,
                      const struct calls *calls, const struct gram *expected)
{
    struct gram gram = gram_create(expected->G, expected->D);
    size_t bytes = way->scratch_bytes(&calls->shape[0]);
    void *scratch = exact_alloc(bytes);
    memset(scratch, 0xff, bytes); /* undefined content */
    for (int call = 0; call < 2; call++)
        way->add(version, &gram, &calls->shape[call], &calls->grid, calls->codes[call], scratch);
    gram.positions = expected->positions;
    check_equal(&gram, expected);
    gram_destroy(&gram);
    free(scratch);
}

/* Law: with a scale of one, the moments are those of plain loops to the last bit, whichever way and
 * version makes them. */
static void check_shape(struct rng *rng, struct conv_shape shape)
{
    struct calls calls = {.shape = {shape, shape}, .grid = random_grid(rng)};
    struct gram expected = gram_create(shape.G, conv_column_elements(&shape));
    void *memory[2];
    calls.shape[1].N = shape.N > 1 ? shape.N - 1 : 1;
    for (int call = 0; call < 2; call++) {
        int64_t count = conv_input_elements(&calls.shape[call]);
        calls.codes[call] = random_codes(rng, &calls.grid, count, &memory[call]);
        add_plainly(&expected, &calls.shape[call], &calls.grid, calls.codes[call]);
    }
    for (int version = 0; version < gram_version_count; version++)
        for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
            if (gram_versions[version].runs_here() &&
                (ways[way].takes == NULL || ways[way].takes(&shape)))
                check_way(&ways[way], &gram_versions[version], &calls, &expected);
    gram_destroy(&expected);
    free(memory[0]);
    free(memory[1]);
}

START_TEST(moments_of_any_convolution_are_exact)
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

/* Beside gram_shapes: several tiles, maps and strips, and their rests; one dimension; depthwise
 * filters. */
static const struct conv_shape own_shapes[] = {
    {1, 1, 70001, 1, 1, 1, 2, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 70000},
    {4, 1, 3000, 18, 1, 1, 3, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 3000},
    {70, 32, 32, 5, 1, 2, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 32, 32},
    {700, 1, 1, 33, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
    {3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
    {6, 100, 90, 37, 2, 1, 1, 1, 3, 2, 0, 0, -1, -1, 1, 1, 33, 44},
    {5, 9, 8, 21, 3, 1, 1, 3, 2, 3, 0, 1, 0, 1, 1, 1, 5, 3},
    {9, 6, 6, 32, 32, 3, 3, 32, 1, 1, 1, 1, 1, 1, 1, 1, 6, 6},
    {2, 60, 80, 16, 16, 3, 3, 16, 2, 2, 0, 1, 0, 1, 1, 1, 30, 40},
    {70, 5, 3, 48, 48, 3, 5, 48, 1, 2, 1, 2, 1, 2, 1, 1, 5, 2},
    {3, 9, 20, 83, 83, 5, 2, 83, 2, 1, 4, 0, 4, 1, 2, 3, 5, 18},
    {4, 2, 4400, 16, 32, 1, 3, 16, 1, 1, 0, 1, 0, 1, 1, 1, 2, 4400},
    {11, 40, 9, 21, 21, 3, 3, 21, 1, 1, 1, 1, 1, 1, 1, 1, 40, 9},
    {5, 10, 24, 7, 7, 3, 3, 7, 2, 2, 1, 1, 0, 0, 1, 1, 5, 12},
};

START_TEST(moments_of_many_positions_are_exact)
{
    struct rng rng;
    rng_init(&rng, 2, (uint64_t)_i);
    check_shape(&rng, _i < GRAM_SHAPES ? gram_shapes[_i] : own_shapes[_i - GRAM_SHAPES]);
}
END_TEST

/* Sums as large as they get, in more than one block: nothing overflows or saturates. */
START_TEST(the_largest_codes_do_not_overflow)
{
    struct conv_shape shape = {70, 32, 32, 20, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 32, 32};
    bool high = _i % 2 == 0; /* all 255 above a zero of 0, or all 0 below one of 255 */
    struct gram_grid grid = {.scale = 1.0f, .zero = high ? 0 : 255, .last = 255};
    const struct gram_version *version = &gram_versions[_i / 2];
    if (!version->runs_here())
        return;
    int64_t count = conv_input_elements(&shape);
    uint8_t *codes = exact_alloc((size_t)count);
    memset(codes, high ? 255 : 0, (size_t)count);
    void *scratch = exact_alloc(gram_codes_conv_scratch_bytes(&shape));
    struct gram gram = gram_create(1, 20);
    gram_codes_add_conv_with(version, &gram, &shape, &grid, codes, scratch);
    for (int i = 0; i < 20; i++) {
        ck_assert_double_eq(gram.sum_quantized[i], (high ? 255.0 : -255.0) * 70 * 1024);
        for (int j = 0; j < 20; j++)
            ck_assert_double_eq(gram.inner[i * 20 + j], 255.0 * 255.0 * 70 * 1024);
    }
    gram_destroy(&gram);
    free(codes);
    free(scratch);
}
END_TEST

/* Law: |H_ij − float H_ij| ≤ 5e-6 √(H_ii H_jj): values rounded to float32, 2^-24 each, and sums of
 * a block; of few different values, so that not all round independently. */
static void check_close_to_float(const struct gram *gram, const struct gram *with_floats)
{
    const double tolerance = 5e-6;
    int64_t D = gram->D;
    for (int64_t g = 0; g < gram->G; g++) {
        const double *H = gram->inner + g * D * D;
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j < D; j++) {
                double difference = H[i * D + j] - with_floats->inner[(g * D + i) * D + j];
                double most = tolerance * sqrt(H[i * D + i] * H[j * D + j]);
                ck_assert_element(fabs(difference) <= most, "H[%lld][%lld] is %g off; at most %g",
                                  (long long)i, (long long)j, difference, most);
                ck_assert_element(H[i * D + j] == H[j * D + i],
                                  "H[%lld][%lld] is not H[%lld][%lld]", (long long)i, (long long)j,
                                  (long long)j, (long long)i);
            }
        for (int64_t i = 0; i < D; i++)
            ck_assert_double_le(fabs(gram->sum_quantized[g * D + i] -
                                     with_floats->sum_quantized[g * D + i]),
                                tolerance * sqrt(H[i * D + i] * (double)gram->positions));
    }
}

START_TEST(codes_of_quantized_values_give_the_moments_of_the_values)
{
    struct rng rng;
    rng_init(&rng, 3, (uint64_t)_i);
    struct conv_shape shape = random_conv_shape(&rng);
    struct gram_grid grid = random_grid(&rng);
    grid.scale = (float)(0.001 + rng_uniform(&rng));
    int64_t count = conv_input_elements(&shape);
    float *x = random_floats(&rng, count);
    for (int64_t i = 0; i < count; i++)
        x[i] *= 300.0f * grid.scale;
    fake_quantize_f32(x, (size_t)count, grid.scale, grid.zero, 0, grid.last, x);
    uint8_t *codes = exact_alloc((size_t)count);
    ck_assert(gram_codes_of(&grid, x, (size_t)count, codes));
    for (int64_t i = 0; i < count; i++)
        check_float(grid.scale * (float)(codes[i] - grid.zero), x[i]);
    struct gram gram = gram_create(shape.G, conv_column_elements(&shape));
    struct gram with_floats = gram_create(gram.G, gram.D);
    void *scratch = exact_alloc(gram_codes_conv_scratch_bytes(&shape));
    void *float_scratch = exact_alloc(gram_conv_scratch_bytes(&shape));
    gram_codes_add_conv(&gram, &shape, &grid, codes, scratch);
    gram_add_conv(&with_floats, &shape, x, x, float_scratch);
    check_close_to_float(&gram, &with_floats);
    gram_destroy(&gram);
    gram_destroy(&with_floats);
    free(x);
    free(codes);
    free(scratch);
    free(float_scratch);
}
END_TEST

START_TEST(values_off_the_grid_have_no_codes)
{
    enum { COUNT = 5000 };
    const struct gram_grid grid = {.scale = 0.1f, .zero = 3, .last = 15};
    float on_grid[COUNT];
    uint8_t codes[COUNT];
    for (int i = 0; i < COUNT; i++)
        on_grid[i] = 0.1f * (float)(i % 16 - 3);
    const float strangers[] = {0.05f,
                               nextafterf(0.1f, 1.0f),
                               nextafterf(0.1f, 0.0f),
                               0.1f * 13.0f,
                               0.1f * -4.0f,
                               1e30f,
                               NAN,
                               INFINITY,
                               -INFINITY};
    ck_assert(gram_codes_of(&grid, on_grid, COUNT, codes));
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(codes[i], i % 16);
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        float kept = on_grid[COUNT - 1 - i];
        on_grid[COUNT - 1 - i] = strangers[i];
        ck_assert(!gram_codes_of(&grid, on_grid, COUNT, codes));
        on_grid[COUNT - 1 - i] = kept;
    }
    /* A scale whose reciprocal is infinite: codes, or none, but nothing undefined. */
    const struct gram_grid tiny = {.scale = 1e-45f, .zero = 3, .last = 15};
    const float values[2] = {0.0f, 1e-45f};
    if (gram_codes_of(&tiny, values, 2, codes))
        ck_assert(codes[0] == 3 && codes[1] == 4);
}
END_TEST

START_TEST(a_dense_layer_has_one_position_per_sample)
{
    struct rng rng;
    rng_init(&rng, 4, (uint64_t)_i);
    int64_t C = random_between(&rng, 1, _i == 0 ? 500 : 60);
    int64_t N = _i == 1 ? 9000 : random_between(&rng, 1, 50);
    struct conv_shape shape = {N, 1, 1, C, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1};
    struct gram_grid grid = random_grid(&rng);
    void *memory, *scratch = exact_alloc(gram_codes_dense_scratch_bytes(C));
    uint8_t *codes = random_codes(&rng, &grid, N * C, &memory);
    struct gram gram = gram_create(1, C), expected = gram_create(1, C);
    gram_codes_add_dense(&gram, N, &grid, codes, scratch);
    add_plainly(&expected, &shape, &grid, codes);
    check_equal(&gram, &expected);
    gram_destroy(&gram);
    gram_destroy(&expected);
    free(memory);
    free(scratch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gram_codes");
    int part = support_short() ? 4 : 1;
    TCase *laws = tcase_create("laws");
    tcase_set_timeout(laws, 60);
    tcase_add_loop_test(laws, moments_of_any_convolution_are_exact, 0, CASES / part);
    tcase_add_loop_test(laws, moments_of_many_positions_are_exact, 0,
                        GRAM_SHAPES + sizeof(own_shapes) / sizeof(own_shapes[0]));
    tcase_add_loop_test(laws, the_largest_codes_do_not_overflow, 0, 2 * gram_version_count);
    tcase_add_loop_test(laws, codes_of_quantized_values_give_the_moments_of_the_values, 0,
                        16 / part);
    tcase_add_test(laws, values_off_the_grid_have_no_codes);
    tcase_add_loop_test(laws, a_dense_layer_has_one_position_per_sample, 0, 6);
    suite_add_tcase(suite, laws);
    return support_run(suite);
}
