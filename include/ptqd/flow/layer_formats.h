#pragma once

/* From the pipeline and its layer rules to the number formats of a network.
 *
 * Rules apply in their order: a later one changes what an earlier one, or the pipeline, has said
 * about a layer. A rule is about the layers whose name is its `match`, or fits it as a shell
 * pattern (fnmatch: * ? [], where * also stands for slashes); "first" and "last" are the first and
 * the last layer in execution order, whatever layers are called.
 */

#include "ptqd/flow/pipeline.h"
#include "ptqd/quant/network.h"

/* E_INVALID for the first rule that is about none of the layers, with the layers' names and the
 * pointer "/layers/<rule>/match"; and for a layer whose rules make of it what pipeline_check
 * refuses of all: the pointer is that of the rule's field. Names are in execution order. */
bool layer_formats_check(const struct pipeline *pipeline, const char *const *names, int count,
                         struct error *err);

/* The options of the network that the pipeline makes of a folded graph; fails like
 * layer_formats_check. */
bool layer_formats_options(struct arena *arena, const struct pipeline *pipeline,
                           const struct graph *folded, struct quant_options *out_options,
                           struct error *err);
