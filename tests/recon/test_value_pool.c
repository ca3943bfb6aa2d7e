#include "ptqd/recon/value_pool.h"

#include "support.h"

#include "ptqd/base/rng.h"

#include <stdint.h>

enum { MIB = 1 << 20 };

static struct error err;
static struct value_pool *pool;

static void setup(void)
{
    err = (struct error){.message = ""};
    ck_assert_ok(value_pool_create((size_t)8 * MIB, &pool, &err), &err);
}

static void teardown(void)
{
    value_pool_destroy(pool);
}

static float *take(size_t bytes)
{
    float *values = value_pool_take(pool, bytes);
    ck_assert_ptr_nonnull(values);
    ck_assert_uint_eq((uintptr_t)values % 64, 0);
    return values;
}

/* Law: a tensor lies where others were, be they of its size or not, and these pages no longer
 * wait. */
START_TEST(tensors_take_the_place_of_others)
{
    float *large = take((size_t)8 * MIB);
    value_pool_give(pool, large, (size_t)8 * MIB);
    ck_assert_uint_eq(value_pool_waiting_bytes(pool), (size_t)8 * MIB);
    float *first = take((size_t)3 * MIB), *second = take((size_t)4 * MIB);
    ck_assert_ptr_eq(first, large);
    ck_assert_ptr_eq(second, large + MIB); /* of four bytes each */
    ck_assert_uint_eq(value_pool_waiting_bytes(pool), 0);
    value_pool_give(pool, first, (size_t)3 * MIB);
    value_pool_give(pool, second, (size_t)4 * MIB);
    ck_assert_ptr_eq(take((size_t)8 * MIB), large);
    value_pool_give(pool, large, (size_t)8 * MIB);
}
END_TEST

/* Law: without a pool, and below a large page, values are the system's. */
START_TEST(small_ones_and_those_without_a_pool_do_not_wait)
{
    float *small = take(MIB), *none = take(0);
    float *alone = value_pool_take(NULL, (size_t)8 * MIB);
    ck_assert_ptr_nonnull(alone);
    value_pool_give(pool, small, MIB);
    value_pool_give(pool, none, 0);
    value_pool_give(NULL, alone, (size_t)8 * MIB);
    value_pool_give(pool, NULL, (size_t)8 * MIB);
    ck_assert_uint_eq(value_pool_waiting_bytes(pool), 0);
}
END_TEST

enum { TENSORS = 12, ROUNDS = 2000, LARGEST = 5 * MIB };

struct tensor {
    float *values;
    size_t bytes;
    float mark;
};

static void check_and_give(struct tensor *tensor)
{
    ck_assert(tensor->values[0] == tensor->mark);
    ck_assert(tensor->values[tensor->bytes / sizeof(float) - 1] == tensor->mark);
    value_pool_give(pool, tensor->values, tensor->bytes);
    tensor->values = NULL;
}

/* Smaller ones are the system's. */
static size_t pooled(size_t bytes)
{
    return bytes >= (size_t)2 * MIB ? bytes : 0;
}

/* Law: whatever is taken and given back, tensors do not overlap, also where they need more than is
 * kept and more than the pool has room for; and what waits is within what is kept. */
START_TEST(tensors_never_overlap_and_few_pages_wait)
{
    struct tensor tensors[TENSORS] = {{.values = NULL}};
    struct rng rng;
    size_t used = 0, most_used = 0;
    rng_init(&rng, 1, 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct tensor *tensor = &tensors[rng_below(&rng, TENSORS)];
        if (tensor->values) {
            used -= pooled(tensor->bytes);
            check_and_give(tensor);
        } else {
            tensor->bytes = (1 + rng_below(&rng, LARGEST / sizeof(float))) * sizeof(float);
            tensor->mark = (float)round;
            tensor->values = take(tensor->bytes);
            tensor->values[0] = tensor->values[tensor->bytes / sizeof(float) - 1] = tensor->mark;
            used += pooled(tensor->bytes);
        }
        most_used = used > most_used ? used : most_used;
        size_t waiting = value_pool_waiting_bytes(pool);
        ck_assert(waiting == 0 || used + waiting <= (size_t)8 * MIB);
    }
    ck_assert_uint_gt(most_used, (size_t)16 * MIB); /* its range */
    for (int i = 0; i < TENSORS; i++)
        if (tensors[i].values)
            check_and_give(&tensors[i]);
}
END_TEST

/* Law: more than is kept does not wait. */
START_TEST(what_is_above_goes_back_to_the_system)
{
    float *kept = take((size_t)8 * MIB), *above = take((size_t)6 * MIB);
    value_pool_give(pool, kept, (size_t)8 * MIB);
    ck_assert_uint_eq(value_pool_waiting_bytes(pool), (size_t)2 * MIB);
    value_pool_give(pool, above, (size_t)6 * MIB);
    ck_assert_uint_eq(value_pool_waiting_bytes(pool), (size_t)8 * MIB);
}
END_TEST

START_TEST(a_pool_that_is_too_large_is_refused)
{
    struct value_pool *none;
    ck_assert(!value_pool_create(SIZE_MAX, &none, &err));
    ck_assert_int_eq(err.code, E_MEMORY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("value_pool");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tensors_take_the_place_of_others);
    tcase_add_test(tcase, small_ones_and_those_without_a_pool_do_not_wait);
    tcase_add_test(tcase, tensors_never_overlap_and_few_pages_wait);
    tcase_add_test(tcase, what_is_above_goes_back_to_the_system);
    tcase_add_test(tcase, a_pool_that_is_too_large_is_refused);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
