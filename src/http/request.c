/* What a handler may ask of its request. */

#include "http_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct http_route *http_route_of(const struct http_request *request)
{
    return request->match.route;
}

struct arena *http_arena(struct http_request *request)
{
    return request->arena;
}

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_param(const struct http_request *request, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < request->match.count; i++) {
        if (request->match.params[i].name_length == length &&
            memcmp(request->match.params[i].name, name, length) == 0) {
            char *value = arena_strndup(request->arena, request->match.params[i].value,
                                        request->match.params[i].value_length, NULL);
            if (value == NULL)
                return "";
            http_decode_segment(value);
            return value;
        }
    }
    assert(false); /* the route's pattern has no such parameter */
    return "";
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http_request *request, size_t *out_size)
{
    *out_size = request->body.length;
    return request->body.bytes;
}

bool http_body_is(const struct http_request *request, const char *type)
{
    const char *given = http_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    size_t length = strlen(type);
    return given != NULL && strncasecmp(given, type, length) == 0 &&
           (given[length] == '\0' || strchr("; \t", given[length]) != NULL);
}

/* True for those that Accept chooses among: in front, with one status and a body. */
static bool is_choice(const struct http_reply *replies, int index)
{
    return index < HTTP_REPLIES_MAX && replies[index].status == replies[0].status &&
           http_reply_type(&replies[index]) != NULL;
}

static bool fail_not_acceptable(const struct http_request *request, struct error *err)
{
    char list[256] = "";
    size_t used = 0;
    const struct http_reply *replies = request->match.route->replies;
    for (int i = 0; is_choice(replies, i) && used < sizeof(list); i++) {
        const char *type = http_reply_type(&replies[i]);
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%.*s", i > 0 ? ", " : "",
                                 (int)strcspn(type, ";"), type); /* may be cut off */
    }
    return FAIL(err, E_NOT_ACCEPTABLE, "\"%.100s\" is asked for; there is %s",
                http_header(request, MHD_HTTP_HEADER_ACCEPT), list);
}

bool http_negotiate(struct http_request *request, int *out_index, struct error *err)
{
    const char *accept = http_header(request, MHD_HTTP_HEADER_ACCEPT);
    const struct http_reply *replies = request->match.route->replies;
    int best = -1;
    double highest = 0;
    for (int i = 0; is_choice(replies, i); i++) {
        double quality = http_accept_quality(accept, http_reply_type(&replies[i]));
        if (quality > highest) {
            highest = quality;
            best = i;
        }
    }
    if (best < 0)
        return fail_not_acceptable(request, err);
    request->reply = best;
    if (out_index != NULL)
        *out_index = best;
    return true;
}

const char *http_media_type(const struct http_request *request)
{
    return http_reply_type(&request->match.route->replies[request->reply]);
}

uint64_t http_body_size(const struct http_request *request)
{
    return http_content_length(request->connection);
}

void http_set_owner(struct http_request *request, const char *owner, int role)
{
    request->role = role;
    if (strcmp(request->owner, owner) == 0)
        return;
    const char *copy = arena_strdup(request->arena, owner, NULL);
    request->owner = copy != NULL ? copy : "";
}

int http_role(const struct http_request *request)
{
    return request->role;
}

const char *http_owner(const struct http_request *request)
{
    return request->owner;
}

bool http_renew_access(struct http_request *request, struct error *err)
{
    const struct http_options *options = &request->server->options;
    const char *owner = request->owner;
    if (options->authorize == NULL)
        return true;
    if (!options->authorize(request, options->context, request->match.route->access, err))
        return false;
    /* What was prepared for one owner is not for another one, whose name would not live either. */
    return request->owner == owner ||
           FAIL(err, E_UNAUTHORIZED, "the token belongs to \"%s\" now", request->owner);
}

void http_set_sink(struct http_request *request, const struct http_sink *sink, uint64_t limit_bytes)
{
    request->sink = *sink;
    request->body_limit = limit_bytes;
}

void http_set_state(struct http_request *request, void *state, void (*destroy)(void *state))
{
    request->state = state;
    request->destroy_state = destroy;
}

void *http_state(const struct http_request *request)
{
    return request->state;
}
