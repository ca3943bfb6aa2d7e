#pragma once

/* The certificate of a server that speaks TLS, and its replacement while the server runs. */

#include "ptqd/base/error.h"

struct http_tls;

/* Reads a certificate chain (the server's own first) and its private key, both PEM, the key without
 * a password. E_INVALID when they are not that, or not a pair. The paths are copied. */
bool http_tls_create(const char *certificate_path, const char *key_path, struct http_tls **out_tls,
                     struct error *err);
/* The server that uses it must have stopped. */
void http_tls_destroy(struct http_tls *tls);

/* Reads both files again; from any thread. New connections get the new certificate; those that are
 * there go on. On failure the old one stays. */
bool http_tls_reload(struct http_tls *tls, struct error *err);
