#pragma once

/* Listening sockets. */

#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A non-blocking TCP socket that listens on a numeric address ("127.0.0.1", "::1", "0.0.0.0") and
 * port; port 0: one that is free. E_CONFLICT when the port is in use. */
bool http_listen(const char *address, int64_t port, int *out_fd, struct error *err);

/* The port a listening socket has; 0 when it is no TCP socket. */
int http_listen_port(int fd);

/* True for a numeric loopback address. */
bool http_is_loopback(const char *address);
