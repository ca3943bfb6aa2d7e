#pragma once

/* Admission of runs by memory: those that run at the same time take no more together than a limit.
 * Who has to wait enters in the order of asking, so a large run is not passed by small ones for
 * ever.
 */

#include "ptqd/base/error.h"

#include <stddef.h>

struct admission;

bool admission_create(size_t limit_bytes, struct admission **out_admission, struct error *err);
/* When nobody is in it any more. */
void admission_destroy(struct admission *admission);

/* Takes `bytes`, when there is room. A waiter is asked at least every 100 ms whether to go on: when
 * not, that is E_CANCELLED. More than the limit is E_MEMORY at once, with both numbers. */
bool admission_enter(struct admission *admission, size_t bytes, bool (*goes_on)(void *context),
                     void *context, struct error *err);
void admission_leave(struct admission *admission, size_t bytes);

/* Bytes taken now. */
size_t admission_used(struct admission *admission);
