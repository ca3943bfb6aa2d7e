/* One exchange: from the header of a request to its answer, as libmicrohttpd calls us.
 *
 * The first call comes when the header is in: framing, route, access, the route's `begin`, and the
 * size are checked, so that a refusal costs the client nothing. Then come the bytes of the body.
 * A request that is refused when its body is on the way (or small, or absent) is answered after the
 * body was dropped: an answer in the middle of a body is not possible, and after one in the first
 * call libmicrohttpd closes the connection. Then the handler runs.
 */

#include "http_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void http_destroy_state(struct http_request *request)
{
    if (request->destroy_state != NULL)
        request->destroy_state(request->state);
    request->destroy_state = NULL;
}

static void destroy_request(struct http_request *request)
{
    http_destroy_state(request);
    http_budget_release(request);
    if (request->answer.fd >= 0)
        close(request->answer.fd);
    text_finish(&request->body);
    text_finish(&request->pending);
    http_arena_give(request->server, request->arena);
    free(request);
}

static struct http_request *create_request(struct http_server *server,
                                           struct MHD_Connection *connection)
{
    struct peer *peer = http_peer_of(connection);
    struct http_request *request = calloc(1, sizeof(*request));
    if (request == NULL || peer == NULL) {
        free(request);
        return NULL;
    }
    request->server = server;
    request->connection = connection;
    request->peer = peer;
    request->answer.fd = -1;
    request->owner = "";
    request->started_ms = clock_ms();
    request->started_us = clock_us();
    http_take_id(request);
    text_init(&request->body, 0);
    text_init(&request->pending, 0);
    request->arena = http_arena_take(server);
    if (request->arena == NULL) {
        destroy_request(request);
        return NULL;
    }
    return request;
}

/* The answer to OPTIONS is all there is to say: no route is found, and none is needed. */
static bool answer_options(struct http_request *request)
{
    http_answer(request, MHD_HTTP_NO_CONTENT, NULL, "", 0, false);
    return true;
}

static bool find_route(struct http_request *request, struct error *err)
{
    char allow[HTTP_ALLOW_BYTES] = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
    bool options = strcmp(request->method, "OPTIONS") == 0;
    bool whole = options && strcmp(request->path, "*") == 0;
    if (!whole && http_route_find(request->server->options.tables, request->method, request->path,
                                  &request->match, allow, err))
        return true;
    if (allow[0] != '\0')
        http_add_header(request, MHD_HTTP_HEADER_ALLOW, allow);
    return options && allow[0] != '\0' && answer_options(request);
}

static bool prepare_body(struct http_request *request, struct error *err)
{
    const struct http_route *route = request->match.route;
    const struct http_options *options = &request->server->options;
    request->body_limit = route->any_body ? options->body_bytes : 0;
    if (route->begin != NULL && !route->begin(request, options->context, err))
        return false;
    text_init(&request->body, (size_t)request->body_limit);
    return request->sink.write == NULL || http_budget_upload(request, err);
}

/* A sender who may do nothing, or who need not say who it is, takes no place from others. */
static bool keep_place(struct http_request *request, struct error *err)
{
    bool keeps = request->server->options.authorize == NULL || request->owner[0] != '\0';
    return !keeps || http_peer_busy(request, err);
}

/* Everything that can be known from the header, but the size. */
static bool accept_header(struct http_request *request, const char *url, const char *method,
                          struct error *err)
{
    const char *path = "";
    bool ok = http_origin_form(request->connection, url, &path, err);
    request->method = arena_strdup(request->arena, method, err);
    request->path = arena_strdup(request->arena, path, err);
    if (!ok || request->method == NULL || request->path == NULL)
        return false;
    const struct http_options *options = &request->server->options;
    if (!http_check_site(request->connection, method, err) ||
        !http_check_expectation(request->connection, err) || !find_route(request, err))
        return false;
    const struct http_route *route = request->match.route;
    if (route == NULL)
        return true;
    if (!http_check_change_conditions(request->connection, method, route->conditional, err))
        return false;
    if (options->authorize != NULL &&
        !options->authorize(request, options->context, route->access, err))
        return false;
    return http_check_query(request, err) && prepare_body(request, err);
}

static enum MHD_Result answer_error(struct http_request *request, const struct error *error)
{
    const struct http_options *options = &request->server->options;
    options->problem(request, options->context, error);
    return http_send(request);
}

/* The body may have taken hours, in which a token was revoked. */
static bool begin_handling(struct http_request *request, void *context, struct error *err)
{
    const struct http_route *route = request->match.route;
    if (request->received > 0 && !http_renew_access(request, err))
        return false;
    return route->blocking ? http_block(request, route->handle, err)
                           : route->handle(request, context, err);
}

/* Runs a handler, then sends the answer unless the handler waits. */
static enum MHD_Result run(struct http_request *request, http_handler *handler)
{
    request->phase = PHASE_READING;
    struct error err = {0};
    if (!handler(request, request->server->options.context, &err))
        return answer_error(request, &err);
    if (request->phase == PHASE_WAITING)
        return MHD_YES;
    if (request->answer.status == 0) {
        FAIL(&err, E_INTERNAL, "%s %s was not answered", request->method, request->path);
        return answer_error(request, &err);
    }
    return http_send(request);
}

static enum MHD_Result continue_request(struct http_request *request, const char *upload_data,
                                        size_t *upload_data_size)
{
    bool whole = true;
    if (*upload_data_size > 0)
        return http_take_body(request, upload_data, upload_data_size);
    if (request->phase == PHASE_READING && http_end_body(request, &whole) == MHD_NO)
        return MHD_NO;
    if (!whole)
        return MHD_YES;
    switch (request->phase) {
    case PHASE_READING:
        if (request->refused)
            return answer_error(request, &request->error);
        http_set_deadline(request, 0);
        if (request->match.route == NULL || http_is_answered(request))
            return http_send(request);
        return run(request, begin_handling);
    case PHASE_WAITING:
        return run(request, request->next);
    case PHASE_SENT:
        return MHD_YES;
    }
    return MHD_NO;
}

static enum MHD_Result on_header(struct http_server *server, struct MHD_Connection *connection,
                                 const struct request_line *line, void **slot)
{
    struct http_request *request = create_request(server, connection);
    if (request == NULL)
        return MHD_NO;
    if (!http_peer_begin(request, http_transfer_deadline(server, request->started_ms, 0))) {
        destroy_request(request);
        return MHD_NO;
    }
    *slot = request;
    http_log_begin(request);

    struct error err = {0};
    if (!http_check_framing(connection, line, &err)) {
        request->method = request->path = "";
        http_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
        return answer_error(request, &err);
    }
    uint64_t length = http_content_length(connection);
    /* A client that waits for leave to send has not sent what would have to be dropped. */
    bool droppable =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) == NULL &&
        (length == UINT64_MAX || length <= server->options.swallow_bytes);
    if (!accept_header(request, line->url, line->method, &err) || !keep_place(request, &err)) {
        if (!droppable)
            return answer_error(request, &err);
        http_refuse(request, &err);
        return MHD_YES;
    }
    if (http_is_answered(request))
        return droppable ? MHD_YES : http_send(request);
    if (length != UINT64_MAX && length > request->body_limit) {
        http_fail_size(request, length, &err);
        return answer_error(request, &err);
    }
    /* Who waits for leave to send nothing is answered now: later libmicrohttpd takes the request
     * that follows for a body, and closes the connection. */
    return length == 0 && !droppable ? continue_request(request, NULL, &(size_t){0}) : MHD_YES;
}

enum MHD_Result http_on_request(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_data_size, void **slot)
{
    struct http_request *request = *slot;
    if (request == NULL) {
        const struct request_line line = {.method = method, .url = url, .version = version};
        enum MHD_Result accepted = on_header(context, connection, &line, slot);
        http_log_end();
        return accepted;
    }
    http_log_begin(request);
    enum MHD_Result result = continue_request(request, upload_data, upload_data_size);
    http_log_end();
    return result;
}

/* libmicrohttpd corks the socket for sendfile and leaves it so: what the peer's window holds back
 * of the last segment would be sent after 200 ms. */
static void uncork(struct MHD_Connection *connection)
{
    static const int off = 0;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) /* fails for sockets that have no cork */
        (void)setsockopt(info->connect_fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
}

void http_on_completed(void *context, struct MHD_Connection *connection, void **slot,
                       enum MHD_RequestTerminationCode reason)
{
    (void)reason;
    struct http_server *server = context;
    struct http_request *request = *slot;
    if (request == NULL)
        return;
    http_peer_idle(request, clock_ms() + server->options.header_timeout_ms +
                                (int64_t)server->options.idle_timeout_seconds * 1000);
    if (request->answer.file_size > 0)
        uncork(connection);
    destroy_request(request);
    *slot = NULL;
    atomic_fetch_sub(&server->active, 1);
}
