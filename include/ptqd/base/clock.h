#pragma once

/* The time. */

#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970, which may be set back. */
int64_t clock_unix_ms(void);

/* Of the clock that never goes back; where it starts says nothing. */
int64_t clock_us(void);
int64_t clock_ms(void);
double clock_seconds(void);

/* A moment of that clock, `ms` (≥ 0) from now, as pthread_cond_timedwait takes it. */
struct timespec clock_after_ms(int64_t ms);
