#include "ptqd/base/mem.h"

#include "support.h"

static const size_t sizes[] = {0, 1, 2, 3, 64, SIZE_MAX / 3, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* Law: a product is given exactly when dividing it again gives the factor. */
START_TEST(products_of_sizes_are_right_or_refused)
{
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t j = 0; j < SIZES; j++) {
            size_t a = sizes[i];
            size_t b = sizes[j];
            size_t product = 12345;
            bool fits = a == 0 || b <= SIZE_MAX / a;
            ck_assert_int_eq(mem_mul(a, b, &product), fits);
            ck_assert_uint_eq(product, fits ? a * b : 12345);
        }
    }
}
END_TEST

START_TEST(sums_of_sizes_are_right_or_refused)
{
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t j = 0; j < SIZES; j++) {
            size_t sum = 12345;
            bool fits = sizes[j] <= SIZE_MAX - sizes[i];
            ck_assert_int_eq(mem_add(sizes[i], sizes[j], &sum), fits);
            ck_assert_uint_eq(sum, fits ? sizes[i] + sizes[j] : 12345);
        }
    }
}
END_TEST

START_TEST(products_of_extents_are_right_or_refused)
{
    static const int64_t extents[] = {INT64_MIN,     -1,       0, 1, 7, 3037000499, 3037000500,
                                      INT64_MAX / 7, INT64_MAX};
    enum { EXTENTS = sizeof(extents) / sizeof(extents[0]) };
    for (size_t i = 0; i < EXTENTS; i++) {
        for (size_t j = 0; j < EXTENTS; j++) {
            int64_t a = extents[i];
            int64_t b = extents[j];
            int64_t product = -12345;
            bool fits = a >= 0 && b >= 0 && (a == 0 || b <= INT64_MAX / a);
            ck_assert_int_eq(mem_mul_i64(a, b, &product), fits);
            ck_assert_int_eq(product, fits ? a * b : -12345);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *cases = tcase_create("mem");
    tcase_add_test(cases, products_of_sizes_are_right_or_refused);
    tcase_add_test(cases, sums_of_sizes_are_right_or_refused);
    tcase_add_test(cases, products_of_extents_are_right_or_refused);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
