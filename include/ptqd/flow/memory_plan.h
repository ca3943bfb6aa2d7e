#pragma once

/* What a run will take of memory, found out before it computes anything: the steps are gone through
 * with networks that only count. What a run may take decides which values go to spill files. */

#include "ptqd/flow/run.h"
#include "ptqd/quant/network.h"
#include "ptqd/recon/samples.h"

struct memory_plan {
    size_t predicted_bytes; /* peak of a process that does this run alone */
    size_t spilled_bytes;   /* to files, all in all */
    size_t walk_bytes;      /* for values of walks in memory, at most */
    size_t kept_bytes;      /* these and what waits for others: leaves room for all beside them */
};

/* Of a run whose network is made (its quantizers need not be ready), with what is in `arena` so
 * far. E_MEMORY names what is needed when even with everything spilled that is above the limit, or
 * when something would have to be spilled and can't. */
bool memory_plan_make(struct arena *arena, const struct run_request *request,
                      struct quant_network *network, const struct samples *samples,
                      struct memory_plan *out_plan, struct error *err);
