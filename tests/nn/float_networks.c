/* The real networks, executed in float: accuracies and agreement of formats as data/README.md
 * states them. Laws:
 *
 *   accuracy      within 0.2 points of the stated one (it was measured by another program, whose
 *                 outputs differ in the last bits)
 *   ad            mean square of the reconstruction error over all windows 9.71, as printed there
 *   .tflite       the outputs of the .onnx of the same network, to 1e-4 of their range
 *
 * All samples are stored as (N, C, H, W); a .tflite takes (N, H, W, C).
 */

#include "ptqd/base/file.h"
#include "ptqd/nn/dataset.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/model.h"

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double accuracy_tolerance = 0.002;       /* 0.2 points */
static const double agreement_tolerance = 1e-4;       /* of the range of the outputs */
static const double reconstruction_tolerance = 0.005; /* 9.71 is rounded to two places */

enum { BATCH = 32, FILE_BYTES_MAX = 64 << 20, PATH_BYTES = 4096 };

struct accuracy_case {
    const char *model, *samples, *labels;
    double scale;
    double accuracy;
};

static const struct accuracy_case accuracy_cases[] = {
    {"cifar10/model.onnx", "cifar10/test_x.npy", "cifar10/test_y.npy", 1, 0.8800},
    {"cifar10/model.onnx", "cifar10/test_jpeg_x.npy", "cifar10/test_jpeg_y.npy", 1, 0.7570},
    {"kws/model.onnx", "kws/test_x.npy", "kws/test_y.npy", 1, 0.9213},
    {"kws/model_bn.onnx", "kws/test_x.npy", "kws/test_y.npy", 1, 0.9213},
    {"kws/kws_ref_model_float32.tflite", "kws/test_x.npy", "kws/test_y.npy", 1, 0.9242},
    {"vww/model.onnx", "vww/test_x.npy", "vww/test_y.npy", 1.0 / 255, 0.8040},
    {"har/model.onnx", "har/test_x.npy", "har/test_y.npy", 1, 0.9054},
};

static const struct agreement_case {
    const char *onnx, *tflite, *samples;
    double scale;
} agreement_cases[] = {
    {"cifar10/model.onnx", "cifar10/pretrainedResnet.tflite", "cifar10/test_x.npy", 1},
    {"vww/model.onnx", "vww/vww_96_float.tflite", "vww/test_x.npy", 1.0 / 255},
    {"ad/model.onnx", "ad/ad01_fp32.tflite", "ad/test_x.npy", 1},
};

/* What a network gives for a data set: [samples][classes]. */
struct outputs {
    float *values;
    int64_t samples, classes;
};

static bool read_file(struct arena *arena, const char *name, uint8_t **out_bytes, size_t *out_size,
                      struct error *err)
{
    char buffer[PATH_BYTES];
    const char *path = support_data_path(name, buffer, sizeof(buffer));
    char *text;
    if (path == NULL)
        return FAIL(err, E_NOT_FOUND, "%s is not there", name);
    if (!file_read(arena, path, FILE_BYTES_MAX, &text, out_size, err))
        return false;
    *out_bytes = (uint8_t *)text;
    return true;
}

static bool load_dataset(struct arena *arena, const char *name, double scale,
                         struct dataset **out_dataset, struct error *err)
{
    uint8_t *bytes;
    size_t size;
    struct dataset_options options = {.scale = scale, .limit_bytes = FILE_BYTES_MAX};
    return read_file(arena, name, &bytes, &size, err) &&
           dataset_load(arena, bytes, size, &options, out_dataset, err);
}

static bool load_model(struct arena *arena, const char *name, struct graph **out_graph,
                       bool *out_channels_last, struct error *err)
{
    uint8_t *bytes;
    size_t size;
    const struct model_format *format;
    if (!read_file(arena, name, &bytes, &size, err) ||
        !model_import(arena, bytes, size, out_graph, &format, err))
        return false;
    *out_channels_last = format->name[0] == 't'; /* tflite */
    return true;
}

/* Sample `index`; (C, H, W) becomes (H, W, C) where the model wants it. */
static void read_sample(const struct dataset *dataset, int64_t index, bool channels_last,
                        float *stored, float *out)
{
    static const int chw_to_hwc[] = {1, 2, 0};
    if (!channels_last || dataset->shape.rank != 3) {
        dataset_read(dataset, index, out);
        return;
    }
    dataset_read(dataset, index, stored);
    permute_f32(stored, &dataset->shape, chw_to_hwc, out);
}

static bool execute_batches(struct exec *exec, const struct graph *graph,
                            const struct dataset *dataset, bool channels_last, float *input,
                            float *stored, struct outputs *outputs, struct error *err)
{
    int64_t size = shape_elements(&dataset->shape);
    for (int64_t first = 0; first < dataset->samples; first += BATCH) {
        int64_t count = dataset->samples - first < BATCH ? dataset->samples - first : BATCH;
        for (int64_t i = 0; i < count; i++)
            read_sample(dataset, first + i, channels_last, stored, input + i * size);
        if (!exec_forward(exec, input, count, err))
            return false;
        const float *values = exec_values(exec, graph->output);
        for (int64_t i = 0; i < count * outputs->classes; i++)
            outputs->values[first * outputs->classes + i] = values[i];
    }
    return true;
}

static bool execute(struct arena *arena, const char *model, const struct dataset *dataset,
                    struct outputs *outputs, struct error *err)
{
    struct graph *graph;
    bool channels_last;
    struct exec *exec = NULL;
    if (!load_model(arena, model, &graph, &channels_last, err))
        return error_context(err, "%s", model);
    int64_t size = shape_elements(&dataset->shape);
    outputs->samples = dataset->samples;
    outputs->classes = shape_elements(&graph->tensors[graph->output].shape);
    outputs->values = ARENA_ARRAY(arena, float, outputs->samples * outputs->classes, err);
    float *input = ARENA_ARRAY(arena, float, BATCH *size, err);
    float *stored = ARENA_ARRAY(arena, float, size, err);
    if (outputs->values == NULL || input == NULL || stored == NULL)
        return false;

    struct exec_options options = {.batch = BATCH};
    bool ok = exec_create(graph, &options, &exec, err) &&
              execute_batches(exec, graph, dataset, channels_last, input, stored, outputs, err);
    exec_destroy(exec);
    return ok || error_context(err, "%s", model);
}

static double top1_accuracy(const struct outputs *outputs, const int64_t *labels)
{
    int64_t right = 0;
    for (int64_t i = 0; i < outputs->samples; i++) {
        const float *row = outputs->values + i * outputs->classes;
        int64_t best = 0;
        for (int64_t c = 1; c < outputs->classes; c++)
            if (row[c] > row[best])
                best = c;
        right += best == labels[i];
    }
    return (double)right / (double)outputs->samples;
}

static bool check_accuracy(struct arena *arena, const struct accuracy_case *test, struct error *err)
{
    struct dataset *dataset;
    struct outputs outputs;
    uint8_t *bytes;
    size_t size;
    if (!load_dataset(arena, test->samples, test->scale, &dataset, err) ||
        !read_file(arena, test->labels, &bytes, &size, err) ||
        !dataset_set_labels(arena, dataset, bytes, size, err) ||
        !execute(arena, test->model, dataset, &outputs, err))
        return false;
    double accuracy = top1_accuracy(&outputs, dataset->labels);
    printf("%s on %s: accuracy %.2f %%, stated %.2f %%\n", test->model, test->samples,
           100 * accuracy, 100 * test->accuracy);
    if (fabs(accuracy - test->accuracy) > accuracy_tolerance)
        return FAIL(err, E_INVALID, "%s on %s: the accuracies differ", test->model, test->samples);
    return true;
}

static bool check_agreement(struct arena *arena, const struct agreement_case *test,
                            struct error *err)
{
    struct dataset *dataset;
    struct outputs onnx, tflite;
    if (!load_dataset(arena, test->samples, test->scale, &dataset, err) ||
        !execute(arena, test->onnx, dataset, &onnx, err) ||
        !execute(arena, test->tflite, dataset, &tflite, err))
        return false;
    if (onnx.classes != tflite.classes)
        return FAIL(err, E_INVALID, "%s: another number of outputs", test->tflite);
    double low = INFINITY, high = -INFINITY, difference = 0;
    for (int64_t i = 0; i < onnx.samples * onnx.classes; i++) {
        double value = (double)onnx.values[i];
        low = fmin(low, value);
        high = fmax(high, value);
        difference = fmax(difference, fabs((double)tflite.values[i] - value));
    }
    printf("%s: largest difference from its .onnx %.2g of the range\n", test->tflite,
           difference / (high - low));
    if (!(difference <= agreement_tolerance * (high - low)))
        return FAIL(err, E_INVALID, "%s: its outputs differ from those of %s", test->tflite,
                    test->onnx);
    return true;
}

/* Sum of squares of (output − input), and how many. */
static bool add_reconstruction_error(struct arena *arena, const char *samples, double *sum,
                                     double *count, struct error *err)
{
    struct dataset *dataset;
    struct outputs outputs;
    if (!load_dataset(arena, samples, 1, &dataset, err) ||
        !execute(arena, "ad/model.onnx", dataset, &outputs, err))
        return false;
    float *input = ARENA_ARRAY(arena, float, outputs.classes, err);
    if (input == NULL || shape_elements(&dataset->shape) != outputs.classes)
        return false;
    for (int64_t i = 0; i < outputs.samples; i++) {
        dataset_read(dataset, i, input);
        for (int64_t k = 0; k < outputs.classes; k++) {
            double error = (double)outputs.values[i * outputs.classes + k] - (double)input[k];
            *sum += error * error;
        }
    }
    *count += (double)(outputs.samples * outputs.classes);
    return true;
}

static bool check_reconstruction(struct arena *arena, struct error *err)
{
    const double stated = 9.71;
    double sum = 0, count = 0;
    if (!add_reconstruction_error(arena, "ad/calib.npy", &sum, &count, err) ||
        !add_reconstruction_error(arena, "ad/test_x.npy", &sum, &count, err))
        return false;
    printf("ad/model.onnx: reconstruction error %.4f, stated %.2f\n", sum / count, stated);
    if (fabs(sum / count - stated) > reconstruction_tolerance)
        return FAIL(err, E_INVALID, "ad: the reconstruction errors differ");
    return true;
}

/* Prints the error of a check that failed; 1 then, else 0. */
static int count_failure(bool ok, const struct error *err)
{
    if (!ok)
        printf("FAILED %s\n", err->message);
    return ok ? 0 : 1;
}

int main(void)
{
    char buffer[PATH_BYTES];
    if (support_data_path("README.md", buffer, sizeof(buffer)) == NULL) {
        printf("the real networks and data are not there\n");
        return SUPPORT_SKIP;
    }
    struct arena *arena = arena_create(0);
    if (arena == NULL)
        abort();
    struct arena_mark start = arena_mark(arena);
    struct error err = {.message = ""};
    int failed = 0;
    for (size_t i = 0; i < sizeof(accuracy_cases) / sizeof(accuracy_cases[0]); i++) {
        failed += count_failure(check_accuracy(arena, &accuracy_cases[i], &err), &err);
        arena_reset(arena, start);
    }
    for (size_t i = 0; i < sizeof(agreement_cases) / sizeof(agreement_cases[0]); i++) {
        failed += count_failure(check_agreement(arena, &agreement_cases[i], &err), &err);
        arena_reset(arena, start);
    }
    failed += count_failure(check_reconstruction(arena, &err), &err);
    arena_destroy(arena);
    return failed > 0 ? 1 : 0;
}
