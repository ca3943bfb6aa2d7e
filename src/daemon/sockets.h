#pragma once

/* Sockets that the service manager hands over, and the limit of descriptors. */

#include "ptqd/base/error.h"

/* The listening socket of socket activation; −1 when there is none. E_INVALID for more than one, or
 * for one that is no listening stream socket. */
bool sockets_inherit(int *out_fd, struct error *err);

/* True when only this machine can reach the socket: a loopback address, or a path. */
bool sockets_is_local(int fd);

/* The address as text, for the log: "127.0.0.1", "::1", "unix". */
enum { SOCKETS_NAME_BYTES = 64 };
void sockets_name(int fd, char out_name[static SOCKETS_NAME_BYTES]);

/* Raises the soft limit of open files to the hard one: services start with 1024, which so many
 * connections alone would use up. */
void sockets_raise_limit(void);
