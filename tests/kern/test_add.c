/* Sums against their formula. */

#include "kern_support.h"
#include "ptqd/kern/add.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 70 };

/* Law: y = a + b, rectified or not, also in place; NaN stays NaN. */
START_TEST(every_length_gives_the_formula)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int64_t count = 1; count < LONGEST; count++) {
        size_t bytes = (size_t)count * sizeof(float);
        float *a = random_floats(&rng, count), *b = random_floats(&rng, count);
        float *plain = exact_floats(count), *rectified = exact_floats(count);
        a[count - 1] = NAN;
        a[count / 2] = -b[count / 2];
        add_f32(a, b, count, false, plain);
        add_f32(a, b, count, true, rectified);
        for (int64_t i = 0; i < count; i++) {
            float sum = a[i] + b[i];
            ck_assert(isnan(sum) ? isnan(plain[i]) && isnan(rectified[i])
                                 : plain[i] == sum && rectified[i] == fmaxf(sum, 0.0f));
        }
        add_f32(a, b, count, true, a);
        ck_assert_mem_eq(a, rectified, bytes);
        free(a), free(b), free(plain), free(rectified);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("add");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, every_length_gives_the_formula);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
