#include "measure.h"

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Enough for the best not to depend on what else happens. */
enum { RUNS_MIN = 3, RUNS_MAX = 25 };
static const double SECONDS_MIN = 0.05;

double measure_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool measure_best(measure_work work, void *context, double *out_seconds, struct error *err)
{
    double best = INFINITY, total = 0.0;
    if (!work(context, err))
        return false;
    for (int i = 0; i < RUNS_MAX && (i < RUNS_MIN || total < SECONDS_MIN); i++) {
        double start = measure_now();
        if (!work(context, err))
            return false;
        double taken = measure_now() - start;
        total += taken;
        best = fmin(best, taken);
        if (support_short())
            break;
    }
    *out_seconds = best;
    return true;
}

bool measure_wants(const char *network, const char *asked)
{
    if (asked)
        return strstr(network, asked) != NULL;
    return !support_short() || strcmp(network, "DS-CNN") == 0;
}

int measure_failed(const char *program, const char *subject, const struct error *err)
{
    fprintf(stderr, "%s: %s: %s\n", program, subject, err->message);
    return EXIT_FAILURE;
}
