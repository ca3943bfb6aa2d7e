/* Checkpoints as bytes: what is written is read back, and nothing else is read. */

#include "ptqd/flow/checkpoint.h"

#include "support.h"

#include <string.h>

static struct arena *arena;
static struct error err;

static int8_t codes[] = {-128, 0, 127};
static int32_t zero_points[] = {INT32_MIN, 7};
static int64_t position[] = {INT64_MIN};
static uint64_t rng[] = {0, UINT64_MAX};
static float scales[] = {-0.0f, 1e-45f, 3.5f};
static double losses[] = {1e300, -2.5};

static const struct keeper_field fields[] = {
    {"codes", KEEP_I8, 3, codes},        {"zero points", KEEP_I32, 2, zero_points},
    {"position", KEEP_I64, 1, position}, {"rng", KEEP_U64, 2, rng},
    {"scales", KEEP_F32, 3, scales},     {"losses", KEEP_F64, 2, losses},
    {"nothing", KEEP_F32, 0, NULL},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]), MOST_BYTES = 64 };

static const char identity[DIGEST_HEX_BYTES] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static uint8_t *bytes;
static size_t size;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(checkpoint_encode(arena, identity, fields, FIELDS, &bytes, &size, &err), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Law: decode(encode(x)) = x, to the bit. */
START_TEST(every_type_comes_back_to_the_bit)
{
    struct checkpoint checkpoint;
    struct keeper_field empty[FIELDS];
    uint8_t room[FIELDS][MOST_BYTES];
    memset(room, 0xa5, sizeof(room));
    for (int i = 0; i < FIELDS; i++) {
        empty[i] = fields[i];
        empty[i].values = room[i];
    }
    ck_assert_ok(checkpoint_decode(arena, bytes, size, &checkpoint, &err), &err);
    ck_assert_str_eq(checkpoint.identity, identity);
    ck_assert_ok(checkpoint_load(&checkpoint, empty, FIELDS, &err), &err);
    for (int i = 0; i < FIELDS; i++)
        if (fields[i].count > 0)
            ck_assert_mem_eq(room[i], fields[i].values,
                             (size_t)fields[i].count * keeper_type_bytes(fields[i].type));
}
END_TEST

/* Law: a file with any one bit flipped, or any part of a file, is refused. */
START_TEST(what_is_damaged_is_refused)
{
    struct checkpoint checkpoint;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!checkpoint_decode(arena, bytes, size, &checkpoint, &err), "bit %zu", bit);
        ck_assert_int_eq(err.code, E_SYNTAX);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t part = 0; part < size; part++) {
        uint8_t *copy = arena_memdup(arena, bytes, part, &err);
        ck_assert_msg(!checkpoint_decode(arena, copy, part, &checkpoint, &err), "%zu bytes", part);
    }
    ck_assert_ok(checkpoint_decode(arena, bytes, size, &checkpoint, &err), &err);
}
END_TEST

static const struct {
    struct keeper_field field;
    const char *fragment;
} strangers[] = {
    {{"weights", KEEP_F32, 3, NULL}, "has no array 'weights'"},
    {{"scales", KEEP_I32, 3, NULL}, "'scales' has 3 elements of type"},
    {{"scales", KEEP_F32, 4, NULL}, "4 of type"},
};

/* Law: fields are filled all or none. */
START_TEST(what_does_not_fit_fills_nothing)
{
    struct checkpoint checkpoint;
    float kept[3] = {9.0f, 9.0f, 9.0f};
    const struct keeper_field wanted[] = {{"scales", KEEP_F32, 3, kept}, strangers[_i].field};
    ck_assert_ok(checkpoint_decode(arena, bytes, size, &checkpoint, &err), &err);
    ck_assert_fails(checkpoint_load(&checkpoint, wanted, 2, &err), &err, E_CONFLICT,
                    strangers[_i].fragment);
    ck_assert(kept[0] == 9.0f && kept[2] == 9.0f);
}
END_TEST

START_TEST(without_memory_there_is_a_clean_error)
{
    struct checkpoint checkpoint;
    uint8_t *other;
    size_t other_size;
    arena_fail_at(arena, 1);
    ck_assert_fails(checkpoint_encode(arena, identity, fields, FIELDS, &other, &other_size, &err),
                    &err, E_MEMORY, "");
    for (size_t nth = 1; nth <= 1 + FIELDS; nth++) {
        arena_fail_at(arena, nth);
        ck_assert_fails(checkpoint_decode(arena, bytes, size, &checkpoint, &err), &err, E_MEMORY,
                        "");
    }
    arena_fail_at(arena, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tcase = tcase_create("bytes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_type_comes_back_to_the_bit);
    tcase_add_test(tcase, what_is_damaged_is_refused);
    tcase_add_loop_test(tcase, what_does_not_fit_fills_nothing, 0,
                        (int)(sizeof(strangers) / sizeof(strangers[0])));
    tcase_add_test(tcase, without_memory_there_is_a_clean_error);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
