#pragma once

/* The name of what a run has decided behind a step. Runs for which it is the same come to the same
 * state (flow/run_state.h), to the bit: whatever they are evaluated on, export or report; and
 * whatever their seed, as long as no random number was drawn but for the calibration samples. */

#include "ptqd/flow/progress.h"
#include "ptqd/flow/shared_scope.h"

/* For a scope with a cache, and STEP_RECONSTRUCT to STEP_TUNE. */
bool shared_key_state(const struct shared_scope *scope, const struct run_request *request,
                      enum run_step_id step, struct shared_key *out_key, struct error *err);
