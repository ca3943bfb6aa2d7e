/* Relu against its formula. */

#include "kern_support.h"
#include "ptqd/kern/relu.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { LONGEST = 70 };

/* Law: y = max(x, 0), the gradient passes where x > 0; NaN stays NaN and passes nothing. */
START_TEST(every_length_gives_the_formula)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int64_t count = 1; count < LONGEST; count++) {
        float *x = random_floats(&rng, count), *grad_y = random_floats(&rng, count);
        float *y = exact_floats(count), *added = exact_floats(count),
              *written = exact_floats(count);
        x[count / 2] = 0.0f;
        x[count - 1] = NAN;
        for (int64_t i = 0; i < count; i++) {
            added[i] = 0.5f;
            written[i] = NAN;
        }
        relu_f32(x, count, y);
        relu_f32_grad_x(x, count, grad_y, false, added);
        relu_f32_grad_x(x, count, grad_y, true, written);
        for (int64_t i = 0; i < count; i++) {
            float slope = x[i] > 0.0f ? grad_y[i] : 0.0f;
            ck_assert(isnan(x[i]) ? isnan(y[i]) : y[i] == fmaxf(x[i], 0.0f));
            check_float(written[i], slope);
            check_float(added[i], 0.5f + slope);
        }
        free(x), free(grad_y), free(y), free(added), free(written);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relu");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, every_length_gives_the_formula);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
