#pragma once

/* What changes while a run runs, and is in its checkpoints: scales, zero points, codes, weights and
 * biases of the network, its initial ranges, the numbers of its report, the curves of its losses,
 * the float network's output; what a stage adds of its own; and how far the run is. Everything else
 * follows from the request.
 *
 * Stages that go unit by unit ask how many units are done, walk over those and save after each of
 * the others. A computation inside of a unit is given a keeper (recon/keeper.h). */

#include "ptqd/flow/checkpoint.h"
#include "ptqd/flow/initial_ranges.h"
#include "ptqd/flow/progress.h"
#include "ptqd/flow/reconstruct.h"
#include "ptqd/quant/network.h"

enum { RUN_STATE_ALL_DONE = INT32_MAX };

struct run_state {
    struct arena *arena; /* everything is borrowed */
    const struct run_checkpoints *checkpoints;
    struct quant_network *network;
    const struct initial_ranges *initial;
    struct losses losses;
    struct keeper_field *fields; /* of the run as a whole, the position first */
    int field_count;
    int decided_count; /* of them; behind a finished step the others, weights, are decoded codes */
    int64_t position[2]; /* what is saved: the step, units of it done */
    char identity[DIGEST_HEX_BYTES];
    struct checkpoint resumed; /* no arrays: the run starts from the beginning */
    int64_t resumed_position[2];
    enum run_step_id keeper_step; /* of the keeper that was given out last */
    int keeper_units;
    double saved_at; /* seconds of the monotonic clock */
};

/* Before anything is decided. Takes up what the request has of an interrupted run, when it is of
 * the same run, and tells the listener; what can't be used is not an error. */
bool run_state_open(struct arena *arena, const struct run_request *request,
                    struct quant_network *network, struct run_layer *layers,
                    struct float_outputs *outputs, const struct initial_ranges *initial,
                    struct run_state *out_state, struct error *err);

/* Units of the step that are done and need not be decided again; RUN_STATE_ALL_DONE when the run
 * was in a later step already. */
int run_state_done(const struct run_state *state, enum run_step_id step);

/* Saves, unless the last time was less than the listener's interval ago: so many units of the step
 * are done. `more`: what the stage adds, NULL for nothing. */
void run_state_save(struct run_state *state, enum run_step_id step, int units,
                    const struct keeper_field *more, int more_count);

/* For what is computed behind so many finished units of the step. One at a time. */
struct recon_keeper run_state_keeper(struct run_state *state, enum run_step_id step, int units);

/* The state behind a finished step as bytes for runs that come to the same one (not: to the same
 * position in it); their number is the same before and after. */
size_t run_state_bytes(const struct run_state *state);
void run_state_pack(const struct run_state *state, uint8_t *out_bytes); /* run_state_bytes */
void run_state_unpack(struct run_state *state, const uint8_t *bytes);
