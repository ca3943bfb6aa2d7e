/* Arenas of requests that are over serve the next ones: an answer takes some 50 kB, in blocks that
 * the allocator would clear, split and join anew for each. One that a large request made large is
 * given back. */

#include "http_private.h"

/* Of what the request has used; its largest block, which stays, has at most twice as much. */
static const size_t largest_bytes = (size_t)128 << 10;

void http_arenas_init(struct http_arenas *arenas)
{
    pthread_mutex_init(&arenas->lock, NULL);
    arenas->count = 0;
}

void http_arenas_finish(struct http_arenas *arenas)
{
    while (arenas->count > 0)
        arena_destroy(arenas->spare[--arenas->count]);
    pthread_mutex_destroy(&arenas->lock);
}

struct arena *http_arena_take(struct http_server *server)
{
    struct http_arenas *arenas = &server->arenas;
    struct arena *arena = NULL;
    pthread_mutex_lock(&arenas->lock);
    if (arenas->count > 0)
        arena = arenas->spare[--arenas->count];
    pthread_mutex_unlock(&arenas->lock);
    return arena != NULL ? arena : arena_create(server->options.arena_bytes);
}

void http_arena_change(struct http_request *request)
{
    http_destroy_state(request);
    http_budget_release(request);
    http_forget_answer(request);
    struct arena *arena = http_arena_take(request->server), *old = request->arena;
    const char *method = arena != NULL ? arena_strdup(arena, request->method, NULL) : NULL;
    const char *path = method != NULL ? arena_strdup(arena, request->path, NULL) : NULL;
    if (path == NULL) {
        http_arena_give(request->server, arena);
        return;
    }
    request->method = method;
    request->path = path;
    request->owner = "";
    request->match.count = 0;
    request->part = NULL;
    request->arena = arena;
    http_arena_give(request->server, old);
}

void http_arena_give(struct http_server *server, struct arena *arena)
{
    struct http_arenas *arenas = &server->arenas;
    if (arena != NULL && arena_used(arena) <= largest_bytes) {
        arena_reset(arena, (struct arena_mark){0});
        pthread_mutex_lock(&arenas->lock);
        if (arenas->count < HTTP_SPARE_ARENAS) {
            arenas->spare[arenas->count++] = arena;
            arena = NULL;
        }
        pthread_mutex_unlock(&arenas->lock);
    }
    arena_destroy(arena);
}
