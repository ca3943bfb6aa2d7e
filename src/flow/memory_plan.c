/* The steps of a run as sums of what they have in memory at one time:
 *
 *   reconstruct   values of the walk, and at each layer moments, targets and the method's scratch
 *   train         values of the walk, and at each unit its executor and the variables; or, of the
 *                 whole network, teacher and student
 *   tune          the executor of the network with gradients
 *   evaluate      a walk over a chunk of samples, then an executor; both networks' outputs
 *
 * on top of the process, the files, what the run has made so far, and the weights once more for
 * each executor, which brings them into a layout of its own. Activations that an executor has
 * planned but a walk does not use are never touched and take no memory. */

#include "ptqd/flow/memory_plan.h"

#include "ptqd/flow/evaluate.h"
#include "ptqd/flow/final_walk.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/npy.h"
#include "ptqd/recon/layer_moments.h"
#include "ptqd/recon/method.h"
#include "ptqd/recon/sample_order.h"
#include "ptqd/recon/train.h"
#include "ptqd/recon/unit_graph.h"

/* Of a process before its first run: code, libraries, what these keep. Measured: 14 MiB. */
static const size_t PROCESS_BYTES = (size_t)14 << 20;

/* Code that the library of kernels makes for a layer, forwards and backwards, and keeps. Measured
 * on MobileNetV2's 53 layers. */
static const size_t LIBRARY_LAYER_BYTES = (size_t)768 << 10;

/* Of the limit one part in so many is left for what is not counted: the library's buffers, rests of
 * blocks. Measured: 2 to 11 % of the peak. */
enum { RESERVE_SHARE = 10 };

/* For each trained value: itself, its gradient, the best one and two moments of Adam. */
static const size_t TRAINED_BYTES = 5 * sizeof(float);

struct planner {
    struct arena *arena;
    const struct run_request *request;
    const struct pipeline *pipeline;
    struct quant_network *network;
    const struct samples *samples;
    size_t walk_bytes;   /* for values of walks in memory */
    bool spills;         /* some are not */
    size_t peak_bytes;   /* of the steps so far, on top of what is there anyway */
    size_t beside_bytes; /* of these without values of walks, at one time */
    size_t spilled_bytes;
    struct error *err;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Values of a walk in memory, and what else is there for a moment. */
static void note(struct planner *planner, size_t walk_bytes, size_t beside_bytes)
{
    planner->peak_bytes = larger(planner->peak_bytes, walk_bytes + beside_bytes);
    planner->beside_bytes = larger(planner->beside_bytes, beside_bytes);
}

static size_t tensor_bytes(const struct graph *graph, int tensor, int64_t samples)
{
    return (size_t)tensor_elements(&graph->tensors[tensor], samples) * sizeof(float);
}

static size_t weight_bytes(const struct quant_network *network, int first, int count)
{
    size_t cells = 0;
    for (int i = first; i < first + count; i++)
        cells += (size_t)(network->layers[i].K * (network->layers[i].D + 1));
    return cells * sizeof(float);
}

/* ---- walks ---- */

static bool open_walk(struct planner *planner, int64_t samples, struct walk **out_walk)
{
    const struct walk_options options = {
        .samples = planner->samples,
        .count = samples,
        .memory_bytes = planner->walk_bytes,
        .counts_only = true,
    };
    return walk_create(planner->network, &options, out_walk, planner->err);
}

static void close_walk(struct planner *planner, struct walk *walk)
{
    struct walk_memory memory = walk_memory(walk);
    size_t executors = 2 * weight_bytes(planner->network, 0, planner->network->layer_count);
    note(planner, memory.peak_bytes, executors);
    planner->spilled_bytes += memory.spilled_bytes;
    walk_destroy(walk);
}

static bool walk_nodes(struct planner *planner, struct walk *walk, int first, int last,
                       bool quantized)
{
    static const struct recon_monitor nobody;
    for (int node = first; node <= last; node++)
        if (quantized ? !walk_node_quantized(walk, node, &nobody, planner->err)
                      : !walk_node_float(walk, node, &nobody, planner->err))
            return false;
    return true;
}

/* Node by node in both networks, with nothing in between. */
static bool walk_all(struct planner *planner, struct walk *walk)
{
    for (int node = 0; node < planner->network->graph->node_count; node++)
        if (!walk_nodes(planner, walk, node, node, false) ||
            !walk_nodes(planner, walk, node, node, true))
            return false;
    return true;
}

/* ---- reconstruct ---- */

static size_t layer_bytes(const struct planner *planner, const struct quant_layer *layer)
{
    enum { TARGET_SETS = 4 }; /* where a Relu makes rounds */
    const struct pipeline *pipeline = planner->pipeline;
    const struct method *method = pipeline_solver(pipeline);
    if (quant_layer_is_float(layer) || (!method->uses_data && layer->range.observer))
        return 0;
    size_t moments = layer_moments_bytes(planner->network->graph, layer, planner->samples->count,
                                         planner->spills);
    size_t solve = method->moment_bytes * (size_t)(layer->G * layer->D * layer->D) +
                   method->weight_bytes * (size_t)(layer->K * layer->D);
    size_t sets = pipeline->optimize.loss == LOSS_ACTIVATED ? TARGET_SETS : 1;
    return linear_gram_bytes(layer) + sets * linear_targets_bytes(layer) + larger(moments, solve);
}

static bool plan_reconstruction(struct planner *planner)
{
    const struct quant_network *network = planner->network;
    struct walk *walk;
    int layer = 0;
    if (!open_walk(planner, planner->samples->count, &walk))
        return false;
    bool done = true;
    for (int node = 0; done && node < network->graph->node_count; node++) {
        bool is_layer = layer < network->layer_count && network->layers[layer].node == node;
        int output = network->graph->nodes[node].outputs[0];
        done = walk_nodes(planner, walk, node, node, false);
        if (done && is_layer) {
            note(planner, walk_memory(walk).used_bytes,
                 layer_bytes(planner, &network->layers[layer++]));
            walk_keep(walk, output);
        }
        done = done && walk_nodes(planner, walk, node, node, true);
        if (done && is_layer)
            walk_release(walk, output);
    }
    close_walk(planner, walk);
    return done;
}

/* ---- executors ---- */

/* Memory of an executor of the network's graph, of the float one or of a unit's: with all
 * activations where `keeps`, with the gradients of the weights and biases of a unit's layers where
 * there is one. */
static bool executor_bytes(struct planner *planner, const struct graph *graph, int64_t batch,
                           bool keeps, const struct unit *trained, size_t *out_bytes)
{
    const struct quant_network *network = planner->network;
    struct exec_options options = {
        .batch = graph->batchable ? batch : 1,
        .gradients = keeps,
        .joins = true,
        .counts_only = true,
    };
    struct exec *exec;
    if (!exec_create(graph, &options, &exec, planner->err))
        return false;
    bool done = true;
    for (int i = 0; trained && done && i < trained->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[trained->layer + i];
        done = exec_want_gradient(exec, layer->weights, planner->err) &&
               exec_want_gradient(exec, layer->bias, planner->err);
    }
    done = done && (!trained || exec_reserve(exec, planner->err));
    size_t weights = trained ? 2 * weight_bytes(network, trained->layer, trained->layer_count)
                             : weight_bytes(network, 0, network->layer_count);
    *out_bytes = exec_bytes(exec) + weights;
    exec_destroy(exec);
    return done;
}

/* ---- train ---- */

static int64_t batch_of(const struct planner *planner)
{
    int64_t batch = planner->pipeline->optimize.batch, samples = planner->samples->count;
    return batch < samples ? batch : samples;
}

/* Samples that distillation executes at once: the teacher's, and of these the student's. */
static int64_t teacher_part(const struct planner *planner)
{
    return sample_order_of_network(planner->network->folded, batch_of(planner), 0);
}

static int64_t student_part(const struct planner *planner)
{
    return sample_order_in_caches(planner->network->folded, teacher_part(planner));
}

/* A unit while it is trained: its executor, variables, a batch, and what is kept of quantizers. */
static bool unit_bytes(struct planner *planner, const struct unit *unit, size_t *out_bytes)
{
    const struct pipeline *pipeline = planner->pipeline;
    const struct graph *network = planner->network->graph;
    struct arena_mark mark = arena_mark(planner->arena);
    struct unit_graph graph;
    size_t executor;
    bool whole = pipeline->optimize.granularity == OPTIMIZE_NETWORK;
    if (!unit_graph_create(planner->arena, planner->network, unit, &graph, planner->err))
        return false;
    int64_t part = whole ? student_part(planner) : train_part(graph.graph, batch_of(planner), 0);
    if (!executor_bytes(planner, graph.graph, part, true, unit, &executor))
        return false;
    size_t weights = weight_bytes(planner->network, unit->layer, unit->layer_count);
    size_t bytes = executor + weights / sizeof(float) * TRAINED_BYTES +
                   tensor_bytes(network, unit->output, part);
    for (int i = 0; i < graph.quantizer_count; i++) {
        int tensor = planner->network->activations[graph.quantizers[i].activation].input;
        if (pipeline->optimize.drop > 0.0)
            bytes += tensor_bytes(network, tensor, part) / sizeof(float);
    }
    arena_reset(planner->arena, mark);
    *out_bytes = bytes;
    return true;
}

static bool plan_units(struct planner *planner, const struct unit *units, int count)
{
    struct walk *walk;
    if (!open_walk(planner, planner->samples->count, &walk))
        return false;
    bool done = true;
    for (int i = 0; done && i < count; i++) {
        const struct unit *unit = &units[i];
        size_t bytes;
        walk_keep(walk, unit->input);
        walk_keep(walk, unit->output);
        done = unit_bytes(planner, unit, &bytes) &&
               walk_nodes(planner, walk, unit->first, unit->last, false) &&
               walk_nodes(planner, walk, unit->first, unit->start - 1, true);
        if (!done)
            break;
        note(planner, walk_memory(walk).used_bytes, bytes);
        done = walk_nodes(planner, walk, unit->start, unit->last, true);
        walk_release(walk, unit->input);
        walk_release(walk, unit->output);
    }
    close_walk(planner, walk);
    return done;
}

static bool plan_training(struct planner *planner)
{
    const struct pipeline *pipeline = planner->pipeline;
    struct unit *units;
    size_t student, teacher;
    const struct graph *folded = planner->network->folded;
    int64_t part = teacher_part(planner);
    int count;
    static const enum unit_granularity granularities[] = {
        [OPTIMIZE_LAYER] = UNIT_LAYER,
        [OPTIMIZE_BLOCK] = UNIT_BLOCK,
        [OPTIMIZE_NETWORK] = UNIT_NETWORK,
    };
    if (!pipeline_trains(pipeline))
        return true;
    if (!unit_cut(planner->arena, planner->network, granularities[pipeline->optimize.granularity],
                  &units, &count, planner->err))
        return false;
    if (pipeline->optimize.granularity != OPTIMIZE_NETWORK)
        return plan_units(planner, units, count);
    if (count == 0)
        return true;
    if (!unit_bytes(planner, &units[0], &student) ||
        !executor_bytes(planner, folded, part, true, NULL, &teacher))
        return false;
    note(planner, 0, student + teacher);
    return true;
}

/* ---- tune and evaluate ---- */

static bool plan_tuning(struct planner *planner)
{
    const struct quant_network *network = planner->network;
    int bias = planner->pipeline->postprocess.bias;
    struct walk *walk;
    size_t bytes;
    if (bias == BIAS_CORRECT) {
        if (!open_walk(planner, planner->samples->count, &walk))
            return false;
        bool done = walk_all(planner, walk);
        close_walk(planner, walk);
        return done;
    }
    if (bias == BIAS_NONE || network->layer_count == 0)
        return true;
    const struct unit all = {.layer_count = network->layer_count};
    int64_t part = sample_order_of_network(network->graph, planner->pipeline->postprocess.batch, 0);
    if (!executor_bytes(planner, network->graph, part, true, &all, &bytes))
        return false;
    note(planner, 0, bytes);
    return true;
}

static bool plan_evaluation(struct planner *planner)
{
    const struct quant_network *network = planner->network;
    const struct dataset *evaluation = planner->request->evaluation;
    int64_t samples = planner->samples->count, chunk = final_walk_chunk(network);
    size_t executor, outputs = tensor_bytes(network->graph, network->graph->output, 1);
    struct walk *walk;
    if (!open_walk(planner, chunk < samples ? chunk : samples, &walk))
        return false;
    walk_keep(walk, network->graph->output);
    bool done = walk_all(planner, walk);
    note(planner, walk_memory(walk).peak_bytes, 2 * (size_t)samples * outputs);
    close_walk(planner, walk);
    if (!done || !executor_bytes(planner, network->graph, EVALUATE_BATCH, false, NULL, &executor))
        return false;
    if (evaluation)
        note(planner, 0, executor + 2 * (size_t)evaluation->samples * outputs);
    return true;
}

/* ---- all of them ---- */

static size_t stored_bytes(const struct dataset *dataset)
{
    return dataset ? dataset->values->count * dataset->values->type->bytes : 0;
}

static bool plan_steps(struct planner *planner, size_t walk_bytes)
{
    planner->walk_bytes = walk_bytes;
    planner->spills = walk_bytes != SIZE_MAX;
    planner->peak_bytes = planner->beside_bytes = planner->spilled_bytes = 0;
    return plan_reconstruction(planner) && plan_training(planner) && plan_tuning(planner) &&
           plan_evaluation(planner);
}

bool memory_plan_make(struct arena *arena, const struct run_request *request,
                      struct quant_network *network, const struct samples *samples,
                      struct memory_plan *out_plan, struct error *err)
{
    struct planner planner = {
        .arena = arena,
        .request = request,
        .pipeline = request->pipeline,
        .network = network,
        .samples = samples,
        .err = err,
    };
    struct arena_mark mark = arena_mark(arena);
    size_t there = PROCESS_BYTES + (size_t)network->layer_count * LIBRARY_LAYER_BYTES +
                   arena_used(arena) + stored_bytes(request->calibration) +
                   stored_bytes(request->evaluation);
    size_t limit = request->memory.limit_bytes ? request->memory.limit_bytes : SIZE_MAX;
    if (!plan_steps(&planner, SIZE_MAX))
        return false;
    size_t walk_bytes = SIZE_MAX, reserve = limit / RESERVE_SHARE;
    if (there + planner.peak_bytes > limit - reserve) {
        size_t whole = there + planner.peak_bytes;
        if (!plan_steps(&planner, 0))
            return false;
        size_t least = there + planner.peak_bytes;
        if (!request->memory.spill_directory || least > limit)
            return FAIL(err, E_MEMORY,
                        "the run needs %zu MiB of memory%s; %zu MiB are allowed. Fewer samples or "
                        "smaller batches need less",
                        (request->memory.spill_directory ? least : whole) >> 20,
                        request->memory.spill_directory ? ", with everything in files that can be"
                                                        : "",
                        limit >> 20);
        walk_bytes = least < limit - reserve ? limit - reserve - least : 0;
        if (!plan_steps(&planner, walk_bytes))
            return false;
    }
    arena_reset(arena, mark);
    *out_plan = (struct memory_plan){
        .predicted_bytes = there + planner.peak_bytes,
        .spilled_bytes = planner.spilled_bytes,
        .walk_bytes = walk_bytes,
        .kept_bytes = planner.peak_bytes - planner.beside_bytes,
    };
    return true;
}
