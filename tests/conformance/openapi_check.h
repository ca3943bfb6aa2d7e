#pragma once

/* Real answers against the document of the interface, and which parts of it were seen. */

#include "service.h"

#include "ptqd/json/json.h"

struct openapi {
    struct arena *arena; /* borrowed */
    const struct json *document;
    struct json *seen; /* an object whose keys are what was seen */
};

/* Gets the document; everything lives in the service's arena. */
void openapi_fetch(struct openapi *out_openapi, struct service *service);

/* The operation of a route; NULL when there is none. */
const struct json *openapi_operation(const struct openapi *openapi, const char *method,
                                     const char *pattern);
/* The value itself, or what its "$ref" names. */
const struct json *openapi_follow(const struct openapi *openapi, const struct json *value);

/* Law: the status is one of the operation's, the media type and the headers are those of that
 * status, and a body of JSON, or of events, is as its schema says. A body of JSON that was sent and
 * taken is as its schema says, too. `body` and `target` are those of the request. */
void openapi_check(struct openapi *openapi, const char *method, const char *pattern,
                   const char *target, const char *body, const struct reply *reply);
/* Law: it is a problem document with the status of the answer, it is no bug, and no word of it is
 * of the inside of the server: its files, functions and addresses. */
void openapi_check_problem(struct openapi *openapi, const struct reply *reply);
/* The data of one event. */
void openapi_check_event(struct openapi *openapi, const char *pattern, const char *name,
                         const char *data);
/* Law: everything of the operation that stands for a success, and each status in `problems` (ended
 * by 0), was seen: statuses, media types, headers, parameters of the query string, bodies. */
void openapi_check_seen(const struct openapi *openapi, const char *method, const char *pattern,
                        const int *problems);
