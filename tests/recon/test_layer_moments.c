#include "ptqd/recon/layer_moments.h"

#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
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

/* All samples of a tensor, in memory. */
static const struct captured *captured(const float *values, int64_t elements)
{
    struct captured *all = ARENA_NEW(arena, struct captured, &err);
    float *own = arena_memdup(arena, values, (size_t)(SAMPLES * elements) * sizeof(float), &err);
    *all = captured_values(own, SAMPLES, elements);
    return all;
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
    data = (struct layer_data){
        .graph = network->graph,
        .samples = SAMPLES,
        .input = captured(x, INPUTS),
        .output = captured(y, OUTPUTS),
    };
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* The target of one element, as the header defines it. */
static double target_at(int64_t i)
{
    double plain = data.addend ? (double)data.addend->values[i] : 0.0;
    double present = data.addend ? (double)data.addend_quantized->values[i] : 0.0;
    double sum = (double)y[i] + plain;
    if (data.rectified && sum <= 0.0)
        sum = fmin((double)data.rectified->values[i] + present, 0.0);
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
    data.addend = captured(a, OUTPUTS);
    data.addend_quantized = captured(b, OUTPUTS);
    check_targets();
}
END_TEST

START_TEST(behind_a_relu_targets_give_way)
{
    data.rectified = captured(now, OUTPUTS);
    check_targets();
    data.addend = captured(a, OUTPUTS);
    data.addend_quantized = captured(b, OUTPUTS);
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

/* The only layer of a network, of each kind. */

static int build_conv(struct sketch *sketch, int input)
{
    return sketch_conv(sketch, "y", input, 6, 4, SKETCH(3, 2));
}

static int build_dense(struct sketch *sketch, int input)
{
    int flat = sketch_node(sketch, "Flatten", "flat", input, SKETCH_END);
    int weight = sketch_constant(sketch, "weight", SKETCH(4 * 5 * 3, 6));
    return sketch_node(sketch, "MatMul", "y", flat, weight, SKETCH_END);
}

static int transpose_conv(struct sketch *sketch, int input, struct shape weights)
{
    int weight = sketch_constant(sketch, "weight", weights);
    sketch_ints(sketch, "strides", SKETCH(2, 3));
    sketch_ints(sketch, "pads", SKETCH(1, 0, 0, 1));
    sketch_ints(sketch, "output_padding", SKETCH(0, 2));
    return sketch_node(sketch, "ConvTranspose", "y", input, weight, SKETCH_END);
}

static int build_conv_transpose(struct sketch *sketch, int input)
{
    return transpose_conv(sketch, input, SKETCH(4, 6, 3, 2));
}

static int build_conv_transpose_grouped(struct sketch *sketch, int input)
{
    sketch_int(sketch, "group", 2);
    return transpose_conv(sketch, input, SKETCH(4, 3, 3, 2));
}

static int (*const layer_kinds[])(struct sketch *sketch,
                                  int input) = {build_conv, build_dense, build_conv_transpose,
                                                build_conv_transpose_grouped};
enum { LAYER_KINDS = sizeof(layer_kinds) / sizeof(layer_kinds[0]) };

/* A network of one layer, its weights rounded to 4 bits, on inputs that are not quantized. */
static struct quant_network *one_layer(int (*build)(struct sketch *sketch, int input))
{
    struct quant_options format = {.weights = {.bits = 4, .symmetric = true},
                                   .activations = {.bits = 8},
                                   .input_bits = 8};
    struct sketch sketch;
    struct graph *folded;
    sketch_init(&sketch, arena, 13);
    int input = sketch_input(&sketch, "x", SKETCH(1, 4, 5, 3));
    struct graph *graph = sketch_finish(&sketch, build(&sketch, input));
    struct quant_network *single;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &single, &err), &err);
    ck_assert_int_eq(single->layer_count, 1);
    ck_assert_ok(quantizer_set_range(&single->layers[0].quantizer, 0, -1.0, 1.0, &err), &err);
    quant_layer_round(&single->layers[0]);
    return single;
}

/* Values of all samples of tensors that a graph computes; in the arena. */
static const float *values_of(const struct graph *graph, const float *input, int tensor)
{
    struct exec *exec;
    struct exec_options options = {.batch = SAMPLES, .gradients = true};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, input, SAMPLES, &err), &err);
    size_t count = (size_t)tensor_elements(&graph->tensors[tensor], SAMPLES);
    const float *values =
        arena_memdup(arena, exec_values(exec, tensor), count * sizeof(float), &err);
    exec_destroy(exec);
    return values;
}

static const struct captured *captured_of(const struct graph *graph, const float *input, int tensor)
{
    return captured(values_of(graph, input, tensor), tensor_elements(&graph->tensors[tensor], 1));
}

/* Law: the error in the Gram form is that of executing the layer, sample by sample. */
START_TEST(the_moments_know_the_error_of_each_kind_of_layer)
{
    struct quant_network *single = one_layer(layer_kinds[_i]);
    const struct quant_layer *only = &single->layers[0];
    const struct node *node = &single->graph->nodes[only->node];
    struct recon_monitor monitor = {0};
    struct linear_targets targets;
    struct linear_problem problem;
    struct gram gram;
    struct rng rng;
    rng_init(&rng, 3, 0);
    const float *input = random_values(&rng, SAMPLES * 4 * 5 * 3);
    struct layer_data moments = {
        .graph = single->graph,
        .samples = SAMPLES,
        .input = captured_of(single->graph, input, node->inputs[0]),
        .output = captured_of(single->folded, input, node->outputs[0]),
    };
    const float *quantized = values_of(single->graph, input, node->outputs[0]);
    ck_assert_ok(linear_gram_init(arena, only, &gram, &err), &err);
    ck_assert_ok(linear_targets_init(arena, only, &targets, &err), &err);
    ck_assert_ok(layer_moments_add_input(&moments, only, &monitor, arena, &gram, &err), &err);
    ck_assert_ok(layer_moments_add_targets(&moments, only, &monitor, arena, &targets, &err), &err);
    ck_assert_ok(linear_problem_create(&gram, only, &problem, &err), &err);
    linear_problem_set_targets(&problem, &targets);

    int64_t count = tensor_elements(&single->graph->tensors[node->outputs[0]], SAMPLES);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)moments.output->values[i] - (double)quantized[i];
        sum += difference * difference;
    }
    double executed = sum / (double)count;
    ck_assert_double_gt(executed, 1e-4);
    ck_assert_double_le(fabs(linear_problem_layer_error(&problem, only) - executed),
                        1e-3 * executed);
}
END_TEST

static struct gram gram_of(const struct layer_data *moments, const struct quant_layer *only)
{
    struct recon_monitor monitor = {0};
    struct gram gram;
    ck_assert_ok(linear_gram_init(arena, only, &gram, &err), &err);
    ck_assert_ok(layer_moments_add_input(moments, only, &monitor, arena, &gram, &err), &err);
    return gram;
}

/* |H_ij − H'_ij| ≤ tolerance · √(H_ii H_jj) */
static void check_close(const struct gram *gram, const struct gram *expected, double tolerance)
{
    int64_t D = gram->D;
    ck_assert_int_eq(gram->positions, expected->positions);
    for (int64_t g = 0; g < gram->G; g++) {
        const double *H = gram->inner + g * D * D, *other = expected->inner + g * D * D;
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j < D; j++)
                ck_assert_double_le(fabs(H[i * D + j] - other[i * D + j]),
                                    tolerance * sqrt(H[i * D + i] * H[j * D + j]));
    }
}

/* Whether all elements are whole multiples of scale². */
static bool is_whole(const struct gram *gram, float scale)
{
    for (int64_t i = 0; i < gram->G * gram->D * gram->D; i++) {
        double multiple = gram->inner[i] / ((double)scale * (double)scale);
        if (fabs(multiple - rint(multiple)) > 1e-12 * fabs(multiple))
            return false;
    }
    return true;
}

/* Laws: a quantized input's moments are whole multiples of scale², those of its values up to the
 * rounding of float32, whatever the codes' width and sign; and without a ready quantizer, or with a
 * value that it did not make, they are made of the values. */
START_TEST(a_quantized_input_gives_its_moments_in_whole_numbers)
{
    const double tolerance = 5e-6; /* sums of few different values: not all round independently */
    struct quant_network *single = one_layer(layer_kinds[_i % LAYER_KINDS]);
    const struct quant_layer *only = &single->layers[0];
    struct quantizer *quantizer = &single->activations[0].quantizer;
    int tensor = single->graph->nodes[only->node].inputs[0];
    struct rng rng;
    rng_init(&rng, 5, (uint64_t)_i);
    if (_i >= LAYER_KINDS) {
        struct quantizer_format format = {.bits = 4, .signed_codes = true};
        ck_assert_ok(quantizer_create(arena, &format, 1, quantizer, &err), &err);
    }
    ck_assert_ok(quantizer_set_range(quantizer, 0, -1.5, 2.5, &err), &err);
    const float *input = random_values(&rng, SAMPLES * 4 * 5 * 3);
    float *values = arena_memdup(arena, values_of(single->graph, input, tensor),
                                 SAMPLES * 4 * 5 * 3 * sizeof(float), &err);
    struct captured all = captured_values(values, SAMPLES, 4 * 5 * 3);
    struct layer_data moments = {.graph = single->graph, .samples = SAMPLES, .input = &all};
    float scale = quantizer->scales[0];

    struct gram gram = gram_of(&moments, only);
    ck_assert(is_whole(&gram, scale));
    quantizer->scales[0] = 0.0f;
    struct gram of_values = gram_of(&moments, only);
    ck_assert(!is_whole(&of_values, scale));
    check_close(&gram, &of_values, tolerance);
    quantizer->scales[0] = scale;
    values[17] += 0.1f * scale;
    struct gram moved = gram_of(&moments, only);
    ck_assert(!is_whole(&moved, scale));
    check_close(&gram, &moved, 0.01);
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
    tcase_add_loop_test(tcase, the_moments_know_the_error_of_each_kind_of_layer, 0, LAYER_KINDS);
    tcase_add_loop_test(tcase, a_quantized_input_gives_its_moments_in_whole_numbers, 0,
                        2 * LAYER_KINDS);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
