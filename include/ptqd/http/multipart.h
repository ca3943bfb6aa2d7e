#pragma once

/* multipart/form-data (RFC 7578), parsed as it comes: memory is one buffer of fixed size, whatever
 * the sender does. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct multipart;

struct multipart_part {
    const char *name;       /* of the form field */
    const char *filename;   /* "" when there is none; not a path to be used */
    const char *media_type; /* "" when there is none */
};

struct multipart_handler {
    bool (*begin)(void *context, const struct multipart_part *part, struct error *err);
    bool (*data)(void *context, const void *bytes, size_t size, struct error *err);
    bool (*end)(void *context, struct error *err);
    void *context; /* borrowed */
};

/* `content_type` is the request's header; E_SYNTAX without a usable boundary. */
bool multipart_open(struct arena *arena, const char *content_type,
                    const struct multipart_handler *handler, struct multipart **out_multipart,
                    struct error *err);
/* The next bytes of the body. E_SYNTAX for what is not multipart/form-data, or what the handler
 * fails with. */
bool multipart_feed(struct multipart *multipart, const void *bytes, size_t size, struct error *err);
/* E_SYNTAX when the body ended early. */
bool multipart_close(struct multipart *multipart, struct error *err);
