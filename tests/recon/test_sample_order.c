#include "ptqd/recon/sample_order.h"

#include "small_network.h"
#include "support.h"

static struct arena *arena;
static struct error err;
static struct rng rng;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    rng_init(&rng, 1, 0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static struct sample_order order_of(int64_t count, int64_t batch)
{
    struct sample_order order;
    ck_assert_ok(sample_order_create(arena, count, batch, &rng, &order, &err), &err);
    return order;
}

/* Law: the steps of an epoch have no sample in common, and epochs differ. */
START_TEST(an_epoch_has_each_sample_once_at_most)
{
    enum { COUNT = 23, BATCH = 5, EPOCHS = 4 };
    struct sample_order order = order_of(COUNT, BATCH);
    int64_t per_epoch = sample_order_epoch(&order), first_samples[EPOCHS];
    ck_assert_int_eq(per_epoch, COUNT / BATCH);
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int seen[COUNT] = {0};
        for (int64_t step = 0; step < per_epoch; step++) {
            const int64_t *samples = sample_order_step(&order, epoch * per_epoch + step);
            for (int i = 0; i < BATCH; i++)
                ck_assert_int_eq(seen[samples[i]]++, 0);
            if (step == 0)
                first_samples[epoch] = samples[0] * COUNT + samples[1];
        }
    }
    ck_assert(first_samples[0] != first_samples[1] || first_samples[1] != first_samples[2]);
}
END_TEST

/* Law: parts in order have every sample once. */
START_TEST(parts_in_order_cover_all_samples)
{
    struct sample_order order = order_of(23, 5);
    int64_t seen = 0;
    for (int64_t first = 0; first < order.count; first += order.batch)
        for (int64_t i = 0; i < sample_order_part(first, order.count, order.batch); i++)
            ck_assert_int_eq(order.in_order[first + i], seen++);
    ck_assert_int_eq(seen, 23);
}
END_TEST

START_TEST(a_batch_is_at_most_all_samples)
{
    struct sample_order order = order_of(3, 64);
    ck_assert_int_eq(order.batch, 3);
    ck_assert_int_eq(sample_order_epoch(&order), 1);
}
END_TEST

/* Law: with twice the memory twice as many samples are executed at once, from one to all. */
START_TEST(what_is_executed_at_once_follows_the_memory)
{
    enum { BATCH = 32 };
    struct graph *graph = small_network_create(arena, 1);
    ck_assert_int_eq(sample_order_at_once(graph, BATCH, 0), 1);
    ck_assert_int_eq(sample_order_at_once(graph, BATCH, INT64_MAX), BATCH);
    ck_assert_int_eq(sample_order_of_network(graph, BATCH, 0), BATCH);
    ck_assert_int_eq(sample_order_of_network(graph, BATCH, 1), 1);
    ck_assert_int_lt(sample_order_of_network(graph, INT64_C(1) << 40, 0), INT64_C(1) << 40);
    int64_t bytes = 1;
    while (sample_order_at_once(graph, BATCH, bytes) < 2)
        bytes++;
    for (int64_t count = 2; count <= BATCH; count *= 2) {
        ck_assert_int_eq(sample_order_at_once(graph, BATCH, count / 2 * bytes - 1), count / 2);
        ck_assert_int_eq(sample_order_at_once(graph, BATCH, count / 2 * bytes), count);
    }
}
END_TEST

/* Its maps are 8 × 8: eight samples have as many positions as are wanted. */
START_TEST(what_caches_hold_follows_the_smallest_map)
{
    static const int64_t counts[][2] = {{1, 1}, {8, 8}, {15, 8}, {16, 8}, {13, 13}, {64, 8}};
    struct graph *graph = small_network_create(arena, 1);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        ck_assert_int_eq(sample_order_in_caches(graph, counts[i][0]), counts[i][1]);
}
END_TEST

/* Law: the last moment is the end, whatever the number of steps; no step has come to one earlier
 * than its share. */
START_TEST(the_last_moment_is_the_end)
{
    for (int64_t all = 1; all <= 9; all++) {
        int64_t most = sample_order_moment(all, all);
        ck_assert_int_gt(most, 1);
        ck_assert_int_eq(sample_order_moment(0, all), 0);
        for (int64_t done = 1; done <= all; done++) {
            ck_assert_int_ge(sample_order_moment(done, all), sample_order_moment(done - 1, all));
            ck_assert_int_le(sample_order_moment(done, all) * all, done * most);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_order");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_epoch_has_each_sample_once_at_most);
    tcase_add_test(tcase, parts_in_order_cover_all_samples);
    tcase_add_test(tcase, the_last_moment_is_the_end);
    tcase_add_test(tcase, a_batch_is_at_most_all_samples);
    tcase_add_test(tcase, what_is_executed_at_once_follows_the_memory);
    tcase_add_test(tcase, what_caches_hold_follows_the_smallest_map);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
