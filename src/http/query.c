/* The query string of a request, by the row of its route. */

#include "http_private.h"

#include <stdio.h>
#include <string.h>

const char *http_query(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct query_check {
    struct http_request *request;
    unsigned seen; /* bits, by index in the route's row */
    struct error *err;
    bool ok;
};

/* Index in the row; HTTP_QUERY_MAX when it is not there. */
static size_t find_parameter(const struct http_route *route, const char *name)
{
    for (size_t i = 0; i < HTTP_QUERY_MAX && route->query[i] != NULL; i++) {
        if (strcmp(route->query[i]->name, name) == 0)
            return i;
    }
    return HTTP_QUERY_MAX;
}

/* Names the parameters that there are. */
static bool fail_unknown(const struct http_route *route, const char *name, struct error *err)
{
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < HTTP_QUERY_MAX && route->query[i] != NULL && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "",
                                 route->query[i]->name); /* may be cut off */
    if (used == 0)
        return FAIL(err, E_INVALID, "\"%.60s\" is not a parameter of this call, which has none",
                    name);
    return FAIL(err, E_INVALID, "\"%.60s\" is not a parameter of this call; it has %s", name, list);
}

static bool check_value(struct query_check *check, size_t index, const char *name,
                        const char *value)
{
    struct param_value ignored; /* read again by the handler that wants it */
    struct error *err = check->err;
    if (index == HTTP_QUERY_MAX)
        return fail_unknown(check->request->match.route, name, err);
    if ((check->seen & 1U << index) != 0) /* two programs may take different ones */
        return FAIL(err, E_INVALID, "the parameter \"%s\" is there twice", name);
    if (value == NULL)
        return FAIL(err, E_INVALID, "the parameter \"%s\" has no value", name);
    if (!text_is_utf8(value, strlen(value)))
        return FAIL(err, E_INVALID, "the parameter \"%s\" is not UTF-8", name);
    return param_parse(check->request->match.route->query[index], value, check->request->arena,
                       &ignored, err);
}

static enum MHD_Result check_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    (void)kind;
    struct query_check *check = context;
    size_t index = find_parameter(check->request->match.route, name);
    check->ok = check_value(check, index, name, value) || error_parameter(check->err, name);
    check->seen |= 1U << index;
    return check->ok ? MHD_YES : MHD_NO;
}

bool http_check_query(struct http_request *request, struct error *err)
{
    const struct http_route *route = request->match.route;
    struct query_check check = {.request = request, .err = err, .ok = true};
    (void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, check_parameter,
                                    &check);
    for (size_t i = 0; check.ok && i < HTTP_QUERY_MAX && route->query[i] != NULL; i++) {
        if (route->query[i]->default_text == NULL && (check.seen & 1U << i) == 0) {
            FAIL(err, E_INVALID, "the parameter \"%s\" must be given", route->query[i]->name);
            return error_parameter(err, route->query[i]->name);
        }
    }
    return check.ok;
}

bool http_query_value(struct http_request *request, const struct param *param,
                      struct param_value *out_value)
{
    const char *text = http_query(request, param->name);
    if (text == NULL)
        text = param->default_text;
    return text != NULL && text[0] != '\0' &&
           param_parse(param, text, request->arena, out_value, NULL);
}
