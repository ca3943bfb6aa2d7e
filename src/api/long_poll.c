/* Long polling: a GET with ?wait= is answered when there is news of a job or a run, or when the
 * time is up. Each look makes the whole answer; the last one is sent. Who waits is asked for the
 * token again each second, and before each answer. */

#include "api_private.h"

#include "ptqd/base/clock.h"

#include <string.h>

enum { SLICE_MS = ACCESS_RENEW_MS };

/* A request and its place in the list; times on the monotonic clock. */
struct wait {
    struct waiter waiter;
    struct api *api;
    struct arena_mark mark; /* what an earlier look took is given back */
    poll_look *look;
    int64_t end_ms;
    int64_t wake_ms; /* before it only a change, the end of the server or of the client wakes */
};

bool poll_is_other(const struct http_request *request)
{
    return http_header(request, "If-None-Match") != NULL && !http_is_known(request);
}

static bool look_again(struct http_request *request, void *context, struct error *err);

/* False when it has changed already. */
static bool sleep_a_while(struct api *api, struct wait *wait)
{
    int64_t now_ms = clock_ms();
    int64_t left_ms = wait->end_ms - now_ms;
    int64_t slice_ms = left_ms < SLICE_MS ? left_ms : SLICE_MS;
    wait->wake_ms = now_ms + slice_ms;
    return waiter_sleep(api, &wait->waiter, look_again, slice_ms);
}

/* Answers when there is news or this is the last look; sleeps otherwise. */
static bool look(struct http_request *request, struct api *api, struct wait *wait, bool last,
                 struct error *err)
{
    for (;;) {
        bool news;
        http_forget_answer(request); /* that of an earlier look, with what the arena has of it */
        arena_reset(http_arena(request), wait->mark);
        if (!wait->look(request, api, &news, err))
            return false;
        if (news || last || clock_ms() >= wait->end_ms || sleep_a_while(api, wait))
            return true;
        (void)waiter_take_change(api, &wait->waiter); /* it has changed: look again */
    }
}

/* Woken by a change, or by the end of a slice, of the time, or of the server. */
static bool look_again(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct wait *wait = http_state(request);
    bool changed = waiter_take_change(api, &wait->waiter);
    int64_t now_ms = clock_ms();
    if (!http_renew_access(request, err)) {
        http_forget_answer(request);
        return false;
    }
    bool last = !changed && (now_ms < wait->wake_ms || now_ms >= wait->end_ms);
    if (!changed && !last && sleep_a_while(api, wait))
        return true;
    return look(request, api, wait, last, err);
}

/* Also of a request that ends without a further look: its client has reset the connection. */
static void destroy_wait(void *state)
{
    struct wait *wait = state;
    waiter_remove(wait->api, &wait->waiter);
}

/* There is no room to wait: news are told, else the failure. */
static bool look_once(struct http_request *request, struct api *api, poll_look *do_look,
                      const struct error *full, struct error *err)
{
    bool news;
    if (!do_look(request, api, &news, err))
        return false;
    if (news)
        return true;
    http_forget_answer(request);
    *err = *full;
    return false;
}

bool poll_wait(struct http_request *request, struct api *api, const char *job, int64_t seconds,
               poll_look *do_look, struct error *err)
{
    struct wait *wait = ARENA_NEW(http_arena(request), struct wait, err);
    if (wait == NULL)
        return false;
    wait->api = api;
    wait->look = do_look;
    wait->end_ms = clock_ms() + seconds * 1000;
    wait->waiter.request = request;
    size_t length = strlen(job);
    if (length < JOB_ID_BYTES) /* a longer one names no job, as the look finds out */
        memcpy(wait->waiter.job, job, length + 1);
    struct error full = {0};
    if (!waiter_add(api, &wait->waiter, &full))
        return look_once(request, api, do_look, &full, err);
    wait->mark = arena_mark(http_arena(request));
    http_set_state(request, wait, destroy_wait);
    return look(request, api, wait, false, err);
}
