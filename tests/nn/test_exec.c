/* Execution: shared memory changes no bit, several samples at once are each the same as alone,
 * gradients are what the definition says. Gradients of single operators are checked against
 * differences in tests/conformance. */

#include "ptqd/nn/exec.h"
#include "ptqd/nn/exec_memory.h"

#include "ptqd/base/rng.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct error err;
static struct arena *arena;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(1 << 26);
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

enum { INPUTS = 3 * 6 * 5, CLASSES = 4 };

/* Everything that sharing of memory has to get right: a skip connection, operators in place, views,
 * a tensor that two branches read, a concatenation. */
static struct graph *branched_network(void)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 6, 5));
    int stem = sketch_conv(&sketch, "stem", x, 4, 3, SKETCH(3, 3));
    int relu = sketch_node(&sketch, "Relu", "relu", stem, SKETCH_END);
    int body = sketch_conv(&sketch, "body", relu, 4, 4, SKETCH(3, 3));
    int bounded = sketch_node(&sketch, "Tanh", "bounded", body, SKETCH_END);
    int sum = sketch_node(&sketch, "Add", "sum", bounded, relu, SKETCH_END);
    int gate = sketch_node(&sketch, "Sigmoid", "gate", sum, SKETCH_END);
    int swish = sketch_node(&sketch, "Mul", "swish", sum, gate, SKETCH_END);
    sketch_int(&sketch, "axis", 1);
    int both = sketch_node(&sketch, "Concat", "both", swish, sum, SKETCH_END);
    int pooled = sketch_node(&sketch, "GlobalAveragePool", "pooled", both, SKETCH_END);
    int flat = sketch_node(&sketch, "Flatten", "flat", pooled, SKETCH_END);
    int same = sketch_node(&sketch, "Identity", "same", flat, SKETCH_END);
    int weights = sketch_constant(&sketch, "dense.weight", SKETCH(8, CLASSES));
    int bias = sketch_constant(&sketch, "dense.bias", SKETCH(CLASSES));
    int dense = sketch_node(&sketch, "Gemm", "dense", same, weights, bias, SKETCH_END);
    int y = sketch_node(&sketch, "Softmax", "y", dense, SKETCH_END);
    return sketch_finish(&sketch, y);
}

static struct exec *create(const struct graph *graph, int64_t batch, bool gradients)
{
    struct exec *exec = NULL;
    struct exec_options options = {.batch = batch, .gradients = gradients};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    return exec;
}

START_TEST(sharing_memory_changes_no_bit)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 3 * INPUTS, 1);
    struct exec *shared = create(graph, 3, false), *kept = create(graph, 3, true);
    ck_assert_ok(exec_forward(shared, input, 3, &err), &err);
    ck_assert_ok(exec_forward(kept, input, 3, &err), &err);
    ck_assert_mem_eq(exec_values(shared, graph->output), exec_values(kept, graph->output),
                     3 * CLASSES * sizeof(float));
    exec_destroy(shared);
    exec_destroy(kept);
}
END_TEST

START_TEST(samples_at_once_are_each_the_same_as_alone)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 5 * INPUTS, 1);
    float *together = graph_run(arena, graph, input, 5);
    for (int i = 0; i < 5; i++)
        graph_run_compare(together + i * CLASSES, graph_run(arena, graph, input + i * INPUTS, 1),
                          CLASSES, 1e-6);
}
END_TEST

START_TEST(an_input_may_be_put_where_the_executor_keeps_it)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 2 * INPUTS, 1);
    float *expected = graph_run(arena, graph, input, 2);
    struct exec *exec = create(graph, 2, true), *shared = create(graph, 2, false);
    memcpy(exec_input(exec), input, 2 * INPUTS * sizeof(*input));
    ck_assert_ok(exec_forward(exec, exec_input(exec), 2, &err), &err);
    ck_assert_mem_eq(exec_values(exec, graph->output), expected, 2 * CLASSES * sizeof(float));
    ck_assert_ptr_null(exec_input(shared));
    exec_destroy(exec);
    exec_destroy(shared);
}
END_TEST

START_TEST(fewer_samples_than_the_batch_may_be_executed)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 4 * INPUTS, 1);
    struct exec *exec = create(graph, 4, false);
    ck_assert_ok(exec_forward(exec, input, 4, &err), &err);
    float first[CLASSES];
    memcpy(first, exec_values(exec, graph->output), sizeof(first));
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    graph_run_compare(exec_values(exec, graph->output), first, CLASSES, 1e-6);
    ck_assert_fails(exec_forward(exec, input, 5, &err), &err, E_INVALID,
                    "5 samples; 1 to 4 can be executed at once");
    ck_assert_fails(exec_forward(exec, input, 0, &err), &err, E_INVALID, "0 samples");
    exec_destroy(exec);
}
END_TEST

START_TEST(a_graph_that_mixes_samples_takes_one_at_a_time)
{
    int x = sketch_input(&sketch, "x", SKETCH(2, 3));
    struct graph *graph = sketch_finish(&sketch, sketch_node(&sketch, "Relu", "y", x, SKETCH_END));
    struct exec *exec = NULL;
    struct exec_options options = {.batch = 2};
    ck_assert_fails(exec_create(graph, &options, &exec, &err), &err, E_INVALID,
                    "a batch of 2 samples; this network can only execute one at a time");
    const float input[6] = {-1, 2, -3, 4, -5, 6}, expected[6] = {0, 2, 0, 4, 0, 6};
    graph_run_compare(graph_run(arena, graph, input, 1), expected, 6, 0);
}
END_TEST

START_TEST(a_constant_can_be_replaced_and_restored)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, INPUTS, 1);
    struct exec *exec = create(graph, 1, false);
    float before[CLASSES];
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    memcpy(before, exec_values(exec, graph->output), sizeof(before));

    int bias = graph_find_tensor(graph, "dense.bias");
    const float shifted[CLASSES] = {9, 0, 0, 0};
    exec_set_constant(exec, bias, shifted);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    ck_assert(exec_values(exec, graph->output)[0] > 0.9F);
    ck_assert_ptr_eq(exec_values(exec, bias), shifted);

    exec_set_constant(exec, bias, graph->tensors[bias].values);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    ck_assert_mem_eq(exec_values(exec, graph->output), before, sizeof(before));
    exec_destroy(exec);
}
END_TEST

START_TEST(one_node_executes_on_the_callers_memory)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 2 * INPUTS, 1);
    struct exec *exec = create(graph, 2, true);
    ck_assert_ok(exec_forward(exec, input, 2, &err), &err);

    int index = graph_find_node(graph, "body");
    const struct node *node = &graph->nodes[index];
    const float *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = exec_values(exec, node->inputs[i]);
    int64_t count = tensor_elements(&graph->tensors[node->outputs[0]], 2);
    float *out[1] = {ARENA_ARRAY(arena, float, count, &err)};
    ck_assert_ok(exec_node(exec, index, 2, in, out, &err), &err);
    ck_assert_mem_eq(out[0], exec_values(exec, node->outputs[0]), (size_t)count * sizeof(float));
    exec_destroy(exec);
}
END_TEST

START_TEST(a_view_executes_on_the_callers_memory)
{
    struct graph *graph = branched_network();
    struct exec *exec = create(graph, 1, false);
    const float in_values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float out_values[8] = {0};
    const float *in[1] = {in_values};
    float *out[1] = {out_values};
    ck_assert_ok(exec_node(exec, graph_find_node(graph, "flat"), 1, in, out, &err), &err);
    ck_assert_mem_eq(out_values, in_values, sizeof(in_values));
    exec_destroy(exec);
}
END_TEST

START_TEST(activations_are_not_readable_where_memory_is_shared)
{
    struct graph *graph = branched_network();
    struct exec *exec = create(graph, 1, false);
    ck_assert_ok(exec_forward(exec, graph_run_values(arena, INPUTS, 1), 1, &err), &err);
    ck_assert_ptr_null(exec_values(exec, graph_find_tensor(graph, "sum")));
    ck_assert_ptr_nonnull(exec_values(exec, graph->output));
    exec_destroy(exec);
}
END_TEST

/* y = x + x, so that dy/dx is 2: gradients of several readers are added. */
START_TEST(gradients_of_all_readers_are_added)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3));
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Add", "y", x, x, SKETCH_END));
    struct exec *exec = create(graph, 2, true);
    const float input[6] = {1, 2, 3, 4, 5, 6}, gradient[6] = {1, -1, 2, -2, 3, -3};
    const float expected[6] = {2, -2, 4, -4, 6, -6};
    ck_assert_ok(exec_want_gradient(exec, graph->input, &err), &err);
    ck_assert_ok(exec_forward(exec, input, 2, &err), &err);
    for (int pass = 0; pass < 2; pass++) { /* set, not added to, by each call */
        ck_assert_ok(exec_backward(exec, graph->output, gradient, &err), &err);
        graph_run_compare(exec_gradient(exec, graph->input), expected, 6, 0);
    }
    exec_destroy(exec);
}
END_TEST

/* Wanted together or alone, a gradient has the same bits: sharing of gradient memory. */
START_TEST(a_gradient_does_not_depend_on_what_else_is_wanted)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 2 * INPUTS, 1);
    float *gradient = graph_run_values(arena, 2 * CLASSES, 2);
    struct exec *all = create(graph, 2, true);
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].type == TENSOR_F32)
            ck_assert_ok(exec_want_gradient(all, i, &err), &err);
    ck_assert_ok(exec_forward(all, input, 2, &err), &err);
    ck_assert_ok(exec_backward(all, graph->output, gradient, &err), &err);

    static const char *const names[] = {"x", "stem.weight", "body.bias", "sum", "dense.weight"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int tensor = graph_find_tensor(graph, names[i]);
        struct exec *one = create(graph, 2, true);
        ck_assert_ok(exec_want_gradient(one, tensor, &err), &err);
        ck_assert_ok(exec_forward(one, input, 2, &err), &err);
        ck_assert_ok(exec_backward(one, graph->output, gradient, &err), &err);
        int64_t count = tensor_elements(&graph->tensors[tensor], 2);
        ck_assert_mem_eq(exec_gradient(one, tensor), exec_gradient(all, tensor),
                         (size_t)count * sizeof(float));
        exec_destroy(one);
    }
    exec_destroy(all);
}
END_TEST

START_TEST(a_backward_pass_may_start_at_any_tensor)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, INPUTS, 1);
    struct exec *exec = create(graph, 1, true);
    int stem = graph_find_tensor(graph, "stem"), relu = graph_find_tensor(graph, "relu");
    int dense = graph_find_tensor(graph, "dense.weight");
    int64_t count = shape_elements(&graph->tensors[relu].shape);
    float *gradient = graph_run_values(arena, count, 2);
    ck_assert_ok(exec_want_gradient(exec, stem, &err), &err);
    ck_assert_ok(exec_want_gradient(exec, dense, &err), &err);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    ck_assert_ok(exec_backward(exec, relu, gradient, &err), &err);
    for (int64_t i = 0; i < count; i++) {
        float slope = exec_values(exec, stem)[i] > 0 ? 1 : 0;
        ck_assert(exec_gradient(exec, stem)[i] == slope * gradient[i]);
    }
    for (int i = 0; i < 8 * CLASSES; i++) /* behind the start: no influence */
        ck_assert(exec_gradient(exec, dense)[i] == 0);
    exec_destroy(exec);
}
END_TEST

/* Law: gradients of constants are sums over the samples, whether these are executed at once or one
 * after the other, also where the loss sees several tensors; a pass that does not add begins anew.
 */
START_TEST(gradients_of_more_samples_are_added)
{
    enum { SAMPLES = 3 };
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, SAMPLES * INPUTS, 1);
    int relu = graph_find_tensor(graph, "relu");
    int64_t inner = tensor_elements(&graph->tensors[relu], 1);
    float *gradient = graph_run_values(arena, SAMPLES * CLASSES, 2);
    float *wanted = graph_run_values(arena, SAMPLES * inner, 3);
    struct exec_seed seeds[] = {{graph->output, .gradient = gradient},
                                {relu, .wanted = wanted, .factor = 0.5f}};
    struct exec *whole = create(graph, SAMPLES, true), *parts = create(graph, 1, true);
    static const char *const names[] = {"stem.weight", "body.bias", "dense.weight"};
    for (int i = 0; i < 3; i++) {
        int tensor = graph_find_tensor(graph, names[i]);
        ck_assert_ok(exec_want_gradient(whole, tensor, &err), &err);
        ck_assert_ok(exec_want_gradient(parts, tensor, &err), &err);
    }
    ck_assert_ok(exec_forward(whole, input, SAMPLES, &err), &err);
    ck_assert_ok(exec_backward_from(whole, seeds, 2, false, &err), &err);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < SAMPLES; i++) {
            ck_assert_ok(exec_forward(parts, input + i * INPUTS, 1, &err), &err);
            seeds[0].gradient = gradient + i * CLASSES;
            seeds[1].wanted = wanted + i * inner;
            ck_assert_ok(exec_backward_from(parts, seeds, 2, i > 0, &err), &err);
        }
    for (int i = 0; i < 3; i++) {
        int tensor = graph_find_tensor(graph, names[i]);
        graph_run_compare(exec_gradient(parts, tensor), exec_gradient(whole, tensor),
                          shape_elements(&graph->tensors[tensor].shape), 1e-5);
    }
    exec_destroy(whole);
    exec_destroy(parts);
}
END_TEST

/* Law: gradients are linear in the loss, so those of a loss that sees two tensors are the sum of
 * those of two losses. The second tensor is on the way to the first. */
START_TEST(a_loss_may_see_several_tensors)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 2 * INPUTS, 1);
    int relu = graph_find_tensor(graph, "relu"), weight = graph_find_tensor(graph, "stem.weight");
    int64_t inner = 2 * shape_elements(&graph->tensors[relu].shape);
    int64_t count = shape_elements(&graph->tensors[weight].shape);
    struct exec_seed seeds[2] = {
        {.tensor = graph->output, .gradient = graph_run_values(arena, 2 * CLASSES, 2)},
        {.tensor = relu, .gradient = graph_run_values(arena, inner, 3)},
    };
    struct exec *exec = create(graph, 2, true);
    ck_assert_ok(exec_want_gradient(exec, weight, &err), &err);
    ck_assert_ok(exec_forward(exec, input, 2, &err), &err);
    float *sum = ARENA_ARRAY(arena, float, count, &err);
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(exec_backward(exec, seeds[i].tensor, seeds[i].gradient, &err), &err);
        for (int64_t j = 0; j < count; j++)
            sum[j] += exec_gradient(exec, weight)[j];
    }
    ck_assert_ok(exec_backward_from(exec, seeds, 2, false, &err), &err);
    graph_run_compare(exec_gradient(exec, weight), sum, count, 1e-5);
    exec_destroy(exec);
}
END_TEST

/* The same loss by its gradient and by what it wants; of the output, of one on the way and of one
 * whose gradient is wanted; several seeds of one tensor add up. */
START_TEST(a_seed_may_say_what_it_wants)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 2 * INPUTS, 1);
    int weight = graph_find_tensor(graph, "stem.weight"), relu = graph_find_tensor(graph, "relu");
    const int tensors[] = {graph->output, relu, graph_find_tensor(graph, "stem"), graph->output,
                           relu};
    enum { SEEDS = sizeof(tensors) / sizeof(tensors[0]) };
    struct exec_seed by_gradient[SEEDS], by_target[SEEDS];
    int64_t weights = shape_elements(&graph->tensors[weight].shape);
    struct exec *exec = create(graph, 2, true);
    ck_assert_ok(exec_want_gradient(exec, weight, &err), &err);
    ck_assert_ok(exec_want_gradient(exec, tensors[2], &err), &err);
    ck_assert_ok(exec_forward(exec, input, 2, &err), &err);
    for (int i = 0; i < SEEDS; i++) {
        int64_t count = 2 * shape_elements(&graph->tensors[tensors[i]].shape);
        float *wanted = graph_run_values(arena, count, (uint64_t)i + 2);
        float *gradient = ARENA_ARRAY(arena, float, count, &err);
        const float *given = exec_values(exec, tensors[i]);
        for (int64_t j = 0; j < count; j++)
            gradient[j] = 0.5F * (given[j] - wanted[j]);
        by_gradient[i] = (struct exec_seed){.tensor = tensors[i], .gradient = gradient};
        by_target[i] = (struct exec_seed){.tensor = tensors[i], .wanted = wanted, .factor = 0.5F};
    }
    ck_assert_ok(exec_backward_from(exec, by_gradient, SEEDS, false, &err), &err);
    float *expected =
        arena_memdup(arena, exec_gradient(exec, weight), (size_t)weights * sizeof(float), &err);
    ck_assert_ok(exec_backward_from(exec, by_target, SEEDS, false, &err), &err);
    graph_run_compare(exec_gradient(exec, weight), expected, weights, 1e-6);
    exec_destroy(exec);
}
END_TEST

/* A Relu within the layer in front of it: the same output and gradients; what is between is not
 * there, unless it is asked for. */
START_TEST(joining_changes_no_value)
{
    struct graph *graph = branched_network();
    float *input = graph_run_values(arena, 2 * INPUTS, 1);
    float *gradient = graph_run_values(arena, 2 * CLASSES, 2);
    int stem = graph_find_tensor(graph, "stem"), relu = graph_find_tensor(graph, "relu");
    int64_t count = 2 * shape_elements(&graph->tensors[relu].shape);
    bool *kept = ARENA_ARRAY(arena, bool, graph->tensor_count, &err);
    struct exec_options options = {.batch = 2, .gradients = true, .joins = true};
    struct exec *plain = create(graph, 2, true), *joined, *keeping;
    ck_assert_ok(exec_create(graph, &options, &joined, &err), &err);
    kept[stem] = true;
    options.kept = kept;
    ck_assert_ok(exec_create(graph, &options, &keeping, &err), &err);
    struct exec *const all[] = {plain, joined, keeping};
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(exec_want_gradient(all[i], graph->input, &err), &err);
        ck_assert_ok(exec_forward(all[i], input, 2, &err), &err);
        ck_assert_ok(exec_backward(all[i], graph->output, gradient, &err), &err);
        graph_run_compare(exec_values(all[i], relu), exec_values(plain, relu), count, 1e-6);
        graph_run_compare(exec_gradient(all[i], graph->input), exec_gradient(plain, graph->input),
                          2 * INPUTS, 1e-5);
    }
    ck_assert_ptr_null(exec_values(joined, stem));
    ck_assert_ptr_nonnull(exec_values(keeping, stem));
    ck_assert(exec_bytes(joined) < exec_bytes(plain));
    for (int i = 0; i < 3; i++)
        exec_destroy(all[i]);
}
END_TEST

START_TEST(gradients_need_an_executor_that_was_made_for_them)
{
    struct graph *graph = branched_network();
    const float gradient[CLASSES] = {0};
    struct exec *exec = create(graph, 1, false);
    ck_assert_fails(exec_want_gradient(exec, graph->input, &err), &err, E_INTERNAL,
                    "without gradients");
    ck_assert_fails(exec_backward(exec, graph->output, gradient, &err), &err, E_INTERNAL,
                    "backward pass");
    exec_destroy(exec);
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error_with_the_bytes)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1 << 20, 1 << 10));
    int y = sketch_node(&sketch, "ReduceMean", "y", x, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert(!graph->batchable); /* a mean over everything */
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 1 << 20, 1 << 10));
    graph = sketch_finish(&sketch, sketch_node(&sketch, "Relu", "y", x, SKETCH_END));
    struct exec *exec = NULL;
    struct exec_options options = {.batch = INT64_C(1) << 40};
    ck_assert_fails(exec_create(graph, &options, &exec, &err), &err, E_MEMORY, "samples");
}
END_TEST

/* Blocks alive at one time don't overlap; the whole is no smaller than what is alive at once, and
 * no larger than everything. */
START_TEST(blocks_alive_together_do_not_overlap)
{
    enum { BLOCKS = 40 };
    struct rng rng;
    rng_init(&rng, 5, (uint64_t)_i);
    struct block blocks[BLOCKS];
    size_t sum = 0;
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = (struct block){.bytes = (size_t)rng_below(&rng, 5000),
                                   .first = (int)rng_below(&rng, 30)};
        blocks[i].last = blocks[i].first + (int)rng_below(&rng, 6);
        sum += blocks[i].bytes + BLOCK_ALIGNMENT;
    }
    size_t total = 0;
    ck_assert_ok(block_place(blocks, BLOCKS, arena, &total, &err), &err);
    ck_assert_uint_le(total, sum);
    for (int step = 0; step < 36; step++) {
        size_t alive = 0;
        for (int i = 0; i < BLOCKS; i++)
            if (blocks[i].first <= step && step <= blocks[i].last)
                alive += blocks[i].bytes;
        ck_assert_uint_le(alive, total);
    }
    for (int i = 0; i < BLOCKS; i++) {
        ck_assert_uint_eq(blocks[i].offset % BLOCK_ALIGNMENT, 0);
        for (int j = 0; j < i; j++) {
            bool together = blocks[i].first <= blocks[j].last && blocks[j].first <= blocks[i].last;
            bool apart = blocks[i].offset + blocks[i].bytes <= blocks[j].offset ||
                         blocks[j].offset + blocks[j].bytes <= blocks[i].offset;
            ck_assert(!together || apart);
        }
    }
}
END_TEST

START_TEST(blocks_one_after_the_other_share_their_place)
{
    struct block blocks[] = {{.bytes = 100, .first = 0, .last = 1},
                             {.bytes = 50, .first = 2, .last = 3},
                             {.bytes = 120, .first = 4, .last = 9}};
    size_t total = 0;
    ck_assert_ok(block_place(blocks, 3, arena, &total, &err), &err);
    ck_assert_uint_eq(total, 128);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(blocks[i].offset, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec");
    TCase *tcase = tcase_create("execution");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, sharing_memory_changes_no_bit);
    tcase_add_test(tcase, samples_at_once_are_each_the_same_as_alone);
    tcase_add_test(tcase, an_input_may_be_put_where_the_executor_keeps_it);
    tcase_add_test(tcase, fewer_samples_than_the_batch_may_be_executed);
    tcase_add_test(tcase, a_graph_that_mixes_samples_takes_one_at_a_time);
    tcase_add_test(tcase, a_constant_can_be_replaced_and_restored);
    tcase_add_test(tcase, one_node_executes_on_the_callers_memory);
    tcase_add_test(tcase, a_view_executes_on_the_callers_memory);
    tcase_add_test(tcase, activations_are_not_readable_where_memory_is_shared);
    tcase_add_test(tcase, gradients_of_all_readers_are_added);
    tcase_add_test(tcase, a_gradient_does_not_depend_on_what_else_is_wanted);
    tcase_add_test(tcase, a_backward_pass_may_start_at_any_tensor);
    tcase_add_test(tcase, gradients_of_more_samples_are_added);
    tcase_add_test(tcase, a_loss_may_see_several_tensors);
    tcase_add_test(tcase, a_seed_may_say_what_it_wants);
    tcase_add_test(tcase, joining_changes_no_value);
    tcase_add_test(tcase, gradients_need_an_executor_that_was_made_for_them);
    tcase_add_test(tcase, memory_that_is_not_there_is_an_error_with_the_bytes);
    tcase_add_loop_test(tcase, blocks_alive_together_do_not_overlap, 0, 20);
    tcase_add_test(tcase, blocks_one_after_the_other_share_their_place);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
