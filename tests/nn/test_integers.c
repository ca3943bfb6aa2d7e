/* Nodes that compute shapes, seen by what a Reshape makes of them. */

#include "ptqd/nn/graph.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <string.h>

static struct arena *arena;
static struct error err;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    sketch_init(&sketch, arena, 15);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static int list(const char *name, struct shape values)
{
    return sketch_integers(&sketch, name, values);
}

/* Extent `place` of x as a list of one. */
static int extent(const char *name, int x, int64_t place)
{
    int shape =
        sketch_node(&sketch, "Shape", arena_printf(arena, &err, "%s.shape", name), x, SKETCH_END);
    int places = list(arena_printf(arena, &err, "%s.place", name), SKETCH(place));
    return sketch_node(&sketch, "Gather", name, shape, places, SKETCH_END);
}

static int joined(const char *name, int a, int b)
{
    sketch_int(&sketch, "axis", 0);
    return sketch_node(&sketch, "Concat", name, a, b, SKETCH_END);
}

/* x.view(x.size(0), -1) as exporters write it where the number of samples is open. */
static int viewed(int x)
{
    return joined("to", extent("samples", x, 0), list("rest", SKETCH(-1)));
}

/* [1, C / 2, 2, -1] with the arithmetic of integers. */
static int shuffled(int x)
{
    int half =
        sketch_node(&sketch, "Div", "half", extent("C", x, 1), list("two", SKETCH(2)), SKETCH_END);
    sketch_int(&sketch, "to", 7);
    int cast = sketch_node(&sketch, "Cast", "cast", half, SKETCH_END);
    int front = joined("front", extent("samples", x, -4), cast);
    return joined("to", front, list("back", SKETCH(2, -1)));
}

/* 1, 4, 12 by sum, difference and product. */
static int computed(int x)
{
    int four =
        sketch_node(&sketch, "Add", "four", extent("H", x, 2), list("one", SKETCH(1)), SKETCH_END);
    int two = sketch_node(&sketch, "Sub", "difference", four, list("minus", SKETCH(2)), SKETCH_END);
    int twelve = sketch_node(&sketch, "Mul", "product", two, list("six", SKETCH(6)), SKETCH_END);
    return joined("to", joined("front", list("first", SKETCH(1)), four), twelve);
}

/* Pads as a framework pairs them from the last axis on, in the order of ONNX: Pad's own list. */
static int turned(int x)
{
    (void)x; /* of constants alone */
    int pairs = sketch_node(&sketch, "Reshape", "pairs", list("flat", SKETCH(4, 12, 1, 1)),
                            list("table", SKETCH(-1, 2)), SKETCH_END);
    int slice = sketch_node(&sketch, "Slice", "backwards", pairs, list("from", SKETCH(-1)),
                            list("until", SKETCH(INT64_MIN + 1)), list("axes", SKETCH(0)),
                            list("steps", SKETCH(-1)), SKETCH_END);
    sketch_ints(&sketch, "perm", SKETCH(1, 0));
    int columns = sketch_node(&sketch, "Transpose", "columns", slice, SKETCH_END);
    return sketch_node(&sketch, "Reshape", "to", columns, list("line", SKETCH(-1)), SKETCH_END);
}

/* Some extents only, since opset 15, and an axis more and one less. */
static int parted(int x)
{
    sketch_int(&sketch, "start", 1);
    sketch_int(&sketch, "end", -1);
    int middle = sketch_node(&sketch, "Shape", "middle", x, SKETCH_END);
    int wide = sketch_node(&sketch, "Unsqueeze", "wide", middle, list("at", SKETCH(0)), SKETCH_END);
    int back = sketch_node(&sketch, "Squeeze", "back", wide, list("off", SKETCH(0)), SKETCH_END);
    int same = sketch_node(&sketch, "Identity", "same", back, SKETCH_END);
    return joined("to", list("first", SKETCH(1)), same);
}

static int filled(int x)
{
    sketch_int(&sketch, "value", 2);
    int twos =
        sketch_node(&sketch, "ConstantOfShape", "twos", list("count", SKETCH(3)), SKETCH_END);
    return joined("to", extent("samples", x, 0), joined("tail", twos, list("rest", SKETCH(-1))));
}

static const struct {
    int (*make)(int x);
    struct shape expected;
} cases[] = {
    {viewed, {2, {1, 48}}},       {shuffled, {4, {1, 2, 2, 12}}}, {computed, {3, {1, 4, 12}}},
    {turned, {4, {1, 4, 1, 12}}}, {parted, {3, {1, 4, 3}}},       {filled, {5, {1, 2, 2, 2, 6}}},
};

/* Law: the list is what integers give; no node is left of it, and several samples can be executed
 * at once. x is 1 x 4 x 3 x 4; of `parted` its last axis is averaged away. */
START_TEST(a_shape_is_computed_when_the_graph_is_finished)
{
    const struct shape *expected = &cases[_i].expected;
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 3, 4)), to = cases[_i].make(x), from = x;
    if (cases[_i].make == parted) {
        sketch_ints(&sketch, "axes", SKETCH(-1));
        from = sketch_node(&sketch, "ReduceMean", "mean", x, SKETCH_END);
    }
    int y = sketch_node(&sketch, "Reshape", "y", from, to, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_msg(shape_equal(&graph->tensors[graph->output].shape, expected), "case %d", _i);
    ck_assert_int_eq(graph->node_count, from == x ? 1 : 2);
    ck_assert(graph->batchable);
}
END_TEST

static void fails(int list_of_integers, int x, enum error_code code, const char *message)
{
    sketch.graph->output = sketch_node(&sketch, "Reshape", "y", x, list_of_integers, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, code, message);
}

START_TEST(what_is_no_integer_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int none =
        sketch_node(&sketch, "Div", "none", extent("C", x, 1), list("zero", SKETCH(0)), SKETCH_END);
    fails(none, x, E_INVALID, "node 'none' (Div): 4 / 0 is no integer");
}
END_TEST

START_TEST(a_place_behind_the_list_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    fails(extent("C", x, 2), x, E_INVALID, "node 'C' (Gather): index 2 of a list of 2");
}
END_TEST

START_TEST(integers_that_float32_does_not_have_are_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int sum = sketch_node(&sketch, "Add", "sum", extent("C", x, 1),
                          list("much", SKETCH((1 << 24) + 1)), SKETCH_END);
    fails(sum, x, E_UNSUPPORTED,
          "node 'sum' (Add): 'much' has 16777217; integers up to 2^24 can be computed with");
}
END_TEST

START_TEST(endless_lists_are_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4)), all = list("some", SKETCH(1, 2, 3, 4));
    for (int i = 0; i < 40; i++)
        all = joined(arena_printf(arena, &err, "twice.%d", i), all, all);
    fails(all, x, E_TOO_LARGE, "131072 integers; at most 65536 are supported");
}
END_TEST

/* Law: the same types of nodes on float32 are in the list of what is not supported, beside others.
 */
START_TEST(on_float32_they_are_not_supported)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int part = sketch_node(&sketch, "Gather", "part", x, list("at", SKETCH(0)), SKETCH_END);
    int sine = sketch_node(&sketch, "Sin", "sine", part, SKETCH_END);
    fails(viewed(x), sine, E_UNSUPPORTED,
          "2 nodes with an operator that is not supported: 'part' (Gather), 'sine' (Sin)");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("integers");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_shape_is_computed_when_the_graph_is_finished, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, what_is_no_integer_is_refused);
    tcase_add_test(tcase, a_place_behind_the_list_is_refused);
    tcase_add_test(tcase, integers_that_float32_does_not_have_are_refused);
    tcase_add_test(tcase, endless_lists_are_refused);
    tcase_add_test(tcase, on_float32_they_are_not_supported);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
