#pragma once

/* Step 3 of the pipeline where layers, blocks or the network are trained on mini-batches, from what
 * the layer-wise start left. */

#include "ptqd/flow/optimization.h"

/* Trains the units of the pipeline's granularity, in execution order, each with its input from the
 * part that is trained already. Nothing is done where the pipeline does not train. */
bool unit_training(const struct optimization *optimization, uint64_t seed, struct error *err);
