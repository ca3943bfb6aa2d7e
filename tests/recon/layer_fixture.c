#include "layer_fixture.h"

#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/quant/observer.h"

#include <math.h>

/* The linear output that is wanted: w·x + b. */
static double target_of(const struct layer_fixture *f, int64_t k, int64_t position)
{
    const float *x = f->x + (k / (f->K / f->G) * f->positions + position) * f->D;
    double y = (double)f->bias[k];
    for (int64_t i = 0; i < f->D; i++)
        y += (double)f->weights[k * f->D + i] * (double)x[i];
    return y;
}

static void add_moments(const struct layer_fixture *f, struct gram *gram)
{
    int64_t D = f->D;
    for (int64_t g = 0; g < f->G; g++)
        for (int64_t p = 0; p < f->positions; p++) {
            const float *q = f->x_quantized + (g * f->positions + p) * D;
            for (int64_t i = 0; i < D; i++) {
                gram->sum_quantized[g * D + i] += (double)q[i];
                for (int64_t j = 0; j < D; j++)
                    gram->inner[(g * D + i) * D + j] += (double)q[i] * (double)q[j];
            }
        }
    gram->positions = f->positions;
}

static void add_targets(const struct layer_fixture *f, struct linear_targets *targets)
{
    for (int64_t k = 0; k < f->K; k++)
        for (int64_t p = 0; p < f->positions; p++) {
            const float *q = f->x_quantized + (k / (f->K / f->G) * f->positions + p) * f->D;
            double target = target_of(f, k, p);
            targets->sum[k] += target;
            targets->squares[k] += target * target;
            for (int64_t i = 0; i < f->D; i++)
                targets->products[k * f->D + i] += target * (double)q[i];
        }
}

/* A value that changes between two that are close, or not at all. */
static double still_value(int64_t row, int64_t i)
{
    return i == 0 && row % 2 == 0 ? 0.701 : 0.7;
}

static void make_data(struct layer_fixture *f, const struct layer_fixture_options *options,
                      struct rng *rng)
{
    for (int64_t row = 0; row < f->G * f->positions; row++) {
        double common = rng_normal(rng);
        for (int64_t i = 0; i < f->D; i++) {
            double own = rng_normal(rng);
            double value = fmax(0.5 + options->correlation * common + own, 0.0);
            double quantized = value + options->noise * rng_normal(rng);
            f->x[row * f->D + i] =
                (float)(options->still ? still_value(row, i) + 1e-4 * own : value);
            f->x_quantized[row * f->D + i] =
                (float)(options->still ? still_value(row, i) : quantized);
        }
    }
    for (int64_t i = 0; i < f->K * f->D; i++)
        f->weights[i] = (float)rng_normal(rng);
    for (int64_t k = 0; k < f->K; k++)
        f->bias[k] = (float)rng_normal(rng);
}

static void calibrate(struct quant_layer *layer, struct error *err)
{
    int64_t channels = layer->quantizer.channels, count = layer->K * layer->D / channels;
    for (int64_t channel = 0; channel < channels; channel++) {
        struct observation seen = {.values = layer->float_weights + channel * count,
                                   .count = (size_t)count};
        for (int64_t i = 0; i < count; i++) {
            seen.min = fmin(seen.min, (double)seen.values[i]);
            seen.max = fmax(seen.max, (double)seen.values[i]);
        }
        ck_assert_ok(
            observer_fit(observer_find("mse"), &seen, NULL, &layer->quantizer, channel, err), err);
    }
}

static void make_layer(struct layer_fixture *f, struct arena *arena,
                       const struct layer_fixture_options *options, struct error *err)
{
    size_t cells = (size_t)(f->K * f->D);
    f->layer = (struct quant_layer){
        .name = "layer",
        .K = f->K,
        .D = f->D,
        .G = f->G,
        .float_weights = f->weights,
        .float_bias = f->bias,
        .codes = ARENA_ARRAY(arena, int8_t, cells, err),
        .weight_values = ARENA_ARRAY(arena, float, cells, err),
        .bias_values = arena_memdup(arena, f->bias, (size_t)f->K * sizeof(float), err),
    };
    struct quantizer_format format = {.bits = options->bits,
                                      .symmetric = !options->asymmetric,
                                      .signed_codes = options->asymmetric};
    ck_assert_ok(quantizer_create(arena, &format, options->per_tensor ? 1 : f->K,
                                  &f->layer.quantizer, err),
                 err);
    calibrate(&f->layer, err);
    quant_layer_round(&f->layer);
}

void layer_fixture_targets(const struct layer_fixture *fixture, struct arena *arena,
                           struct linear_targets *out_targets)
{
    struct error err = {.message = ""};
    ck_assert_ok(linear_targets_init(arena, &fixture->layer, out_targets, &err), &err);
    add_targets(fixture, out_targets);
    for (int64_t i = 0; fixture->still && i < fixture->K * fixture->D; i++)
        out_targets->products[i] = (double)(float)out_targets->products[i];
}

void layer_fixture_init(struct layer_fixture *fixture, struct arena *arena,
                        const struct layer_fixture_options *options)
{
    struct error err = {.message = ""};
    struct layer_fixture f = {.K = options->K,
                              .D = options->D,
                              .G = options->G,
                              .positions = options->positions,
                              .still = options->still};
    f.x = ARENA_ARRAY(arena, float, f.G *f.positions *f.D, &err);
    f.x_quantized = ARENA_ARRAY(arena, float, f.G *f.positions *f.D, &err);
    f.weights = ARENA_ARRAY(arena, float, f.K *f.D, &err);
    f.bias = ARENA_ARRAY(arena, float, f.K, &err);
    struct rng rng;
    rng_init(&rng, options->seed, 0);
    make_data(&f, options, &rng);
    make_layer(&f, arena, options, &err);
    struct gram gram;
    struct linear_targets targets;
    ck_assert_ok(linear_gram_init(arena, &f.layer, &gram, &err), &err);
    add_moments(&f, &gram);
    layer_fixture_targets(&f, arena, &targets);
    ck_assert_ok(linear_problem_create(&gram, &f.layer, &f.problem, &err), &err);
    linear_problem_set_targets(&f.problem, &targets);
    *fixture = f;
}

double layer_fixture_error(const struct layer_fixture *fixture, int64_t k, const float *weights,
                           float bias)
{
    const struct layer_fixture *f = fixture;
    double sum = 0.0;
    for (int64_t p = 0; p < f->positions; p++) {
        const float *q = f->x_quantized + (k / (f->K / f->G) * f->positions + p) * f->D;
        double difference = target_of(f, k, p) - (double)bias;
        for (int64_t i = 0; i < f->D; i++)
            difference -= (double)weights[i] * (double)q[i];
        sum += difference * difference;
    }
    return sum / (double)f->positions;
}
