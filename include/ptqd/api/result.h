#pragma once

/* The result of a run as JSON: what is stored with the run, and what reports are made of.
 *
 *   {"float_accuracy", "accuracy", "loss", "agreement", "output_sqnr_db",
 *    "calibration_samples", "evaluation_samples", "seconds": {"total", "<step>": …},
 *    "float_cost": cost, "cost": cost, "sensitivity": {…}, "layers": [layer]}
 *
 * "sensitivity", here and of a layer, is there only when it was asked for.
 * Fractions are 0 to 1 and null where they are not known.
 */

#include "ptqd/flow/run.h"
#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"

extern const struct schema cost_schema;
extern const struct schema layer_schema; /* of "layers" */

/* The result as JSON text in `arena`; NULL on failure. */
const char *result_print(const struct run_result *result, struct arena *arena, struct error *err);

/* What a report needs of a stored result; numbers that are null read as NaN. */
struct result_summary {
    double float_accuracy, accuracy, loss, agreement, output_sqnr_db, seconds;
    const struct json *float_cost, *cost; /* objects of the parsed text, in `arena` */
};
bool result_read(const char *text, struct arena *arena, struct result_summary *out_summary,
                 struct error *err);
