#pragma once

/* Problem documents (RFC 9457): how an error looks from outside. */

#include "ptqd/base/error.h"
#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"

/* The HTTP status of a code. */
int problem_status(enum error_code code);
/* The status of an error: a 5xx when it is internal, whatever its code. */
int problem_status_of(const struct error *error);

extern const struct schema problem_schema;

/* Adds title, status, code, detail and, when there is one, pointer or parameter to an object. What
 * went wrong inside the server (files, bugs) is told in general terms; the log has the rest. */
void problem_add(struct json *object, const struct error *error);
