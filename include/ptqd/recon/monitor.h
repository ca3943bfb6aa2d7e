#pragma once

/* How a long computation says where it is, and is told to stop. */

#include "ptqd/base/error.h"

#include <stdint.h>

struct recon_monitor {
    /* Called several times a second with the share done (0 to 1) and the loss (NaN: none); false
     * asks for an end. NULL: nobody listens. */
    bool (*report)(void *context, double fraction, double loss);
    /* Takes the loss after so many iterations, for a curve; iterations rise, 0 begins a new curve.
     * NULL: nobody wants it. */
    void (*record)(void *context, int64_t iteration, double loss);
    void *context;
};

/* False with E_CANCELLED when the listener wants an end. */
bool recon_monitor_report(const struct recon_monitor *monitor, double fraction, double loss,
                          struct error *err);
void recon_monitor_record(const struct recon_monitor *monitor, int64_t iteration, double loss);
