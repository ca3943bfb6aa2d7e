/* Scaled differences, and their squares. */

#include "kern_support.h"
#include "ptqd/kern/difference.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { LONGEST = 70 };

START_TEST(differences_are_scaled_and_added)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int64_t count = 0; count < LONGEST; count++) {
        float *a = random_floats(&rng, count), *b = random_floats(&rng, count);
        float *y = exact_floats(count);
        difference_f32(a, b, count, 1.5f, y);
        for (int64_t i = 0; i < count; i++)
            check_float(y[i], 1.5f * (a[i] - b[i]));
        difference_f32_added(a, b, count, 0.25f, y);
        for (int64_t i = 0; i < count; i++)
            check_float(y[i], 1.5f * (a[i] - b[i]) + 0.25f * (a[i] - b[i]));
        difference_f32_rectified(a, b, count, 1.5f, y);
        for (int64_t i = 0; i < count; i++)
            check_float(y[i], a[i] > 0.0f ? 1.5f * (a[i] - b[i]) : 0.0f);
        free(a), free(b), free(y);
    }
}
END_TEST

/* The order of the sum is the kernel's: within the rounding of float64. */
START_TEST(squares_of_differences_are_summed)
{
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (int64_t count = 0; count < LONGEST; count++) {
        float *a = random_floats(&rng, count), *b = random_floats(&rng, count);
        double expected = 0.0;
        for (int64_t i = 0; i < count; i++) {
            double difference = (double)(a[i] - b[i]);
            expected += difference * difference;
        }
        ck_assert_double_le(fabs(difference_squares_f32(a, b, count) - expected),
                            1e-15 * (double)count * expected);
        free(a), free(b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("difference");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, differences_are_scaled_and_added);
    tcase_add_test(tcase, squares_of_differences_are_summed);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
