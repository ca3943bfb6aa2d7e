#pragma once

/* Telling the service manager how the daemon is; nothing when there is none. */

#include <stdint.h>

void notify_ready(void);
void notify_stopping(void);
void notify_alive(void);

/* How often notify_alive must be called, in milliseconds; 0: never. */
uint64_t notify_interval_ms(void);
