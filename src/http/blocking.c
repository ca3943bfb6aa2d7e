/* Pools: threads on which the handlers of blocking routes run, and sinks take bodies, while the
 * connection is suspended, so that reading a large model never holds up other requests.
 *
 * Owners take turns: next is the oldest request of the owner who has waited longest since a thread
 * took one of its requests. Who sends a hundred at once waits for them, and nobody else does. */

#include "http_private.h"

#include <stdlib.h>
#include <string.h>

enum { POOL_WAITING_MAX = 256, POOL_WAITING_SHARE = 128 /* of one owner */ };

/* The lock is held, as in those that follow. */
static bool has_owner_of(const struct http_request *a, const struct http_request *b)
{
    return strcmp(a->owner, b->owner) == 0;
}

/* That of its owner's other requests, 0 when none of them waits. */
static uint64_t turn_of(const struct http_pool *pool, const struct http_request *request)
{
    const struct http_request *other = pool->first;
    while (other != NULL && !has_owner_of(other, request))
        other = other->next_pooled;
    return other != NULL ? other->owner_turn : 0;
}

/* Takes out the next one; there is one. */
static struct http_request *take_next(struct http_pool *pool)
{
    struct http_request **next = &pool->first;
    for (struct http_request **link = next; *link != NULL; link = &(*link)->next_pooled) {
        if ((*link)->owner_turn < (*next)->owner_turn)
            next = link;
    }
    struct http_request *request = *next;
    *next = request->next_pooled;
    if (*next == NULL)
        pool->end = next;
    pool->waiting--;
    pool->turns++;
    for (struct http_request *other = pool->first; other != NULL; other = other->next_pooled) {
        if (has_owner_of(other, request))
            other->owner_turn = pool->turns;
    }
    return request;
}

static struct http_request *take(struct http_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->stopping)
        pthread_cond_wait(&pool->wake, &pool->lock);
    struct http_request *request = pool->first != NULL ? take_next(pool) : NULL;
    pthread_mutex_unlock(&pool->lock);
    return request;
}

static void *pool_main(void *context)
{
    struct http_request *request;
    while ((request = take(context)) != NULL) {
        struct http_server *server = request->server;
        http_log_begin(request);
        request->pool_failed = !request->pooled(request, server->options.context, &request->error);
        http_log_end();
        http_resume(request);
    }
    return NULL;
}

/* Back on the connection's own thread. */
static bool finish_pooled(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    request->pooled = NULL;
    if (request->pool_failed)
        *err = request->error;
    return !request->pool_failed;
}

/* The lock is held. */
static void append(struct http_pool *pool, struct http_request *request, http_handler *handler)
{
    request->pooled = handler;
    request->owner_turn = turn_of(pool, request);
    request->next_pooled = NULL;
    *pool->end = request;
    pool->end = &request->next_pooled;
    pool->waiting++;
    pthread_cond_signal(&pool->wake);
}

void http_pool_add(struct http_pool *pool, struct http_request *request, http_handler *handler)
{
    pthread_mutex_lock(&pool->lock);
    append(pool, request, handler);
    pthread_mutex_unlock(&pool->lock);
}

static int count_of(const struct http_pool *pool, const struct http_request *request)
{
    int count = 0;
    for (const struct http_request *other = pool->first; other != NULL; other = other->next_pooled)
        count += has_owner_of(other, request);
    return count;
}

bool http_block(struct http_request *request, http_handler *handler, struct error *err)
{
    struct http_pool *pool = &request->server->pool;
    pthread_mutex_lock(&pool->lock);
    bool full = pool->waiting == POOL_WAITING_MAX || pool->stopping;
    bool fits =
        !full && (request->owner[0] == '\0' || count_of(pool, request) < POOL_WAITING_SHARE);
    if (fits) {
        /* Suspended first: a thread may be done before this one returns. */
        http_suspend(request, finish_pooled, HTTP_NO_TIMEOUT);
        append(pool, request, handler);
    }
    pthread_mutex_unlock(&pool->lock);
    if (full)
        return FAIL(err, E_UNAVAILABLE, "%d requests of this kind wait already; try again later",
                    POOL_WAITING_MAX);
    return fits || FAIL(err, E_LIMIT,
                        "%d requests of this kind of \"%s\" wait already, as many as one may have",
                        POOL_WAITING_SHARE, request->owner);
}

void http_pool_init(struct http_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->end = &pool->first;
}

void http_pool_finish(struct http_pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
}

bool http_pool_start(struct http_pool *pool, unsigned threads, struct error *err)
{
    pool->threads = calloc(threads, sizeof(*pool->threads));
    if (pool->threads == NULL)
        return FAIL(err, E_MEMORY, "no memory for %u threads", threads);
    for (; pool->thread_count < threads; pool->thread_count++) {
        int status = pthread_create(&pool->threads[pool->thread_count], NULL, pool_main, pool);
        if (status != 0) {
            http_pool_stop(pool);
            return FAIL(err, E_UNAVAILABLE, "can't start a thread: %s", strerror(status));
        }
    }
    return true;
}

void http_pool_stop(struct http_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pool->threads = NULL;
    pool->thread_count = 0;
}
