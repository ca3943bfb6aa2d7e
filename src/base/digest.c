#include "ptqd/base/digest.h"

#include "ptqd/base/text.h"

#include <assert.h>
#include <ctype.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { SHA256_BYTES = 32 };

struct digest {
    gnutls_hash_hd_t handle;
};

struct digest *digest_create(struct error *err)
{
    struct digest *digest = malloc(sizeof(*digest));
    if (digest == NULL) {
        FAIL(err, E_MEMORY, "no memory for a SHA-256 digest");
        return NULL;
    }
    int status = gnutls_hash_init(&digest->handle, GNUTLS_DIG_SHA256);
    if (status < 0) {
        FAIL(err, E_INTERNAL, "SHA-256 is not available: %s", gnutls_strerror(status));
        free(digest);
        return NULL;
    }
    return digest;
}

void digest_destroy(struct digest *digest)
{
    if (digest == NULL)
        return;
    gnutls_hash_deinit(digest->handle, NULL);
    free(digest);
}

void digest_update(struct digest *digest, const void *bytes, size_t size)
{
    /* In memory, on a handle that was opened: nothing is left that could fail. */
    int status = size == 0 ? 0 : gnutls_hash(digest->handle, bytes, size);
    assert(status == 0);
    (void)status;
}

static void print_hex(const unsigned char hash[static SHA256_BYTES],
                      char out_hex[static DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        out_hex[2 * i] = digits[hash[i] >> 4];
        out_hex[2 * i + 1] = digits[hash[i] & 15];
    }
    out_hex[DIGEST_HEX_BYTES - 1] = '\0';
}

void digest_hex(struct digest *digest, char out_hex[static DIGEST_HEX_BYTES])
{
    unsigned char hash[SHA256_BYTES];
    gnutls_hash_output(digest->handle, hash);
    print_hex(hash, out_hex);
}

bool digest_bytes(const void *bytes, size_t size, char out_hex[static DIGEST_HEX_BYTES],
                  struct error *err)
{
    unsigned char hash[SHA256_BYTES];
    int status = gnutls_hash_fast(GNUTLS_DIG_SHA256, size == 0 ? "" : bytes, size, hash);
    if (status < 0)
        return FAIL(err, E_INTERNAL, "SHA-256 is not available: %s", gnutls_strerror(status));
    print_hex(hash, out_hex);
    return true;
}

bool digest_equal(const char *a, const char *b)
{
    size_t size = strlen(b);
    return strlen(a) == size && gnutls_memcmp(a, b, size) == 0;
}

bool digest_parse_id(const char *id, char out_hex[static DIGEST_HEX_BYTES], struct error *err)
{
    static const char scheme[] = "sha256:";
    const char *hex = text_has_prefix(id, scheme) ? id + strlen(scheme) : "";
    if (strlen(hex) != DIGEST_HEX_BYTES - 1 || strspn(hex, "0123456789abcdefABCDEF") != strlen(hex))
        return FAIL(err, E_INVALID, "\"%s\" is not an id: sha256: and 64 hexadecimal digits", id);
    for (size_t i = 0; i < DIGEST_HEX_BYTES; i++)
        out_hex[i] = (char)tolower((unsigned char)hex[i]);
    return true;
}
