/* How well a graph does on a data set. */

#include "ptqd/flow/evaluate.h"

#include "ptqd/nn/exec.h"

#include <math.h>
#include <string.h>

struct evaluate_decision evaluate_decision_of(const struct graph *graph)
{
    int producer = graph->tensors[graph->output].producer;
    bool is_probability = producer >= 0 && strcmp(graph->nodes[producer].op_type, "Sigmoid") == 0;
    return (struct evaluate_decision){
        .elements = tensor_elements(&graph->tensors[graph->output], 1),
        .threshold = is_probability ? 0.5f : 0.0f,
    };
}

/* Index of the largest; the first of equals. */
static int64_t top_of(const float *values, int64_t count)
{
    int64_t top = 0;
    for (int64_t i = 1; i < count; i++)
        if (values[i] > values[top])
            top = i;
    return top;
}

int64_t evaluate_class(const struct evaluate_decision *decision, const float *values)
{
    return decision->elements == 1 ? values[0] > decision->threshold
                                   : top_of(values, decision->elements);
}

bool evaluate_outputs(const struct graph *graph, bool coarse, const struct samples *samples,
                      const struct recon_monitor *monitor, struct arena *scratch,
                      float *out_outputs, struct error *err)
{
    int64_t inputs = tensor_elements(&graph->tensors[graph->input], 1);
    int64_t outputs = tensor_elements(&graph->tensors[graph->output], 1);
    struct exec_options options = {
        .batch = graph->batchable ? EVALUATE_BATCH : 1,
        .coarse = coarse,
        .joins = true,
    };
    struct arena_mark mark = arena_mark(scratch);
    float *input = ARENA_ARRAY(scratch, float, options.batch *inputs, err);
    struct exec *exec = NULL;
    bool done = input && exec_create(graph, &options, &exec, err);
    for (int64_t first = 0; done && first < samples->count; first += options.batch) {
        int64_t left = samples->count - first;
        int64_t count = left < options.batch ? left : options.batch;
        for (int64_t i = 0; i < count; i++)
            samples_read(samples, first + i, input + i * inputs);
        done = exec_forward(exec, input, count, err) &&
               recon_monitor_report(monitor, (double)first / (double)samples->count, NAN, err);
        if (done)
            memcpy(out_outputs + first * outputs, exec_values(exec, graph->output),
                   (size_t)(count * outputs) * sizeof(float));
    }
    exec_destroy(exec);
    arena_reset(scratch, mark);
    return done;
}

double evaluate_accuracy(const float *outputs, const struct evaluate_decision *decision,
                         const int64_t *labels, int64_t samples)
{
    int64_t right = 0;
    for (int64_t i = 0; i < samples; i++)
        right += evaluate_class(decision, outputs + i * decision->elements) == labels[i];
    return (double)right / (double)samples;
}

double evaluate_agreement(const float *a, const float *b, const struct evaluate_decision *decision,
                          int64_t samples)
{
    int64_t same = 0, elements = decision->elements;
    for (int64_t i = 0; i < samples; i++)
        same += evaluate_class(decision, a + i * elements) ==
                evaluate_class(decision, b + i * elements);
    return (double)same / (double)samples;
}

double evaluate_divergence(const float *reference, const float *values, int64_t elements,
                           int64_t samples)
{
    const double least = 1e-12; /* what is impossible costs 27 nats, not infinity */
    double sum = 0.0;
    for (int64_t i = 0; i < samples * elements; i++) {
        double p = (double)reference[i], q = (double)values[i];
        sum += p > 0.0 ? p * log(fmax(p, least) / fmax(q, least)) : 0.0;
    }
    return sum / (double)samples;
}

void evaluate_softmax(float *values, int64_t elements, int64_t samples)
{
    for (float *row = values; row < values + samples * elements; row += elements) {
        double largest = (double)row[top_of(row, elements)], sum = 0.0;
        for (int64_t i = 0; i < elements; i++)
            sum += exp((double)row[i] - largest);
        for (int64_t i = 0; i < elements; i++)
            row[i] = (float)(exp((double)row[i] - largest) / sum);
    }
}

void evaluate_add_error(struct evaluate_error *error, const float *reference, const float *values,
                        int64_t count)
{
    double signal = 0.0, noise = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double x = (double)reference[i], d = x - (double)values[i];
        signal += x * x;
        noise += d * d;
    }
    error->signal += signal;
    error->noise += noise;
}

double evaluate_error_db(const struct evaluate_error *error)
{
    return error->noise > 0.0 ? 10.0 * log10(error->signal / error->noise) : HUGE_VAL;
}

double evaluate_sqnr_db(const float *reference, const float *values, int64_t count)
{
    struct evaluate_error error = {0};
    evaluate_add_error(&error, reference, values, count);
    return evaluate_error_db(&error);
}
