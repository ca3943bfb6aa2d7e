/* One mutex, one condition; waiters form a list, and only its first may enter. Who gives up leaves
 * the list. */

#include "ptqd/jobs/admission.h"

#include <stdlib.h>
#include <uv.h>

static const uint64_t ask_every_ns = UINT64_C(100000000);

struct waiter {
    struct waiter *next; /* who asked later */
};

struct admission {
    size_t limit_bytes;
    uv_mutex_t mutex; /* of what follows */
    uv_cond_t changed;
    size_t used_bytes;
    struct waiter *first;
    struct waiter **last; /* where the next one is put */
};

bool admission_create(size_t limit_bytes, struct admission **out_admission, struct error *err)
{
    struct admission *admission = calloc(1, sizeof(*admission));
    if (admission == NULL)
        return FAIL(err, E_MEMORY, "no memory for the admission of runs");
    admission->limit_bytes = limit_bytes;
    admission->last = &admission->first;
    if (uv_mutex_init(&admission->mutex) != 0)
        goto no_mutex;
    if (uv_cond_init(&admission->changed) != 0)
        goto no_condition;
    *out_admission = admission;
    return true;

no_condition:
    uv_mutex_destroy(&admission->mutex);
no_mutex:
    free(admission);
    return FAIL(err, E_MEMORY, "the system has no more locks");
}

void admission_destroy(struct admission *admission)
{
    if (admission == NULL)
        return;
    uv_cond_destroy(&admission->changed);
    uv_mutex_destroy(&admission->mutex);
    free(admission);
}

static void append(struct admission *admission, struct waiter *waiter)
{
    *admission->last = waiter;
    admission->last = &waiter->next;
}

static void withdraw(struct admission *admission, const struct waiter *waiter)
{
    struct waiter **link = &admission->first;
    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
    if (waiter->next == NULL)
        admission->last = link;
    uv_cond_broadcast(&admission->changed); /* the next one may enter now */
}

/* With the mutex held, which is given back while somebody is asked. */
static bool wait_for_room(struct admission *admission, const struct waiter *waiter, size_t bytes,
                          bool (*goes_on)(void *context), void *context)
{
    while (admission->first != waiter || bytes > admission->limit_bytes - admission->used_bytes) {
        /* Woken or out of time: the loop looks. */
        (void)uv_cond_timedwait(&admission->changed, &admission->mutex, ask_every_ns);
        uv_mutex_unlock(&admission->mutex);
        bool wanted = goes_on(context);
        uv_mutex_lock(&admission->mutex);
        if (!wanted)
            return false;
    }
    return true;
}

bool admission_enter(struct admission *admission, size_t bytes, bool (*goes_on)(void *context),
                     void *context, struct error *err)
{
    if (bytes > admission->limit_bytes)
        return FAIL(err, E_MEMORY,
                    "the run needs %zu MiB of memory; all runs together may have %zu MiB",
                    bytes >> 20, admission->limit_bytes >> 20);
    struct waiter waiter = {.next = NULL};
    uv_mutex_lock(&admission->mutex);
    append(admission, &waiter);
    bool enters = wait_for_room(admission, &waiter, bytes, goes_on, context);
    if (enters)
        admission->used_bytes += bytes;
    withdraw(admission, &waiter);
    uv_mutex_unlock(&admission->mutex);
    return enters || FAIL(err, E_CANCELLED, "stopped on request");
}

void admission_leave(struct admission *admission, size_t bytes)
{
    uv_mutex_lock(&admission->mutex);
    admission->used_bytes -= bytes;
    uv_cond_broadcast(&admission->changed);
    uv_mutex_unlock(&admission->mutex);
}

size_t admission_used(struct admission *admission)
{
    uv_mutex_lock(&admission->mutex);
    size_t used = admission->used_bytes;
    uv_mutex_unlock(&admission->mutex);
    return used;
}
