/* What changes while a run runs, and is in its checkpoints. */

#include "ptqd/flow/run_state.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <inttypes.h>
#include <string.h>

/* ---- the fields ---- */

enum { FIELDS_OF_RUN = 6, FIELDS_OF_QUANTIZER = 2, FIELDS_OF_LAYER = 8 };

struct builder {
    struct arena *arena;
    struct keeper_field *fields;
    int count;
    struct error *err;
};

/* Adds fields with the names "<group>.<index>.<name>". */
static bool add(struct builder *builder, const char *group, int index,
                const struct keeper_field *rows, int count)
{
    for (int i = 0; i < count; i++) {
        struct keeper_field *field = &builder->fields[builder->count++];
        *field = rows[i];
        field->name =
            arena_printf(builder->arena, builder->err, "%s.%d.%s", group, index, rows[i].name);
        if (!field->name)
            return false;
    }
    return true;
}

static bool add_quantizer(struct builder *builder, const char *group, int index,
                          const struct quantizer *quantizer)
{
    const struct keeper_field rows[FIELDS_OF_QUANTIZER] = {
        {"scales", KEEP_F32, quantizer->channels, quantizer->scales},
        {"zero_points", KEEP_I32, quantizer->channels, quantizer->zero_points},
    };
    return add(builder, group, index, rows, FIELDS_OF_QUANTIZER);
}

static bool add_layer(struct builder *builder, int index, struct quant_layer *layer,
                      struct run_layer *report)
{
    struct quantizer *quantizer = &layer->quantizer;
    const struct keeper_field rows[FIELDS_OF_LAYER] = {
        {"scales", KEEP_F32, quantizer->channels, quantizer->scales},
        {"zero_points", KEEP_I32, quantizer->channels, quantizer->zero_points},
        {"codes", KEEP_I8, layer->codes ? layer->K * layer->D : 0, layer->codes},
        {"biases", KEEP_F32, layer->K, layer->bias_values},
        {"weight_sqnr_db", KEEP_F64, 1, &report->weight_sqnr_db},
        {"input_sqnr_db", KEEP_F64, 1, &report->input_sqnr_db},
        {"output_sqnr_before_db", KEEP_F64, 1, &report->output_sqnr_before_db},
        {"output_sqnr_after_db", KEEP_F64, 1, &report->output_sqnr_after_db},
    };
    return add(builder, "layer", index, rows, FIELDS_OF_LAYER);
}

static bool add_weights(struct builder *builder, int index, struct quant_layer *layer)
{
    const struct keeper_field row = {"weights", KEEP_F32, layer->K * layer->D,
                                     layer->weight_values};
    return add(builder, "layer", index, &row, 1);
}

static bool list_fields(struct run_state *state, struct run_layer *layers,
                        struct float_outputs *outputs, struct error *err)
{
    const struct quant_network *network = state->network;
    const struct initial_ranges *initial = state->initial;
    const struct losses *losses = &state->losses;
    const struct keeper_field of_run[FIELDS_OF_RUN] = {
        {"position", KEEP_I64, 2, state->position},
        {"float.outputs", KEEP_F32, outputs->count, outputs->values},
        {"float.layer_scale", KEEP_F64, network->layer_count, outputs->layer_scale},
        {"losses.spans", KEEP_I32, 2 * losses->count, losses->spans},
        {"losses.iterations", KEEP_I32, LOSS_POINTS * losses->count, losses->iterations},
        {"losses.values", KEEP_F32, LOSS_POINTS * losses->count, losses->values},
    };
    int most = FIELDS_OF_RUN + 2 * FIELDS_OF_QUANTIZER * network->activation_count +
               (FIELDS_OF_LAYER + FIELDS_OF_QUANTIZER + 1) * network->layer_count;
    struct builder builder = {
        .arena = state->arena,
        .fields = ARENA_ARRAY(state->arena, struct keeper_field, most, err),
        .count = FIELDS_OF_RUN,
        .err = err,
    };
    if (!builder.fields)
        return false;
    memcpy(builder.fields, of_run, sizeof(of_run));
    for (int i = 0; i < network->activation_count; i++)
        if (!add_quantizer(&builder, "activation", i, &network->activations[i].quantizer) ||
            !add_quantizer(&builder, "initial.activation", i, &initial->activations[i]))
            return false;
    for (int i = 0; i < network->layer_count; i++)
        if (!add_layer(&builder, i, &network->layers[i], &layers[i]) ||
            !add_quantizer(&builder, "initial.layer", i, &initial->weights[i]))
            return false;
    state->decided_count = builder.count;
    for (int i = 0; i < network->layer_count; i++)
        if (!add_weights(&builder, i, &network->layers[i]))
            return false;
    state->fields = builder.fields;
    state->field_count = builder.count;
    return true;
}

/* ---- taking up ---- */

static const char *or_none(const char *name)
{
    return name ? name : "-";
}

/* What the state follows from; the evaluation set is not part of it. */
static bool identify(struct run_state *state, const struct run_request *request, struct error *err)
{
    const struct artifact_origin *origin = &request->origin;
    struct arena_mark mark = arena_mark(state->arena);
    const char *text = arena_printf(
        state->arena, err,
        "program %s\nmodel %s\ncalibration %s scale=%a zero_point=%a\nvariant %s\nseed %" PRIu64,
        or_none(origin->program_version), or_none(origin->model), or_none(origin->calibration),
        request->calibration->scale, request->calibration->zero_point, or_none(origin->variant),
        request->seed);
    bool done = text && digest_bytes(text, strlen(text), state->identity, err);
    arena_reset(state->arena, mark);
    return done;
}

/* Reads the checkpoint and fills the fields with it, or leaves everything as it is. */
static bool take_up(struct run_state *state, const struct run_checkpoints *checkpoints,
                    int layer_count, struct error *err)
{
    struct checkpoint resumed;
    struct keeper_field position = {"position", KEEP_I64, 2, state->resumed_position};
    if (!checkpoint_decode(state->arena, checkpoints->resume, checkpoints->resume_bytes, &resumed,
                           err))
        return false;
    if (strcmp(resumed.identity, state->identity) != 0)
        return FAIL(err, E_CONFLICT,
                    "the checkpoint is of another run: of another version, model, calibration set, "
                    "variant or seed");
    if (!checkpoint_load(&resumed, &position, 1, err))
        return false;
    int64_t step = state->resumed_position[0], units = state->resumed_position[1];
    if (step < STEP_RECONSTRUCT || step >= STEP_COUNT || units < 0 ||
        (step == STEP_RECONSTRUCT && units > layer_count))
        return FAIL(err, E_CONFLICT, "the checkpoint is of unit %" PRId64 " of step %" PRId64,
                    units, step);
    if (!checkpoint_load(&resumed, state->fields, state->field_count, err))
        return false;
    state->resumed = resumed;
    return true;
}

bool run_state_open(struct arena *arena, const struct run_request *request,
                    struct quant_network *network, struct run_layer *layers,
                    struct float_outputs *outputs, const struct initial_ranges *initial,
                    struct run_state *out_state, struct error *err)
{
    struct run_state *state = out_state; /* its fields point into it */
    const struct run_checkpoints *checkpoints = &request->checkpoints;
    *state = (struct run_state){
        .arena = arena,
        .checkpoints = checkpoints,
        .network = network,
        .initial = initial,
        .saved_at = clock_seconds(),
    };
    if (!losses_create(arena, losses_of_run(network), &state->losses, err) ||
        !list_fields(state, layers, outputs, err) || !identify(state, request, err))
        return false;
    if (!checkpoints->resume)
        return true;
    struct error problem = {.message = ""};
    bool taken = take_up(state, checkpoints, network->layer_count, &problem);
    struct run_resumption resumption = {
        .step = taken ? progress_step_name((enum run_step_id)state->resumed_position[0]) : "",
        .units = taken ? (int)state->resumed_position[1] : 0,
        .problem = taken ? NULL : &problem,
    };
    if (checkpoints->resumed)
        checkpoints->resumed(checkpoints->context, &resumption);
    return true;
}

int run_state_done(const struct run_state *state, enum run_step_id step)
{
    int64_t resumed = state->resumed_position[0];
    if (state->resumed.array_count == 0 || (int64_t)step > resumed)
        return 0;
    return (int64_t)step < resumed ? RUN_STATE_ALL_DONE : (int)state->resumed_position[1];
}

/* ---- saving ---- */

/* A run that has no memory left for it goes on without. */
static bool encode(struct run_state *state, const struct keeper_field *more, int more_count,
                   uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    int count = state->field_count + more_count;
    struct keeper_field *all = ARENA_ARRAY(state->arena, struct keeper_field, count, err);
    if (!all)
        return false;
    memcpy(all, state->fields, (size_t)state->field_count * sizeof(*all));
    for (int i = 0; i < more_count; i++)
        all[state->field_count + i] = more[i];
    return checkpoint_encode(state->arena, state->identity, all, count, out_bytes, out_size, err);
}

void run_state_save(struct run_state *state, enum run_step_id step, int units,
                    const struct keeper_field *more, int more_count)
{
    const struct run_checkpoints *checkpoints = state->checkpoints;
    if (!checkpoints->save || clock_seconds() - state->saved_at < checkpoints->interval_seconds)
        return;
    struct arena_mark mark = arena_mark(state->arena);
    struct error err = {.message = ""};
    uint8_t *bytes;
    size_t size;
    state->position[0] = step;
    state->position[1] = units;
    if (encode(state, more, more_count, &bytes, &size, &err))
        checkpoints->save(checkpoints->context, bytes, size);
    else
        log_write(LOG_DEBUG, "flow", "no checkpoint|reason=\"%s\"", err.message);
    arena_reset(state->arena, mark);
    state->saved_at = clock_seconds();
}

/* ---- computations inside of a unit ---- */

static bool keeper_load(void *context, const struct keeper_field *fields, int count,
                        bool *out_found, struct error *err)
{
    const struct run_state *state = context;
    bool here = state->resumed_position[0] == state->keeper_step &&
                state->resumed_position[1] == state->keeper_units;
    *out_found = here && checkpoint_find(&state->resumed, fields[0].name);
    return !*out_found || checkpoint_load(&state->resumed, fields, count, err);
}

static void keeper_save(void *context, const struct keeper_field *fields, int count)
{
    struct run_state *state = context;
    run_state_save(state, state->keeper_step, state->keeper_units, fields, count);
}

struct recon_keeper run_state_keeper(struct run_state *state, enum run_step_id step, int units)
{
    state->keeper_step = step;
    state->keeper_units = units;
    return (struct recon_keeper){.load = keeper_load, .save = keeper_save, .context = state};
}

/* ---- between runs ---- */

enum { DECIDED_FIRST = 1 /* behind the position */ };

static size_t field_bytes(const struct keeper_field *field)
{
    return (size_t)field->count * keeper_type_bytes(field->type);
}

size_t run_state_bytes(const struct run_state *state)
{
    size_t bytes = 0;
    for (int i = DECIDED_FIRST; i < state->decided_count; i++) /* it is in memory: the sum fits */
        bytes += field_bytes(&state->fields[i]);
    return bytes;
}

void run_state_pack(const struct run_state *state, uint8_t *out_bytes)
{
    for (int i = DECIDED_FIRST; i < state->decided_count; i++) {
        const struct keeper_field *field = &state->fields[i];
        if (field->count > 0)
            memcpy(out_bytes, field->values, field_bytes(field));
        out_bytes += field_bytes(field);
    }
}

void run_state_unpack(struct run_state *state, const uint8_t *bytes)
{
    for (int i = DECIDED_FIRST; i < state->decided_count; i++) {
        const struct keeper_field *field = &state->fields[i];
        if (field->count > 0)
            memcpy(field->values, bytes, field_bytes(field));
        bytes += field_bytes(field);
    }
    for (int i = 0; i < state->network->layer_count; i++)
        quant_layer_decode(&state->network->layers[i]);
}
