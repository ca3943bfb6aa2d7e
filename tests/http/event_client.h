#pragma once

/* Reads a stream of server-sent events (text/event-stream) as it comes. */

#include <stdbool.h>
#include <stddef.h>

struct event_client {
    int fd;
    int status;      /* of the answer */
    char head[2048]; /* status line and headers */
    char *bytes;     /* decoded, not yet taken */
    size_t used, capacity;
    char raw[4096]; /* of the chunked body, not yet decoded */
    size_t raw_used;
    size_t chunk_left; /* of the current chunk */
    bool ended;        /* the stream is at its end, or the connection */
    bool whole;        /* with a last chunk: not cut */
};

struct event {
    char name[32], id[64]; /* "" when it has none */
    char *data;            /* lines joined; "" for a comment alone */
    bool comment;          /* only a comment: a heartbeat */
};

/* Sends the request and reads the head. `headers` are whole lines, or NULL. */
void event_client_open(struct event_client *client, int port, const char *target,
                       const char *headers);
/* The next event; false when the stream has ended, or none comes before the deadline of the client.
 * The data is freed by event_free. */
bool event_client_next(struct event_client *client, struct event *out_event);
/* The next event of this name; what comes before it is dropped. */
bool event_client_find(struct event_client *client, const char *name, struct event *out_event);
void event_free(struct event *event);
void event_client_close(struct event_client *client);
