/* Training of units.
 *
 * For layers and blocks one walk over both networks (recon/walk.h): the float network executes the
 * unit, then its variables are trained, and only then the quantized network executes it.
 *
 * The network as a unit is distilled (recon/distill.h).
 */

#include "ptqd/flow/unit_training.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"
#include "ptqd/flow/reconstruct.h"
#include "ptqd/flow/run_state.h"
#include "ptqd/nn/op.h"
#include "ptqd/recon/distill.h"
#include "ptqd/recon/train.h"
#include "ptqd/recon/walk.h"

struct unit_run {
    const struct optimization *o;
    const struct pipeline *pipeline;
    struct quant_network *network;
    struct walk *walk;
    uint64_t seed;
    struct rng rng;
    struct error *err;
};

/* Of the run's seed; see flow/run.c for the others. */
enum { STREAM_TRAIN = 3 };

/* Where the pipeline says "auto".
 *
 * Steps of the network, with batches of 32: as many as 80 passes over a thousand samples make. At
 * 2 bits and half of that work, this divergence was left on a held-out fifth of the calibration set
 * (smaller batches fit what they see better, and not what they don't):
 *
 *     batch          64     32     16     8
 *     ResNet-8     0.68   0.56   0.55
 *     DS-CNN       0.33   0.28   0.31   0.31
 *     MobileNetV1  0.24   0.16   0.20   0.22
 *     HAR CNN     0.046  0.041  0.037  0.036
 *
 * Steps of a layer or block: a tenth of BRECQ's, 2000, with its batch of 32.
 *
 * Rates: w in codes, found on a held-out fifth of ResNet-8's calibration set, where half of it left
 * 0.60 and double more; α as in recon/methods/round.c. Scales and biases move a quarter as fast,
 * which was better than a half. */
static const double rate_of[] = {
    [TRAIN_NOTHING] = 0.0, [TRAIN_QPARAM] = 0.02, [TRAIN_WEIGHTS] = 0.02, [TRAIN_ROUND] = 0.03};
static const double OTHERS = 0.25;

static struct trainee_options trainee_options(const struct pipeline *pipeline)
{
    const struct method *method = method_table()[pipeline->optimize.variable];
    const struct method *start = method_table()[pipeline->optimize.start];
    bool network = pipeline->optimize.granularity == OPTIMIZE_NETWORK;
    bool activations = network || pipeline->optimize.activations_in_loop;
    double asked = pipeline->optimize.learning_rate;
    double rate = asked > 0.0 ? asked : rate_of[method->trained];
    return (struct trainee_options){
        .variable = method->trained,
        .from_codes = !network || start != &method_none,
        .regularization = pipeline->optimize.regularization,
        .warm_start = pipeline->optimize.warm_start,
        .rates =
            {
                .weights = rate,
                .weight_scales = OTHERS * rate,
                .activation_scales = activations ? OTHERS * rate : 0.0,
                .zero_points = activations ? OTHERS * rate : 0.0,
                .biases = OTHERS * rate,
            },
    };
}

/* ---- layers and blocks ---- */

static bool train_one(struct unit_run *run, const struct unit *unit)
{
    const struct pipeline *pipeline = run->pipeline;
    int64_t asked = pipeline->optimize.iterations;
    struct train_options options = {
        .steps = asked > 0 ? asked : PIPELINE_UNIT_STEPS,
        .batch = pipeline->optimize.batch,
        .trainee = trainee_options(pipeline),
        .drop = pipeline->optimize.drop,
    };
    struct unit_data data = {
        .samples = run->o->data->count,
        .input = walk_quantized(run->walk, unit->input),
        .float_input = walk_float(run->walk, unit->input),
        .target = walk_float(run->walk, unit->output),
    };
    struct train_loss loss;
    struct arena_mark mark = arena_mark(run->o->arena);
    bool done = train_unit(run->network, unit, &data, run->o->outputs->layer_scale, &options,
                           &run->rng, &run->o->progress->monitor, run->o->arena, &loss, run->err);
    arena_reset(run->o->arena, mark);
    if (done)
        log_write(LOG_DEBUG, "flow", "unit trained|name=%s before=%g after=%g", unit->name,
                  loss.before, loss.after);
    return done;
}

static bool walk_unit(struct unit_run *run, const struct unit *unit, bool decided)
{
    const struct recon_monitor *monitor = &run->o->progress->monitor;
    walk_keep(run->walk, unit->input);
    walk_keep(run->walk, unit->output);
    for (int node = unit->first; node <= unit->last; node++)
        if (!walk_node_float(run->walk, node, monitor, run->err))
            return false;
    for (int node = unit->first; node <= unit->last; node++) {
        if (node == unit->start && !decided && !train_one(run, unit))
            return false;
        if (!walk_node_quantized(run->walk, node, monitor, run->err))
            return false;
    }
    walk_release(run->walk, unit->input);
    walk_release(run->walk, unit->output);
    return true;
}

static bool train_unit_index(struct unit_run *run, const struct unit *units, int index)
{
    bool decided = index < run_state_done(run->o->state, STEP_TRAIN);
    rng_init(&run->rng, run->seed, STREAM_TRAIN + ((uint64_t)index << 8));
    progress_curve(run->o->progress, losses_curve(run->network, CURVE_UNIT, index));
    if (!progress_unit(run->o->progress, index + 1, units[index].name, run->err) ||
        !walk_unit(run, &units[index], decided))
        return false;
    if (!decided)
        run_state_save(run->o->state, STEP_TRAIN, index + 1, NULL, 0);
    return true;
}

static bool train_parts(struct unit_run *run, enum unit_granularity granularity)
{
    struct unit *units;
    int count;
    if (!unit_cut(run->o->arena, run->network, granularity, &units, &count, run->err) ||
        !progress_step(run->o->progress, STEP_TRAIN, count, run->err) ||
        !walk_create(run->network, run->o->data, &run->walk, run->err))
        return false;
    bool done = true;
    for (int i = 0; done && i < count; i++)
        done = train_unit_index(run, units, i);
    walk_destroy(run->walk);
    return done;
}

/* ---- the network ---- */

static int64_t epochs_of(const struct pipeline *pipeline, int64_t samples)
{
    int64_t batch = pipeline->optimize.batch;
    int64_t per_epoch = samples > batch ? samples / batch : 1;
    int64_t enough = (PIPELINE_NETWORK_STEPS + per_epoch - 1) / per_epoch;
    return pipeline->optimize.epochs > 0 ? pipeline->optimize.epochs : enough;
}

static bool train_network(struct unit_run *run)
{
    const struct pipeline *pipeline = run->pipeline;
    const struct optimization *o = run->o;
    const struct graph *graph = run->network->graph;
    bool probabilities = graph_before_softmax(graph, graph->output) != graph->output;
    struct recon_keeper keeper = run_state_keeper(o->state, STEP_TRAIN, 0);
    struct distill_options options = {
        .keeper = &keeper,
        .epochs = epochs_of(pipeline, o->data->count),
        .batch = pipeline->optimize.batch,
        .loss = probabilities ? DISTILL_PROBABILITIES : DISTILL_VALUES,
        .temperature = pipeline->optimize.temperature,
        .share = pipeline->optimize.share,
        .augment = {.shift = pipeline->optimize.shift,
                    .mirror = pipeline->optimize.mirror,
                    .mix = pipeline->optimize.mix},
        .trainee = trainee_options(pipeline),
    };
    struct distill_result result;
    if (!progress_step(o->progress, STEP_TRAIN, 0, run->err))
        return false;
    progress_curve(o->progress, losses_curve(run->network, CURVE_UNIT, 0));
    rng_init(&run->rng, run->seed, STREAM_TRAIN);
    struct arena_mark mark = arena_mark(o->arena);
    bool done = distill(run->network, o->data->samples, o->outputs->layer_scale, &options,
                        &run->rng, &o->progress->monitor, o->arena, &result, run->err);
    arena_reset(o->arena, mark);
    if (done)
        log_write(LOG_DEBUG, "flow", "network distilled|before=%g after=%g", result.before,
                  result.after);
    return done;
}

bool unit_training(const struct optimization *optimization, uint64_t seed, struct error *err)
{
    const struct pipeline *pipeline = optimization->pipeline;
    struct unit_run run = {
        .o = optimization,
        .pipeline = pipeline,
        .network = optimization->network,
        .seed = seed,
        .err = err,
    };
    if (!pipeline_trains(pipeline) || run.network->layer_count == 0 ||
        run_state_done(optimization->state, STEP_TRAIN) == RUN_STATE_ALL_DONE)
        return true;
    double since = clock_seconds();
    bool done = pipeline->optimize.granularity == OPTIMIZE_NETWORK ? train_network(&run)
                : pipeline->optimize.granularity == OPTIMIZE_BLOCK ? train_parts(&run, UNIT_BLOCK)
                                                                   : train_parts(&run, UNIT_LAYER);
    (void)progress_account(optimization->progress, "train", since); /* the next reads the clock */
    return done;
}
