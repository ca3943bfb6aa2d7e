#include "notify.h"

#ifdef PTQD_SYSTEMD

#include <systemd/sd-daemon.h>

/* Results are ignored: without a manager there is nobody to tell. */
void notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_interval_ms(void)
{
    uint64_t timeout_us = 0;
    return sd_watchdog_enabled(0, &timeout_us) > 0 ? timeout_us / 2000 : 0; /* twice as often */
}

#else

void notify_ready(void)
{
}

void notify_stopping(void)
{
}

void notify_alive(void)
{
}

uint64_t notify_interval_ms(void)
{
    return 0;
}

#endif
