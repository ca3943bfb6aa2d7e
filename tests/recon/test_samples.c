#include "ptqd/recon/samples.h"

#include "support.h"

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

START_TEST(all_samples_come_in_order)
{
    struct dataset dataset = {.samples = 50};
    static const int64_t wanted[] = {0, 50, 60};
    for (size_t row = 0; row < sizeof(wanted) / sizeof(wanted[0]); row++) {
        struct samples samples;
        struct rng rng;
        rng_init(&rng, 1, 0);
        ck_assert_ok(samples_draw(arena, &dataset, wanted[row], &rng, &samples, &err), &err);
        ck_assert_int_eq(samples.count, 50);
        for (int64_t i = 0; i < samples.count; i++)
            ck_assert_int_eq(samples.indices[i], i);
    }
}
END_TEST

/* Law: as many as wanted, all different, in order, decided by the seed. */
START_TEST(the_seed_draws_different_samples)
{
    struct dataset dataset = {.samples = 50};
    struct samples draw[3];
    static const uint64_t seeds[] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        struct rng rng;
        rng_init(&rng, seeds[i], 0);
        ck_assert_ok(samples_draw(arena, &dataset, 20, &rng, &draw[i], &err), &err);
        ck_assert_int_eq(draw[i].count, 20);
        for (int64_t j = 1; j < 20; j++)
            ck_assert_int_lt(draw[i].indices[j - 1], draw[i].indices[j]);
        ck_assert_int_ge(draw[i].indices[0], 0);
        ck_assert_int_lt(draw[i].indices[19], 50);
    }
    ck_assert_mem_eq(draw[0].indices, draw[1].indices, 20 * sizeof(int64_t));
    ck_assert_mem_ne(draw[0].indices, draw[2].indices, 20 * sizeof(int64_t));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("samples");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_samples_come_in_order);
    tcase_add_test(tcase, the_seed_draws_different_samples);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
