#pragma once

/* What an owner may take, and takes. The limits are the store's (struct store_limits), or those of
 * the owner's token where it has its own. */

#include "ptqd/store/store.h"

enum { QUOTA_NONE = -1 }; /* of a token: no limit, whatever the store's */

struct quota {
    int64_t queued_runs, running_runs;
    int64_t stored_bytes; /* models and data sets; what several hold counts for each */
};

/* 0: no limit. */
bool quota_limits(struct database *database, const char *owner, struct quota *out_limits,
                  struct error *err);
bool quota_used(struct database *database, const char *owner, struct quota *out_used,
                struct error *err);

/* E_LIMIT, with what is used and the limit, when so much more would be above it. Outside of a write
 * the answer is a forecast. */
bool quota_fits_bytes(struct database *database, const char *owner, int64_t bytes,
                      struct error *err);
bool quota_fits_runs(struct database *database, const char *owner, int64_t runs, struct error *err);
