#include "ptqd/jobs/pace.h"

#include <math.h>

double pace_seconds_left(const struct pace *pace, double done, double left, double now)
{
    double gained = done - pace->base;
    return gained > 0 ? (now - pace->since) * left / gained : (double)NAN;
}
