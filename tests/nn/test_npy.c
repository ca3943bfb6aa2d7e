#include "ptqd/nn/npy.h"

#include "numpy_files.h"
#include "ptqd/nn/half.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error err;
static struct arena *arena;

static void setup(void)
{
    arena = arena_create(1 << 20);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* The bytes in memory of exactly this size, so that a sanitizer sees a read behind them. */
static bool decode(const uint8_t *bytes, size_t size, struct array *out)
{
    uint8_t *copy = malloc(size + (size == 0));
    memcpy(copy, bytes, size);
    bool ok = npy_decode(arena, copy, size, out, &err);
    if (ok && size > 0) /* what was borrowed must outlive the copy */
        out->data = arena_memdup(arena, out->data, out->count * out->type->bytes, &err);
    free(copy);
    return ok;
}

/* A version 1.0 file with this header, as it is, and `data_bytes` zeros. */
static size_t write_file(uint8_t *out, const char *header, size_t data_bytes)
{
    size_t length = strlen(header);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (uint8_t)length;
    out[9] = (uint8_t)(length >> 8);
    memcpy(out + 10, header, length);
    memset(out + 10 + length, 0, data_bytes);
    return 10 + length + data_bytes;
}

static void check_x(const uint8_t *bytes, size_t size)
{
    struct array array;
    ck_assert_ok(decode(bytes, size, &array), &err);
    ck_assert_str_eq(array.type->descr, "<f4");
    ck_assert_int_eq(array.rank, 2);
    ck_assert_int_eq(array.dim[0], 2);
    ck_assert_int_eq(array.dim[1], 3);
    for (size_t i = 0; i < 6; i++)
        ck_assert(array_value(&array, i) == ((double)i - 2) / 2);
}

START_TEST(numpys_versions_1_2_and_3_are_read)
{
    check_x(NPY_F4, sizeof(NPY_F4));
    check_x(NPY_F4_V2, sizeof(NPY_F4_V2));
    check_x(NPY_F4_V3, sizeof(NPY_F4_V3));
}
END_TEST

/* Law: an array in Fortran order reads as the same array in C order. */
START_TEST(fortran_order_equals_c_order)
{
    struct array c, fortran;
    ck_assert_ok(decode(NPY_I2_C, sizeof(NPY_I2_C), &c), &err);
    ck_assert_ok(decode(NPY_I2_FORTRAN, sizeof(NPY_I2_FORTRAN), &fortran), &err);
    ck_assert_mem_ne(NPY_I2_C, NPY_I2_FORTRAN, sizeof(NPY_I2_C));
    ck_assert_int_eq(fortran.rank, 3);
    ck_assert_mem_eq(c.dim, fortran.dim, sizeof(c.dim));
    ck_assert_mem_eq(c.data, fortran.data, 24 * sizeof(int16_t));
}
END_TEST

START_TEST(a_scalar_and_an_empty_array_are_arrays)
{
    struct array array;
    ck_assert_ok(decode(NPY_SCALAR, sizeof(NPY_SCALAR), &array), &err);
    ck_assert_int_eq(array.rank, 0);
    ck_assert_uint_eq(array.count, 1);
    ck_assert(array_value(&array, 0) == 1.5);
    ck_assert_ok(decode(NPY_EMPTY, sizeof(NPY_EMPTY), &array), &err);
    ck_assert_uint_eq(array.count, 0);
}
END_TEST

static const double VALUES[] = {0, 1, 2, 100, 127};

#define STORED(type, ...)                                                                          \
    (const type[])                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
static const struct {
    const char *descr;
    const void *stored; /* VALUES in this type */
} TYPES[] = {
    {"<f2", STORED(uint16_t, 0, 0x3c00, 0x4000, 0x5640, 0x57f0)},
    {"<f4", STORED(float, 0, 1, 2, 100, 127)},
    {"<f8", STORED(double, 0, 1, 2, 100, 127)},
    {"|i1", STORED(int8_t, 0, 1, 2, 100, 127)},
    {"|u1", STORED(uint8_t, 0, 1, 2, 100, 127)},
    {"<i2", STORED(int16_t, 0, 1, 2, 100, 127)},
    {"<i4", STORED(int32_t, 0, 1, 2, 100, 127)},
    {"<i8", STORED(int64_t, 0, 1, 2, 100, 127)},
};
enum { TYPE_COUNT = sizeof(TYPES) / sizeof(TYPES[0]) };

/* Law: what is encoded decodes to the same type, shape and values, for every type. */
START_TEST(encoding_and_decoding_are_inverse)
{
    const int64_t dim[] = {5, 1};
    uint8_t *bytes;
    size_t size;
    struct array array;
    ck_assert_ok(npy_encode(arena, TYPES[_i].descr, 2, dim, TYPES[_i].stored, &bytes, &size, &err),
                 &err);
    ck_assert_uint_eq((size - 5 * (size_t)(TYPES[_i].descr[2] - '0')) % 64, 0);
    ck_assert_ok(decode(bytes, size, &array), &err);
    ck_assert_str_eq(array.type->descr, TYPES[_i].descr);
    ck_assert_int_eq(array.rank, 2);
    ck_assert_int_eq(array.dim[0], 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_msg(array_value(&array, i) == VALUES[i], "%s: value %zu is %g", TYPES[_i].descr,
                      i, array_value(&array, i));
}
END_TEST

/* The encoder writes what numpy writes, byte for byte. */
START_TEST(encoded_bytes_are_numpys)
{
    const float x[] = {-1, -0.5F, 0, 0.5F, 1, 1.5F};
    uint8_t *bytes;
    size_t size;
    ck_assert_ok(npy_encode(arena, "<f4", 2, (const int64_t[]){2, 3}, x, &bytes, &size, &err),
                 &err);
    ck_assert_uint_eq(size, sizeof(NPY_F4));
    ck_assert_mem_eq(bytes, NPY_F4, size);
}
END_TEST

START_TEST(the_encoder_refuses_what_the_decoder_would)
{
    uint8_t *bytes;
    size_t size;
    ck_assert_fails(npy_encode(arena, ">f4", 0, NULL, "1234", &bytes, &size, &err), &err,
                    E_UNSUPPORTED, "big-endian");
    ck_assert_fails(npy_encode(arena, "<f4", 10, NULL, NULL, &bytes, &size, &err), &err, E_INVALID,
                    "10 axes; at most 9 are supported");
    ck_assert_fails(npy_encode(arena, "<f4", 1, (const int64_t[]){-1}, NULL, &bytes, &size, &err),
                    &err, E_INVALID, "extent 0 is -1");
}
END_TEST

/* Values by IEEE 754-2008, table 3.5. */
START_TEST(binary16_values_are_those_of_the_standard)
{
    static const struct {
        uint16_t bits;
        double value;
    } cases[] = {
        {0x0000, 0},
        {0x3c00, 1},
        {0xc000, -2},
        {0x7bff, 65504},
        {0x0400, 0x1p-14},
        {0x0001, 0x1p-24},
        {0x83ff, -1023 * 0x1p-24},
        {0x3555, 1365 * 0x1p-12},
        {0x7c00, HUGE_VAL},
        {0xfc00, -HUGE_VAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg((double)half_decode(cases[i].bits) == cases[i].value, "0x%04x is %g",
                      cases[i].bits, (double)half_decode(cases[i].bits));
    ck_assert(isnan(half_decode(0x7e00)) && isnan(half_decode(0xfc01)));
    ck_assert(signbit(half_decode(0x8000)));
}
END_TEST

/* Law: decoding grows with the bits over all finite magnitudes, by steps that never shrink. */
START_TEST(binary16_values_grow_with_their_bits)
{
    float step = 0;
    for (uint16_t bits = 1; bits < 0x7c00; bits++) {
        float next = half_decode(bits) - half_decode((uint16_t)(bits - 1));
        ck_assert_msg(next >= step && next > 0, "at 0x%04x", bits);
        step = next;
    }
}
END_TEST

START_TEST(reading_scales_after_taking_off_the_zero_point)
{
    const uint8_t stored[] = {0, 1, 128, 255};
    uint8_t *bytes;
    size_t size;
    struct array array;
    float out[2];
    ck_assert_ok(npy_encode(arena, "|u1", 1, (const int64_t[]){4}, stored, &bytes, &size, &err),
                 &err);
    ck_assert_ok(decode(bytes, size, &array), &err);
    array_read(&array, 1, 2, 0.25, 128, out);
    ck_assert(out[0] == -31.75F && out[1] == 0);
}
END_TEST

/* Law: no prefix of a file is a file, and each is refused without a read past its end. */
START_TEST(every_truncation_is_refused)
{
    struct array array;
    for (size_t size = 0; size < sizeof(NPY_F4); size++)
        ck_assert_fails(decode(NPY_F4, size, &array), &err, E_SYNTAX, "");
    ck_assert_fails(decode(NPY_F4, 5, &array), &err, E_SYNTAX, "not an .npy file");
    ck_assert_fails(decode(NPY_F4, 7, &array), &err, E_SYNTAX, "truncated after 7 bytes");
    ck_assert_fails(decode(NPY_F4, 9, &array), &err, E_SYNTAX, "truncated after 9 bytes");
    ck_assert_fails(decode(NPY_F4, 20, &array), &err, E_SYNTAX,
                    "the header has 118 bytes, but 10 are left");
    ck_assert_fails(decode(NPY_F4, sizeof(NPY_F4) - 1, &array), &err, E_SYNTAX,
                    "truncated: the shape has 6 elements of type '<f4', which is 24 bytes, but 23 "
                    "bytes follow the header");
}
END_TEST

START_TEST(bytes_behind_the_elements_are_refused)
{
    uint8_t bytes[sizeof(NPY_F4) + 2] = {0};
    struct array array;
    memcpy(bytes, NPY_F4, sizeof(NPY_F4));
    ck_assert_fails(decode(bytes, sizeof(bytes), &array), &err, E_SYNTAX,
                    "bytes are left over: the shape has 6 elements of type '<f4', which is 24 "
                    "bytes, but 26 bytes follow the header");
}
END_TEST

START_TEST(other_versions_are_refused)
{
    uint8_t bytes[sizeof(NPY_F4)];
    struct array array;
    memcpy(bytes, NPY_F4, sizeof(bytes));
    bytes[6] = 4;
    ck_assert_fails(decode(bytes, sizeof(bytes), &array), &err, E_UNSUPPORTED,
                    "version 4.0; 1.0, 2.0 and 3.0 are supported");
    bytes[6] = 1;
    bytes[7] = 1;
    ck_assert_fails(decode(bytes, sizeof(bytes), &array), &err, E_UNSUPPORTED, "version 1.1");
}
END_TEST

START_TEST(other_element_types_are_refused_by_name)
{
    struct array array;
    ck_assert_fails(decode(NPY_F4_BIG, sizeof(NPY_F4_BIG), &array), &err, E_UNSUPPORTED,
                    "elements are '>f4', which is big-endian");
    ck_assert_fails(decode(NPY_BOOL, sizeof(NPY_BOOL), &array), &err, E_UNSUPPORTED,
                    "elements are '|b1'; little-endian f2, f4, f8, i1, u1, i2, i4 and i8 are");
    ck_assert_fails(decode(NPY_STRUCTURED, sizeof(NPY_STRUCTURED), &array), &err, E_UNSUPPORTED,
                    "the elements are structured");
}
END_TEST

/* A header, and what it must be refused with; NULL: it is accepted (4 bytes of data). */
static const struct {
    const char *header, *message;
} HEADERS[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }  \n", NULL},
    {"{'shape':(1,1),'fortran_order':True,\"descr\":\"<f4\"}", NULL},
    {"{'descr': '<i1', 'fortran_order': False, 'shape': (2, 2,)}", NULL},
    {"", "ends at character 0, where '{' should be"},
    {"[]", "character 0 is '[', where '{' should be"},
    {"{}", "'descr' is missing"},
    {"{'descr': '<f4', 'fortran_order': False}", "'shape' is missing"},
    {"{'descr': '<f4', 'descr': '<f4'}", "'descr' is there twice"},
    {"{'color': 1}", "'color' is not one of 'descr', 'fortran_order' and 'shape'"},
    {"{'descr' '<f4'}", "character 9 is ''', where ':' should be"},
    {"{'descr': <f4}", "character 10 is '<', where a string should be"},
    {"{'descr': '<f4", "ends at character 14, where ''' should be"},
    {"{'descr': '<f4<f4<f4<f4<f4<f4'}", "where a closing quote should be"},
    {"{'fortran_order': 0}", "character 18 is '0', where True or False should be"},
    {"{'shape': [1]}", "character 10 is '[', where '(' should be"},
    {"{'shape': (1)}", "character 12 is ')', where ',' should be"},
    {"{'shape': (-1,)}", "character 11 is '-', where an extent should be"},
    {"{'shape': (1, 2 3)}", "character 16 is '3', where ')' should be"},
    {"{'shape': (9223372036854775808,)}", "an extent of the shape is above 2^63"},
    {"{'shape': (1,1,1,1,1,1,1,1,1,1)}", "more than 9 axes; at most 9 are supported"},
    {"{'descr': '<f4' 'shape': (1,)}", "character 16 is ''', where '}' should be"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
     "character 56 is 'x', where the end should be"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}",
     "the shape has more elements than can be counted"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}",
     "the shape has more elements than can be counted"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (268435456,)}",
     "268435456 elements of type '<f4', which is 1073741824 bytes, but 4 bytes follow"},
};
enum { HEADER_COUNT = sizeof(HEADERS) / sizeof(HEADERS[0]) };

START_TEST(a_header_is_read_strictly)
{
    uint8_t bytes[256];
    struct array array;
    size_t size = write_file(bytes, HEADERS[_i].header, 4);
    if (HEADERS[_i].message)
        ck_assert_fails(decode(bytes, size, &array), &err, err.code, HEADERS[_i].message);
    else
        ck_assert_ok(decode(bytes, size, &array), &err);
}
END_TEST

static bool decode_fortran(struct arena *limited, void *context, struct error *error)
{
    (void)context;
    struct array array;
    return npy_decode(limited, NPY_I2_FORTRAN, sizeof(NPY_I2_FORTRAN), &array, error);
}

START_TEST(a_failing_allocation_is_an_error)
{
    ck_assert_uint_ge(support_fail_each_allocation(decode_fortran, NULL), 1);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("npy");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, numpys_versions_1_2_and_3_are_read);
    tcase_add_test(cases, fortran_order_equals_c_order);
    tcase_add_test(cases, a_scalar_and_an_empty_array_are_arrays);
    tcase_add_loop_test(cases, encoding_and_decoding_are_inverse, 0, TYPE_COUNT);
    tcase_add_test(cases, encoded_bytes_are_numpys);
    tcase_add_test(cases, the_encoder_refuses_what_the_decoder_would);
    tcase_add_test(cases, binary16_values_are_those_of_the_standard);
    tcase_add_test(cases, binary16_values_grow_with_their_bits);
    tcase_add_test(cases, reading_scales_after_taking_off_the_zero_point);
    tcase_add_test(cases, every_truncation_is_refused);
    tcase_add_test(cases, bytes_behind_the_elements_are_refused);
    tcase_add_test(cases, other_versions_are_refused);
    tcase_add_test(cases, other_element_types_are_refused_by_name);
    tcase_add_loop_test(cases, a_header_is_read_strictly, 0, HEADER_COUNT);
    tcase_add_test(cases, a_failing_allocation_is_an_error);
    Suite *suite = suite_create("npy");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
