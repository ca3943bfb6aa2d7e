#include "tflite_run.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/model.h"
#include "support.h"

#include <math.h>
#include <string.h>

/* Sums of at most some hundred products of values below 2, in float32. */
static const double TOLERANCE = 1e-5;

void tflite_fill(float *values, int count)
{
    for (int i = 0; i < count; i++)
        values[i] = (float)sin(1.7 * i + 0.3) * 1.9F;
}

int tflite_run(struct build_model *model, const float *input, float out[static RUN_VALUES_MAX])
{
    static uint8_t file[BUILD_BYTES];
    struct error err;
    struct graph *graph;
    struct exec *exec;
    struct arena *arena = arena_create(1 << 24);
    if (model->output == 0)
        model->output = model->tensor_count - 1;
    size_t size = tflite_build(model, file);
    ck_assert_ok(model_import(arena, file, size, &graph, NULL, &err), &err);
    ck_assert(graph->batchable);
    struct exec_options options = {.batch = RUN_SAMPLES};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    int inputs = (int)shape_elements(&graph->tensors[graph->input].shape);
    int outputs = (int)shape_elements(&graph->tensors[graph->output].shape);
    size_t output_bytes = sizeof(float) * (size_t)outputs;
    ck_assert_int_le(RUN_SAMPLES * outputs, RUN_VALUES_MAX);
    ck_assert_ok(exec_forward(exec, input, RUN_SAMPLES, &err), &err);
    memcpy(out, exec_values(exec, graph->output), RUN_SAMPLES * output_bytes);
    for (int i = 0; i < RUN_SAMPLES; i++) {
        ck_assert_ok(exec_forward(exec, input + i * inputs, 1, &err), &err);
        ck_assert_mem_eq(exec_values(exec, graph->output), out + i * outputs, output_bytes);
    }
    exec_destroy(exec);
    arena_destroy(arena);
    return outputs;
}

void tflite_check_value(double value, double expected, int index)
{
    ck_assert_msg(fabs(value - expected) <= TOLERANCE, "value %d is %g, not %g", index, value,
                  expected);
}

void tflite_check(struct build_model *model, const float *input, int input_count,
                  const double *expected, int count)
{
    float all[RUN_VALUES_MAX], out[RUN_VALUES_MAX];
    ck_assert_int_le(RUN_SAMPLES * input_count, RUN_VALUES_MAX);
    tflite_fill(all, RUN_SAMPLES * input_count);
    memcpy(all, input, (size_t)input_count * sizeof(*input));
    ck_assert_int_eq(tflite_run(model, all, out), count);
    for (int i = 0; i < count; i++)
        tflite_check_value((double)out[i], expected[i], i);
}
