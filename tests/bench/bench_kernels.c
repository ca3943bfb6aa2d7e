/* Speed of the kernels on the layers of the real networks, one thread, 64 samples: forward passes
 * and Gram matrices in GFLOP/s, the latter of float values and of codes, beside a plain sgemm of as
 * many operations in the same run, and the peak of registers alone. Returns 77 when the networks
 * are not there.
 *
 * A layer's sgemm is positions × D by D × K; a Gram matrix's is D × positions by positions × D. A
 * forward pass counts taps on the padding, which a kernel may skip; a Gram matrix counts half of
 * the symmetric H, alone, as the reconstruction makes it; "peak" is what it reaches of the peak.
 * The best of several runs is given: the machine may have other work. */

#include "fma_peak.h"
#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/base/rng.h"
#include "ptqd/kern/gemm.h"
#include "ptqd/kern/gram.h"
#include "ptqd/kern/gram_codes.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 64, RUNS = 7 };

static const struct gram_grid grid = {.scale = 0.01f, .zero = 100, .last = 255};

static const char *const networks[] = {"cifar10", "kws", "vww", "har", "ad"};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What is timed, on the operands of one layer. */
struct operands {
    struct conv_shape shape;
    struct conv_plan *plan;
    float *x, *w, *y;
    uint8_t *codes; /* of x */
    float *columns; /* of the sgemm: [positions][D] */
    struct gram gram;
    void *scratch;
};

typedef bool (*work_function)(struct operands *at, struct error *err);

static bool run_forward(struct operands *at, struct error *err)
{
    return conv_plan_forward(at->plan, at->shape.N, at->x, at->w, NULL, at->y, err);
}

static int64_t position_count(const struct conv_shape *shape)
{
    return shape->N * shape->OH * shape->OW;
}

static bool run_forward_sgemm(struct operands *at, struct error *err)
{
    (void)err; /* can't fail */
    struct gemm_shape shape = {
        .M = position_count(&at->shape),
        .N = at->shape.K,
        .K = at->gram.D,
        .transpose_b = true,
    };
    gemm_f32(&shape, 1.0f, at->columns, at->w, 0.0f, at->y);
    return true;
}

static bool run_gram(struct operands *at, struct error *err)
{
    (void)err; /* can't fail */
    gram_add_conv(&at->gram, &at->shape, at->x, at->x, at->scratch);
    return true;
}

/* Of values where codes do not pay: what the reconstruction does. */
static bool run_gram_codes(struct operands *at, struct error *err)
{
    if (!gram_codes_pay(&at->shape))
        return run_gram(at, err);
    gram_codes_add_conv(&at->gram, &at->shape, &grid, at->codes, at->scratch);
    return true;
}

static bool run_gram_sgemm(struct operands *at, struct error *err)
{
    (void)err; /* can't fail */
    struct gemm_shape shape = {
        .M = at->gram.D, .N = at->gram.D, .K = position_count(&at->shape), .transpose_a = true};
    gemm_f32(&shape, 1.0f, at->columns, at->columns, 0.0f, at->scratch);
    return true;
}

/* Seconds of the best of RUNS runs, after one to warm up; below 0 on an error, which is printed. */
static double best_seconds(work_function work, struct operands *at)
{
    struct error err;
    double best = -1;
    for (int i = 0; i <= RUNS; i++) {
        double start = seconds();
        if (!work(at, &err)) {
            fprintf(stderr, "bench_kernels: %s\n", err.message);
            return -1;
        }
        double taken = seconds() - start;
        if (i > 0 && (best < 0 || taken < best))
            best = taken;
    }
    return best;
}

static float *random_floats(struct arena *arena, struct rng *rng, int64_t count)
{
    float *values = ARENA_ARRAY(arena, float, count, NULL);
    for (int64_t i = 0; values != NULL && i < count; i++)
        values[i] = (float)(2 * rng_uniform(rng) - 1);
    return values;
}

static uint8_t *random_codes(struct arena *arena, struct rng *rng, int64_t count)
{
    uint8_t *codes = ARENA_ARRAY(arena, uint8_t, count, NULL);
    for (int64_t i = 0; codes != NULL && i < count; i++)
        codes[i] = (uint8_t)(256 * rng_uniform(rng));
    return codes;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static bool operands_init(struct arena *arena, const struct conv_shape *shape, struct operands *out,
                          struct error *err)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    int64_t D = conv_column_elements(shape), matrix = shape->G * D * D, row = shape->G * D;
    size_t product_bytes = (size_t)(D * D) * sizeof(float);
    *out = (struct operands){
        .shape = *shape,
        .x = random_floats(arena, &rng, conv_input_elements(shape)),
        .codes = random_codes(arena, &rng, conv_input_elements(shape)),
        .w = random_floats(arena, &rng, conv_weight_elements(shape)),
        .y = random_floats(arena, &rng, conv_output_elements(shape)),
        .columns = random_floats(arena, &rng, position_count(shape) * D),
        .gram =
            {
                .G = shape->G,
                .D = D,
                .inner = ARENA_ARRAY(arena, double, matrix, err),
                .sum_quantized = ARENA_ARRAY(arena, double, row, err),
            },
        .scratch = arena_alloc(arena,
                               larger(gram_codes_conv_scratch_bytes(shape),
                                      larger(gram_conv_scratch_bytes(shape), product_bytes)),
                               err),
    };
    if (out->x == NULL || out->codes == NULL || out->w == NULL || out->y == NULL ||
        out->columns == NULL || out->gram.inner == NULL || out->gram.sum_quantized == NULL ||
        out->scratch == NULL)
        return FAIL(err, E_MEMORY, "no memory for the operands of a layer");
    return conv_plan_create(shape, false, &out->plan, err);
}

/* Operations and the time they took. */
struct work {
    double flops, seconds;
};

struct result {
    struct work forward, forward_sgemm, gram, gram_sgemm, gram_codes;
};

static void add_work(struct work *total, const struct work *part)
{
    total->flops += part->flops;
    total->seconds += part->seconds;
}

static double gflops(const struct work *work)
{
    return 1e-9 * work->flops / work->seconds;
}

static bool measure(struct operands *at, struct result *out)
{
    double positions = (double)position_count(&at->shape);
    double D = (double)at->gram.D, G = (double)at->gram.G;
    double forward = 2 * positions * D * (double)at->shape.K;
    *out = (struct result){
        .forward = {forward, best_seconds(run_forward, at)},
        .forward_sgemm = {forward, best_seconds(run_forward_sgemm, at)},
        .gram = {positions * G * D * (D + 1), best_seconds(run_gram, at)},
        .gram_sgemm = {2 * positions * D * D, best_seconds(run_gram_sgemm, at)},
        .gram_codes = {positions * G * D * (D + 1), best_seconds(run_gram_codes, at)},
    };
    return out->forward.seconds > 0 && out->gram.seconds > 0;
}

static void print_row(const char *network, const char *layer, const char *size, double peak,
                      const struct result *at)
{
    printf("%-8s %-22.22s %-28s %8.2f %7.1f %7.1f %8.2f %7.1f %5.2f %7.1f %8.2f %7.1f %5.2f\n",
           network, layer, size, 1e3 * at->forward.seconds, gflops(&at->forward),
           gflops(&at->forward_sgemm), 1e3 * at->gram.seconds, gflops(&at->gram),
           gflops(&at->gram) / peak, gflops(&at->gram_sgemm), 1e3 * at->gram_codes.seconds,
           gflops(&at->gram_codes), gflops(&at->gram_codes) / peak);
}

static void print_head(double peak)
{
    printf("%d samples, one thread; fused multiply-adds on registers: %.1f GFLOP/s\n", SAMPLES,
           peak);
    printf("%-8s %-22s %-28s %8s %7s %7s %8s %7s %5s %7s %8s %7s %5s\n", "", "", "", "forward", "",
           "sgemm", "Gram", "", "", "sgemm", "of codes", "", "");
    printf("%-8s %-22s %-28s %8s %7s %7s %8s %7s %5s %7s %8s %7s %5s\n", "network", "layer",
           "HxWxC>K RxS groups", "ms", "GFLOP/s", "GFLOP/s", "ms", "GFLOP/s", "peak", "GFLOP/s",
           "ms", "GFLOP/s", "peak");
}

/* Conv as it is; Gemm as a 1 × 1 convolution of a map of one position. */
static bool layer_shape(const struct graph *graph, const struct node *node,
                        struct conv_shape *out_shape)
{
    if (strcmp(node->op_type, "Conv") == 0) {
        *out_shape = conv_node_shape(graph, node, SAMPLES);
        return true;
    }
    if (strcmp(node->op_type, "Gemm") != 0)
        return false;
    const struct shape *x = &graph->tensors[node->inputs[0]].shape;
    const struct shape *y = &graph->tensors[node->outputs[0]].shape;
    *out_shape = (struct conv_shape){
        .N = SAMPLES,
        .H = 1,
        .W = 1,
        .C = x->dim[1],
        .K = y->dim[1],
        .R = 1,
        .S = 1,
        .G = 1,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .OH = 1,
        .OW = 1,
    };
    return true;
}

static bool bench_layer(struct arena *arena, const char *network, const struct node *node,
                        const struct conv_shape *shape, double peak, struct result *total,
                        struct error *err)
{
    struct operands operands;
    struct result result;
    char size[64];
    struct arena_mark mark = arena_mark(arena);
    if (!operands_init(arena, shape, &operands, err))
        return false;
    bool good = measure(&operands, &result);
    conv_plan_destroy(operands.plan);
    arena_reset(arena, mark);
    if (!good)
        return FAIL(err, E_INTERNAL, "layer '%s' can't be measured", node->name);
    snprintf(size, sizeof(size), "%lldx%lldx%lld>%lld %lldx%lld g%lld", (long long)shape->H,
             (long long)shape->W, (long long)shape->C, (long long)shape->K, (long long)shape->R,
             (long long)shape->S, (long long)shape->G);
    print_row(network, node->name, size, peak, &result);
    add_work(&total->forward, &result.forward);
    add_work(&total->forward_sgemm, &result.forward_sgemm);
    add_work(&total->gram, &result.gram);
    add_work(&total->gram_sgemm, &result.gram_sgemm);
    add_work(&total->gram_codes, &result.gram_codes);
    return true;
}

static bool bench_network(struct arena *arena, const char *network, const char *path, double peak,
                          struct error *err)
{
    enum { LIMIT_BYTES = 1 << 26 };
    char *bytes;
    size_t size;
    struct graph *graph;
    struct result total = {0};
    if (!file_read(arena, path, LIMIT_BYTES, &bytes, &size, err) ||
        !model_import(arena, (const uint8_t *)bytes, size, &graph, NULL, err))
        return false;
    for (int i = 0; i < graph->node_count; i++) {
        struct conv_shape shape;
        if (layer_shape(graph, &graph->nodes[i], &shape) &&
            !bench_layer(arena, network, &graph->nodes[i], &shape, peak, &total, err))
            return false;
    }
    print_row(network, "all layers", "", peak, &total);
    return true;
}

int main(void)
{
    char path[512], file[64];
    if (support_data_path("cifar10/model.onnx", path, sizeof(path)) == NULL) {
        printf("the networks are not there: %s\n", path);
        return SUPPORT_SKIP;
    }
    double peak = fma_peak_gflops();
    print_head(peak);
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        struct error err = {.message = "it is not there"};
        struct arena *arena = arena_create(0);
        snprintf(file, sizeof(file), "%s/model.onnx", networks[i]);
        bool good = arena != NULL && support_data_path(file, path, sizeof(path)) != NULL &&
                    bench_network(arena, networks[i], path, peak, &err);
        arena_destroy(arena);
        if (!good) {
            fprintf(stderr, "bench_kernels: %s: %s\n", path, err.message);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}
