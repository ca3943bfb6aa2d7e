/* Inner products against plain sums. */

#include "kern_support.h"
#include "ptqd/kern/dot.h"
#include "support.h"

#include <stdlib.h>

enum { LONGEST = 40 };

/* Law: every length gives the plain sum but for rounding, and reads nothing behind the end. */
START_TEST(every_length_gives_the_plain_sum)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int64_t count = 0; count < LONGEST; count++) {
        double *x = exact_doubles(count), *y = exact_doubles(count);
        float *narrow = random_floats(&rng, count);
        double wide_sum = 0.0, narrow_sum = 0.0;
        for (int64_t i = 0; i < count; i++) {
            x[i] = rng_normal(&rng);
            y[i] = rng_normal(&rng);
            wide_sum += x[i] * y[i];
            narrow_sum += x[i] * (double)narrow[i];
        }
        ck_assert_double_eq_tol(dot_f64(x, y, count), wide_sum, 1e-13);
        ck_assert_double_eq_tol(dot_f64_f32(x, narrow, count), narrow_sum, 1e-13);
        free(x);
        free(y);
        free(narrow);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dot");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, every_length_gives_the_plain_sum);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
