/* Targets in front of a Relu, against the definition. */

#include "kern_support.h"
#include "ptqd/kern/relu_targets.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { LONGEST = 40 };

/* Law: every length and every combination of what there is gives what the header says, to the bit.
 */
START_TEST(targets_are_as_defined)
{
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int64_t count = 0; count < LONGEST; count++)
        for (int form = 0; form < 4; form++) {
            float *y = random_floats(&rng, count), *a = random_floats(&rng, count);
            float *b = random_floats(&rng, count), *now = random_floats(&rng, count);
            float *out = random_floats(&rng, count);
            struct relu_targets targets = {.output = y, .rectified = form & 1 ? now : NULL};
            if (form & 2) {
                targets.addend = a;
                targets.addend_quantized = b;
            }
            relu_targets_f32(&targets, count, out);
            for (int64_t i = 0; i < count; i++) {
                float plain = form & 2 ? a[i] : 0.0f, present = form & 2 ? b[i] : 0.0f;
                float sum = y[i] + plain;
                if ((form & 1) && sum <= 0.0f)
                    sum = fminf(now[i] + present, 0.0f);
                ck_assert(out[i] == sum - present);
            }
            free(y);
            free(a);
            free(b);
            free(now);
            free(out);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relu_targets");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, targets_are_as_defined);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
