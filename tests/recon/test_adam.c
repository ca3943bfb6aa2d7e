#include "ptqd/recon/adam.h"

#include "support.h"

#include <math.h>

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Law (arXiv 1412.6980, 2.1): the first step is the learning rate, whatever the gradient's size. */
START_TEST(the_first_step_has_the_size_of_the_rate)
{
    float values[] = {1.0f, 1.0f, 1.0f}, gradient[] = {1e-3f, -5.0f, 1e4f};
    struct adam adam;
    ck_assert_ok(adam_init(arena, 3, &adam, &err), &err);
    adam_step(&adam, 0.1, gradient, values);
    ck_assert_double_le(fabs((double)values[0] - 0.9), 1e-5);
    ck_assert_double_le(fabs((double)values[1] - 1.1), 1e-5);
    ck_assert_double_le(fabs((double)values[2] - 0.9), 1e-5);
}
END_TEST

/* Three steps by hand, in float64, of the published algorithm. */
START_TEST(steps_are_those_of_the_algorithm)
{
    static const double gradients[] = {0.5, -0.25, 2.0};
    double m = 0.0, v = 0.0, x = 3.0;
    float value = 3.0f;
    struct adam adam;
    ck_assert_ok(adam_init(arena, 1, &adam, &err), &err);
    for (int t = 1; t <= 3; t++) {
        double g = gradients[t - 1];
        float gradient = (float)g;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        x -= 0.01 * (m / (1.0 - pow(0.9, t))) / (sqrt(v / (1.0 - pow(0.999, t))) + 1e-8);
        adam_step(&adam, 0.01, &gradient, &value);
        ck_assert_double_le(fabs((double)value - x), 1e-6);
    }
}
END_TEST

START_TEST(a_quadratic_is_minimized)
{
    float values[] = {5.0f, -3.0f};
    struct adam adam;
    ck_assert_ok(adam_init(arena, 2, &adam, &err), &err);
    for (int step = 0; step < 2000; step++) {
        float gradient[] = {2.0f * (values[0] - 1.0f), 20.0f * (values[1] - 2.0f)};
        adam_step(&adam, adam_cosine(0.05, step, 2000), gradient, values);
    }
    ck_assert_double_le(fabs((double)values[0] - 1.0), 1e-3);
    ck_assert_double_le(fabs((double)values[1] - 2.0), 1e-3);
}
END_TEST

START_TEST(the_cosine_falls_from_the_rate_to_zero)
{
    ck_assert_double_eq(adam_cosine(0.5, 0, 10), 0.5);
    ck_assert_double_le(fabs(adam_cosine(0.5, 5, 10) - 0.25), 1e-12);
    ck_assert_double_le(adam_cosine(0.5, 10, 10), 1e-12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adam");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_first_step_has_the_size_of_the_rate);
    tcase_add_test(tcase, steps_are_those_of_the_algorithm);
    tcase_add_test(tcase, a_quadratic_is_minimized);
    tcase_add_test(tcase, the_cosine_falls_from_the_rate_to_zero);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
