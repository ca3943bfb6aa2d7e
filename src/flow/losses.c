/* Curves of losses in a fixed room. */

#include "ptqd/flow/losses.h"

#include "ptqd/flow/pipeline.h"
#include "ptqd/recon/method.h"
#include "ptqd/recon/unit.h"

#include <math.h>

enum { SPAN_POINTS, SPAN_STRIDE, SPANS };

bool losses_create(struct arena *arena, int count, struct losses *out_losses, struct error *err)
{
    struct losses losses = {
        .count = count,
        .spans = ARENA_ARRAY(arena, int32_t, SPANS * count, err),
        .iterations = ARENA_ARRAY(arena, int32_t, LOSS_POINTS * count, err),
        .values = ARENA_ARRAY(arena, float, LOSS_POINTS *count, err),
    };
    if (!losses.spans || !losses.iterations || !losses.values)
        return false;
    for (int i = 0; i < count; i++)
        losses.spans[SPANS * i + SPAN_STRIDE] = 1;
    *out_losses = losses;
    return true;
}

/* Leaves the points of every second place. */
static void thin(int32_t *span, int32_t *iterations, float *values)
{
    int32_t left = 0;
    span[SPAN_STRIDE] *= 2;
    for (int32_t i = 0; i < span[SPAN_POINTS]; i++) {
        if (iterations[i] % span[SPAN_STRIDE] != 0)
            continue;
        iterations[left] = iterations[i];
        values[left++] = values[i];
    }
    span[SPAN_POINTS] = left;
}

void losses_add(const struct losses *losses, int curve, int64_t iteration, double loss)
{
    int32_t *span = losses->spans + SPANS * curve, last = span[SPAN_POINTS] - 1;
    int32_t *iterations = losses->iterations + LOSS_POINTS * curve;
    float *values = losses->values + LOSS_POINTS * curve;
    if (!isfinite(loss) || iteration > INT32_MAX)
        return;
    if (iteration == 0) {
        span[SPAN_POINTS] = 0;
        span[SPAN_STRIDE] = 1;
    } else if (last >= 0 &&
               (iterations[last] == iteration || iterations[last] % span[SPAN_STRIDE] != 0)) {
        span[SPAN_POINTS]--; /* it was there as the last one only */
    }
    while (span[SPAN_POINTS] == LOSS_POINTS)
        thin(span, iterations, values);
    iterations[span[SPAN_POINTS]] = (int32_t)iteration;
    values[span[SPAN_POINTS]++] = (float)loss;
}

/* ---- of a run ---- */

int losses_of_run(const struct quant_network *network)
{
    return 2 * network->layer_count + 1;
}

int losses_curve(const struct quant_network *network, enum curve_part part, int index)
{
    switch (part) {
    case CURVE_LAYER:
        return index;
    case CURVE_UNIT:
        return network->layer_count + index;
    case CURVE_BIASES:
        break;
    }
    return 2 * network->layer_count;
}

/* Units as flow/unit_training.c trains them. */
static bool cut(struct arena *arena, const struct pipeline *pipeline,
                const struct quant_network *network, struct unit **out_units, int *out_count,
                struct error *err)
{
    static const enum unit_granularity granularities[] = {
        [OPTIMIZE_LAYER] = UNIT_LAYER,
        [OPTIMIZE_BLOCK] = UNIT_BLOCK,
        [OPTIMIZE_NETWORK] = UNIT_NETWORK,
    };
    *out_count = 0;
    return !pipeline_trains(pipeline) ||
           unit_cut(arena, network, granularities[pipeline->optimize.granularity], out_units,
                    out_count, err);
}

struct reporter {
    const struct losses *losses;
    struct run_loss *report;
    int count;
};

static void add_curve(struct reporter *reporter, int curve, const char *name, const char *variable,
                      const char *solver)
{
    const struct losses *losses = reporter->losses;
    int count = losses->spans[SPANS * curve + SPAN_POINTS];
    if (count > 0)
        reporter->report[reporter->count++] = (struct run_loss){
            .name = name,
            .variable = variable,
            .solver = solver,
            .count = count,
            .iterations = losses->iterations + LOSS_POINTS * curve,
            .values = losses->values + LOSS_POINTS * curve,
        };
}

bool losses_report(struct arena *arena, const struct losses *losses,
                   const struct pipeline *pipeline, const struct quant_network *network,
                   struct run_loss **out_report, int *out_count, struct error *err)
{
    struct unit *units = NULL;
    int unit_count;
    const char *trained = method_table()[pipeline->optimize.variable]->name;
    const char *solved = pipeline_solver(pipeline)->name;
    bool distills = pipeline->optimize.granularity == OPTIMIZE_NETWORK;
    struct reporter reporter = {losses, ARENA_ARRAY(arena, struct run_loss, losses->count, err), 0};
    if (!reporter.report || !cut(arena, pipeline, network, &units, &unit_count, err))
        return false;
    for (int i = 0; i < network->layer_count; i++)
        add_curve(&reporter, losses_curve(network, CURVE_LAYER, i), network->layers[i].name, solved,
                  "layer-wise");
    for (int i = 0; i < unit_count; i++)
        add_curve(&reporter, losses_curve(network, CURVE_UNIT, i), units[i].name, trained,
                  distills ? "distillation" : "training");
    add_curve(&reporter, losses_curve(network, CURVE_BIASES, 0), "network", "biases", "tuning");
    *out_report = reporter.report;
    *out_count = reporter.count;
    return true;
}
