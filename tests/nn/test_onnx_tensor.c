#include "ptqd/nn/onnx_tensor.h"

#include "onnx_build.h"
#include "support.h"

static struct arena *arena;
static struct onnx_build build;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    ck_assert_ptr_nonnull(arena);
    onnx_build_init(&build, arena);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

#define TYPE(name)   ONNX__TENSOR_PROTO__DATA_TYPE__##name
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* −1.5 (or −2, or 254) and 2 of each element type, in raw_data. */
static const struct {
    int32_t type;
    const char *raw;
    size_t size;
    double first, second;
} raw_values[] = {
    {TYPE(FLOAT), "\0\0\xc0\xbf\0\0\0\x40", 8, -1.5, 2},
    {TYPE(DOUBLE), "\0\0\0\0\0\0\xf8\xbf\0\0\0\0\0\0\0\x40", 16, -1.5, 2},
    {TYPE(FLOAT16), "\0\xbe\0\x40", 4, -1.5, 2},
    {TYPE(BFLOAT16), "\xc0\xbf\0\x40", 4, -1.5, 2},
    {TYPE(INT64), "\xfe\xff\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\0\0\0", 16, -2, 2},
    {TYPE(INT32), "\xfe\xff\xff\xff\x02\0\0\0", 8, -2, 2},
    {TYPE(INT16), "\xfe\xff\x02\0", 4, -2, 2},
    {TYPE(INT8), "\xfe\x02", 2, -2, 2},
    {TYPE(UINT32), "\xfe\xff\xff\xff\x02\0\0\0", 8, 4294967294.0, 2},
    {TYPE(UINT16), "\xfe\xff\x02\0", 4, 65534, 2},
    {TYPE(UINT8), "\xfe\x02", 2, 254, 2},
    {TYPE(BOOL), "\x01\x00", 2, 1, 0},
};

static void check_values(const struct tensor *tensor, double first, double second)
{
    ck_assert_int_eq(tensor->type, tensor->values != NULL ? TENSOR_F32 : TENSOR_I64);
    ck_assert((tensor->values == NULL) != (tensor->integers == NULL));
    ck_assert_double_eq(tensor->values != NULL ? (double)tensor->values[0]
                                               : (double)tensor->integers[0],
                        first);
    ck_assert_double_eq(tensor->values != NULL ? (double)tensor->values[1]
                                               : (double)tensor->integers[1],
                        second);
}

START_TEST(raw_values_of_each_type_are_read)
{
    Onnx__TensorProto *proto =
        onnx_build_tensor(&build, "w", raw_values[_i].type, 1, (int64_t[]){2});
    proto->has_raw_data = 1;
    proto->raw_data =
        (ProtobufCBinaryData){raw_values[_i].size,
                              arena_memdup(arena, raw_values[_i].raw, raw_values[_i].size, &err)};
    struct tensor tensor;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    ck_assert_str_eq(tensor.name, "w");
    check_values(&tensor, raw_values[_i].first, raw_values[_i].second);
}
END_TEST

/* The element types whose values may be in each list of numbers. */
static const struct {
    int32_t type;
    int32_t int32s[2];
    double first, second;
} int32_values[] = {
    {TYPE(INT32), {-2, 2}, -2, 2},
    {TYPE(INT16), {-2, 2}, -2, 2},
    {TYPE(INT8), {-2, 2}, -2, 2},
    {TYPE(UINT16), {65534, 2}, 65534, 2},
    {TYPE(UINT8), {254, 2}, 254, 2},
    {TYPE(BOOL), {1, 0}, 1, 0},
    {TYPE(FLOAT16), {0xbe00, 0x4000}, -1.5, 2},
    {TYPE(BFLOAT16), {0xbfc0, 0x4000}, -1.5, 2},
};

START_TEST(values_in_int32_data_are_read)
{
    int32_t values[] = {int32_values[_i].int32s[0], int32_values[_i].int32s[1]};
    Onnx__TensorProto *proto =
        onnx_build_tensor(&build, "w", int32_values[_i].type, 1, (int64_t[]){2});
    proto->n_int32_data = 2;
    proto->int32_data = values;
    struct tensor tensor;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    check_values(&tensor, int32_values[_i].first, int32_values[_i].second);
}
END_TEST

START_TEST(values_in_the_other_lists_are_read)
{
    struct tensor tensor;
    float floats[] = {-1.5f, 2};
    Onnx__TensorProto *proto = onnx_build_tensor(&build, "f", TYPE(FLOAT), 1, (int64_t[]){2});
    proto->n_float_data = 2;
    proto->float_data = floats;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    check_values(&tensor, -1.5, 2);

    double doubles[] = {-1.5, 2};
    proto = onnx_build_tensor(&build, "d", TYPE(DOUBLE), 1, (int64_t[]){2});
    proto->n_double_data = 2;
    proto->double_data = doubles;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    check_values(&tensor, -1.5, 2);

    int64_t integers[] = {-2, INT64_C(1) << 40};
    proto = onnx_build_tensor(&build, "i", TYPE(INT64), 1, (int64_t[]){2});
    proto->n_int64_data = 2;
    proto->int64_data = integers;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    check_values(&tensor, -2, 1099511627776.0);

    uint64_t naturals[] = {4294967295, 2};
    proto = onnx_build_tensor(&build, "u", TYPE(UINT32), 1, (int64_t[]){2});
    proto->n_uint64_data = 2;
    proto->uint64_data = naturals;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    check_values(&tensor, 4294967295.0, 2);
}
END_TEST

START_TEST(a_tensor_without_axes_has_one_value)
{
    Onnx__TensorProto *proto = onnx_build_floats(&build, "s", 0, NULL, (float[]){3});
    struct tensor tensor;
    ck_assert_ok(onnx_tensor_decode(arena, proto, &tensor, &err), &err);
    ck_assert_int_eq(tensor.shape.rank, 0);
    ck_assert_double_eq((double)tensor.values[0], 3);
}
END_TEST

START_TEST(values_and_shape_must_agree)
{
    struct tensor tensor;
    Onnx__TensorProto *proto =
        onnx_build_floats(&build, "w", 2, (int64_t[]){2, 3}, (float[]){1, 2, 3, 4, 5, 6});
    proto->raw_data.len = 20;
    ck_assert_fails(onnx_tensor_decode(arena, proto, &tensor, &err), &err, E_INVALID,
                    "its shape 2x3 of float32 needs 24 bytes; raw_data has 20");

    proto->has_raw_data = 0;
    ck_assert_fails(onnx_tensor_decode(arena, proto, &tensor, &err), &err, E_INVALID,
                    "its shape 2x3 needs 6 values; float_data has 0");
}
END_TEST

START_TEST(types_and_storage_that_are_not_read_are_refused)
{
    struct tensor tensor;
    Onnx__TensorProto *proto = onnx_build_floats(&build, "w", 1, (int64_t[]){1}, (float[]){1});
    proto->data_type = TYPE(STRING);
    ck_assert_fails(onnx_tensor_decode(arena, proto, &tensor, &err), &err, E_UNSUPPORTED,
                    "its elements are of string;");
    proto->data_type = 77;
    ck_assert_fails(onnx_tensor_decode(arena, proto, &tensor, &err), &err, E_UNSUPPORTED,
                    "its elements are of type 77;");
    proto->data_type = TYPE(FLOAT);
    proto->n_dims = SHAPE_RANK_MAX + 1;
    ck_assert_fails(onnx_tensor_decode(arena, proto, &tensor, &err), &err, E_UNSUPPORTED,
                    "it has 9 axes; up to 8 are supported");
    proto->n_dims = 1;
    Onnx__TensorProto__Segment segment = ONNX__TENSOR_PROTO__SEGMENT__INIT;
    proto->segment = &segment;
    ck_assert_fails(onnx_tensor_decode(arena, proto, &tensor, &err), &err, E_UNSUPPORTED,
                    "segments");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx_tensor");
    TCase *tests = tcase_create("onnx_tensor");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, raw_values_of_each_type_are_read, 0, (int)COUNT(raw_values));
    tcase_add_loop_test(tests, values_in_int32_data_are_read, 0, (int)COUNT(int32_values));
    tcase_add_test(tests, values_in_the_other_lists_are_read);
    tcase_add_test(tests, a_tensor_without_axes_has_one_value);
    tcase_add_test(tests, values_and_shape_must_agree);
    tcase_add_test(tests, types_and_storage_that_are_not_read_are_refused);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
