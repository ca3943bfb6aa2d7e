#pragma once

/* Ranges of a layer's weights by the error of its output: with the weights rounded to nearest, and
 * with the best bias or the one that stays, E_k of recon/linear_problem.h is made as small as the
 * search of quant/range_search.h can. An error of the weights themselves counts every weight alike;
 * H knows which of them the data uses, and which errors make up for each other. */

#include "ptqd/recon/linear_problem.h"
#include "ptqd/recon/monitor.h"

/* Sets scales and zero points of the layer's quantizer, of any format and granularity; a channel
 * whose weights are all zero gets the scale 1. About 120 D² products per row of the weights, six
 * times as many for a format with two ends. `scratch` is reset by the caller. */
bool output_range_fit(const struct linear_problem *problem, const struct recon_monitor *monitor,
                      struct arena *scratch, struct quant_layer *layer, struct error *err);
