/* Who asks, and what they may do. */

#include "api_private.h"

#include "ptqd/base/digest.h"
#include "ptqd/base/log.h"
#include "ptqd/base/text.h"
#include "ptqd/http/listen.h"
#include "ptqd/store/job_owner.h"
#include "ptqd/store/token_cache.h"

#include <string.h>

const char *const api_role_names[] = {
    [ACCESS_READ - ACCESS_READ] = "read",
    [ACCESS_SUBMIT - ACCESS_READ] = "submit",
    [ACCESS_ADMIN - ACCESS_READ] = "admin",
    NULL,
};

const char *api_role_name(enum api_access role)
{
    return role == ACCESS_ANYBODY ? "" : api_role_names[role - ACCESS_READ];
}

enum api_access api_role(const char *name)
{
    for (int i = 0; api_role_names[i] != NULL; i++) {
        if (strcmp(api_role_names[i], name) == 0)
            return (enum api_access)(ACCESS_READ + i);
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
        !token_cache_find(database, digest, out_token, &found, err))
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

/* ---- what others may see ---- */

static bool sees_all(const struct http_request *request, const struct api *api)
{
    return !api->options.private || http_role(request) == ACCESS_ADMIN;
}

struct store_viewer access_viewer(const struct http_request *request, const struct api *api)
{
    return (struct store_viewer){.owner = http_owner(request), .own_only = !sees_all(request, api)};
}

/* Paths of what has an owner, whatever follows the id. Models and data sets may have several: their
 * rows are asked for as the viewer (access_viewer). */
static const struct owned {
    const char *prefix, *what;
    bool (*find)(struct database *database, const char *id, struct arena *arena,
                 const char **out_owner, struct error *err);
} owned[] = {
    {"/v1/jobs/", "job", job_owner_find},
    {"/v1/runs/", "run", job_owner_find_of_run},
};

/* Here and not in each handler, so that none can forget it. What one may not see is not there, in
 * the words of what really is not. */
static bool check_visible(struct http_request *request, struct api *api, struct error *err)
{
    const char *path = http_path(request), *owner;
    struct arena *arena = http_arena(request);
    struct database *database;
    bool names_one = strstr(http_route_of(request)->pattern, "{id}") != NULL;
    if (sees_all(request, api) || !names_one)
        return true;
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        if (!text_has_prefix(path, owned[i].prefix))
            continue;
        const char *start = path + strlen(owned[i].prefix);
        const char *id = arena_strndup(arena, start, strcspn(start, "/"), err);
        if (id == NULL || !store_reader(api->options.store, &database, err) ||
            !owned[i].find(database, id, arena, &owner, err))
            return false;
        if (strcmp(owner, http_owner(request)) != 0)
            return FAIL(err, E_NOT_FOUND, "there is no %s '%s'", owned[i].what, id);
    }
    return true;
}

/* ---- who asks ---- */

/* Without tokens everybody on this machine may do everything. The first token ends that at once,
 * and for good: revoking the last one must not open what was guarded. */
static bool check_open(struct api *api, bool *out_open, struct error *err)
{
    bool any = false;
    struct database *database;
    *out_open = atomic_load(&api->open);
    if (!*out_open)
        return true;
    if (!store_reader(api->options.store, &database, err) || !token_cache_any(database, &any, err))
        return false;
    if (any && atomic_exchange(&api->open, false))
        log_write(LOG_INFO, "api", "a token was added: from now on requests need one");
    *out_open = !any;
    return true;
}

bool api_authorize(struct http_request *request, void *context, int access, struct error *err)
{
    struct api *api = context;
    if (access == ACCESS_ANYBODY)
        return true;
    bool open;
    if (!check_open(api, &open, err))
        return false;
    if (open) {
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
    return check_visible(request, api, err);
}

bool check_owner(const struct http_request *request, const char *owner, const char *what,
                 struct error *err)
{
    if (http_role(request) == ACCESS_ADMIN || strcmp(http_owner(request), owner) == 0)
        return true;
    return FAIL(err, E_FORBIDDEN, "%s belongs to \"%s\", not to \"%s\"", what, owner,
                http_owner(request));
}
