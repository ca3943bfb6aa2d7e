#pragma once

/* Tokens as the thread's connection found them last. What was found counts as long as nobody, in
 * this process or another, has committed anything since, which is asked before each look-up: a
 * token that was revoked is not found any more. For readers. */

#include "ptqd/store/token_row.h"

bool token_cache_any(struct database *database, bool *out_any, struct error *err);
/* As token_row_find. The row's texts live until the next call with this connection. */
bool token_cache_find(struct database *database, const char *digest, struct token_row *out_row,
                      bool *out_found, struct error *err);
