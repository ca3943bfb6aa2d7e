/* The object behind every route, its callbacks for the HTTP server, and the list of tables. */

#include "api_private.h"

#include "ptqd/base/digest.h"
#include "ptqd/base/log.h"
#include "ptqd/base/text.h"
#include "ptqd/http/listen.h"
#include "ptqd/store/token_row.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct http_table *const tables[] = {
    &model_routes, &dataset_routes, &job_routes, &run_routes, &report_routes, &service_routes, NULL,
};

const struct http_table *const *api_tables(void)
{
    return tables;
}

bool api_create(const struct api_options *options, struct api **out_api, struct error *err)
{
    struct api *api = calloc(1, sizeof(*api));
    if (api == NULL)
        return FAIL(err, E_MEMORY, "no memory for the REST interface");
    api->options = *options;
    api->started_ms = (int64_t)time(NULL) * 1000;
    waiters_init(api);
    *out_api = api;
    return true;
}

void api_destroy(struct api *api)
{
    if (api == NULL)
        return;
    waiters_finish(api);
    free(api);
}

void api_set_ready(struct api *api, bool ready)
{
    atomic_store(&api->ready, ready);
}

void api_set_server(struct api *api, struct http_server *server)
{
    atomic_store(&api->server, server);
}

void api_problem(struct http_request *request, void *context, const struct error *error)
{
    (void)context;
    int status = problem_status(error->code);
    if (status == 500 || status == 507)
        log_failure("api", http_path(request), error);
    if (status == 401)
        http_add_header(request, "WWW-Authenticate", "Bearer");
    if (status == 429 || status == 503)
        http_add_header(request, "Retry-After", "10");

    struct json *object = json_object(http_arena(request));
    problem_add(object, error);
    size_t size;
    const char *text = json_print_string(object, http_arena(request), &size, NULL);
    static const char starved[] = "{\"title\":\"Service Unavailable\",\"status\":503,"
                                  "\"code\":\"memory\",\"detail\":\"not enough memory\"}";
    if (text != NULL)
        http_answer(request, status, "application/problem+json", text, size, false);
    else
        http_answer(request, 503, "application/problem+json", starved, sizeof(starved) - 1, false);
}

enum api_access api_role(const char *name)
{
    static const struct {
        const char *name;
        enum api_access role;
    } roles[] = {{"read", ACCESS_READ}, {"submit", ACCESS_SUBMIT}, {"admin", ACCESS_ADMIN}};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i].name, name) == 0)
            return roles[i].role;
    }
    return ACCESS_ANYBODY;
}

/* Finds the token of "Authorization: Bearer <token>"; only its digest is known. */
static bool find_token(struct http_request *request, struct api *api, struct token_row *out_token,
                       struct error *err)
{
    const char *header = http_header(request, "Authorization");
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
        return FAIL(err, E_UNAUTHORIZED, "a header \"Authorization: Bearer <token>\" is needed");
    const char *token = header + 7;
    char digest[DIGEST_HEX_BYTES];
    struct database *database;
    bool found;
    if (!digest_bytes(token, strlen(token), digest, err) ||
        !store_reader(api->options.store, &database, err) ||
        !token_row_find(database, digest, http_arena(request), out_token, &found, err))
        return false;
    return found || FAIL(err, E_UNAUTHORIZED, "the token is not known");
}

/* A name other than localhost may be one that a web page has pointed here (DNS rebinding); its
 * requests look like those of a page of our own. */
static bool check_host(struct http_request *request, struct error *err)
{
    const char *host = http_header(request, "Host");
    if (host == NULL)
        return true;
    bool bracketed = host[0] == '[';
    size_t length = strcspn(host + bracketed, bracketed ? "]" : ":");
    char name[64];
    if (length < sizeof(name)) {
        memcpy(name, host + bracketed, length);
        name[length] = '\0';
        if (strcasecmp(name, "localhost") == 0 || http_is_loopback(name))
            return true;
    }
    return FAIL(err, E_FORBIDDEN,
                "without tokens only requests to localhost are served, not to \"%.100s\"", host);
}

bool api_authorize(struct http_request *request, void *context, int access, struct error *err)
{
    struct api *api = context;
    if (access == ACCESS_ANYBODY)
        return true;
    if (api->options.open) {
        http_set_owner(request, "local", ACCESS_ADMIN);
        return check_host(request, err);
    }
    struct token_row token;
    if (!find_token(request, api, &token, err))
        return false;
    enum api_access role = api_role(token.role);
    if ((int)role < access)
        return FAIL(err, E_FORBIDDEN, "the token \"%s\" has the role \"%s\", which may not do this",
                    token.name, token.role);
    http_set_owner(request, token.name, (int)role);
    return true;
}
