#pragma once

/* Executing small TFLite models, and comparing what they compute. */

#include "tflite_build.h"

enum { RUN_SAMPLES = 3, RUN_VALUES_MAX = 1024 };

/* Values that are all different, positive and negative, below 2 in size. */
void tflite_fill(float *values, int count);

/* Executes the model (input: tensor 0; output: the last one where none is set) on RUN_SAMPLES
 * samples at once, and each of them alone. Law: that makes no difference. Returns the values per
 * sample. */
int tflite_run(struct build_model *model, const float *input, float out[static RUN_VALUES_MAX]);

/* Fails the test when the value is not the expected one up to rounding. */
void tflite_check_value(double value, double expected, int index);

/* Runs the model on samples of which `input` is the first, and compares its output. */
void tflite_check(struct build_model *model, const float *input, int input_count,
                  const double *expected, int count);

#define CHECK(model, input, ...)                                                                   \
    tflite_check(model, input, sizeof(input) / sizeof(input[0]), (const double[]){__VA_ARGS__},    \
                 sizeof((const double[]){__VA_ARGS__}) / sizeof(double))
