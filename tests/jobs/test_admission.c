#include "ptqd/jobs/admission.h"

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LIMIT = 100 << 20, MIB = 1 << 20 };

static struct admission *admission;
static struct error err;

static void setup(void)
{
    err = (struct error){.message = ""};
    ck_assert_ok(admission_create(LIMIT, &admission, &err), &err);
}

static void teardown(void)
{
    ck_assert_uint_eq(admission_used(admission), 0);
    admission_destroy(admission);
}

/* A run in a thread of its own. */
struct guest {
    size_t bytes;
    atomic_bool asked, gives_up, inside, leaves, refused;
    struct error err;
    pthread_t thread;
};

static bool goes_on(void *context)
{
    struct guest *guest = context;
    atomic_store(&guest->asked, true);
    return !atomic_load(&guest->gives_up);
}

static void until(atomic_bool *happens)
{
    while (!atomic_load(happens))
        sched_yield();
}

static void *visit(void *context)
{
    struct guest *guest = context;
    if (!admission_enter(admission, guest->bytes, goes_on, guest, &guest->err)) {
        atomic_store(&guest->refused, true);
        return NULL;
    }
    atomic_store(&guest->inside, true);
    until(&guest->leaves);
    admission_leave(admission, guest->bytes);
    return NULL;
}

static void begin(struct guest *guest, size_t bytes)
{
    *guest = (struct guest){.bytes = bytes};
    ck_assert_int_eq(pthread_create(&guest->thread, NULL, visit, guest), 0);
}

static void end(struct guest *guest)
{
    atomic_store(&guest->leaves, true);
    pthread_join(guest->thread, NULL);
}

/* One that is inside, one that has to wait for it, and one that would fit but came last. */
static void queue_up(struct guest *first, struct guest *large, struct guest *small)
{
    begin(first, 60 * MIB);
    until(&first->inside);
    begin(large, 90 * MIB);
    until(&large->asked);
    begin(small, 1 * MIB);
    until(&small->asked);
}

START_TEST(those_that_fit_are_inside_together)
{
    struct guest a, b;
    begin(&a, 60 * MIB);
    until(&a.inside);
    begin(&b, 40 * MIB);
    until(&b.inside);
    ck_assert_uint_eq(admission_used(admission), LIMIT);
    end(&a);
    end(&b);
}
END_TEST

/* Law: who does not fit waits, and those who ask later wait behind, even when they would fit. */
START_TEST(the_rest_waits_in_order)
{
    struct guest first, large, small;
    queue_up(&first, &large, &small);
    ck_assert(!atomic_load(&large.inside) && !atomic_load(&small.inside));
    end(&first);
    until(&large.inside);
    until(&small.inside);
    end(&large);
    end(&small);
}
END_TEST

/* Law: who gives up is told so, and those behind are not held up. */
START_TEST(who_gives_up_lets_the_others_pass)
{
    struct guest first, large, small;
    queue_up(&first, &large, &small);
    atomic_store(&large.gives_up, true);
    until(&large.refused);
    ck_assert_int_eq(large.err.code, E_CANCELLED);
    until(&small.inside);
    end(&first);
    end(&large);
    end(&small);
}
END_TEST

START_TEST(more_than_there_is_is_refused_with_both_numbers)
{
    ck_assert_fails(admission_enter(admission, (size_t)LIMIT + MIB, NULL, NULL, &err), &err,
                    E_MEMORY, "101 MiB");
    ck_assert(support_contains(err.message, "100 MiB"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admission");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, those_that_fit_are_inside_together);
    tcase_add_test(tcase, the_rest_waits_in_order);
    tcase_add_test(tcase, who_gives_up_lets_the_others_pass);
    tcase_add_test(tcase, more_than_there_is_is_refused_with_both_numbers);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
