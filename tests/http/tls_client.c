#include "tls_client.h"

#include "client.h"

#include "support.h"

#include "ptqd/base/file.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct tls_client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

#define ck_gnutls(call) ck_assert_int_ge((call), 0)

static void write_pem(const char *path, gnutls_datum_t *text)
{
    struct error err = {0};
    ck_assert_ok(file_write(path, text->data, text->size, &err), &err);
    gnutls_free(text->data);
}

void tls_write_pair(const char *certificate_path, const char *key_path, const char *name)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    gnutls_datum_t text;
    const unsigned char serial = 1;
    time_t now = time(NULL);
    ck_gnutls(gnutls_x509_privkey_init(&key));
    ck_gnutls(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                           GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    ck_gnutls(gnutls_x509_crt_init(&certificate));
    ck_gnutls(gnutls_x509_crt_set_version(certificate, 3));
    ck_gnutls(gnutls_x509_crt_set_serial(certificate, &serial, 1));
    ck_gnutls(gnutls_x509_crt_set_activation_time(certificate, now - 3600));
    ck_gnutls(gnutls_x509_crt_set_expiration_time(certificate, now + 86400));
    ck_gnutls(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                            (unsigned)strlen(name)));
    ck_gnutls(gnutls_x509_crt_set_key(certificate, key));
    ck_gnutls(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0));
    ck_gnutls(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text));
    write_pem(certificate_path, &text);
    ck_gnutls(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text));
    write_pem(key_path, &text);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

struct tls_client *tls_connect(int port, const char *priorities)
{
    struct tls_client *client = calloc(1, sizeof(*client));
    ck_assert_ptr_nonnull(client);
    client->fd = client_connect(port);
    ck_assert_int_ge(client->fd, 0);
    const struct timeval limit = {.tv_sec = CLIENT_DEADLINE_MS / 1000};
    (void)setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ck_gnutls(gnutls_certificate_allocate_credentials(&client->credentials));
    ck_gnutls(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL));
    ck_gnutls(gnutls_priority_set_direct(client->session, priorities, NULL));
    ck_gnutls(gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, client->credentials));
    gnutls_transport_set_int(client->session, client->fd);
    int status;
    do
        status = gnutls_handshake(client->session);
    while (status < 0 && !gnutls_error_is_fatal(status));
    if (status >= 0)
        return client;
    tls_close(client);
    return NULL;
}

static ssize_t receive(struct tls_client *client, char *buffer, size_t size)
{
    ssize_t got;
    do
        got = gnutls_record_recv(client->session, buffer, size);
    while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
    return got;
}

int tls_get(struct tls_client *client, const char *target)
{
    char text[4096];
    int length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    if (gnutls_record_send(client->session, text, (size_t)length) < 0)
        return 0;
    size_t used = 0;
    text[0] = '\0';
    for (;;) {
        const char *end = strstr(text, "\r\n\r\n");
        const char *announced = strstr(text, "Content-Length: ");
        if (end != NULL && announced != NULL &&
            used >= (size_t)(end + 4 - text) + strtoul(announced + 16, NULL, 10))
            return (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
        ssize_t got = receive(client, text + used, sizeof(text) - 1 - used);
        if (got <= 0)
            return 0;
        used += (size_t)got;
        text[used] = '\0';
    }
}

const char *tls_server_name(struct tls_client *client, char *buffer, size_t size)
{
    unsigned count;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(client->session, &count);
    ck_assert(chain != NULL && count == 1);
    gnutls_x509_crt_t certificate;
    ck_gnutls(gnutls_x509_crt_init(&certificate));
    ck_gnutls(gnutls_x509_crt_import(certificate, chain, GNUTLS_X509_FMT_DER));
    ck_gnutls(gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, buffer,
                                            &size));
    gnutls_x509_crt_deinit(certificate);
    return buffer;
}

bool tls_is_13(struct tls_client *client)
{
    gnutls_protocol_t version = gnutls_protocol_get_version(client->session);
    ck_assert(version == GNUTLS_TLS1_3 || version == GNUTLS_TLS1_2);
    return version == GNUTLS_TLS1_3;
}

void tls_close(struct tls_client *client)
{
    if (client == NULL)
        return;
    gnutls_deinit(client->session);
    gnutls_certificate_free_credentials(client->credentials);
    close(client->fd);
    free(client);
}
