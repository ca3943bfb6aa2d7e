/* Data sets: what is checked when one is loaded, so that no later step has to look again. */

#include "ptqd/nn/dataset.h"

#include "ptqd/nn/model.h"
#include "ptqd/nn/npy.h"
#include "ptqd/nn/npz.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHAPE_TEXT_BYTES = 192, /* SHAPE_RANK_MAX extents of up to 20 digits, with separators */
    LIST_BYTES = 512,       /* names of an archive's members in a message */
    BLOCK = 1024,           /* values looked at in one go */
};

/* Labels are compared with the network's outputs; above this something else was uploaded. */
static const double LABEL_MAX = INT32_MAX - 1;

/* The two files of a data set; `labels` is NULL when there are none. */
struct dataset_files {
    const uint8_t *values, *labels;
    size_t values_bytes, labels_bytes;
};

/* Takes one member out of an archive, and its bytes off what is left of the limit. */
static bool extract_member(struct arena *arena, const struct npz *npz,
                           const struct npz_member *member, size_t *limit_bytes,
                           const uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    if (!npz_extract(arena, npz, member, *limit_bytes, out_bytes, out_size, err))
        return false;
    *limit_bytes -= *out_size;
    return true;
}

static bool open_archive(struct arena *arena, const uint8_t *bytes, size_t size,
                         const struct dataset_options *options, struct dataset_files *out,
                         struct error *err)
{
    size_t limit_bytes = options->limit_bytes;
    struct npz npz;
    if (!npz_open(arena, bytes, size, &npz, err))
        return false;
    npz.reading = options->reading;
    const struct npz_member *x = npz_find(&npz, "x.npy"), *y = npz_find(&npz, "y.npy");
    if (!x) {
        char list[LIST_BYTES];
        npz_list(&npz, list, sizeof(list));
        return FAIL(err, E_INVALID,
                    ".npz: there is no array 'x' (member x.npy) with the samples; the members "
                    "are: %s",
                    npz.member_count > 0 ? list : "none");
    }
    return extract_member(arena, &npz, x, &limit_bytes, &out->values, &out->values_bytes, err) &&
           (!y ||
            extract_member(arena, &npz, y, &limit_bytes, &out->labels, &out->labels_bytes, err));
}

/* Tells `.npy` and `.npz` apart by content. */
static bool open_files(struct arena *arena, const uint8_t *bytes, size_t size,
                       const struct dataset_options *options, struct dataset_files *out,
                       struct error *err)
{
    size_t limit_bytes = options->limit_bytes;
    if (npz_recognize(bytes, size))
        return open_archive(arena, bytes, size, options, out, err);
    const struct model_format *model = model_recognize(bytes, size);
    if (!npy_recognize(bytes, size))
        return FAIL(err, E_SYNTAX,
                    "neither an .npy file (starts with \"\\x93NUMPY\") nor an .npz file (starts "
                    "with \"PK\"), %zu bytes%s%s",
                    size, model == NULL ? "" : "; they begin like a network, format ",
                    model == NULL ? "" : model->name);
    if (size > limit_bytes)
        return FAIL(err, E_TOO_LARGE, "%zu bytes; at most %zu are allowed", size, limit_bytes);
    *out = (struct dataset_files){.values = bytes, .values_bytes = size};
    return true;
}

/* Splits the array's axes into the number of samples and the shape of one. */
static bool set_shape(struct dataset *dataset, const struct array *array, struct error *err)
{
    if (array->rank < 2)
        return FAIL(err, E_INVALID,
                    "x has %d %s of '%s'; samples need at least 2 axes, of which the first one "
                    "counts them, and labels are integers on one",
                    array->rank, array->rank == 1 ? "axis" : "axes", array->type->descr);
    struct shape shape = {.rank = array->rank - 1};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = array->dim[i + 1];
    if (array->count == 0) {
        char text[SHAPE_TEXT_BYTES];
        shape_print(&shape, text, sizeof(text));
        return FAIL(err, E_INVALID, "x is empty: %" PRId64 " samples of shape %s", array->dim[0],
                    text);
    }
    dataset->samples = array->dim[0];
    dataset->shape = shape;
    return true;
}

static bool fail_value(const struct dataset *dataset, size_t index, struct error *err)
{
    size_t elements = (size_t)shape_elements(&dataset->shape);
    double stored = array_value(dataset->values, index);
    return FAIL(err, E_INVALID,
                "x: element %zu of sample %zu is %g, which is %s; values must be finite float32 "
                "numbers",
                index % elements, index / elements, stored,
                isfinite(stored) ? "out of range after scaling" : "not finite");
}

/* Looks at every value as the network sees it. */
static bool scan_values(struct dataset *dataset, const struct reading *reading, struct error *err)
{
    float block[BLOCK];
    size_t count = dataset->values->count, length;
    dataset->min = HUGE_VAL;
    dataset->max = -HUGE_VAL;
    for (size_t first = 0; first < count; first += length) {
        length = count - first < BLOCK ? count - first : BLOCK;
        array_read(dataset->values, first, length, dataset->scale, dataset->zero_point, block);
        for (size_t i = 0; i < length; i++) {
            double value = (double)block[i];
            if (!isfinite(value))
                return fail_value(dataset, first + i, err);
            dataset->min = fmin(dataset->min, value);
            dataset->max = fmax(dataset->max, value);
        }
        if (reading->passed != NULL)
            reading->passed(reading->context, dataset->values->data +
                                                  (first + length) * dataset->values->type->bytes);
    }
    return true;
}

static bool check_options(const struct dataset_options *options, struct error *err)
{
    if (!isfinite(options->scale) || options->scale <= 0)
        return FAIL(err, E_INVALID, "scale is %g; it must be a finite number above 0",
                    options->scale);
    if (!isfinite(options->zero_point))
        return FAIL(err, E_INVALID, "zero_point is %g; it must be a finite number",
                    options->zero_point);
    return true;
}

bool dataset_load(struct arena *arena, const uint8_t *bytes, size_t size,
                  const struct dataset_options *options, struct dataset **out_dataset,
                  struct error *err)
{
    struct dataset_files files = {.values = NULL};
    if (!check_options(options, err) || !open_files(arena, bytes, size, options, &files, err))
        return false;
    struct dataset *dataset = ARENA_NEW(arena, struct dataset, err);
    struct array *values = ARENA_NEW(arena, struct array, err);
    if (!dataset || !values)
        return false;
    if (!npy_decode(arena, files.values, files.values_bytes, values, err))
        return error_context(err, "x");
    dataset->values = values;
    dataset->dtype = values->type->descr;
    dataset->scale = options->scale;
    dataset->zero_point = options->zero_point;
    if (!set_shape(dataset, values, err) || !scan_values(dataset, &options->reading, err))
        return false;
    if (files.labels && !dataset_set_labels(arena, dataset, files.labels, files.labels_bytes, err))
        return false;
    *out_dataset = dataset;
    return true;
}

/* Labels are integers on one axis, or on two of which the second has extent 1. */
static bool check_label_array(const struct dataset *dataset, const struct array *array,
                              struct error *err)
{
    if (!array->type->integer)
        return FAIL(err, E_INVALID, "labels are '%s'; they must be integers", array->type->descr);
    if (array->rank != 1 && !(array->rank == 2 && array->dim[1] == 1))
        return FAIL(err, E_INVALID, "labels have %d axes; one number per sample is needed",
                    array->rank);
    if (array->dim[0] != dataset->samples)
        return FAIL(err, E_INVALID, "%" PRId64 " labels for %" PRId64 " samples", array->dim[0],
                    dataset->samples);
    return true;
}

bool dataset_set_labels(struct arena *arena, struct dataset *dataset, const uint8_t *bytes,
                        size_t size, struct error *err)
{
    struct array array;
    if (!npy_decode(arena, bytes, size, &array, err))
        return error_context(err, "labels");
    if (!check_label_array(dataset, &array, err))
        return false;
    int64_t *labels = ARENA_ARRAY(arena, int64_t, array.count, err);
    if (!labels)
        return false;
    int64_t largest = 0;
    for (size_t i = 0; i < array.count; i++) {
        double label = array_value(&array, i);
        if (label < 0 || label > LABEL_MAX)
            return FAIL(err, E_INVALID, "label %.0f of sample %zu is not a class: 0 to %.0f", label,
                        i, LABEL_MAX);
        labels[i] = (int64_t)label;
        largest = labels[i] > largest ? labels[i] : largest;
    }
    dataset->labels = labels;
    dataset->classes = largest + 1;
    return true;
}

void dataset_read(const struct dataset *dataset, int64_t index, float *out)
{
    size_t elements = (size_t)shape_elements(&dataset->shape);
    array_read(dataset->values, (size_t)index * elements, elements, dataset->scale,
               dataset->zero_point, out);
}

static int compare_extents(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* True when one shape is the other one with its axes in another order. */
static bool is_permutation(const struct shape *a, const struct shape *b)
{
    struct shape left = *a, right = *b;
    if (left.rank != right.rank)
        return false;
    qsort(left.dim, (size_t)left.rank, sizeof(left.dim[0]), compare_extents);
    qsort(right.dim, (size_t)right.rank, sizeof(right.dim[0]), compare_extents);
    return shape_equal(&left, &right);
}

/* The shape of what the network takes for one sample: without the leading 1 that samples are
 * stacked along. */
static struct shape sample_shape(const struct shape *input)
{
    if (input->rank < 2 || input->dim[0] != 1)
        return *input;
    struct shape shape = {.rank = input->rank - 1};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = input->dim[i + 1];
    return shape;
}

/* Is the network for several of these samples at once? */
static bool is_batch_of(const struct shape *network, const struct shape *sample)
{
    struct shape batch = {.rank = sample->rank + 1, .dim = {network->dim[0]}};
    if (network->rank != batch.rank)
        return false;
    memcpy(batch.dim + 1, sample->dim, (size_t)sample->rank * sizeof(*sample->dim));
    return shape_equal(network, &batch);
}

enum { ADVICE_BYTES = SHAPE_TEXT_BYTES + 96 };

static void print_advice(const struct shape *sample, const struct shape *input,
                         const struct shape *wanted, char out[ADVICE_BYTES])
{
    char text[SHAPE_TEXT_BYTES];
    out[0] = '\0';
    if (is_permutation(sample, wanted)) {
        (void)snprintf(out, ADVICE_BYTES,
                       ": transpose the samples to the axis order of the model file");
    } else if (is_batch_of(input, sample)) {
        (void)snprintf(out, ADVICE_BYTES, ": export it with a batch of 1, or an open one");
    } else if (sample->rank != wanted->rank) {
        shape_print(wanted, text, sizeof(text));
        (void)snprintf(out, ADVICE_BYTES,
                       ": the first axis of the array counts samples, the others are to be %s",
                       text);
    }
}

bool dataset_check_input(const struct dataset *dataset, const struct graph *graph,
                         struct error *err)
{
    const struct tensor *input = &graph->tensors[graph->input];
    struct shape wanted = sample_shape(&input->shape);
    if (shape_equal(&dataset->shape, &wanted) || shape_equal(&dataset->shape, &input->shape))
        return true;
    char have[SHAPE_TEXT_BYTES], want[SHAPE_TEXT_BYTES], advice[ADVICE_BYTES];
    shape_print(&dataset->shape, have, sizeof(have));
    shape_print(&wanted, want, sizeof(want));
    print_advice(&dataset->shape, &input->shape, &wanted, advice);
    return FAIL(err, E_INVALID, "samples are %s, but the network's input '%s' takes %s%s", have,
                input->name, want, advice);
}

bool dataset_check_labels(const struct dataset *dataset, const struct graph *graph,
                          struct error *err)
{
    const struct tensor *output = &graph->tensors[graph->output];
    int64_t classes = shape_elements(&output->shape);
    bool decides = classes == 1; /* a single value tells 0 from 1 */
    if (dataset->classes <= classes + decides)
        return true;
    if (decides)
        return FAIL(err, E_INVALID,
                    "labels go up to %" PRId64 ", but the network's output '%s' is a single value, "
                    "which tells 0 from 1",
                    dataset->classes - 1, output->name);
    return FAIL(err, E_INVALID,
                "labels go up to %" PRId64 ", but the network's output '%s' has %" PRId64
                " classes (0 to %" PRId64 ")",
                dataset->classes - 1, output->name, classes, classes - 1);
}
