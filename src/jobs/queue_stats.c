/* What the queue has done since it started, for whoever watches the service. */

#include "queue.h"

#include <stdio.h>
#include <string.h>

void ticket_took(const struct run_ticket *ticket, const char *step, double seconds)
{
    if (ticket->worker == NULL)
        return;
    struct jobs *jobs = ticket->worker->jobs;
    uv_mutex_lock(&jobs->mutex);
    struct jobs_stats *stats = &jobs->stats;
    size_t i = 0;
    while (i < stats->step_count && strcmp(stats->steps[i].name, step) != 0)
        i++;
    if (i < JOBS_STEPS_MAX) {
        if (i == stats->step_count) {
            (void)snprintf(stats->steps[i].name, TICKET_STEP_BYTES, "%s", step); /* is short */
            stats->step_count++;
        }
        stats->steps[i].count++;
        stats->steps[i].seconds += seconds;
    }
    uv_mutex_unlock(&jobs->mutex);
}

void jobs_read_stats(struct jobs *jobs, struct jobs_stats *out_stats)
{
    uv_mutex_lock(&jobs->mutex);
    *out_stats = jobs->stats;
    uv_mutex_unlock(&jobs->mutex);
}
