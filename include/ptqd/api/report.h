#pragma once

/* The report of a job: its runs aggregated over seeds, per variant.
 *
 * Means and sample standard deviations (n − 1) are over the runs that succeeded; n says how many.
 * A deviation of one run is null, as is a number that no run has.
 *
 * Every variant is marked whether it is on the Pareto front of accuracy against bit operations, and
 * against peak memory: by mean accuracy, or mean agreement where no run has an accuracy. A variant
 * without a run that succeeded is not ranked; one of which some runs failed is ranked by the
 * others. The float network is no candidate.
 */

#include "ptqd/api/pareto.h"
#include "ptqd/base/arena.h"
#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One run, as the report sees it; all borrowed. */
struct report_run {
    const char *id;
    int64_t variant;     /* index */
    const char *choices; /* JSON object: the swept choices of the variant */
    const char *result;  /* as result_print wrote it; NULL unless the run succeeded */
    bool failed;
};

struct report_statistic {
    double mean, deviation; /* NaN: not known */
    size_t count;
};

struct report_variant {
    char id[24]; /* "v003" */
    const struct json *choices;
    struct report_statistic accuracy, loss, agreement, output_sqnr_db, seconds;
    size_t run_count, succeeded, failed;
    const struct json *cost; /* of a run that succeeded; NULL: none has */
    enum pareto_mark front_bops, front_peak_bytes;
    const char **runs; /* [run_count] ids */
};

struct report {
    const char *job;
    double float_accuracy;         /* NaN: not known */
    const struct json *float_cost; /* NULL: no run has succeeded */
    bool has_accuracy;             /* of some variant; else the fronts are those of agreement */
    struct report_variant *variants;
    size_t variant_count;
};

/* Mean and sample standard deviation of the values that are not NaN. */
struct report_statistic report_statistic(const double *values, size_t count);

/* A number of a cost object; NaN when it is not known (also for NULL). */
double report_cost(const struct json *cost, const char *key);

/* `runs` are ordered by variant. */
bool report_create(struct arena *arena, const char *job, const struct report_run *runs,
                   size_t run_count, struct report *out_report, struct error *err);

extern const struct schema report_schema;
struct json *report_json(const struct report *report, struct arena *arena);
/* One line per variant below a line of column names; numbers and marks that are not known are
 * empty. */
bool report_csv(const struct report *report, struct text *text, struct error *err);
/* A table in Markdown, aligned so that it reads well on a terminal; costs with which a variant is
 * on a front end in "*", as a line below the table says. */
bool report_markdown(const struct report *report, struct text *text, struct error *err);
