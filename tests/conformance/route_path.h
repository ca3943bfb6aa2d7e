#pragma once

#include "ptqd/base/arena.h"
#include "ptqd/http/route.h"

/* The path of a route with these in place of its "{id}" and "{name}", in `arena`. */
const char *route_path(struct arena *arena, const struct http_route *route, const char *id,
                       const char *name);
