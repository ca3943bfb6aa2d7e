/* The memory of runs that there were none like before: planned as a run plans it before it begins,
 * on the model and on what is known of the data sets without reading them. */

#include "estimate_memory.h"

#include "model_use.h"

#include "ptqd/flow/run.h"

struct planning {
    const struct memory_question *question;
    size_t limit_bytes; /* 0: none */
    int64_t bytes;
};

struct stand_in { /* for a data set */
    struct dataset dataset;
    struct array values;
};

static const struct dataset *stand_in_for(const struct described_dataset *described,
                                          struct stand_in *out)
{
    if (described == NULL)
        return NULL;
    const struct dataset *dataset = &described->dataset;
    *out = (struct stand_in){
        .dataset = *dataset,
        .values = {.type = described->type,
                   .count = (size_t)(dataset->samples * shape_elements(&dataset->shape))},
    };
    out->dataset.values = &out->values;
    return &out->dataset;
}

static bool plan_variant(struct planning *planning, size_t variant, const struct graph *graph,
                         struct arena *scratch, struct error *err)
{
    const struct memory_question *question = planning->question;
    struct stand_in calibration, evaluation;
    struct pipeline pipeline = {0};
    size_t bytes;
    job_spec_variant(question->spec, variant, &pipeline);
    const struct run_request request = {
        .model = graph,
        .calibration = stand_in_for(question->calibration, &calibration),
        .evaluation = stand_in_for(question->evaluation, &evaluation),
        .pipeline = &pipeline,
        .origin = {.program_version = PTQD_VERSION, .variant = ""},
        .memory = {.limit_bytes = planning->limit_bytes,
                   .spill_directory = ""}, /* there is one, and nothing is put there */
    };
    if (!run_predict_memory(scratch, &request, &bytes, err))
        return false;
    if ((int64_t)bytes > planning->bytes)
        planning->bytes = (int64_t)bytes;
    return true;
}

/* One that can't be run does not keep the others from being planned. */
static bool plan_variants(void *context, const struct graph *graph, struct arena *scratch,
                          struct error *err)
{
    struct planning *planning = context;
    bool done = true;
    for (size_t i = 0; i < planning->question->variant_count; i++) {
        struct arena_mark mark = arena_mark(scratch);
        done &= plan_variant(planning, planning->question->variants[i], graph, scratch, err);
        arena_reset(scratch, mark);
    }
    return done;
}

int64_t estimate_memory(struct api *api, const struct memory_question *question,
                        struct arena *arena, const char **out_problem)
{
    size_t asked = (size_t)question->spec->memory_limit_mib << 20, most = api->options.run_bytes;
    struct planning planning = {
        .question = question,
        .limit_bytes = asked > 0 && (most == 0 || asked < most) ? asked : most,
    };
    const struct model_user user = {plan_variants, &planning};
    struct error reason = {0};
    *out_problem = NULL;
    if (!stored_model_use(api, question->spec->model.id, user, &reason))
        *out_problem = reason.internal ? error_code_name(reason.code)
                                       : arena_strdup(arena, reason.message, NULL);
    return planning.bytes;
}
