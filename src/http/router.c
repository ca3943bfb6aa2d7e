/* Matching a path against the tables of routes, segment by segment. */

#include "ptqd/http/route.h"

#include <stdio.h>
#include <string.h>

const char *http_reply_type(const struct http_reply *reply)
{
    return reply->type == NULL && reply->schema != NULL ? "application/json" : reply->type;
}

const struct http_route *http_route_at(const struct http_table *const *tables, size_t index)
{
    for (; *tables != NULL; tables++) {
        if (index < (*tables)->count)
            return &(*tables)->routes[index];
        index -= (*tables)->count;
    }
    return NULL;
}

static size_t segment_length(const char *path)
{
    return (size_t)(strchrnul(path, '/') - path);
}

/* Notes a segment under the name in braces; false when it is empty or too long. */
static bool bind_param(const char *pattern, size_t pattern_length, const char *path, size_t length,
                       struct http_match *match)
{
    if (length == 0 || length > HTTP_SEGMENT_MAX || match->count == HTTP_PARAMS_MAX)
        return false;
    match->params[match->count].name = pattern + 1;
    match->params[match->count].name_length = pattern_length - 2;
    match->params[match->count].value = path;
    match->params[match->count].value_length = length;
    match->count++;
    return true;
}

/* Of `match` nothing is cleared that is not counted: most routes do not match. */
static bool matches(const struct http_route *route, const char *path, struct http_match *match)
{
    match->route = route;
    match->count = 0;
    const char *pattern = route->pattern;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t pattern_length = segment_length(pattern);
        size_t length = segment_length(path);
        if (*pattern == '{') {
            if (!bind_param(pattern, pattern_length, path, length, match))
                return false;
        } else if (pattern_length != length || memcmp(pattern, path, length) != 0) {
            return false;
        }
        pattern += pattern_length;
        path += length;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool serves(const struct http_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void allow(const char *method, char out_allow[static HTTP_ALLOW_BYTES])
{
    size_t used = strlen(out_allow);
    (void)snprintf(out_allow + used, HTTP_ALLOW_BYTES - used, "%s%s%s", used > 0 ? ", " : "",
                   method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

bool http_route_find(const struct http_table *const *tables, const char *method, const char *path,
                     struct http_match *out_match, char out_allow[static HTTP_ALLOW_BYTES],
                     struct error *err)
{
    size_t fewest = HTTP_PARAMS_MAX; /* parameters of what matches */
    struct http_match match;
    bool found = false;
    out_allow[0] = '\0';
    for (; *tables != NULL; tables++) {
        for (size_t i = 0; i < (*tables)->count; i++) {
            const struct http_route *route = &(*tables)->routes[i];
            if (!matches(route, path, &match) || match.count > fewest)
                continue;
            if (match.count < fewest) { /* the others' parameter is a word of this one */
                out_allow[0] = '\0';
                found = false;
            }
            fewest = match.count;
            if (serves(route, method)) {
                *out_match = match;
                found = true;
            } else {
                allow(route->method, out_allow);
            }
        }
    }
    if (found)
        return true;
    if (out_allow[0] != '\0')
        allow("OPTIONS", out_allow);
    if (out_allow[0] != '\0')
        return FAIL(err, E_METHOD, "%.32s is not supported here; %s are", method, out_allow);
    return FAIL(err, E_NOT_FOUND, "there is no resource at %.300s", path);
}
