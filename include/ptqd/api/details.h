#pragma once

/* What a run leaves beside its result (api/result.h): what GET /v1/runs/{id}/<name> answers, but
 * for the id of the run, and `ptqd run` writes as <name>.json.
 *
 *   memory  {"peak_bytes", "weight_bytes", "peak_node", "steps": [{"node", "op", "bytes",
 *            "float_bytes", "tensors": [{"name", "bytes"}]}]}: the activations alive at each node
 *            of the quantized network; the largest `bytes` and the weights are the peak
 *   losses  {"units": [{"name", "variable", "solver", "points": [{"iteration", "loss"}]}]}, to six
 *            digits (flow/losses.h)
 *   histograms  {"layers": [{"name", "weights": values, "activations": values}]} with values
 *            {"low", "high", "counts", "scale", "zero_point", "code_low", "code_high",
 *            "scales_low", "scales_high"} of the float network; of several scales "scale" is the
 *            one in the middle, and null stands for what float does not have
 *            (recon/distribution.h)
 */

#include "ptqd/flow/run.h"
#include "ptqd/json/json_schema.h"
#include "ptqd/store/run_row.h"

extern const struct schema memory_schema, losses_schema, histograms_schema;

/* All details of a result, as JSON in `arena`. */
bool details_print(const struct run_result *result, struct arena *arena,
                   struct run_detail **out_details, size_t *out_count, struct error *err);
