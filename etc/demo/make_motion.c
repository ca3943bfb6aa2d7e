/* Makes the example: a small classifier of motion signals, and data for it.
 *
 *   make_motion OUT
 *
 * OUT gets model.onnx (float32), calib.npy (windows without labels, of the people the network was
 * trained on), test_x.npy and test_y.npy (of other people). The same bytes in every run. */

#include "motion_network.h"
#include "motion_signals.h"

#include "ptqd/artifact/onnx_writer.h"
#include "ptqd/base/file.h"
#include "ptqd/nn/npy.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TRAINING_SUBJECTS = 40,
    TEST_SUBJECTS = 25,
    WINDOWS_PER_SUBJECT = 96, /* as many of each activity */
    CALIBRATION_WINDOWS = 512,
};

/* Streams of the seed. */
enum { STREAM_TRAINING = 10, STREAM_TEST = 11, STREAM_CALIBRATION = 12 };

static const uint64_t seed = 2203;

static bool make_set(struct arena *arena, int subjects, uint64_t stream, struct motion_set *out_set,
                     struct error *err)
{
    int64_t count = (int64_t)subjects * WINDOWS_PER_SUBJECT;
    float *values = ARENA_ARRAY(arena, float, count *MOTION_VALUES, err);
    int32_t *labels = ARENA_ARRAY(arena, int32_t, count, err);
    if (!values || !labels)
        return false;
    struct rng rng;
    rng_init(&rng, seed, stream);
    for (int64_t n = 0; n < count;) {
        struct motion_subject subject;
        motion_subject_init(&subject, &rng);
        for (int i = 0; i < WINDOWS_PER_SUBJECT; i++, n++) {
            labels[n] = i % MOTION_ACTIVITIES;
            motion_window(&subject, labels[n], &rng, values + n * MOTION_VALUES);
        }
    }
    *out_set = (struct motion_set){.count = count, .values = values, .labels = labels};
    return true;
}

static bool write_array(struct arena *arena, const char *directory, const char *name,
                        const char *descr, int rank, const int64_t *dim, const void *values,
                        struct error *err)
{
    uint8_t *bytes;
    size_t size;
    const char *path = file_join(arena, directory, name, err);
    return path && npy_encode(arena, descr, rank, dim, values, &bytes, &size, err) &&
           file_write(path, bytes, size, err);
}

static bool write_windows(struct arena *arena, const char *directory, const char *name,
                          const float *values, int64_t count, struct error *err)
{
    const int64_t dim[] = {count, MOTION_AXES, MOTION_SAMPLES};
    return write_array(arena, directory, name, "<f4", 3, dim, values, err);
}

/* Windows of the training set in random order. */
static bool write_calibration(struct arena *arena, const char *directory,
                              const struct motion_set *training, struct error *err)
{
    int64_t *order = ARENA_ARRAY(arena, int64_t, training->count, err);
    float *values = ARENA_ARRAY(arena, float, CALIBRATION_WINDOWS *MOTION_VALUES, err);
    if (!order || !values)
        return false;
    struct rng rng;
    rng_init(&rng, seed, STREAM_CALIBRATION);
    for (int64_t i = 0; i < training->count; i++)
        order[i] = i;
    rng_shuffle(&rng, order, (size_t)training->count);
    for (int64_t n = 0; n < CALIBRATION_WINDOWS; n++)
        for (int64_t i = 0; i < MOTION_VALUES; i++)
            values[n * MOTION_VALUES + i] = training->values[order[n] * MOTION_VALUES + i];
    return write_windows(arena, directory, "calib.npy", values, CALIBRATION_WINDOWS, err);
}

static bool write_model(struct arena *arena, const char *directory, const struct graph *graph,
                        struct error *err)
{
    const uint8_t *bytes;
    size_t size;
    const char *path = file_join(arena, directory, "model.onnx", err);
    return path && onnx_write_graph(arena, graph, "make_motion", &bytes, &size, err) &&
           file_write(path, bytes, size, err);
}

static bool make(struct arena *arena, const char *directory, struct error *err)
{
    const struct motion_training options = {
        .epochs = 20, .batch = 32, .learning_rate = 5e-3, .seed = seed};
    struct motion_set training, test;
    struct graph *graph;
    double accuracy;
    if (!make_set(arena, TRAINING_SUBJECTS, STREAM_TRAINING, &training, err) ||
        !make_set(arena, TEST_SUBJECTS, STREAM_TEST, &test, err) ||
        !motion_network_create(arena, seed, &graph, err) ||
        !motion_network_train(arena, graph, &training, &options, err) ||
        !motion_network_accuracy(graph, &test, &accuracy, err))
        return false;
    (void)printf("trained on %lld windows of %d people; %.1f %% of %lld windows of %d others are "
                 "recognized\n",
                 (long long)training.count, TRAINING_SUBJECTS, 100.0 * accuracy,
                 (long long)test.count, TEST_SUBJECTS);
    return file_make_directory(directory, err) && write_model(arena, directory, graph, err) &&
           write_calibration(arena, directory, &training, err) &&
           write_windows(arena, directory, "test_x.npy", test.values, test.count, err) &&
           write_array(arena, directory, "test_y.npy", "<i4", 1, &test.count, test.labels, err);
}

int main(int count, char **words)
{
    struct error err;
    if (count != 2) {
        (void)fprintf(stderr, "usage: make_motion OUT\n");
        return EXIT_FAILURE;
    }
    struct arena *arena = arena_create(0);
    bool done = arena && make(arena, words[1], &err);
    if (!done)
        (void)fprintf(stderr, "make_motion: %s\n", arena ? err.message : "out of memory");
    arena_destroy(arena);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
