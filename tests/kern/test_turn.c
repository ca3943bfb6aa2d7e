/* Turned matrices. */

#include "kern_support.h"
#include "ptqd/kern/turn.h"
#include "support.h"

#include <stdlib.h>

enum { MOST = 40 };

/* The law, for every small shape, of memory that does not begin at a vector. */
START_TEST(every_element_is_at_its_turned_place)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int64_t rows = 1; rows < MOST; rows++)
        for (int64_t columns = 1; columns < MOST; columns++) {
            int64_t count = rows * columns;
            float *in = random_floats(&rng, count + 1), *out = exact_floats(count + 1);
            turn_f32(in + 1, rows, columns, out + 1);
            check_float(out[0], 0.0f);
            for (int64_t row = 0; row < rows; row++)
                for (int64_t column = 0; column < columns; column++)
                    check_float(out[1 + column * rows + row], in[1 + row * columns + column]);
            free(in), free(out);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turn");
    TCase *tcase = tcase_create("laws");
    tcase_add_test(tcase, every_element_is_at_its_turned_place);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
