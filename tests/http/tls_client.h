#pragma once

/* Certificates made on the spot, and a client that speaks TLS; it checks no names. */

#include <stdbool.h>
#include <stddef.h>

struct tls_client;

/* Writes a self-signed certificate of this name and its key, both PEM. */
void tls_write_pair(const char *certificate_path, const char *key_path, const char *name);

/* Connects with these priorities of GnuTLS; NULL when the handshake fails. */
struct tls_client *tls_connect(int port, const char *priorities);
/* Sends a GET on the connection; the status, 0 when it was closed. */
int tls_get(struct tls_client *client, const char *target);
/* Name in the server's certificate. */
const char *tls_server_name(struct tls_client *client, char *buffer, size_t size);
/* True for TLS 1.3, false for 1.2; anything else fails the test. */
bool tls_is_13(struct tls_client *client);
void tls_close(struct tls_client *client);
