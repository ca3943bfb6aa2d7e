#pragma once

/* The time. */

#include <stdint.h>

/* Milliseconds since 1970, which may be set back. */
int64_t clock_unix_ms(void);

/* Of the clock that never goes back; where it starts says nothing. */
int64_t clock_us(void);
int64_t clock_ms(void);
double clock_seconds(void);
