/* Long polling and streams: requests that wait until a job changes, or any job.
 *
 * A waiter is listed before the job is read, so that no change falls between the reading and the
 * sleep; a change that comes before the sleep is remembered. Who waits for any job is told which
 * ones have changed, as long as they are few. Locks are taken in this order: the queue's, the
 * waiters', the HTTP server's.
 */

#include "api_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The waiters' lock is held. */
static void note_job(struct waiter *waiter, const char *job)
{
    struct changed_jobs *jobs = waiter->jobs;
    if (jobs == NULL)
        return;
    if (job[0] == '\0')
        jobs->overflow = true; /* the queue as a whole */
    if (jobs->overflow)
        return;
    for (size_t i = 0; i < jobs->count; i++) {
        if (strcmp(jobs->ids[i], job) == 0)
            return;
    }
    jobs->overflow = jobs->count == CHANGED_JOBS_MAX;
    if (!jobs->overflow)
        (void)snprintf(jobs->ids[jobs->count++], JOB_ID_BYTES, "%s", job); /* it is an id */
}

/* Called under the queue's lock. */
static void on_change(void *context, const char *job)
{
    struct api *api = context;
    pthread_mutex_lock(&api->waiters_lock);
    for (struct waiter *waiter = api->waiters; waiter != NULL; waiter = waiter->next) {
        if (waiter->jobs == NULL && strcmp(waiter->job, job) != 0)
            continue;
        note_job(waiter, job);
        waiter->changed = true;
        if (!waiter->pauses)
            http_resume(waiter->request); /* does nothing when it does not sleep yet */
    }
    pthread_mutex_unlock(&api->waiters_lock);
}

void waiters_init(struct api *api)
{
    pthread_mutex_init(&api->waiters_lock, NULL);
    api->listener = (struct jobs_listener){.changed = on_change, .context = api};
    if (api->options.jobs != NULL)
        jobs_listen(api->options.jobs, &api->listener);
}

void waiters_finish(struct api *api)
{
    if (api->options.jobs != NULL)
        jobs_unlisten(api->options.jobs, &api->listener);
    pthread_mutex_destroy(&api->waiters_lock);
}

static void link_waiter(struct api *api, struct waiter *waiter)
{
    waiter->previous = NULL;
    waiter->next = api->waiters;
    if (waiter->next != NULL)
        waiter->next->previous = waiter;
    api->waiters = waiter;
    api->waiter_count++;
}

/* Those of an owner. */
static int64_t count_of(const struct api *api, const char *owner)
{
    int64_t count = 0;
    for (const struct waiter *waiter = api->waiters; waiter != NULL; waiter = waiter->next)
        count += strcmp(waiter->owner, owner) == 0;
    return count;
}

bool waiter_add(struct api *api, struct waiter *waiter, struct error *err)
{
    int64_t limit = api->options.watchers, share = api->options.watchers_per_owner;
    waiter->owner = http_owner(waiter->request);
    pthread_mutex_lock(&api->waiters_lock);
    bool room = api->waiter_count < limit;
    bool fits = room && (share == 0 || count_of(api, waiter->owner) < share);
    if (fits)
        link_waiter(api, waiter);
    pthread_mutex_unlock(&api->waiters_lock);
    if (!room)
        return FAIL(err, E_UNAVAILABLE,
                    "%" PRId64 " connections watch events or wait already; try again later", limit);
    return fits || FAIL(err, E_LIMIT,
                        "%" PRId64 " connections of \"%s\" watch events or wait already, as many "
                        "as one may have",
                        share, waiter->owner);
}

void waiter_remove(struct api *api, struct waiter *waiter)
{
    pthread_mutex_lock(&api->waiters_lock);
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        api->waiters = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    api->waiter_count--;
    pthread_mutex_unlock(&api->waiters_lock);
}

bool waiter_sleep(struct api *api, struct waiter *waiter, http_handler *next, int64_t timeout_ms)
{
    pthread_mutex_lock(&api->waiters_lock);
    bool sleeps = !waiter->changed;
    waiter->pauses = false;
    if (sleeps)
        http_suspend(waiter->request, next, timeout_ms);
    pthread_mutex_unlock(&api->waiters_lock);
    return sleeps;
}

void waiter_pause(struct api *api, struct waiter *waiter, int64_t timeout_ms)
{
    pthread_mutex_lock(&api->waiters_lock);
    waiter->pauses = true;
    http_suspend(waiter->request, NULL, timeout_ms);
    pthread_mutex_unlock(&api->waiters_lock);
}

void waiter_take_jobs(struct api *api, struct waiter *waiter, struct changed_jobs *out_jobs)
{
    pthread_mutex_lock(&api->waiters_lock);
    *out_jobs = *waiter->jobs;
    waiter->jobs->count = 0;
    waiter->jobs->overflow = false;
    waiter->changed = false;
    pthread_mutex_unlock(&api->waiters_lock);
}

bool waiter_has_changed(struct api *api, struct waiter *waiter)
{
    pthread_mutex_lock(&api->waiters_lock);
    bool changed = waiter->changed;
    pthread_mutex_unlock(&api->waiters_lock);
    return changed;
}

bool waiter_take_change(struct api *api, struct waiter *waiter)
{
    pthread_mutex_lock(&api->waiters_lock);
    bool changed = waiter->changed;
    waiter->changed = false;
    pthread_mutex_unlock(&api->waiters_lock);
    return changed;
}
