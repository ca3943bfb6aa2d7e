/* Scaled differences. */

#include "kern_support.h"
#include "ptqd/kern/difference.h"
#include "support.h"

#include <stdlib.h>

enum { LONGEST = 70 };

START_TEST(differences_are_scaled)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int64_t count = 0; count < LONGEST; count++) {
        float *a = random_floats(&rng, count), *b = random_floats(&rng, count);
        float *y = exact_floats(count);
        difference_f32(a, b, count, 1.5f, y);
        for (int64_t i = 0; i < count; i++)
            check_float(y[i], 1.5f * (a[i] - b[i]));
        free(a), free(b), free(y);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("difference");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, differences_are_scaled);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
