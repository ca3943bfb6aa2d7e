#include "ptqd/recon/output_range.h"

#include "layer_fixture.h"
#include "support.h"

#include "ptqd/quant/observer.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static const struct recon_monitor monitor;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Two groups, so that each has a Gram matrix of its own; inputs that are much alike, so that
 * errors of weights can make up for each other. */
static const struct layer_fixture_options base = {
    .K = 6,
    .D = 18,
    .G = 2,
    .positions = 400,
    .bits = 3,
    .noise = 0.05,
    .correlation = 0.9,
    .seed = 1,
};

static void set_format(struct layer_fixture *f, const struct quantizer_format *format,
                       int64_t channels)
{
    ck_assert_ok(quantizer_create(arena, format, channels, &f->layer.quantizer, &err), &err);
}

/* E_k of the weights rounded to nearest with the present ranges. */
static double row_error(const struct layer_fixture *f, int64_t k)
{
    float *rounded = f->layer.weight_values + k * f->D;
    quantizer_apply(&f->layer.quantizer, f->layer.quantizer.channels == 1 ? 0 : k,
                    f->weights + k * f->D, (size_t)f->D, rounded);
    return linear_problem_error(&f->problem, k, rounded, NULL);
}

static double rounded_error(const struct layer_fixture *f)
{
    double sum = 0.0;
    for (int64_t k = 0; k < f->K; k++)
        sum += row_error(f, k);
    return sum;
}

static double fitted_error(struct layer_fixture *f)
{
    ck_assert_ok(output_range_fit(&f->problem, &monitor, arena, &f->layer, &err), &err);
    return rounded_error(f);
}

static struct observation weights_of(const struct layer_fixture *f, int64_t channel)
{
    int64_t count = f->K * f->D / f->layer.quantizer.channels;
    struct observation seen = {.values = f->weights + channel * count, .count = (size_t)count};
    for (int64_t i = 0; i < count; i++) {
        seen.min = fmin(seen.min, (double)seen.values[i]);
        seen.max = fmax(seen.max, (double)seen.values[i]);
    }
    return seen;
}

/* Law: no observer of the weights alone gives a smaller error of the output (1 %: both are grids,
 * and the products are float32). */
START_TEST(no_range_of_the_weights_alone_is_better)
{
    static const struct observer_options options = {.percentile = 99.99};
    for (int bits = 2; bits <= 8; bits += 2)
        for (int symmetric = 0; symmetric < 2; symmetric++)
            for (int per_channel = 0; per_channel < 2; per_channel++) {
                struct layer_fixture f;
                layer_fixture_init(&f, arena, &base);
                struct quantizer_format format = {.bits = bits,
                                                  .symmetric = symmetric,
                                                  .signed_codes = !symmetric};
                set_format(&f, &format, per_channel ? f.K : 1);
                double fitted = fitted_error(&f);
                for (const struct observer *const *row = observer_table(); *row; row++) {
                    for (int64_t c = 0; c < f.layer.quantizer.channels; c++) {
                        struct observation seen = weights_of(&f, c);
                        ck_assert_ok(
                            observer_fit(*row, &seen, &options, &f.layer.quantizer, c, &err), &err);
                    }
                    double observed = rounded_error(&f);
                    ck_assert_msg(fitted <= observed * 1.01, "%s, %d bits: %g > %g", (*row)->name,
                                  bits, fitted, observed);
                }
            }
}
END_TEST

/* Law: no scale of a fine, exhaustive grid beats the search by more than 5 % over the layer. */
START_TEST(the_search_finds_the_best_scales)
{
    enum { STEPS = 1000 };
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct layer_fixture f;
        struct layer_fixture_options options = base;
        options.seed = seed;
        layer_fixture_init(&f, arena, &options);
        double fitted = fitted_error(&f), best_sum = 0.0;
        for (int64_t k = 0; k < f.K; k++) {
            struct observation seen = weights_of(&f, k);
            double reach = fmax(-seen.min, seen.max), best = INFINITY;
            for (int i = 1; i <= STEPS; i++) {
                double end = reach * i / STEPS;
                ck_assert_ok(quantizer_set_range(&f.layer.quantizer, k, -end, end, &err), &err);
                best = fmin(best, row_error(&f, k));
            }
            best_sum += best;
        }
        ck_assert_msg(fitted <= best_sum * 1.05, "seed %d: %g > %g", (int)seed, fitted, best_sum);
    }
}
END_TEST

/* The layer's error by plain sums, rounded to nearest, with its own biases. */
static double kept_error(const struct layer_fixture *f)
{
    double sum = 0.0;
    for (int64_t k = 0; k < f->K; k++) {
        float *rounded = f->layer.weight_values + k * f->D;
        quantizer_apply(&f->layer.quantizer, k, f->weights + k * f->D, (size_t)f->D, rounded);
        sum += layer_fixture_error(f, k, rounded, f->bias[k]);
    }
    return sum;
}

/* Law: where the biases stay, no range of the weights alone, and not the one that counts on the
 * best bias, gives a smaller error of the output; where inputs have a mean, a tenth is gained. */
START_TEST(a_bias_that_stays_counts)
{
    static const struct observer_options options = {.percentile = 99.99};
    struct layer_fixture_options independent = base;
    independent.correlation = 0.0;
    double before = 0.0, after = 0.0;
    for (int bits = 2; bits <= 4; bits++) {
        struct layer_fixture f;
        layer_fixture_init(&f, arena, &independent);
        set_format(&f, &(struct quantizer_format){.bits = bits, .symmetric = true}, f.K);
        (void)fitted_error(&f); /* that of the best bias */
        double free_bias = kept_error(&f);
        f.problem.bias = f.bias;
        (void)fitted_error(&f);
        double fitted = kept_error(&f);
        ck_assert_msg(fitted <= free_bias * 1.01, "%d bits: %g > %g", bits, fitted, free_bias);
        for (int64_t k = 0; k < f.K; k++) {
            struct observation seen = weights_of(&f, k);
            ck_assert_ok(observer_fit(observer_find("mse"), &seen, &options, &f.layer.quantizer, k,
                                      &err),
                         &err);
        }
        double observed = kept_error(&f);
        ck_assert_msg(fitted <= observed * 1.01, "%d bits: %g > %g", bits, fitted, observed);
        before += free_bias;
        after += fitted;
    }
    ck_assert_double_le(after, 0.9 * before);
}
END_TEST

/* Law: where every input counts alike, and by itself, the output's error is that of the weights, so
 * the ranges are those of the mse observer. */
START_TEST(with_a_unit_matrix_it_is_the_mse_range)
{
    struct layer_fixture f;
    layer_fixture_init(&f, arena, &base);
    int64_t D = f.D;
    for (int64_t g = 0; g < f.G; g++)
        for (int64_t i = 0; i < D * D; i++)
            f.problem.H[g * D * D + i] = i % (D + 1) == 0 ? 1.0 : 0.0;
    for (int64_t i = 0; i < f.K * D; i++)
        f.problem.target[i] = (double)f.weights[i];
    ck_assert_ok(output_range_fit(&f.problem, &monitor, arena, &f.layer, &err), &err);
    for (int64_t k = 0; k < f.K; k++) {
        float found = f.layer.quantizer.scales[k];
        struct observation seen = weights_of(&f, k);
        ck_assert_ok(observer_fit(observer_find("mse"), &seen, NULL, &f.layer.quantizer, k, &err),
                     &err);
        ck_assert_double_le(fabs((double)(found / f.layer.quantizer.scales[k]) - 1.0), 1e-6);
    }
}
END_TEST

START_TEST(a_channel_of_zeros_has_a_scale)
{
    struct layer_fixture f;
    layer_fixture_init(&f, arena, &base);
    memset(f.weights + f.D, 0, (size_t)f.D * sizeof(float));
    ck_assert_ok(output_range_fit(&f.problem, &monitor, arena, &f.layer, &err), &err);
    quant_layer_round(&f.layer);
    ck_assert(f.layer.quantizer.scales[1] == 1.0f);
    for (int64_t d = 0; d < f.D; d++)
        ck_assert(f.layer.weight_values[f.D + d] == 0.0f);
}
END_TEST

static bool refuse(void *context, double fraction, double loss)
{
    (void)context, (void)fraction, (void)loss; /* whatever they are */
    return false;
}

START_TEST(it_stops_when_it_is_told)
{
    struct layer_fixture f;
    struct recon_monitor impatient = {.report = refuse};
    layer_fixture_init(&f, arena, &base);
    ck_assert_fails(output_range_fit(&f.problem, &impatient, arena, &f.layer, &err), &err,
                    E_CANCELLED, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output_range");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, no_range_of_the_weights_alone_is_better);
    tcase_add_test(tcase, the_search_finds_the_best_scales);
    tcase_add_test(tcase, a_bias_that_stays_counts);
    tcase_add_test(tcase, with_a_unit_matrix_it_is_the_mse_range);
    tcase_add_test(tcase, a_channel_of_zeros_has_a_scale);
    tcase_add_test(tcase, it_stops_when_it_is_told);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
