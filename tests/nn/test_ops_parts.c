/* Slice and Split: values against small examples worked out by hand, differences of the operator
 * sets, what is refused, and that a node with several outputs is one for the passes over the graph.
 */

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/op.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct error err;
static struct arena *arena;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(1 << 24);
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void check_shape(const struct graph *graph, int tensor, struct shape expected)
{
    char text[128], wanted[128];
    shape_print(&graph->tensors[tensor].shape, text, sizeof(text));
    shape_print(&expected, wanted, sizeof(wanted));
    ck_assert_str_eq(text, wanted);
}

/* 0, 1, 2 … */
static float *counting(int64_t count)
{
    float *values = ARENA_ARRAY(arena, float, count, &err);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)i;
    return values;
}

/* Of 1x2x3x4 with the values 0 … 23. */
struct slice_case {
    struct shape starts, ends, axes, steps; /* rank 0: not given */
    struct shape expected;
    float values[12]; /* the first of them */
    const char *message;
    enum error_code code;
};

static const struct slice_case slice_cases[] = {
    {.starts = {1, {1}},
     .ends = {1, {2}},
     .axes = {1, {1}},
     .expected = {4, {1, 1, 3, 4}},
     .values = {12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
    {.starts = {2, {0, 1}},
     .ends = {2, {INT64_MAX, 2}},
     .expected = {4, {1, 1, 3, 4}},
     .values = {12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
    {.starts = {2, {-2, 0}},
     .ends = {2, {-1, 1000}},
     .axes = {2, {-1, 2}},
     .expected = {4, {1, 2, 3, 1}},
     .values = {2, 6, 10, 14, 18, 22}},
    {.starts = {2, {0, 1}},
     .ends = {2, {3, 4}},
     .axes = {2, {2, 3}},
     .steps = {2, {2, 2}},
     .expected = {4, {1, 2, 2, 2}},
     .values = {1, 3, 9, 11, 13, 15, 21, 23}},
    {.starts = {2, {-1, 5}},
     .ends = {2, {INT64_MIN, 0}},
     .axes = {2, {1, 3}},
     .steps = {2, {-1, -2}},
     .expected = {4, {1, 2, 3, 2}},
     .values = {15, 13, 19, 17, 23, 21, 3, 1, 7, 5, 11, 9}},
    {.starts = {1, {-100}},
     .ends = {1, {100}},
     .axes = {1, {3}},
     .steps = {1, {INT64_MAX}},
     .expected = {4, {1, 2, 3, 1}},
     .values = {0, 4, 8, 12, 16, 20}},
    {.starts = {1, {3}},
     .ends = {1, {INT64_MIN}},
     .axes = {1, {3}},
     .steps = {1, {INT64_MIN}},
     .expected = {4, {1, 2, 3, 1}},
     .values = {3, 7, 11, 15, 19, 23}},
    {.starts = {1, {2}},
     .ends = {1, {1}},
     .axes = {1, {3}},
     .code = E_UNSUPPORTED,
     .message = "nothing of axis 3 with extent 4 is from 2 to 1 in steps of 1"},
    {.starts = {1, {0}},
     .ends = {1, {1}},
     .axes = {1, {3}},
     .steps = {1, {0}},
     .code = E_INVALID,
     .message = "the step of axis 3 is 0"},
    {.starts = {2, {0, 0}},
     .ends = {2, {1, 1}},
     .axes = {2, {3, -1}},
     .code = E_INVALID,
     .message = "axis 3 is cut twice"},
    {.starts = {2, {0, 0}},
     .ends = {1, {1}},
     .code = E_INVALID,
     .message = "2 starts, 1 ends, 0 axes and 0 steps; there must be equally many"},
    {.starts = {1, {0}},
     .ends = {1, {1}},
     .axes = {1, {4}},
     .code = E_INVALID,
     .message = "axis is 4; -4 to 3 are possible for 4 axes"},
};

static int slice(int x, const struct slice_case *c)
{
    int starts = sketch_integers(&sketch, "starts", c->starts);
    int ends = sketch_integers(&sketch, "ends", c->ends);
    int axes = c->axes.rank > 0 ? sketch_integers(&sketch, "axes", c->axes) : NODE_ABSENT;
    int steps = c->steps.rank > 0 ? sketch_integers(&sketch, "steps", c->steps) : NODE_ABSENT;
    return sketch_node(&sketch, "Slice", "y", x, starts, ends, axes, steps, SKETCH_END);
}

/* Law: the order of axes inside makes no difference. */
START_TEST(a_slice_has_the_elements_from_start_to_end)
{
    const struct slice_case *c = &slice_cases[_i];
    for (int moved = 0; moved < 2; moved++) {
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
        int y = slice(moved ? sketch_channels_last(&sketch, "moved", x, 2) : x, c);
        if (c->message != NULL) {
            sketch.graph->output = y;
            ck_assert_fails(graph_finish(sketch.graph, &err), &err, c->code, c->message);
            continue;
        }
        const struct graph *graph = sketch_finish(&sketch, y);
        int64_t count = shape_elements(&c->expected);
        check_shape(graph, graph->output, c->expected);
        graph_run_compare(graph_run(arena, graph, counting(24), 1), c->values,
                          count < COUNT(c->values) ? count : COUNT(c->values), 0);
    }
}
END_TEST

START_TEST(a_slice_has_attributes_before_opset_10)
{
    sketch_init(&sketch, arena, 9);
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    sketch_ints(&sketch, "starts", SKETCH(-4));
    sketch_ints(&sketch, "ends", SKETCH(5));
    sketch_ints(&sketch, "axes", SKETCH(1));
    const struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Slice", "y", x, SKETCH_END));
    const float expected[] = {2, 3, 4, 8, 9, 10};
    graph_run_compare(graph_run(arena, graph, counting(12), 2), expected, 6, 0);
}
END_TEST

/* All of the axis of the samples may be asked for, a part of it only sample by sample. */
START_TEST(a_slice_of_the_samples_makes_them_go_one_by_one)
{
    static const int64_t ends[] = {INT64_MAX, INT32_MAX, 1};
    for (int i = 0; i < COUNT(ends); i++) {
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2));
        int from = sketch_integers(&sketch, "from", SKETCH(0));
        int to = sketch_integers(&sketch, "to", SKETCH(ends[i]));
        const struct graph *graph =
            sketch_finish(&sketch, sketch_node(&sketch, "Slice", "y", x, from, to, SKETCH_END));
        ck_assert(graph->batchable == (ends[i] > 1));
        if (graph->batchable)
            graph_run_compare(graph_run(arena, graph, counting(6), 3), counting(6), 6, 0);
    }
}
END_TEST

/* Of an axis of extent 6. */
struct split_case {
    struct shape lengths; /* rank 0: not given */
    int parts;
    int64_t opset, num_outputs;
    int64_t expected[4];
    const char *message;
};

static const struct split_case split_cases[] = {
    {.lengths = {3, {1, 3, 2}}, .parts = 3, .opset = 13, .expected = {1, 3, 2}},
    {.lengths = {3, {1, 3, 2}}, .parts = 3, .opset = 2, .expected = {1, 3, 2}},
    {.parts = 3, .opset = 13, .expected = {2, 2, 2}},
    {.parts = 2, .opset = 2, .expected = {3, 3}},
    {.parts = 1, .opset = 13, .expected = {6}},
    {.parts = 4, .opset = 13, .message = "an extent of 6 can't be split into 4 equal parts"},
    {.parts = 2, .opset = 18, .num_outputs = 2, .expected = {3, 3}},
    {.parts = 4, .opset = 18, .num_outputs = 4, .message = "an extent of 6 can't be split into 4"},
    {.parts = 2, .opset = 18, .num_outputs = 3, .message = "num_outputs is 3; the node has 2"},
    {.lengths = {2, {3, 3}}, .parts = 3, .opset = 13, .message = "2 lengths in split for 3"},
    {.lengths = {2, {3, 2}}, .parts = 2, .opset = 13, .message = "leave 1 of an extent of 6"},
    {.lengths = {2, {5, 2}},
     .parts = 2,
     .opset = 13,
     .message = "split[1] is 2; 1 to the 1 that are left of an extent of 6 are possible"},
    {.lengths = {2, {6, 0}}, .parts = 2, .opset = 13, .message = "split[1] is 0"},
};

/* The parts, joined in reverse order: what each has shows in the output. */
static int split_and_join(int x, const struct split_case *c)
{
    int parts[4], lengths = NODE_ABSENT;
    if (c->lengths.rank > 0 && c->opset < 13)
        sketch_ints(&sketch, "split", c->lengths);
    else if (c->lengths.rank > 0)
        lengths = sketch_integers(&sketch, "lengths", c->lengths);
    if (c->num_outputs > 0)
        sketch_int(&sketch, "num_outputs", c->num_outputs);
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, "Split", "parts", x, lengths, parts, c->parts);
    int joined = parts[c->parts - 1];
    for (int i = c->parts - 2; i >= 0; i--) {
        sketch_int(&sketch, "axis", 1);
        joined = sketch_node(&sketch, "Concat", "joined", joined, parts[i], SKETCH_END);
    }
    return joined;
}

/* Law: the order of axes inside makes no difference; of two samples each is split for itself. */
START_TEST(a_split_gives_consecutive_parts)
{
    const struct split_case *c = &split_cases[_i];
    for (int moved = 0; moved < 2; moved++) {
        sketch_init(&sketch, arena, c->opset);
        int x = sketch_input(&sketch, "x", SKETCH(1, 6, 1, 2));
        int y = split_and_join(moved ? sketch_channels_last(&sketch, "moved", x, 2) : x, c);
        if (c->message != NULL) {
            sketch.graph->output = y;
            ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID, c->message);
            continue;
        }
        float expected[24], *to = expected;
        for (int sample = 0; sample < 2; sample++)
            for (int64_t part = c->parts - 1, end = 6; part >= 0; end -= c->expected[part--])
                for (int64_t i = 2 * (end - c->expected[part]); i < 2 * end; i++)
                    *to++ = (float)(12 * sample + i);
        const struct graph *graph = sketch_finish(&sketch, y);
        graph_run_compare(graph_run(arena, graph, counting(24), 2), expected, 24, 0);
    }
}
END_TEST

/* Since opset 18, with num_outputs: 7 = 3 + 3 + 1. */
START_TEST(the_last_of_uneven_parts_is_shorter)
{
    int parts[3];
    sketch_init(&sketch, arena, 18);
    int x = sketch_input(&sketch, "x", SKETCH(1, 7));
    sketch_int(&sketch, "axis", -1);
    sketch_int(&sketch, "num_outputs", 3);
    sketch_node_outputs(&sketch, "Split", "parts", x, NODE_ABSENT, parts, 3);
    const struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Relu", "y", parts[2], SKETCH_END));
    check_shape(graph, graph->output, SKETCH(1, 1));
    graph_run_compare(graph_run(arena, graph, counting(7), 1), (float[]){6}, 1, 0);
}
END_TEST

/* Law: parts that nobody reads stay outputs of the node, wherever they are in the list, through
 * folding too; equal lengths are counted with them. */
START_TEST(parts_that_nobody_reads_stay)
{
    int parts[3];
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, "Split", "parts", x, NODE_ABSENT, parts, 3);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Relu", "y", parts[_i], SKETCH_END));
    struct graph *folded;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_int_eq(folded->nodes[0].output_count, 3);
    for (int i = 0; i < 3; i++) {
        check_shape(folded, folded->nodes[0].outputs[i], SKETCH(1, 2));
        ck_assert(folded->tensors[folded->nodes[0].outputs[i]].batched);
    }
    const float expected[] = {(float)(2 * _i), (float)(2 * _i + 1), (float)(2 * _i + 6),
                              (float)(2 * _i + 7)};
    graph_run_compare(graph_run(arena, folded, counting(12), 2), expected, 4, 0);
}
END_TEST

/* Law: the parts of a channels-last tensor are channels-last, all of them. */
START_TEST(all_parts_follow_the_layout)
{
    int parts[2];
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 3, 3));
    x = sketch_channels_last(&sketch, "moved", x, 2);
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, "Split", "parts", x, NODE_ABSENT, parts, 2);
    int y = sketch_node(&sketch, "Add", "y", parts[0], parts[1], SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    const struct node *split = &graph->nodes[graph_find_node(graph, "parts")];
    for (int i = 0; i < 2; i++)
        ck_assert(graph->tensors[split->outputs[i]].channels_last);
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 2); /* of the input and the output */
}
END_TEST

START_TEST(parts_of_a_constant_are_constants)
{
    int parts[2];
    int x = sketch_input(&sketch, "x", SKETCH(1, 2));
    int w = sketch_constant(&sketch, "w", SKETCH(2, 2));
    const float *values = sketch.graph->tensors[w].values;
    sketch_node_outputs(&sketch, "Split", "parts", w, NODE_ABSENT, parts, 2);
    int sum = sketch_node(&sketch, "Add", "sum", x, parts[1], SKETCH_END);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Sub", "y", sum, parts[0], SKETCH_END));
    ck_assert_int_eq(graph->node_count, 2);
    const float input[] = {0, 0};
    const float expected[] = {values[2] - values[0], values[3] - values[1]};
    graph_run_compare(graph_run(arena, graph, input, 1), expected, 2, 1e-6);
}
END_TEST

START_TEST(a_split_of_the_samples_goes_one_by_one)
{
    int part;
    int x = sketch_input(&sketch, "x", SKETCH(1, 2));
    sketch_node_outputs(&sketch, "Split", "parts", x, NODE_ABSENT, &part, 1);
    const struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Relu", "y", part, SKETCH_END));
    ck_assert(!graph->batchable);
    graph_run_compare(graph_run(arena, graph, counting(2), 1), counting(2), 2, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_parts");
    TCase *tcase = tcase_create("values");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_slice_has_the_elements_from_start_to_end, 0, COUNT(slice_cases));
    tcase_add_test(tcase, a_slice_has_attributes_before_opset_10);
    tcase_add_test(tcase, a_slice_of_the_samples_makes_them_go_one_by_one);
    tcase_add_loop_test(tcase, a_split_gives_consecutive_parts, 0, COUNT(split_cases));
    tcase_add_test(tcase, the_last_of_uneven_parts_is_shorter);
    tcase_add_loop_test(tcase, parts_that_nobody_reads_stay, 0, 3);
    tcase_add_test(tcase, all_parts_follow_the_layout);
    tcase_add_test(tcase, parts_of_a_constant_are_constants);
    tcase_add_test(tcase, a_split_of_the_samples_goes_one_by_one);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
