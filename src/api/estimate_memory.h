#pragma once

/* The memory of runs that there were none like before. */

#include "api_private.h"

#include "ptqd/api/describe.h"
#include "ptqd/jobs/spec.h"

struct memory_question {
    const struct job_spec *spec;
    const struct described_dataset *calibration, *evaluation; /* the latter NULL: there is none */
    const size_t *variants;                                   /* that are asked about */
    size_t variant_count;
};

/* What the largest of these runs is predicted to take; 0: not known. `*out_problem` (NULL: none),
 * in `arena`, says why one can't be run, as its failure will. */
int64_t estimate_memory(struct api *api, const struct memory_question *question,
                        struct arena *arena, const char **out_problem);
