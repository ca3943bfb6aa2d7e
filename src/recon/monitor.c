/* How a long computation says where it is, and is told to stop. */

#include "ptqd/recon/monitor.h"

bool recon_monitor_report(const struct recon_monitor *monitor, double fraction, double loss,
                          struct error *err)
{
    if (!monitor->report || monitor->report(monitor->context, fraction, loss))
        return true;
    return FAIL(err, E_CANCELLED, "stopped on request");
}

void recon_monitor_record(const struct recon_monitor *monitor, int64_t iteration, double loss)
{
    if (monitor->record)
        monitor->record(monitor->context, iteration, loss);
}
