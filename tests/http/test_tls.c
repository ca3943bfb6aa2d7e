/* TLS: which versions, and a certificate that is replaced under way. */

#include "client.h"
#include "small_server.h"
#include "tls_client.h"

#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/http/listen.h"
#include "ptqd/http/tls.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char any[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static struct small_server server;
static struct http_tls *tls;
static char directory[256], certificate[300], key[300];

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    (void)snprintf(certificate, sizeof(certificate), "%s/certificate.pem", directory);
    (void)snprintf(key, sizeof(key), "%s/key.pem", directory);
    tls_write_pair(certificate, key, "first");
    struct error err = {0};
    ck_assert_ok(http_tls_create(certificate, key, &tls, &err), &err);
    struct http_options options = small_server_options();
    options.tls = tls;
    options.header_timeout_ms = 2000;
    small_server_start(&server, &options);
}

static void teardown(void)
{
    small_server_stop(&server);
    http_tls_destroy(tls);
    support_remove_tree(directory);
}

/* Name in the certificate that a new connection gets. */
static const char *served_name(void)
{
    static char name[64];
    struct tls_client *client = tls_connect(server.port, any);
    ck_assert_ptr_nonnull(client);
    tls_server_name(client, name, sizeof(name));
    ck_assert_int_eq(tls_get(client, "/echo/a"), 200);
    tls_close(client);
    return name;
}

START_TEST(versions_12_and_13_are_served)
{
    struct tls_client *old = tls_connect(server.port, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
    struct tls_client *new = tls_connect(server.port, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
    ck_assert(old != NULL && new != NULL);
    ck_assert(!tls_is_13(old) && tls_is_13(new));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(tls_get(old, "/echo/a"), 200);
        ck_assert_int_eq(tls_get(new, "/json?size=3000"), 200);
        ck_assert_int_eq(tls_get(new, "/nothing"), 404);
    }
    tls_close(old);
    tls_close(new);
}
END_TEST

/* One handshake of a server that takes every version. */
static void *lenient_server(void *context)
{
    int listener = *(int *)context;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || gnutls_certificate_allocate_credentials(&credentials) < 0 ||
        gnutls_certificate_set_x509_key_file(credentials, certificate, key, GNUTLS_X509_FMT_PEM) <
            0 ||
        gnutls_init(&session, GNUTLS_SERVER) < 0)
        return NULL;
    (void)gnutls_priority_set_direct(session, "NORMAL:+VERS-ALL:+SHA1:+SIGN-ALL", NULL);
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, fd);
    (void)gnutls_handshake(session); /* the client says how it went */
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd);
    return NULL;
}

/* Law: they are refused by this server, by a client that a more lenient one would serve. */
START_TEST(older_versions_are_refused)
{
    static const char *const old[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.0:+SHA1:+SIGN-ALL",
                                      "NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1:+SIGN-ALL"};
    struct error err = {0};
    int listener;
    ck_assert_ok(http_listen("127.0.0.1", 0, &listener, &err), &err);
    ck_assert_int_eq(fcntl(listener, F_SETFL, 0), 0);
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, lenient_server, &listener), 0);
        struct tls_client *client = tls_connect(http_listen_port(listener), old[i]);
        ck_assert_ptr_nonnull(client);
        tls_close(client);
        pthread_join(thread, NULL);
        ck_assert_ptr_null(tls_connect(server.port, old[i]));
    }
    close(listener);
}
END_TEST

START_TEST(a_client_without_tls_is_not_served)
{
    struct reply reply = client_get(server.port, "/echo/a");
    ck_assert_int_eq(reply.status, 0);
    reply_free(&reply);
    ck_assert_str_eq(served_name(), "first");
}
END_TEST

/* A client that connects and says nothing, or begins a handshake and stops. */
START_TEST(a_handshake_that_does_not_end_is_cut)
{
    int silent = client_connect(server.port), begun = client_connect(server.port);
    client_send(begun, "\x16\x03\x01\x02\x00\x01\x00", 7);
    ck_assert_int_ge(client_wait_closed(silent), 0);
    ck_assert_int_ge(client_wait_closed(begun), 0);
    close(silent);
    close(begun);
}
END_TEST

START_TEST(a_new_certificate_is_for_new_connections)
{
    struct error err = {0};
    char name[64];
    struct tls_client *before = tls_connect(server.port, any);
    ck_assert_ptr_nonnull(before);
    ck_assert_int_eq(tls_get(before, "/echo/a"), 200);
    tls_write_pair(certificate, key, "second");
    ck_assert_str_eq(served_name(), "first");
    ck_assert_ok(http_tls_reload(tls, &err), &err);
    ck_assert_str_eq(served_name(), "second");
    ck_assert_int_eq(tls_get(before, "/echo/a"), 200);
    ck_assert_str_eq(tls_server_name(before, name, sizeof(name)), "first");
    tls_close(before);
}
END_TEST

/* Law: whatever is wrong with the new files, the old pair is served on. */
START_TEST(bad_files_leave_the_old_certificate)
{
    struct error err = {0};
    char other[300];
    (void)snprintf(other, sizeof(other), "%s/other.pem", directory);
    tls_write_pair(certificate, other, "second"); /* the key is still the first one's */
    ck_assert_fails(http_tls_reload(tls, &err), &err, E_INVALID, "are no certificate and key");
    ck_assert_str_eq(served_name(), "first");
    ck_assert_ok(file_write(certificate, "nonsense", 8, &err), &err);
    ck_assert_fails(http_tls_reload(tls, &err), &err, E_INVALID, "are no certificate and key");
    ck_assert_ok(file_write(certificate, "", 0, &err), &err);
    ck_assert_fails(http_tls_reload(tls, &err), &err, E_INVALID, "are no certificate and key");
    ck_assert_int_eq(unlink(certificate), 0);
    ck_assert_fails(http_tls_reload(tls, &err), &err, E_NOT_FOUND, "can't open");
    ck_assert_str_eq(served_name(), "first");
    struct http_tls *none;
    ck_assert_fails(http_tls_create(certificate, key, &none, &err), &err, E_NOT_FOUND,
                    "can't open");
}
END_TEST

static void *shake_hands(void *context)
{
    int *served = context;
    for (int i = 0; i < 15; i++) {
        struct tls_client *client = tls_connect(server.port, any);
        if (client != NULL && tls_get(client, "/echo/a") == 200)
            (*served)++;
        tls_close(client);
    }
    return NULL;
}

START_TEST(handshakes_and_reloads_at_the_same_time)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    int served[THREADS] = {0};
    struct error err = {0};
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, shake_hands, &served[i]), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_ok(http_tls_reload(tls, &err), &err);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(served[i], 15);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tcase = tcase_create("tls");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, versions_12_and_13_are_served);
    tcase_add_test(tcase, older_versions_are_refused);
    tcase_add_test(tcase, a_client_without_tls_is_not_served);
    tcase_add_test(tcase, a_handshake_that_does_not_end_is_cut);
    tcase_add_test(tcase, a_new_certificate_is_for_new_connections);
    tcase_add_test(tcase, bad_files_leave_the_old_certificate);
    tcase_add_test(tcase, handshakes_and_reloads_at_the_same_time);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
