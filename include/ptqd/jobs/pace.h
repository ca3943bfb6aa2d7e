#pragma once

/* How long what goes on will take: by what was done since a moment, not since its beginning, which
 * may be behind a pause or a restart of the daemon. */

struct pace {
    double since; /* clock_seconds */
    double base;  /* what was done then */
};

/* Of what is left, in the unit of what is done; NaN while nothing was done since. */
double pace_seconds_left(const struct pace *pace, double done, double left, double now);
