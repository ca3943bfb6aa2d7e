/* A run over a network whose maps are cut, parted, resized and made larger by transposed
 * convolutions: every step of the pipeline meets nodes with several outputs, a part that nobody
 * reads, and layers that are no Conv and no Gemm.
 *
 *   x (N, 3, 8, 8) → Conv "stem" → PRelu → Split ─┬→ Resize ½ → Conv "low" → Relu →
 *   ConvTranspose "up" (2x2, every 2) → Relu ─→ Concat with the second part (the third is not read)
 *   → Slice of the rows → ConvTranspose "grouped" (3x3, 2 groups) → GlobalAveragePool → Flatten →
 *   Gemm "dense" */

#include "ptqd/flow/run.h"

#include "method_count.h"
#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;
static struct run_request request;

static const char *const layers[] = {"stem", "low", "up", "grouped", "dense"};
enum { LAYERS = sizeof(layers) / sizeof(layers[0]) };

static int branch(struct sketch *sketch, int part)
{
    int sizes = sketch_integers(sketch, "sizes", SKETCH(1, 4, 4, 4));
    int half =
        sketch_node(sketch, "Resize", "half", part, NODE_ABSENT, NODE_ABSENT, sizes, SKETCH_END);
    int low = sketch_conv(sketch, "low", half, 4, 4, SKETCH(3, 3));
    int low_relu = sketch_node(sketch, "Relu", "low_relu", low, SKETCH_END);
    int weight = sketch_constant(sketch, "up.weight", SKETCH(4, 3, 2, 2));
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    int up = sketch_node(sketch, "ConvTranspose", "up", low_relu, weight, SKETCH_END);
    return sketch_node(sketch, "Relu", "up_relu", up, SKETCH_END);
}

static int classify(struct sketch *sketch, int map)
{
    int pool = sketch_node(sketch, "GlobalAveragePool", "pool", map, SKETCH_END);
    int flat = sketch_node(sketch, "Flatten", "flat", pool, SKETCH_END);
    int weight = sketch_constant(sketch, "dense.weight", SKETCH(6, SMALL_NETWORK_CLASSES));
    return sketch_node(sketch, "MatMul", "dense", flat, weight, SKETCH_END);
}

static struct graph *network(void)
{
    struct sketch sketch;
    int parts[3];
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 8, 8));
    int stem = sketch_conv(&sketch, "stem", x, 9, 3, SKETCH(3, 3));
    int slope = sketch_constant(&sketch, "slope", SKETCH(9, 1, 1));
    int active = sketch_node(&sketch, "PRelu", "active", stem, slope, SKETCH_END);
    int lengths = sketch_integers(&sketch, "lengths", SKETCH(4, 3, 2));
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, "Split", "parts", active, lengths, parts, 3);
    int up = branch(&sketch, parts[0]);
    sketch_int(&sketch, "axis", 1);
    int joined = sketch_node(&sketch, "Concat", "joined", up, parts[1], SKETCH_END);
    int from = sketch_integers(&sketch, "from", SKETCH(1));
    int to = sketch_integers(&sketch, "to", SKETCH(-1));
    int rows = sketch_integers(&sketch, "rows", SKETCH(2));
    int cut = sketch_node(&sketch, "Slice", "cut", joined, from, to, rows, SKETCH_END);
    int weight = sketch_constant(&sketch, "grouped.weight", SKETCH(6, 3, 3, 3));
    sketch_int(&sketch, "group", 2);
    sketch_ints(&sketch, "pads", SKETCH(1, 1, 1, 1));
    int grouped = sketch_node(&sketch, "ConvTranspose", "grouped", cut, weight, SKETCH_END);
    return sketch_finish(&sketch, classify(&sketch, grouped));
}

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 4;
    pipeline.optimize.iterations = 200;
    pipeline.postprocess.batch = 16;
    struct graph *graph = network();
    request = (struct run_request){
        .model = graph,
        .calibration = small_network_data(arena, graph, 48, false, 2),
        .pipeline = &pipeline,
        .seed = 5,
        .origin = {.program_version = "test", .variant = "{}"},
    };
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const struct run_result *run(void)
{
    struct run_result *result;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    ck_assert_int_eq(result->layer_count, LAYERS);
    for (int i = 0; i < LAYERS; i++)
        ck_assert_str_eq(result->layers[i].name, layers[i]);
    ck_assert_int_ge(result->artifact_count, 1);
    return result;
}

/* Law: no method leaves a layer's output further from the float one than rounding to nearest, but
 * for the rounding of the bias and what the Relu hides; and the network comes close to it. */
START_TEST(every_method_reconstructs_every_layer)
{
    const double slack_db = 0.5;
    pipeline.optimize.variable = _i;
    pipeline.optimize.loss = LOSS_LINEAR;
    const struct run_result *result = run();
    for (int i = 0; i < LAYERS; i++)
        ck_assert_double_ge(result->layers[i].output_sqnr_after_db,
                            result->layers[i].output_sqnr_before_db - slack_db);
    ck_assert_double_gt(result->output_sqnr_db, 6.0);
}
END_TEST

START_TEST(every_equalization_keeps_the_network)
{
    pipeline.equalize = _i;
    pipeline.weights.bits = 8;
    ck_assert_double_gt(run()->output_sqnr_db, 25.0);
}
END_TEST

/* Both transposed convolutions count: H·W·C·K/G·R·S for one sample. */
START_TEST(transposed_convolutions_are_in_the_costs)
{
    const struct run_result *result = run();
    ck_assert_int_eq(result->cost.layer_count, LAYERS);
    ck_assert_int_eq(result->cost.layers[2].macs, 4 * 4 * 4 * 3 * 4);
    ck_assert_int_eq(result->cost.layers[3].macs, 6 * 8 * 6 * 3 * 9);
    ck_assert_int_eq(result->cost.layers[3].weights, 6 * 3 * 9);
    ck_assert_int_eq(result->cost.layers[3].weight_bits, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_operators");
    TCase *tcase = tcase_create("run");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_method_reconstructs_every_layer, 0, method_count());
    tcase_add_loop_test(tcase, every_equalization_keeps_the_network, EQUALIZE_NONE,
                        EQUALIZE_OCS + 1);
    tcase_add_test(tcase, transposed_convolutions_are_in_the_costs);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
