#pragma once

/* SHA-256 (through GnuTLS): content ids of models, data sets and artifacts. */

#include "ptqd/base/error.h"

#include <stddef.h>

enum { DIGEST_HEX_BYTES = 65, DIGEST_ID_BYTES = 72 }; /* with the NUL; an id is "sha256:<hex>" */

struct digest; /* a running hash */

struct digest *digest_create(struct error *err);
void digest_destroy(struct digest *digest);
void digest_update(struct digest *digest, const void *bytes, size_t size);
/* Lower-case hex of what was added so far; the digest may not be updated afterwards. */
void digest_hex(struct digest *digest, char out_hex[static DIGEST_HEX_BYTES]);

bool digest_bytes(const void *bytes, size_t size, char out_hex[static DIGEST_HEX_BYTES],
                  struct error *err);

/* Compares two digests in hex; the time it takes depends on the length of `b` alone. */
bool digest_equal(const char *a, const char *b);

/* Accepts "sha256:<64 hex>" and writes the hex part in lower case; E_INVALID otherwise. */
bool digest_parse_id(const char *id, char out_hex[static DIGEST_HEX_BYTES], struct error *err);
