#include "ptqd/nn/dataset.h"

#include "numpy_files.h"
#include "ptqd/nn/npy.h"
#include "support.h"

#include <math.h>
#include <string.h>

static const struct dataset_options PLAIN = {.scale = 1, .limit_bytes = 1 << 20};

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

struct bytes {
    uint8_t *bytes;
    size_t size;
};

#define DIM(...)                                                                                   \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static struct bytes encode(const char *descr, int rank, const int64_t *dim, const void *values)
{
    struct bytes out;
    ck_assert_ok(npy_encode(arena, descr, rank, dim, values, &out.bytes, &out.size, &err), &err);
    return out;
}

static bool load(const struct bytes *file, const struct dataset_options *options,
                 struct dataset **out)
{
    return dataset_load(arena, file->bytes, file->size, options, out, &err);
}

START_TEST(an_npy_file_is_samples_without_labels)
{
    struct dataset *dataset;
    ck_assert_ok(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &PLAIN, &dataset, &err), &err);
    ck_assert_int_eq(dataset->samples, 2);
    ck_assert_int_eq(dataset->shape.rank, 1);
    ck_assert_int_eq(dataset->shape.dim[0], 3);
    ck_assert_str_eq(dataset->dtype, "<f4");
    ck_assert_ptr_null(dataset->labels);
    ck_assert_int_eq(dataset->classes, 0);
    ck_assert(dataset->min == -1 && dataset->max == 1.5);
    float sample[3];
    dataset_read(dataset, 1, sample);
    ck_assert(sample[0] == 0.5F && sample[1] == 1 && sample[2] == 1.5F);
}
END_TEST

static void check_archive(const uint8_t *bytes, size_t size)
{
    struct dataset *dataset;
    ck_assert_ok(dataset_load(arena, bytes, size, &PLAIN, &dataset, &err), &err);
    ck_assert_int_eq(dataset->samples, 2);
    ck_assert_int_eq(dataset->classes, 2);
    ck_assert_int_eq(dataset->labels[0], 1);
    ck_assert_int_eq(dataset->labels[1], 0);
}

START_TEST(an_npz_file_is_samples_and_labels)
{
    check_archive(NPZ_STORED, sizeof(NPZ_STORED));
    check_archive(NPZ_DEFLATED, sizeof(NPZ_DEFLATED));
}
END_TEST

/* Law: what a network sees, and the range, is (stored − zero_point) · scale. */
START_TEST(stored_integers_are_scaled)
{
    struct bytes file = encode("|i1", 2, DIM(2, 2), (const int8_t[]){-128, 0, 1, 127});
    struct dataset_options options = {.scale = 0.5, .zero_point = -128, .limit_bytes = 1 << 20};
    struct dataset *dataset;
    float sample[2];
    ck_assert_ok(load(&file, &options, &dataset), &err);
    ck_assert(dataset->min == 0 && dataset->max == 127.5);
    dataset_read(dataset, 0, sample);
    ck_assert(sample[0] == 0 && sample[1] == 64);
}
END_TEST

START_TEST(scale_and_zero_point_are_checked)
{
    struct dataset *dataset;
    struct dataset_options options = PLAIN;
    options.scale = 0;
    ck_assert_fails(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &options, &dataset, &err), &err,
                    E_INVALID, "scale is 0; it must be a finite number above 0");
    options.scale = HUGE_VAL;
    ck_assert_fails(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &options, &dataset, &err), &err,
                    E_INVALID, "scale is inf");
    options = PLAIN;
    options.zero_point = -HUGE_VAL;
    ck_assert_fails(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &options, &dataset, &err), &err,
                    E_INVALID, "zero_point is -inf; it must be a finite number");
}
END_TEST

START_TEST(values_that_are_not_finite_are_named)
{
    struct dataset *dataset;
    float values[6] = {0};
    values[4] = HUGE_VALF;
    struct bytes file = encode("<f4", 2, DIM(2, 3), values);
    ck_assert_fails(load(&file, &PLAIN, &dataset), &err, E_INVALID,
                    "x: element 1 of sample 1 is inf, which is not finite; values must be finite "
                    "float32 numbers");
    values[0] = NAN;
    file = encode("<f4", 2, DIM(2, 3), values);
    ck_assert_fails(load(&file, &PLAIN, &dataset), &err, E_INVALID, "element 0 of sample 0 is nan");
    double large[] = {1, 2, 3, -1e300};
    file = encode("<f8", 2, DIM(2, 2), large);
    ck_assert_fails(load(&file, &PLAIN, &dataset), &err, E_INVALID,
                    "element 1 of sample 1 is -1e+300, which is out of range after scaling");
}
END_TEST

/* A value far behind the first block of values is looked at too. */
START_TEST(the_last_value_is_looked_at)
{
    enum { SAMPLES = 700, ELEMENTS = 3 };
    static float values[SAMPLES * ELEMENTS];
    values[SAMPLES * ELEMENTS - 1] = NAN;
    struct bytes file = encode("<f4", 2, DIM(SAMPLES, ELEMENTS), values);
    struct dataset *dataset;
    ck_assert_fails(load(&file, &PLAIN, &dataset), &err, E_INVALID,
                    "element 2 of sample 699 is nan");
}
END_TEST

START_TEST(empty_sets_are_refused)
{
    struct dataset *dataset;
    ck_assert_fails(dataset_load(arena, NPY_EMPTY, sizeof(NPY_EMPTY), &PLAIN, &dataset, &err), &err,
                    E_INVALID, "x is empty: 0 samples of shape 3");
    struct bytes file = encode("<f4", 3, DIM(5, 0, 2), NULL);
    ck_assert_fails(load(&file, &PLAIN, &dataset), &err, E_INVALID,
                    "x is empty: 5 samples of shape 0x2");
}
END_TEST

START_TEST(samples_need_an_axis_of_their_own)
{
    struct dataset *dataset;
    struct bytes file = encode("<f4", 1, DIM(3), (const float[]){1, 2, 3});
    ck_assert_fails(load(&file, &PLAIN, &dataset), &err, E_INVALID,
                    "x has 1 axis of '<f4'; samples need at least 2 axes, of which the first one "
                    "counts them, and labels are integers on one");
    ck_assert_fails(dataset_load(arena, NPY_SCALAR, sizeof(NPY_SCALAR), &PLAIN, &dataset, &err),
                    &err, E_INVALID, "x has 0 axes");
}
END_TEST

START_TEST(other_files_are_refused)
{
    struct dataset *dataset;
    const uint8_t text[] = "a,b,c\n1,2,3\n";
    ck_assert_fails(dataset_load(arena, text, sizeof(text) - 1, &PLAIN, &dataset, &err), &err,
                    E_SYNTAX, "neither an .npy file");
    ck_assert_ptr_null(strstr(err.message, "network"));
    ck_assert_fails(dataset_load(arena, text, 0, &PLAIN, &dataset, &err), &err, E_SYNTAX,
                    "0 bytes");
    const uint8_t network[] = "\x1c\x00\x00\x00TFL3 and what follows";
    ck_assert_fails(dataset_load(arena, network, sizeof(network) - 1, &PLAIN, &dataset, &err), &err,
                    E_SYNTAX, "they begin like a network, format tflite");
}
END_TEST

START_TEST(the_limit_counts_everything_that_is_unpacked)
{
    struct dataset *dataset;
    struct dataset_options options = PLAIN;
    options.limit_bytes = sizeof(NPY_F4) - 1;
    ck_assert_fails(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &options, &dataset, &err), &err,
                    E_TOO_LARGE, "152 bytes; at most 151 are allowed");
    options.limit_bytes = 152 + 135; /* x.npy and one byte less than y.npy */
    ck_assert_fails(
        dataset_load(arena, NPZ_DEFLATED, sizeof(NPZ_DEFLATED), &options, &dataset, &err), &err,
        E_TOO_LARGE, "member 'y.npy' has 136 bytes unpacked; at most 135 are allowed");
    options.limit_bytes = 152 + 136;
    ck_assert_ok(dataset_load(arena, NPZ_DEFLATED, sizeof(NPZ_DEFLATED), &options, &dataset, &err),
                 &err);
}
END_TEST

/* Names are in the local header and in the directory: only the latter counts. */
START_TEST(an_archive_without_samples_is_refused_with_its_members)
{
    uint8_t bytes[sizeof(NPZ_DEFLATED)];
    struct dataset *dataset;
    memcpy(bytes, NPZ_DEFLATED, sizeof(bytes));
    for (size_t i = 0; i + 5 < sizeof(bytes); i++) {
        if (memcmp(bytes + i, "x.npy", 5) == 0)
            bytes[i] = 'w';
    }
    ck_assert_fails(dataset_load(arena, bytes, sizeof(bytes), &PLAIN, &dataset, &err), &err,
                    E_INVALID,
                    "there is no array 'x' (member x.npy) with the samples; the members are: "
                    "z.npy, w.npy, y.npy");
}
END_TEST

/* A data set of two samples, and labels put on it. */
static bool label(const char *descr, int rank, const int64_t *dim, const void *values,
                  struct dataset **out)
{
    struct bytes labels = encode(descr, rank, dim, values);
    ck_assert_ok(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &PLAIN, out, &err), &err);
    return dataset_set_labels(arena, *out, labels.bytes, labels.size, &err);
}

START_TEST(labels_may_have_a_second_axis_of_one)
{
    struct dataset *dataset;
    ck_assert_ok(label("<i8", 1, DIM(2), (const int64_t[]){0, 9}, &dataset), &err);
    ck_assert_int_eq(dataset->labels[1], 9);
    ck_assert_int_eq(dataset->classes, 10);
    ck_assert_ok(label("|u1", 2, DIM(2, 1), (const uint8_t[]){3, 255}, &dataset), &err);
    ck_assert_int_eq(dataset->classes, 256);
}
END_TEST

START_TEST(labels_are_checked)
{
    struct dataset *dataset;
    ck_assert_fails(label("<i4", 1, DIM(3), (const int32_t[]){0, 1, 2}, &dataset), &err, E_INVALID,
                    "3 labels for 2 samples");
    ck_assert_fails(label("<f4", 1, DIM(2), (const float[]){0, 1}, &dataset), &err, E_INVALID,
                    "labels are '<f4'; they must be integers");
    ck_assert_fails(label("<i4", 2, DIM(2, 2), (const int32_t[]){0, 1, 0, 1}, &dataset), &err,
                    E_INVALID, "labels have 2 axes; one number per sample is needed");
    ck_assert_fails(label("<i4", 1, DIM(2), (const int32_t[]){0, -1}, &dataset), &err, E_INVALID,
                    "label -1 of sample 1 is not a class: 0 to 2147483646");
    ck_assert_fails(label("<i8", 1, DIM(2), (const int64_t[]){1LL << 40, 0}, &dataset), &err,
                    E_INVALID, "label 1099511627776 of sample 0 is not a class");
    ck_assert_fails(label("<i4", 1, DIM(0), NULL, &dataset), &err, E_INVALID,
                    "0 labels for 2 samples");
    ck_assert_ptr_null(dataset->labels);
}
END_TEST

START_TEST(a_damaged_label_file_is_named)
{
    struct dataset *dataset;
    ck_assert_ok(dataset_load(arena, NPY_F4, sizeof(NPY_F4), &PLAIN, &dataset, &err), &err);
    ck_assert_fails(dataset_set_labels(arena, dataset, NPY_F4, 100, &err), &err, E_SYNTAX,
                    "labels: .npy: the header has 118 bytes, but 90 are left");
}
END_TEST

/* What dataset_check_… look at of a graph: its input and output. */
static struct graph network(struct tensor tensors[static 2])
{
    return (struct graph){.tensors = tensors, .tensor_count = 2, .input = 0, .output = 1};
}

START_TEST(samples_must_fit_the_networks_input)
{
    static const float values[2 * 24];
    struct bytes file = encode("<f4", 4, DIM(2, 2, 3, 4), values);
    struct dataset *dataset;
    ck_assert_ok(load(&file, &PLAIN, &dataset), &err);
    struct tensor tensors[2] = {{.name = "in", .shape = {4, {1, 2, 3, 4}}}, {.name = "out"}};
    struct graph graph = network(tensors);
    ck_assert_ok(dataset_check_input(dataset, &graph, &err), &err);
    tensors[0].shape = (struct shape){4, {1, 3, 4, 2}};
    ck_assert_fails(dataset_check_input(dataset, &graph, &err), &err, E_INVALID,
                    "samples are 2x3x4, but the network's input 'in' takes 3x4x2: transpose the "
                    "samples to the axis order of the model file");
    tensors[0].shape = (struct shape){4, {5, 2, 3, 4}};
    ck_assert_fails(dataset_check_input(dataset, &graph, &err), &err, E_INVALID,
                    "samples are 2x3x4, but the network's input 'in' takes 5x2x3x4: export it with "
                    "a batch of 1, or an open one");
    tensors[0].shape = (struct shape){2, {1, 24}};
    ck_assert_fails(
        dataset_check_input(dataset, &graph, &err), &err, E_INVALID,
        "samples are 2x3x4, but the network's input 'in' takes 24: the first axis of the "
        "array counts samples, the others are to be 24");
    tensors[0].shape = (struct shape){5, {1, 1, 2, 3, 4}}; /* what most forget: a single channel */
    ck_assert_fails(dataset_check_input(dataset, &graph, &err), &err, E_INVALID,
                    "samples are 2x3x4, but the network's input 'in' takes 1x2x3x4: the first axis "
                    "of the array counts samples, the others are to be 1x2x3x4");
    tensors[0].shape = (struct shape){4, {1, 2, 3, 5}};
    ck_assert_fails(dataset_check_input(dataset, &graph, &err), &err, E_INVALID,
                    "samples are 2x3x4, but the network's input 'in' takes 2x3x5");
    ck_assert_ptr_null(strstr(err.message, "5:"));
    tensors[0].shape = (struct shape){3, {2, 3, 4}}; /* a network without an axis of samples */
    ck_assert_ok(dataset_check_input(dataset, &graph, &err), &err);
}
END_TEST

START_TEST(labels_must_fit_the_networks_output)
{
    struct dataset *dataset;
    struct tensor tensors[2] = {{.name = "in"}, {.name = "out", .shape = {2, {1, 10}}}};
    struct graph graph = network(tensors);
    ck_assert_ok(label("<i4", 1, DIM(2), (const int32_t[]){9, 0}, &dataset), &err);
    ck_assert_ok(dataset_check_labels(dataset, &graph, &err), &err);
    ck_assert_ok(label("<i4", 1, DIM(2), (const int32_t[]){10, 0}, &dataset), &err);
    ck_assert_fails(dataset_check_labels(dataset, &graph, &err), &err, E_INVALID,
                    "labels go up to 10, but the network's output 'out' has 10 classes (0 to 9)");
    tensors[1].shape = (struct shape){2, {1, 1}};
    ck_assert_ok(label("<i4", 1, DIM(2), (const int32_t[]){1, 0}, &dataset), &err);
    ck_assert_ok(dataset_check_labels(dataset, &graph, &err), &err);
    ck_assert_ok(label("<i4", 1, DIM(2), (const int32_t[]){2, 0}, &dataset), &err);
    ck_assert_fails(dataset_check_labels(dataset, &graph, &err), &err, E_INVALID,
                    "labels go up to 2, but the network's output 'out' is a single value, which "
                    "tells 0 from 1");
}
END_TEST

static bool load_archive(struct arena *limited, void *context, struct error *error)
{
    (void)context;
    struct dataset *dataset;
    return dataset_load(limited, NPZ_DEFLATED, sizeof(NPZ_DEFLATED), &PLAIN, &dataset, error);
}

START_TEST(a_failing_allocation_is_an_error)
{
    ck_assert_uint_ge(support_fail_each_allocation(load_archive, NULL), 1);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("dataset");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, an_npy_file_is_samples_without_labels);
    tcase_add_test(cases, an_npz_file_is_samples_and_labels);
    tcase_add_test(cases, stored_integers_are_scaled);
    tcase_add_test(cases, scale_and_zero_point_are_checked);
    tcase_add_test(cases, values_that_are_not_finite_are_named);
    tcase_add_test(cases, the_last_value_is_looked_at);
    tcase_add_test(cases, empty_sets_are_refused);
    tcase_add_test(cases, samples_need_an_axis_of_their_own);
    tcase_add_test(cases, other_files_are_refused);
    tcase_add_test(cases, the_limit_counts_everything_that_is_unpacked);
    tcase_add_test(cases, an_archive_without_samples_is_refused_with_its_members);
    tcase_add_test(cases, labels_may_have_a_second_axis_of_one);
    tcase_add_test(cases, labels_are_checked);
    tcase_add_test(cases, a_damaged_label_file_is_named);
    tcase_add_test(cases, samples_must_fit_the_networks_input);
    tcase_add_test(cases, labels_must_fit_the_networks_output);
    tcase_add_test(cases, a_failing_allocation_is_an_error);
    Suite *suite = suite_create("dataset");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
