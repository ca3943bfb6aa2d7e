#pragma once

/* A plain HTTP client for tests: raw bytes over a socket, so that a test can send what no library
 * would. Every wait has a deadline. */

#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_DEADLINE_MS = 10 * 1000 };

struct reply {
    int status;  /* 0: the connection ended before a whole reply */
    char *head;  /* status line and headers */
    char *body;  /* NUL-terminated */
    size_t size; /* of the body */
};

int client_connect(int port);
/* Waits until there is something to read, or the end, at most until the deadline. */
bool client_readable(int fd, long deadline_ms);
/* False when the other side has closed. */
bool client_send(int fd, const void *bytes, size_t size);
bool client_send_text(int fd, const char *text);
/* One reply; `head_only`: to a HEAD request. */
struct reply client_receive(int fd, bool head_only);
/* Waits until the other side closes; milliseconds it took, -1 when it did not in time. */
long client_wait_closed(int fd);
void reply_free(struct reply *reply);
/* Value of a header in `buffer`; NULL when it is not there. */
const char *reply_header(const struct reply *reply, const char *name, char *buffer, size_t size);

/* One exchange on its own connection. `headers` are whole lines ("A: b\r\n"), or NULL. */
struct reply client_call(int port, const char *method, const char *target, const char *headers,
                         const void *body, size_t size);
struct reply client_get(int port, const char *target);

long client_now_ms(void);
