#include "ptqd/recon/layer_moments.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/fold.h"

#include <math.h>

enum { SAMPLES = 40, OUTPUTS = 8 * 8 * 8, INPUTS = 8 * 8 * 8 };

static struct arena *arena;
static struct error err;
static struct quant_network *network;
static const struct quant_layer *layer; /* pointwise: 8 → 8 channels on a map of 8 × 8 */
static struct layer_data data;
static float *x, *y, *a, *b, *now;

static float *random_values(struct rng *rng, int64_t count)
{
    float *values = ARENA_ARRAY(arena, float, count, &err);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(rng);
    return values;
}

static void setup(void)
{
    struct quant_options format = {.weights = {.bits = 4, .symmetric = true},
                                   .activations = {.bits = 4},
                                   .input_bits = 8,
                                   .per_channel = true};
    struct rng rng;
    arena = arena_create(0);
    err = (struct error){.message = ""};
    rng_init(&rng, 1, 0);
    struct graph *graph = small_network_create(arena, 1), *folded;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &network, &err), &err);
    layer = &network->layers[2];
    ck_assert_str_eq(layer->name, "pointwise");
    x = random_values(&rng, SAMPLES * INPUTS);
    y = random_values(&rng, SAMPLES * OUTPUTS);
    a = random_values(&rng, SAMPLES * OUTPUTS);
    b = random_values(&rng, SAMPLES * OUTPUTS);
    now = random_values(&rng, SAMPLES * OUTPUTS);
    data =
        (struct layer_data){.graph = network->graph, .samples = SAMPLES, .input = x, .output = y};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* The target of one element, as the header defines it. */
static double target_at(int64_t i)
{
    double plain = data.addend ? (double)data.addend[i] : 0.0;
    double present = data.addend ? (double)data.addend_quantized[i] : 0.0;
    double sum = (double)y[i] + plain;
    if (data.rectified && sum <= 0.0)
        sum = fmin((double)data.rectified[i] + present, 0.0);
    return sum - present;
}

static void check_targets(void)
{
    struct linear_targets targets;
    struct recon_monitor monitor = {0};
    double products[8 * 8] = {0}, sum[8] = {0}, squares[8] = {0};
    ck_assert_ok(linear_targets_init(arena, layer, &targets, &err), &err);
    ck_assert_ok(layer_moments_add_targets(&data, layer, &monitor, arena, &targets, &err), &err);
    for (int64_t p = 0; p < SAMPLES * 64; p++)
        for (int k = 0; k < 8; k++) {
            double target = target_at(p * 8 + k);
            sum[k] += target;
            squares[k] += target * target;
            for (int d = 0; d < 8; d++)
                products[k * 8 + d] += target * (double)x[p * 8 + d];
        }
    const double tolerance = 1e-2; /* float32 sums over 32 · 64 products of size one, twice */
    for (int k = 0; k < 8; k++) {
        ck_assert_double_le(fabs(targets.sum[k] - sum[k]), tolerance);
        ck_assert_double_le(fabs(targets.squares[k] - squares[k]), tolerance);
        for (int d = 0; d < 8; d++)
            ck_assert_double_le(fabs(targets.products[k * 8 + d] - products[k * 8 + d]), tolerance);
    }
}

START_TEST(plain_targets_are_the_float_outputs)
{
    check_targets();
}
END_TEST

START_TEST(what_another_branch_lacks_joins_the_target)
{
    data.addend = a;
    data.addend_quantized = b;
    check_targets();
}
END_TEST

START_TEST(behind_a_relu_targets_give_way)
{
    data.rectified = now;
    check_targets();
    data.addend = a;
    data.addend_quantized = b;
    check_targets();
}
END_TEST

START_TEST(the_input_gives_its_second_moments)
{
    struct gram gram;
    struct recon_monitor monitor = {0};
    ck_assert_ok(linear_gram_init(arena, layer, &gram, &err), &err);
    ck_assert_ok(layer_moments_add_input(&data, layer, &monitor, arena, &gram, &err), &err);
    ck_assert_int_eq(gram.positions, SAMPLES * 64);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            double sum = 0.0;
            for (int64_t p = 0; p < SAMPLES * 64; p++)
                sum += (double)x[p * 8 + i] * (double)x[p * 8 + j];
            ck_assert_double_le(fabs(gram.inner[i * 8 + j] - sum), 1e-2);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layer_moments");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, plain_targets_are_the_float_outputs);
    tcase_add_test(tcase, what_another_branch_lacks_joins_the_target);
    tcase_add_test(tcase, behind_a_relu_targets_give_way);
    tcase_add_test(tcase, the_input_gives_its_second_moments);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
