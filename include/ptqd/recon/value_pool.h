#pragma once

/* Memory for the values of tensors, one after another in the same pages: to be touched for the
 * first time, memory takes as long as the float network's arithmetic. One thread at a time. */

#include "ptqd/base/error.h"

#include <stddef.h>

struct value_pool;

/* Pages that wait for the next tensor are kept as long as they and those in use are together not
 * above `kept_bytes`. */
bool value_pool_create(size_t kept_bytes, struct value_pool **out_pool, struct error *err);
/* What was taken must have been given back. NULL is allowed. */
void value_pool_destroy(struct value_pool *pool);

/* Aligned to 64 bytes, with what was there before; NULL: there is no memory. Without a pool, and
 * where there is no room in it, they are the system's. */
float *value_pool_take(struct value_pool *pool, size_t bytes);
/* `bytes` as they were taken; NULL is allowed. */
void value_pool_give(struct value_pool *pool, float *values, size_t bytes);

size_t value_pool_waiting_bytes(const struct value_pool *pool);
