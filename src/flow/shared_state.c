/* The name of what a run has decided behind a step: the float network, the samples drawn, every
 * choice of the pipeline that was made use of until then, and the seed where it was. A new row of
 * the pipeline is part of it unless it is taken out here. */

#include "ptqd/flow/shared_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES = 512 /* of a choice as text */, SEED_BYTES = 24 };

/* Methods, ranges and the correction of biases draw nothing. */
static bool draws(const struct pipeline *pipeline, enum run_step_id step)
{
    return (step >= STEP_TRAIN && pipeline_trains(pipeline)) ||
           (step >= STEP_TUNE && pipeline->postprocess.bias == BIAS_TUNE);
}

/* Values with their NUL, so that no text can be taken for two. */
static void add_rows(struct digest *digest, const struct param_table *table, const void *object)
{
    for (size_t i = 0; i < table->count; i++) {
        char text[VALUE_BYTES];
        struct param_value value = param_load(&table->rows[i], object);
        param_print(&table->rows[i], &value, text, sizeof(text));
        digest_update(digest, text, strlen(text) + 1);
    }
}

static bool digest_choices(const struct pipeline *pipeline, enum run_step_id step,
                           char out_hex[static DIGEST_HEX_BYTES], struct error *err)
{
    struct pipeline choices = *pipeline;
    memset(&choices.report, 0, sizeof(choices.report));
    choices.artifacts = 0;
    if (step < STEP_TUNE)
        memset(&choices.postprocess, 0, sizeof(choices.postprocess));
    struct digest *digest = digest_create(err);
    if (!digest)
        return false;
    add_rows(digest, pipeline_table(), &choices);
    for (size_t i = 0; i < choices.rule_count; i++) {
        digest_update(digest, &choices.rules[i].given, sizeof(choices.rules[i].given));
        add_rows(digest, layer_rule_table(), &choices.rules[i]);
    }
    digest_hex(digest, out_hex);
    digest_destroy(digest);
    return true;
}

bool shared_key_state(const struct shared_scope *scope, const struct run_request *request,
                      enum run_step_id step, struct shared_key *out_key, struct error *err)
{
    const char *version = request->origin.program_version;
    char choices[DIGEST_HEX_BYTES], seed[SEED_BYTES] = "any";
    if (draws(request->pipeline, step))
        (void)snprintf(seed, sizeof(seed), "%" PRIu64, request->seed); /* 20 digits fit */
    return digest_choices(request->pipeline, step, choices, err) &&
           shared_key_print(out_key, err, "state behind %s %s %s choices=%s seed=%s program=%s",
                            progress_step_name(step), scope->network.hex, scope->calibration.hex,
                            choices, seed, version ? version : "-");
}
