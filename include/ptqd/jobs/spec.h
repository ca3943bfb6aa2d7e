#pragma once

/* Job specifications: what a user submits, as JSON.
 *
 *   { "name": "first try", "labels": {"team": "a"}, "priority": 0,
 *     "model": "sha256:…",
 *     "calibration": "sha256:…" | {"id", "labels", "scale", "zero_point"},
 *     "evaluation":  the same; optional,
 *     "seeds": 5 | [0, 7, 11],
 *     "memory_limit": 512,
 *     "pipeline": { … } }
 *
 * Only model and calibration must be given. The memory limit of a run, in MiB, does not change what
 * comes out. A number of seeds n stands for 0 to n − 1. The pipeline's rows are those of
 * flow/pipeline.h; a list where a row is swept makes one variant per value. "layers" of the
 * pipeline is a list of rules (struct layer_rule), the same for every variant. An unknown field is
 * an error that names it; each error carries a JSON pointer.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/base/param.h"
#include "ptqd/store/job_row.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JOB_SEEDS_MAX = 1000,
    JOB_VARIANTS_MAX = 4096,
    JOB_RUNS_MAX = 20480, /* all variants with 5 seeds: half a second of the store's writer */
    JOB_LABELS_MAX = 32,
    JOB_NAME_MAX = 200,     /* bytes */
    JOB_PRIORITY_MAX = 100, /* and −100 */
    JOB_MEMORY_MIN_MIB = 16,
    JOB_MEMORY_MAX_MIB = 1 << 20,
};

struct json;
struct layer_rule;
struct pipeline;
struct schema;

/* What is submitted, and with a form; the samples of a job where they are more than an id; the
 * pipeline with every default, as a job shows it. */
extern const struct schema job_spec_schema, job_patch_schema, job_form_spec_schema, job_data_schema,
    pipeline_schema;

/* One file: by id ("sha256:…"), or by path where that is allowed. Exactly one of the two is set. */
struct job_file {
    const char *id;
    const char *path;
};

struct job_data {
    struct job_file samples;
    struct job_file labels;         /* neither set: those in the samples' own file, if any */
    bool has_scale, has_zero_point; /* false: the data set's own */
    double scale, zero_point;
};

struct job_spec {
    const char *name; /* "" when none was given */
    struct job_label *labels;
    size_t label_count;
    int64_t priority;
    struct job_file model;
    struct job_data calibration;
    bool has_evaluation;
    struct job_data evaluation;
    int64_t *seeds; /* [seed_count], distinct */
    size_t seed_count;
    int64_t memory_limit_mib; /* of a run; 0: what the daemon allows */
    struct param_sweep pipeline;
    struct layer_rule *rules; /* [rule_count] of the pipeline */
    size_t rule_count;
    size_t variant_count;
};

struct job_spec_options {
    bool allow_paths; /* {"path": …} for {"id": …}, and a plain path for a plain id */
};

/* Checks everything that can be checked without the files, each variant included. The
 * specification lives in `arena`. */
bool job_spec_parse(const struct json *object, const struct job_spec_options *options,
                    struct arena *arena, struct job_spec *out_spec, struct error *err);
/* The same from the bytes of a JSON document. */
bool job_spec_parse_text(const char *bytes, size_t size, const struct job_spec_options *options,
                         struct arena *arena, struct job_spec *out_spec, struct error *err);

/* What may be changed of a job that is there, {"name", "labels", "priority"}, checked as in a
 * specification; any revision. E_INVALID when nothing is given. */
bool job_patch_parse(const struct json *object, struct arena *arena, struct job_patch *out_patch,
                     struct error *err);

/* The pipeline with every default filled in, as JSON; NULL when memory is out. */
const char *job_spec_pipeline(const struct job_spec *spec, struct arena *arena);
/* The specification with every default filled in; parsing it gives the same again. `pipeline` is
 * what job_spec_pipeline printed; NULL: it is printed here. */
struct json *job_spec_json(const struct job_spec *spec, const char *pipeline, struct arena *arena);
/* The same as text. */
bool job_spec_print(const struct job_spec *spec, struct arena *arena, const char **out_text,
                    struct error *err);

/* The pipeline of one variant; its rules are those of the specification. */
void job_spec_variant(const struct job_spec *spec, size_t variant, struct pipeline *out_pipeline);

/* JSON object of a variant's choices by row name, {"weights.bits":4,…}: the swept rows only, or
 * `all` of them and the layer rules. */
bool job_spec_choices(const struct job_spec *spec, size_t variant, bool all, struct arena *arena,
                      const char **out_text, struct error *err);

/* The job as the store takes it: specification text, inputs, labels, variants and seeds, all in
 * `arena`. Owner and idempotency key are the caller's to add. Needs ids, not paths. `document` is
 * what job_spec_json made of it. */
bool job_spec_insert(const struct job_spec *spec, const struct json *document, struct arena *arena,
                     struct job_insert *out_insert, struct error *err);
