#include "variant.h"

#include "support.h"

#include "ptqd/recon/method.h"

#include <string.h>

static int method_row(const char *name)
{
    int row = 0;
    while (strcmp(method_table()[row]->name, name) != 0)
        row++;
    return row;
}

int64_t variant_samples(const struct variant *variant, int64_t available)
{
    enum { SHORT = 64 };
    int64_t wanted = variant->samples > 0 ? variant->samples : available;
    if (support_short() && wanted > SHORT)
        wanted = SHORT;
    return wanted < available ? wanted : available;
}

bool variant_pipeline(const struct variant *variant, int64_t available, struct arena *arena,
                      struct pipeline *out_pipeline, struct error *err)
{
    struct pipeline pipeline = {0};
    if (!param_defaults(pipeline_table(), arena, &pipeline, err))
        return false;
    pipeline.samples = variant_samples(variant, available);
    pipeline.weights.bits = variant->bits;
    pipeline.optimize.variable = method_row(variant->method);
    pipeline.optimize.granularity = variant->granularity;
    pipeline.optimize.activations_in_loop = variant->activations;
    pipeline.postprocess.bias = variant->bias;
    if (variant->granularity == OPTIMIZE_BLOCK)
        pipeline.optimize.iterations = variant->steps;
    if (variant->granularity == OPTIMIZE_NETWORK) {
        int64_t epoch = pipeline.samples / pipeline.optimize.batch;
        pipeline.optimize.epochs = variant->steps > epoch ? variant->steps / epoch : 1;
    }
    *out_pipeline = pipeline;
    return true;
}

bool variant_run(const struct variant *variant, const struct graph *model,
                 const struct dataset *calibration, const struct dataset *evaluation,
                 struct variant_result *out_result, struct error *err)
{
    struct arena *arena = arena_create(0);
    struct pipeline pipeline;
    struct run_result *result;
    struct run_request request = {
        .model = model,
        .calibration = calibration,
        .evaluation = evaluation,
        .pipeline = &pipeline,
        .origin = {.program_version = "bench", .variant = "{}"},
    };
    bool done = variant_pipeline(variant, calibration->samples, arena, &pipeline, err) &&
                run_execute(arena, &request, &result, err);
    if (done) {
        *out_result = (struct variant_result){
            .step_count = result->step_count,
            .seconds = result->seconds,
        };
        memcpy(out_result->steps, result->steps, sizeof(out_result->steps));
    }
    arena_destroy(arena);
    return done;
}

double variant_seconds(const struct variant_result *result, const char *step)
{
    for (int i = 0; i < result->step_count; i++)
        if (strcmp(result->steps[i].name, step) == 0)
            return result->steps[i].seconds;
    return 0.0;
}

/* Two runs that differ in nothing but the number of steps; an epoch has 8, or 2. */
bool variant_training_step(const struct variant *variant, const struct network *network,
                           double *out_seconds, struct error *err)
{
    enum { FEW = 8, MANY = 136, MANY_SHORT = 16, SAMPLES = 256 };
    struct variant few = *variant, many = *variant;
    struct variant_result less, more;
    few.samples = many.samples = SAMPLES;
    few.steps = FEW;
    many.steps = support_short() ? MANY_SHORT : MANY;
    if (!variant_run(&few, network->graph, network->calibration, NULL, &less, err) ||
        !variant_run(&many, network->graph, network->calibration, NULL, &more, err))
        return false;
    *out_seconds = (variant_seconds(&more, "train") - variant_seconds(&less, "train")) /
                   (double)(many.steps - few.steps);
    return true;
}
