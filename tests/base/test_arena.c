#include "ptqd/base/arena.h"

#include "support.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static bool all_bytes_are(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value)
            return false;
    }
    return true;
}

/* A pattern of sizes that crosses alignments, block ends and block growth. */
static size_t size_number(size_t i)
{
    return (i * 977) % 5003 + (i % 50 == 0 ? 100000 : 0);
}

/* Law: memory is aligned, zero, and no two pieces overlap: each keeps what was written to it. */
START_TEST(memory_is_aligned_zeroed_and_disjoint)
{
    enum { PIECES = 500 };
    unsigned char *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(arena, size_number(i), &err);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 64, 0);
        ck_assert(all_bytes_are(pieces[i], size_number(i), 0));
        memset(pieces[i], (int)(i % 255 + 1), size_number(i));
    }
    for (size_t i = 0; i < PIECES; i++)
        ck_assert(all_bytes_are(pieces[i], size_number(i), (unsigned char)(i % 255 + 1)));
}
END_TEST

/* Law: after a reset, what was there before the mark is untouched, and what comes next is zero
 * again, however dirty the memory was. */
START_TEST(a_reset_forgets_everything_since_the_mark)
{
    unsigned char *kept = arena_alloc(arena, 1000, &err);
    memset(kept, 7, 1000);
    struct arena_mark mark = arena_mark(arena);
    size_t used = arena_used(arena);

    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 100; i++) {
            size_t size = size_number(i + round);
            unsigned char *bytes = arena_alloc(arena, size, &err);
            ck_assert_ptr_nonnull(bytes);
            ck_assert(all_bytes_are(bytes, size, 0));
            memset(bytes, 0xff, size);
        }
        arena_reset(arena, mark);
        ck_assert_uint_eq(arena_used(arena), used);
    }
    ck_assert(all_bytes_are(kept, 1000, 7));
}
END_TEST

START_TEST(marks_nest)
{
    struct arena_mark outer = arena_mark(arena);
    ck_assert_ptr_nonnull(arena_alloc(arena, 100, &err));
    struct arena_mark inner = arena_mark(arena);
    size_t inner_used = arena_used(arena);
    ck_assert_ptr_nonnull(arena_alloc(arena, 1000000, &err));
    arena_reset(arena, inner);
    ck_assert_uint_eq(arena_used(arena), inner_used);
    arena_reset(arena, outer);
    ck_assert_uint_eq(arena_used(arena), 0);
    ck_assert_ptr_nonnull(arena_alloc(arena, 100, &err));
}
END_TEST

/* Law: the ceiling is exact; a request above it leaves the arena as it was and usable. */
START_TEST(the_ceiling_holds_to_the_byte)
{
    for (size_t limit = 64; limit <= 1024; limit += 64) {
        struct arena *small = arena_create(limit);
        for (size_t used = 0; used < limit; used += 64)
            ck_assert_ptr_nonnull(arena_alloc(small, 64, &err));
        ck_assert_uint_eq(arena_used(small), limit);
        ck_assert_ptr_null(arena_alloc(small, 1, &err));
        ck_assert_int_eq(err.code, E_MEMORY);
        ck_assert_uint_eq(arena_used(small), limit);
        arena_destroy(small);
    }
    struct arena *small = arena_create(1000);
    ck_assert_ptr_null(arena_alloc(small, 2000, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "2000 bytes"));
    ck_assert_ptr_nonnull(strstr(err.message, "1000 bytes"));
    ck_assert_uint_eq(arena_used(small), 0);
    ck_assert_ptr_nonnull(arena_alloc(small, 900, &err));
    arena_destroy(small);
}
END_TEST

START_TEST(overflowing_sizes_are_refused)
{
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX, &err));
    ck_assert_int_eq(err.code, E_MEMORY);
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX - 63, &err));
    ck_assert_int_eq(err.code, E_MEMORY);
    ck_assert_ptr_null(arena_array(arena, SIZE_MAX / 2, 3, &err));
    ck_assert_int_eq(err.code, E_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.message, "elements of 3 bytes"));
    ck_assert_uint_eq(arena_used(arena), 0);
}
END_TEST

START_TEST(no_bytes_are_a_valid_pointer)
{
    ck_assert_ptr_nonnull(arena_alloc(arena, 0, &err));
    ck_assert_ptr_nonnull(arena_array(arena, 0, 8, &err));
    ck_assert_ptr_nonnull(arena_memdup(arena, NULL, 0, &err));
    ck_assert_str_eq(arena_strndup(arena, "abc", 0, &err), "");
}
END_TEST

START_TEST(copies_are_equal_and_apart)
{
    char text[] = "a text";
    char *copy = arena_strdup(arena, text, &err);
    char *head = arena_strndup(arena, text, 3, &err);
    char *more = arena_strndup(arena, text, 100, &err);
    char *printed = arena_printf(arena, &err, "%s/%d", text, 12);
    text[0] = 'X';
    ck_assert_str_eq(copy, "a text");
    ck_assert_str_eq(head, "a t");
    ck_assert_str_eq(more, "a text");
    ck_assert_str_eq(printed, "a text/12");
}
END_TEST

static bool allocate_every_way(struct arena *failing, void *context, struct error *error)
{
    (void)context;
    return arena_alloc(failing, 100000, error) != NULL &&
           arena_array(failing, 1000, 100, error) != NULL &&
           arena_strdup(failing, "text", error) != NULL &&
           arena_strndup(failing, "text", 2, error) != NULL &&
           arena_memdup(failing, "text", 5, error) != NULL &&
           arena_printf(failing, error, "%d", 5) != NULL;
}

START_TEST(every_allocation_can_fail_cleanly)
{
    ck_assert_uint_eq(support_fail_each_allocation(allocate_every_way, NULL), 6);
}
END_TEST

#ifdef __SANITIZE_ADDRESS__
/* Law: AddressSanitizer sees a use of what was not asked for or was given back. */
START_TEST(memory_that_was_not_handed_out_is_poisoned)
{
    struct arena_mark mark = arena_mark(arena);
    unsigned char *bytes = arena_alloc(arena, 100, &err);
    for (size_t i = 0; i < 100; i++)
        ck_assert(!__asan_address_is_poisoned(bytes + i));
    ck_assert(__asan_address_is_poisoned(bytes + 100));
    ck_assert(__asan_address_is_poisoned(bytes + 128));
    arena_reset(arena, mark);
    ck_assert(__asan_address_is_poisoned(bytes));
}
END_TEST
#endif

START_TEST(nothing_can_be_destroyed)
{
    arena_destroy(NULL);
}
END_TEST

/* Law: arenas of one budget hold no more than it together; what one gives back another may have,
 * and after all of them nothing is used. */
START_TEST(arenas_share_a_budget)
{
    struct arena_budget budget = {.limit_bytes = 10 * 1024};
    struct arena *first = arena_create_within(0, &budget);
    struct arena *second = arena_create_within(4096, &budget);
    struct arena_mark mark = arena_mark(first);
    ck_assert_ptr_nonnull(arena_alloc(first, 8 * 1024, &err));
    ck_assert_ptr_nonnull(arena_alloc(second, 1024, &err));
    ck_assert_ptr_null(arena_alloc(second, 2048, &err));
    ck_assert_int_eq(err.code, E_UNAVAILABLE);
    ck_assert_msg(support_contains(err.message, "others of this kind use 8192 of 10240"), "%s",
                  err.message);
    ck_assert_uint_eq(arena_used(second), 1024);
    arena_reset(first, mark);
    ck_assert_ptr_nonnull(arena_alloc(second, 2048, &err));
    ck_assert_ptr_null(arena_alloc(second, 2048, &err)); /* its own ceiling */
    ck_assert_int_eq(err.code, E_MEMORY);
    arena_fail_at(first, 1);
    ck_assert_ptr_null(arena_alloc(first, 64, &err));
    ck_assert_uint_eq(atomic_load(&budget.used_bytes), 3072);
    arena_destroy(first);
    arena_destroy(second);
    ck_assert_uint_eq(atomic_load(&budget.used_bytes), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *cases = tcase_create("arena");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, arenas_share_a_budget);
    tcase_add_test(cases, memory_is_aligned_zeroed_and_disjoint);
    tcase_add_test(cases, a_reset_forgets_everything_since_the_mark);
    tcase_add_test(cases, marks_nest);
    tcase_add_test(cases, the_ceiling_holds_to_the_byte);
    tcase_add_test(cases, overflowing_sizes_are_refused);
    tcase_add_test(cases, no_bytes_are_a_valid_pointer);
    tcase_add_test(cases, copies_are_equal_and_apart);
    tcase_add_test(cases, every_allocation_can_fail_cleanly);
#ifdef __SANITIZE_ADDRESS__
    tcase_add_test(cases, memory_that_was_not_handed_out_is_poisoned);
#endif
    tcase_add_test(cases, nothing_can_be_destroyed);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
