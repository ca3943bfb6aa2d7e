/* TLS: versions 1.2 and 1.3, and a certificate that can be replaced.
 *
 * libmicrohttpd asks for the certificate at each handshake. It gets a copy, made from the PEM texts
 * under the lock, which GnuTLS frees when the session ends; so a replaced pair needs no users to be
 * counted. A copy takes a small part of the time that the handshake takes.
 */

#include "http_private.h"

#include "ptqd/base/file.h"
#include "ptqd/http/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { PEM_BYTES_MAX = 1 << 20, CHAIN_MAX = 16 };

struct http_tls {
    char certificate_path[PATH_MAX], key_path[PATH_MAX];
    pthread_mutex_t lock; /* of what follows */
    struct arena *arena;  /* of the texts */
    gnutls_datum_t certificate, key;
};

static bool read_pem(struct arena *arena, const char *path, gnutls_datum_t *out_text,
                     struct error *err)
{
    char *bytes;
    size_t size;
    if (!file_read(arena, path, PEM_BYTES_MAX, &bytes, &size, err))
        return false;
    *out_text = (gnutls_datum_t){.data = (unsigned char *)bytes, .size = (unsigned)size};
    return true;
}

/* A failure of GnuTLS about the pair of files. */
static bool fail_pair(const struct http_tls *tls, int status, struct error *err)
{
    FAIL(err, E_INVALID, "'%s' and '%s' are no certificate and key in PEM: %s",
         tls->certificate_path, tls->key_path, gnutls_strerror(status));
    return error_internal(err);
}

/* Whether they can be read, belong together, and the chain is not longer than is handed out. */
static bool check_pair(const struct http_tls *tls, const gnutls_datum_t *certificate,
                       const gnutls_datum_t *key, struct error *err)
{
    gnutls_certificate_credentials_t credentials;
    int status = gnutls_certificate_allocate_credentials(&credentials);
    if (status != GNUTLS_E_SUCCESS)
        return FAIL(err, E_MEMORY, "no memory for a certificate");
    status = gnutls_certificate_set_x509_key_mem2(credentials, certificate, key,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_certificate_free_credentials(credentials);
    if (status < 0)
        return fail_pair(tls, status, err);
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count = CHAIN_MAX;
    status = gnutls_pcert_list_import_x509_raw(chain, &count, certificate, GNUTLS_X509_FMT_PEM, 0);
    if (status != GNUTLS_E_SUCCESS)
        return fail_pair(tls, status, err);
    for (unsigned i = 0; i < count; i++)
        gnutls_pcert_deinit(&chain[i]);
    return true;
}

bool http_tls_reload(struct http_tls *tls, struct error *err)
{
    gnutls_datum_t certificate, key;
    struct arena *arena = arena_create(0);
    if (arena == NULL)
        return FAIL(err, E_MEMORY, "no memory for a certificate");
    if (!read_pem(arena, tls->certificate_path, &certificate, err) ||
        !read_pem(arena, tls->key_path, &key, err) || !check_pair(tls, &certificate, &key, err)) {
        arena_destroy(arena);
        return false;
    }
    pthread_mutex_lock(&tls->lock);
    struct arena *old = tls->arena;
    tls->arena = arena;
    tls->certificate = certificate;
    tls->key = key;
    pthread_mutex_unlock(&tls->lock);
    arena_destroy(old);
    return true;
}

/* False when the path is too long. */
static bool copy_path(char out[static PATH_MAX], const char *path)
{
    size_t length = strlen(path);
    if (length >= PATH_MAX)
        return false;
    memcpy(out, path, length + 1);
    return true;
}

bool http_tls_create(const char *certificate_path, const char *key_path, struct http_tls **out_tls,
                     struct error *err)
{
    struct http_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return FAIL(err, E_MEMORY, "no memory for a certificate");
    pthread_mutex_init(&tls->lock, NULL);
    bool ok = (copy_path(tls->certificate_path, certificate_path) &&
               copy_path(tls->key_path, key_path)) ||
              FAIL(err, E_INVALID, "the path of a certificate or key is too long");
    if (!ok || !http_tls_reload(tls, err)) {
        http_tls_destroy(tls);
        return false;
    }
    *out_tls = tls;
    return true;
}

void http_tls_destroy(struct http_tls *tls)
{
    if (tls == NULL)
        return;
    arena_destroy(tls->arena);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* A copy of the pair that GnuTLS frees; the lock is held. */
static int copy_pair(const struct http_tls *tls, gnutls_pcert_st **out_chain, unsigned *out_count,
                     gnutls_privkey_t *out_key)
{
    unsigned count = CHAIN_MAX;
    gnutls_pcert_st *chain = gnutls_calloc(CHAIN_MAX, sizeof(*chain));
    gnutls_privkey_t key;
    if (chain == NULL)
        return -1;
    if (gnutls_privkey_init(&key) != GNUTLS_E_SUCCESS)
        goto no_key;
    if (gnutls_privkey_import_x509_raw(key, &tls->key, GNUTLS_X509_FMT_PEM, NULL, 0) !=
            GNUTLS_E_SUCCESS ||
        gnutls_pcert_list_import_x509_raw(chain, &count, &tls->certificate, GNUTLS_X509_FMT_PEM,
                                          0) != GNUTLS_E_SUCCESS)
        goto no_pair;
    *out_chain = chain;
    *out_count = count;
    *out_key = key;
    return 0;

no_pair:
    gnutls_privkey_deinit(key);
no_key:
    gnutls_free(chain);
    return -1;
}

int http_tls_retrieve(gnutls_session_t session, const struct gnutls_cert_auth_info_st *info,
                      gnutls_pcert_st **out_chain, unsigned *out_count,
                      gnutls_ocsp_data_st **out_ocsp, unsigned *out_ocsp_count,
                      gnutls_privkey_t *out_key, unsigned *out_flags)
{
    (void)info;
    /* libmicrohttpd keeps its connection there. */
    struct peer *peer = http_peer_of(gnutls_session_get_ptr(session));
    if (peer == NULL)
        return -1;
    struct http_tls *tls = peer->server->options.tls;
    pthread_mutex_lock(&tls->lock);
    int status = copy_pair(tls, out_chain, out_count, out_key);
    pthread_mutex_unlock(&tls->lock);
    *out_ocsp = NULL;
    *out_ocsp_count = 0;
    *out_flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    return status;
}
