/* Training through the rounding. */

#include "straight_through.h"

#include "ptqd/kern/fake_quantize.h"

#include <float.h>
#include <math.h>
#include <string.h>

static bool vector_init(struct arena *arena, int64_t count, double rate,
                        struct straight_through_vector *out, struct error *err)
{
    *out = (struct straight_through_vector){
        .count = count,
        .values = ARENA_ARRAY(arena, float, count, err),
        .gradient = ARENA_ARRAY(arena, float, count, err),
        .rate = rate,
    };
    return out->values && out->gradient &&
           (rate == 0.0 || adam_init(arena, (size_t)count, &out->adam, err));
}

static float start_scale(const struct straight_through *s, int64_t k)
{
    return s->layer->quantizer.scales[quantizer_channel(&s->layer->quantizer, k)];
}

static void set_units(const struct straight_through *s)
{
    const struct linear_problem *problem = s->error.problem;
    int64_t D = problem->D, rows = problem->K / problem->G;
    double cells = (double)(problem->K / s->quantizer.channels * D);
    for (int64_t i = 0; i < problem->K * D; i++) {
        double scale = (double)start_scale(s, i / D);
        s->unit[quantizer_channel(&s->layer->quantizer, i / D)] +=
            scale * scale * problem->H[(i / D / rows * D + i % D) * D + i % D] / cells;
    }
}

bool straight_through_init(struct arena *arena, const struct linear_problem *problem,
                           const struct quant_layer *layer,
                           const struct straight_through_rates *rates, const float *least_scales,
                           struct straight_through *out, struct error *err)
{
    const struct quantizer *quantizer = &layer->quantizer;
    int64_t channels = quantizer->channels;
    struct straight_through s = {
        .layer = layer,
        .quantizer = *quantizer,
        .least_scales = least_scales,
        .unit = ARENA_ARRAY(arena, double, channels, err),
        .row = ARENA_ARRAY(arena, float, problem->D, err),
        .row_gradient = ARENA_ARRAY(arena, float, problem->D, err),
    };
    s.quantizer.scales = ARENA_ARRAY(arena, float, channels, err);
    s.quantizer.zero_points = ARENA_ARRAY(arena, int32_t, channels, err);
    if (!s.unit || !s.row || !s.row_gradient || !s.quantizer.scales || !s.quantizer.zero_points ||
        !gram_gradient_init(arena, problem, &s.error, err) ||
        !vector_init(arena, problem->K * problem->D, rates->weights, &s.weights, err) ||
        !vector_init(arena, channels, rates->scales, &s.scales, err) ||
        !vector_init(arena, channels, rates->zero_points, &s.zero_points, err))
        return false;
    for (int64_t channel = 0; channel < channels; channel++)
        s.zero_points.values[channel] = (float)quantizer->zero_points[channel];
    set_units(&s);
    *out = s;
    return true;
}

/* v of one row, in `row`. */
static void load_row(const struct straight_through *s, int64_t k)
{
    float scale = start_scale(s, k);
    int64_t D = s->layer->D;
    for (int64_t d = 0; d < D; d++)
        s->row[d] = s->layer->float_weights[k * D + d] + scale * s->weights.values[k * D + d];
}

static void apply_format(const struct straight_through *s, int64_t channel)
{
    const struct quantizer *quantizer = &s->quantizer;
    float least = s->least_scales ? fmaxf(s->least_scales[channel], FLT_MIN) : FLT_MIN;
    float scale = s->layer->quantizer.scales[channel] * expf(s->scales.values[channel]);
    float zero_point = fmaxf(rintf(s->zero_points.values[channel]), (float)quantizer->low);
    quantizer->scales[channel] = fminf(fmaxf(scale, least), FLT_MAX);
    quantizer->zero_points[channel] = (int32_t)fminf(zero_point, (float)quantizer->high);
}

void straight_through_apply(const struct straight_through *s)
{
    for (int64_t channel = 0; channel < s->quantizer.channels; channel++)
        apply_format(s, channel);
    for (int64_t k = 0; k < s->layer->K; k++) {
        load_row(s, k);
        quantizer_apply(&s->quantizer, quantizer_channel(&s->layer->quantizer, k), s->row,
                        (size_t)s->layer->D, s->error.values + k * s->layer->D);
    }
    gram_gradient_measure(&s->error);
}

static void add_row_gradient(const struct straight_through *s, int64_t k)
{
    const struct quantizer *quantizer = &s->quantizer;
    int64_t D = s->layer->D, channel = quantizer_channel(&s->layer->quantizer, k);
    float *half = s->error.half + k * D;
    float share = s->unit[channel] > 0.0 ? (float)(2.0 / s->unit[channel]) : 0.0f;
    float scale = quantizer->scales[channel];
    struct fake_quantize_grad format = {0};
    load_row(s, k);
    for (int64_t d = 0; d < D; d++)
        half[d] *= share;
    fake_quantize_f32_grad(s->row, (size_t)D, scale, quantizer->zero_points[channel],
                           quantizer->low, quantizer->high, half, NULL, true, s->row_gradient,
                           &format);
    for (int64_t d = 0; d < D; d++)
        s->weights.gradient[k * D + d] = start_scale(s, k) * s->row_gradient[d];
    s->scales.gradient[channel] += (float)((double)scale * format.scale);
    s->zero_points.gradient[channel] += (float)format.zero_point;
}

void straight_through_gradients(const struct straight_through *s)
{
    size_t bytes = (size_t)s->scales.count * sizeof(float);
    memset(s->scales.gradient, 0, bytes);
    memset(s->zero_points.gradient, 0, bytes);
    for (int64_t k = 0; k < s->layer->K; k++)
        add_row_gradient(s, k);
}

static void step_vector(struct straight_through_vector *vector, double share)
{
    if (vector->rate > 0.0)
        adam_step(&vector->adam, share * vector->rate, vector->gradient, vector->values);
}

/* The best that was seen of each channel of the quantizer, by the errors in float32. */
struct seen {
    int8_t *codes;
    float *scales;
    int32_t *zero_points;
    double *error;
};

static bool seen_init(struct arena *arena, const struct quant_layer *layer, struct seen *out,
                      struct error *err)
{
    int64_t channels = layer->quantizer.channels;
    *out = (struct seen){
        .codes = ARENA_ARRAY(arena, int8_t, layer->K * layer->D, err),
        .scales = ARENA_ARRAY(arena, float, channels, err),
        .zero_points = ARENA_ARRAY(arena, int32_t, channels, err),
        .error = ARENA_ARRAY(arena, double, channels, err),
    };
    if (!out->codes || !out->scales || !out->zero_points || !out->error)
        return false;
    for (int64_t channel = 0; channel < channels; channel++)
        out->error[channel] = (double)INFINITY;
    return true;
}

static void look(const struct straight_through *s, const struct seen *seen)
{
    const struct quantizer *quantizer = &s->quantizer;
    int64_t rows = s->layer->K / quantizer->channels, cells = rows * s->layer->D;
    for (int64_t channel = 0; channel < quantizer->channels; channel++) {
        double error = 0.0;
        for (int64_t k = channel * rows; k < (channel + 1) * rows; k++)
            error += s->error.error[k];
        if (!(error < seen->error[channel]))
            continue;
        seen->error[channel] = error;
        seen->scales[channel] = quantizer->scales[channel];
        seen->zero_points[channel] = quantizer->zero_points[channel];
        for (int64_t i = channel * cells; i < (channel + 1) * cells; i++)
            seen->codes[i] = (int8_t)quantizer_encode(quantizer, channel, s->error.values[i]);
    }
}

static void recall(const struct seen *seen, struct quant_layer *layer)
{
    size_t channels = (size_t)layer->quantizer.channels;
    memcpy(layer->codes, seen->codes, (size_t)(layer->K * layer->D));
    memcpy(layer->quantizer.scales, seen->scales, channels * sizeof(float));
    memcpy(layer->quantizer.zero_points, seen->zero_points, channels * sizeof(int32_t));
}

static bool train(struct straight_through *s, const struct seen *seen, int64_t steps,
                  const struct recon_monitor *monitor, struct error *err)
{
    for (int64_t step = 0; step <= steps; step++) {
        straight_through_apply(s);
        look(s, seen);
        double error = gram_gradient_mean_error(&s->error);
        recon_monitor_record(monitor, step, error);
        if (!recon_monitor_report(monitor, (double)step / (double)steps, error, err))
            return false;
        straight_through_gradients(s);
        double share = adam_cosine(1.0, step, steps);
        step_vector(&s->weights, share);
        step_vector(&s->scales, share);
        step_vector(&s->zero_points, share);
    }
    return true;
}

bool straight_through_solve(const struct linear_problem *problem,
                            const struct method_options *options, int64_t steps,
                            const struct straight_through_rates *rates,
                            const struct recon_monitor *monitor, struct arena *scratch,
                            struct quant_layer *layer, struct error *err)
{
    struct descent descent;
    struct straight_through s;
    struct seen seen;
    if (!descent_init(scratch, problem, monitor, options->least_scales, layer, &descent, err) ||
        !straight_through_init(scratch, problem, layer, rates, options->least_scales, &s, err) ||
        !seen_init(scratch, layer, &seen, err) || !train(&s, &seen, steps, monitor, err))
        return false;
    recall(&seen, layer);
    descent_begin_layer(&descent);
    *descent.iteration = steps + 1;
    if (!descent_run_sweeps(&descent, NULL, NULL, 0, err)) /* only measures */
        return false;
    descent_store(&descent);
    return true;
}
