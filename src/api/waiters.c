/* Long polling: requests that wait until a job changes.
 *
 * A waiter is listed before the job is read, so that no change falls between the reading and the
 * sleep; a change that comes before the sleep is remembered. Locks are taken in this order: the
 * queue's, the waiters', the HTTP server's.
 */

#include "api_private.h"

#include <string.h>

/* Called under the queue's lock. */
static void on_change(void *context, const char *job)
{
    struct api *api = context;
    pthread_mutex_lock(&api->waiters_lock);
    for (struct waiter *waiter = api->waiters; waiter != NULL; waiter = waiter->next) {
        if (strcmp(waiter->job, job) != 0)
            continue;
        waiter->changed = true;
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

void waiter_add(struct api *api, struct waiter *waiter)
{
    pthread_mutex_lock(&api->waiters_lock);
    waiter->previous = NULL;
    waiter->next = api->waiters;
    if (waiter->next != NULL)
        waiter->next->previous = waiter;
    api->waiters = waiter;
    pthread_mutex_unlock(&api->waiters_lock);
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
    pthread_mutex_unlock(&api->waiters_lock);
}

bool waiter_sleep(struct api *api, struct waiter *waiter, http_handler *next, int64_t timeout_ms)
{
    pthread_mutex_lock(&api->waiters_lock);
    bool sleeps = !waiter->changed;
    if (sleeps)
        http_suspend(waiter->request, next, timeout_ms);
    pthread_mutex_unlock(&api->waiters_lock);
    return sleeps;
}

bool waiter_take_change(struct api *api, struct waiter *waiter)
{
    pthread_mutex_lock(&api->waiters_lock);
    bool changed = waiter->changed;
    waiter->changed = false;
    pthread_mutex_unlock(&api->waiters_lock);
    return changed;
}
