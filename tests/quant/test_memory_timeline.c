/* Memory over the execution order, against numbers counted by hand and the peak of the costs. */

#include "ptqd/quant/memory_timeline.h"

#include "ptqd/quant/cost.h"

#include "sketch.h"
#include "support.h"

static struct arena *arena;
static struct sketch sketch;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* x (3, 8, 8) → a (4, 8, 8) ─┬→ b (4, 8, 8) → Add with a: a is alive until then. */
static struct quant_network *create_network(void)
{
    const struct quant_options options = {
        .weights = {.bits = 4, .symmetric = true},
        .activations = {.bits = 4},
        .input_bits = 8,
        .sum_bits = 8,
        .per_channel = true,
    };
    struct quant_network *network;
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 8, 8));
    int a = sketch_conv(&sketch, "a", x, 4, 3, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", a, 4, 4, SKETCH(3, 3));
    int sum = sketch_node(&sketch, "Add", "sum", b, a, SKETCH_END);
    const struct graph *graph = sketch_finish(&sketch, sum);
    ck_assert_ok(quant_network_create(arena, graph, &options, &network, &err), &err);
    return network;
}

static struct memory_timeline timeline_of(const struct quant_network *network)
{
    struct memory_timeline timeline;
    ck_assert_ok(memory_timeline_make(arena, network->graph, &timeline, &err), &err);
    return timeline;
}

/* Law: at each node what it reads, what it writes and what is read later, at the bits of the
 * quantizers: x has 8, a and b 4 where a product reads them, 8 where a sum does. */
START_TEST(each_step_has_what_is_alive)
{
    struct memory_timeline timeline = timeline_of(create_network());
    ck_assert_int_eq(timeline.step_count, 3);
    const struct memory_step *first = &timeline.steps[0], *last = &timeline.steps[2];
    ck_assert_str_eq(first->node, "a");
    ck_assert_str_eq(first->op, "Conv");
    ck_assert_int_eq(first->tensor_count, 2);
    ck_assert_str_eq(first->tensors[0].name, "x");
    ck_assert_int_eq(first->tensors[0].bytes, 3 * 64);
    ck_assert_int_eq(first->float_bytes, 4 * (3 + 4) * 64);
    ck_assert_str_eq(last->node, "sum");
    ck_assert_int_eq(last->float_bytes, 4 * (4 + 4 + 4) * 64);
}
END_TEST

/* Laws: the bytes of a step are those of its tensors together, and the largest are the peak of the
 * costs, which names the step where they are reached first. */
START_TEST(the_largest_step_is_the_peak)
{
    struct quant_network *network = create_network();
    struct memory_timeline timeline = timeline_of(network);
    const struct memory_step *largest = &timeline.steps[0];
    struct cost cost;
    ck_assert_ok(cost_of_network(arena, network, &cost, &err), &err);
    for (int i = 0; i < timeline.step_count; i++) {
        const struct memory_step *step = &timeline.steps[i];
        int64_t sum = 0;
        for (int j = 0; j < step->tensor_count; j++)
            sum += step->tensors[j].bytes;
        ck_assert_int_eq(step->bytes, sum);
        largest = step->bytes > largest->bytes ? step : largest;
    }
    ck_assert_int_eq(largest->bytes, cost.peak_activation_bytes);
    ck_assert_str_eq(largest->node, cost.peak_layer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_timeline");
    TCase *tcase = tcase_create("memory_timeline");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_step_has_what_is_alive);
    tcase_add_test(tcase, the_largest_step_is_the_peak);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
