/* Kept answers: found as long as they hold, and never after a change was answered. */

#include "api_private.h"
#include "service.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct service service;
static struct error err;

static void setup(void)
{
    service_start(&service, false);
}

static void teardown(void)
{
    service_stop(&service);
}

/* ---- the cache alone ---- */

static struct answer_cache *cache;
static const struct answer_version first = {.store = 1, .jobs = 1};

static bool finds(const char *key, struct answer_version version, int64_t now_ms)
{
    struct answer_text *found = answer_cache_find(cache, key, version, now_ms);
    answer_cache_release(found);
    return found != NULL;
}

static void put(const char *key, const char *text)
{
    answer_cache_put(cache, key, first, INT64_MAX,
                     &(struct answer_draft){text, strlen(text), "tag", 0});
}

START_TEST(a_text_is_found_by_its_version_until_its_time_is_over)
{
    ck_assert_ok(answer_cache_create(1 << 20, &cache, &err), &err);
    answer_cache_put(cache, "a", first, 100, &(struct answer_draft){"text", 4, "tag", 0});
    struct answer_text *found = answer_cache_find(cache, "a", first, 99);
    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(found->text, "text");
    ck_assert_uint_eq(found->size, 4);
    ck_assert_str_eq(found->etag, "tag");
    ck_assert(!finds("a", first, 100));
    ck_assert(!finds("b", first, 0));
    ck_assert(!finds("a", (struct answer_version){.store = 2, .jobs = 1}, 0));
    ck_assert(!finds("a", (struct answer_version){.store = 1, .jobs = 2}, 0));
    const struct answer_version moving = {.store = 1, .jobs = 1, .moving = true};
    ck_assert(!finds("a", moving, 0));
    answer_cache_put(cache, "c", moving, INT64_MAX, &(struct answer_draft){"text", 4, "", 0});
    ck_assert(!finds("c", first, 0));
    put("a", "newer");
    ck_assert_str_eq(found->text, "text"); /* it is being sent */
    answer_cache_release(found);
    answer_cache_destroy(cache);
}
END_TEST

START_TEST(what_was_not_asked_for_longest_goes_first)
{
    static char large[1000];
    memset(large, 'x', sizeof(large) - 1);
    ck_assert_ok(answer_cache_create(20 * 1000, &cache, &err), &err);
    put("kept", large);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        put(key, large);
        ck_assert(finds("kept", first, 0));
        ck_assert(finds(key, first, 0));
    }
    ck_assert(finds("95", first, 0));
    ck_assert(!finds("50", first, 0));
    static char too_large[3000];
    memset(too_large, 'x', sizeof(too_large) - 1);
    put("too large", too_large);
    ck_assert(!finds("too large", first, 0));
    answer_cache_destroy(cache);
}
END_TEST

/* Law: a large text is in a file, for as many as there may be files, and nobody sees a difference.
 */
START_TEST(large_texts_are_files_in_memory)
{
    enum { LARGE = 50 * 1000, KEYS = 100 };
    static char large[LARGE + 1], read[LARGE + 1];
    int files = 0;
    ck_assert_ok(answer_cache_create(64 << 20, &cache, &err), &err);
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        memset(large, 'a' + i % 26, LARGE);
        put(key, large);
        struct answer_text *found = answer_cache_find(cache, key, first, 0);
        ck_assert_uint_eq(found->size, LARGE);
        ck_assert_mem_eq(found->text, large, LARGE);
        files += found->fd >= 0;
        if (found->fd >= 0) {
            ck_assert_int_eq(pread(found->fd, read, LARGE + 1, 0), LARGE);
            ck_assert_mem_eq(read, large, LARGE);
        }
        answer_cache_release(found);
    }
    ck_assert_int_gt(files, 10);
    ck_assert_int_lt(files, KEYS);
    answer_cache_destroy(cache);
}
END_TEST

/* ---- in the service ---- */

/* True when the text of the job at its present revision is kept. */
static bool is_kept(const char *job)
{
    struct database *database;
    struct job_row row;
    ck_assert_ok(store_reader(service.store, &database, &err), &err);
    ck_assert_ok(job_row_find(database, job, service.arena, &row, &err), &err);
    const struct answer_version version = {.store = (uint64_t)row.revision};
    struct answer_text *found = answer_cache_find(service.api->answers, job, version, 0);
    answer_cache_release(found);
    return found != NULL;
}

/* Law: what is kept of a job that waits says when to ask again, as the first answer did. */
START_TEST(a_kept_answer_says_when_to_ask_again)
{
    service_call(&service, "POST", "/v1/queue/pause", NULL, "", 0, 200);
    const char *job = service_submit(&service, service_spec(&service, ""));
    const char *path = arena_printf(service.arena, NULL, "/v1/jobs/%s", job);
    char first_value[32], value[32];
    for (int i = 0; i < 20; i++) {
        struct reply reply = client_get(service.port, path);
        ck_assert_int_eq(reply.status, 200);
        ck_assert_ptr_nonnull(reply_header(&reply, "Retry-After", value, sizeof(value)));
        reply_free(&reply);
        if (i == 0)
            memcpy(first_value, value, sizeof(value));
        ck_assert_str_eq(value, first_value);
    }
}
END_TEST

START_TEST(a_finished_jobs_text_outlives_changes_of_others)
{
    atomic_store(&service.mode, SERVICE_FAIL);
    const char *spec = service_spec(&service, ",\"seeds\":1");
    const char *job = service_submit(&service, spec);
    service_finish(&service, job);
    service_get(&service, "/v1/jobs", 200);
    ck_assert(is_kept(job));
    service_finish(&service, service_submit(&service, spec));
    ck_assert(is_kept(job));
    const char *retry = arena_printf(service.arena, NULL, "/v1/jobs/%s/retry", job);
    service_call(&service, "POST", retry, NULL, NULL, 0, 200);
    service_finish(&service, job);
    const struct json *again =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/jobs/%s", job), 200);
    ck_assert_str_eq(service_text(again, "state"), "failed");
    ck_assert(is_kept(job));
}
END_TEST

START_TEST(an_unknown_parameter_is_refused_after_the_same_list_without_it)
{
    service_get(&service, "/v1/jobs?limit=5", 200);
    service_get(&service, "/v1/jobs?limit=5", 200);
    service_get(&service, "/v1/jobs?limit=5&colour=red", 422);
    service_get(&service, "/v1/jobs?limit=0", 422);
}
END_TEST

START_TEST(a_kept_answer_is_still_conditional)
{
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    service_finish(&service, job);
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s", job);
    char tag[64], again[64], header[96];
    struct reply reply = client_get(service.port, target);
    ck_assert_ptr_nonnull(reply_header(&reply, "ETag", tag, sizeof(tag)));
    reply_free(&reply);
    (void)snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
    reply = client_call(service.port, "GET", target, header, NULL, 0);
    ck_assert_int_eq(reply.status, 304);
    ck_assert_str_eq(reply_header(&reply, "ETag", again, sizeof(again)), tag);
    reply_free(&reply);
}
END_TEST

/* Law: the second answer is the first, byte for byte, however it is sent; a list has no parts. */
START_TEST(a_large_list_is_the_same_from_memory_and_from_a_file)
{
    static const char *const headers[] = {NULL, NULL, "Accept-Encoding: identity\r\n",
                                          "Range: bytes=0-9\r\n", "Range: bytes=9999999-\r\n"};
    const char *spec = service_spec(&service, ",\"seeds\":1");
    char *body = NULL;
    for (int i = 0; i < 40; i++)
        service_finish(&service, service_submit(&service, spec));
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct reply reply = client_call(service.port, "GET", "/v1/jobs", headers[i], NULL, 0);
        ck_assert_int_eq(reply.status, 200);
        ck_assert_uint_gt(reply.size, 32 << 10);
        ck_assert_msg(support_contains(reply.head, "Vary: Accept-Encoding"), "%s", reply.head);
        ck_assert_msg(!support_contains(reply.head, "Accept-Ranges"), "%s", reply.head);
        if (body == NULL)
            body = arena_strdup(service.arena, reply.body, NULL);
        ck_assert_str_eq(reply.body, body);
        reply_free(&reply);
    }
}
END_TEST

/* ---- changes against reads ---- */

enum { CHANGERS = 3, READERS = 3, ROUNDS = 40, ROUNDS_SHORT = 8 };

struct hammer {
    const char *spec;
    atomic_int last_job; /* somebody's, for the readers */
    atomic_bool done;
};

struct changer {
    struct hammer *hammer;
    char wrong[400]; /* "": nothing was */
};

/* False with a note when the answer has another status, or when it has (`there`) or lacks `text`.
 */
static bool expect(struct changer *changer, const char *method, const char *target, int status,
                   const char *text, bool there)
{
    struct reply reply = client_call(service.port, method, target, NULL, NULL, 0);
    bool ok = reply.status == status &&
              (text == NULL || reply.body == NULL || support_contains(reply.body, text) == there);
    if (!ok)
        (void)snprintf(changer->wrong, sizeof(changer->wrong), "%s %s: %d, not %d, or %s '%s'",
                       method, target, reply.status, status, there ? "lacks" : "has",
                       text != NULL ? text : "");
    reply_free(&reply);
    return ok;
}

/* Submits a job; its number, 0 with a note when that fails. */
static int submit(struct changer *changer)
{
    const char *spec = changer->hammer->spec;
    struct reply reply = client_call(service.port, "POST", "/v1/jobs", NULL, spec, strlen(spec));
    int number = 0;
    if (reply.status != 202 || sscanf(reply.body, "{\"id\":\"j%d\"", &number) != 1)
        (void)snprintf(changer->wrong, sizeof(changer->wrong), "POST: %d", reply.status);
    reply_free(&reply);
    return number;
}

/* A job's whole life; after each answered change every way to see the job shows it. */
static bool change_one(struct changer *changer)
{
    int number = submit(changer);
    if (number == 0)
        return false;
    char id[40], job[40], wait[64], cancel[64];
    (void)snprintf(id, sizeof(id), "\"id\":\"j%d\"", number);
    (void)snprintf(job, sizeof(job), "/v1/jobs/j%d", number);
    (void)snprintf(wait, sizeof(wait), "%s?wait=10", job);
    (void)snprintf(cancel, sizeof(cancel), "%s/cancel", job);
    atomic_store(&changer->hammer->last_job, number);
    static const char asked[] = "\"cancel_requested\":true";
    return expect(changer, "GET", "/v1/jobs", 200, id, true) &&
           expect(changer, "GET", job, 200, id, true) &&
           expect(changer, "POST", cancel, 200, asked, true) &&
           expect(changer, "GET", job, 200, asked, true) &&
           expect(changer, "GET", "/v1/jobs?state=queued", 200, id, false) &&
           expect(changer, "GET", wait, 200, "\"state\":\"cancelled\"", true) &&
           expect(changer, "GET", job, 200, "\"state\":\"cancelled\"", true) &&
           expect(changer, "GET", "/v1/jobs?state=cancelled", 200, id, true) &&
           expect(changer, "GET", "/v1/jobs?state=running", 200, id, false) &&
           expect(changer, "DELETE", job, 204, NULL, true) &&
           expect(changer, "GET", job, 404, NULL, true) &&
           expect(changer, "GET", "/v1/jobs", 200, id, false);
}

static void *change(void *context)
{
    struct changer *changer = context;
    int rounds = support_short() ? ROUNDS_SHORT : ROUNDS;
    for (int i = 0; i < rounds && change_one(changer); i++)
        ;
    return NULL;
}

/* Asks for what the others are about to change, so that answers are kept of every moment. */
static void *read_all(void *context)
{
    struct hammer *hammer = context;
    while (!atomic_load(&hammer->done)) {
        char job[64];
        (void)snprintf(job, sizeof(job), "/v1/jobs/j%d", atomic_load(&hammer->last_job));
        const char *const targets[] = {job, "/v1/jobs", "/v1/jobs?state=queued",
                                       "/v1/jobs?state=running", "/v1/jobs?state=cancelled"};
        for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
            struct reply reply = client_get(service.port, targets[i]);
            reply_free(&reply);
        }
    }
    return NULL;
}

/* Law: an answer that begins after a change was answered shows that change. */
START_TEST(no_answer_is_older_than_an_answered_change)
{
    struct hammer hammer = {.spec = service_spec(&service, ",\"seeds\":2")};
    struct changer changers[CHANGERS] = {0};
    pthread_t changing[CHANGERS], reading[READERS];
    atomic_store(&service.mode, SERVICE_WAIT);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&reading[i], NULL, read_all, &hammer), 0);
    for (int i = 0; i < CHANGERS; i++) {
        changers[i].hammer = &hammer;
        ck_assert_int_eq(pthread_create(&changing[i], NULL, change, &changers[i]), 0);
    }
    for (int i = 0; i < CHANGERS; i++)
        pthread_join(changing[i], NULL);
    atomic_store(&hammer.done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(reading[i], NULL);
    for (int i = 0; i < CHANGERS; i++)
        ck_assert_str_eq(changers[i].wrong, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answers");
    TCase *alone = tcase_create("cache");
    tcase_add_test(alone, a_text_is_found_by_its_version_until_its_time_is_over);
    tcase_add_test(alone, what_was_not_asked_for_longest_goes_first);
    tcase_add_test(alone, large_texts_are_files_in_memory);
    suite_add_tcase(suite, alone);
    TCase *cases = tcase_create("service");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_kept_answer_says_when_to_ask_again);
    tcase_add_test(cases, a_finished_jobs_text_outlives_changes_of_others);
    tcase_add_test(cases, an_unknown_parameter_is_refused_after_the_same_list_without_it);
    tcase_add_test(cases, a_kept_answer_is_still_conditional);
    tcase_add_test(cases, a_large_list_is_the_same_from_memory_and_from_a_file);
    tcase_add_test(cases, no_answer_is_older_than_an_answered_change);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
