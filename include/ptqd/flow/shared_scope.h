#pragma once

/* What a run may share with others: the names of its float network and of its data.
 *
 * Shared are ranges of activations, the float network's outputs on the evaluation set,
 * sensitivities, and what is decided behind each step (shared_state.h). Not shared is what takes
 * next to nothing: folding and splitting of channels (a few milliseconds), equalization (0.26 s of
 * the 9 s of a MobileNetV1 run, a tenth of it elsewhere); what comes with other work: the float
 * outputs of the calibration samples are those of the walk over the layers; and Gram matrices,
 * which are of quantized inputs: the variants' own. */

#include "ptqd/artifact/artifact.h"
#include "ptqd/flow/shared.h"
#include "ptqd/nn/graph.h"
#include "ptqd/recon/samples.h"

struct shared_scope {
    struct shared *cache;          /* borrowed; NULL: nothing is shared */
    struct shared_key network;     /* the float network after preprocessing */
    struct shared_key calibration; /* samples drawn, of which data set, as the network sees them */
};

/* `origin` names model and data by content; where it has no name of one, nothing is shared. */
bool shared_scope_init(struct shared *cache, const struct artifact_origin *origin,
                       const struct graph *folded, const struct samples *calibration,
                       struct shared_scope *out_scope, struct error *err);

/* The name of a selection of samples; `origin` is the content id of their data set. */
bool shared_key_samples(const struct samples *samples, const char *origin,
                        struct shared_key *out_key, struct error *err);

/* The float network's output for all samples of a selection, in `arena`: [samples][elements].
 * `origin` is the content id of their data set; NULL: not shared. */
bool shared_float_outputs(const struct shared_scope *scope, const struct graph *folded,
                          const struct samples *samples, const char *origin,
                          const struct recon_monitor *monitor, struct arena *arena,
                          float **out_outputs, struct error *err);

/* Whether these are computed by another run now, and would have to be waited for. */
bool shared_float_outputs_wait(const struct shared_scope *scope, const struct graph *folded,
                               const struct samples *samples, const char *origin, bool *out_wait,
                               struct error *err);
