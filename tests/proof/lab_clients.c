/* The clients. Each does one thing after the other, drawn from its own random stream; what is not
 * answered is repeated until it is. */

#include "lab_private.h"

#include "client.h"
#include "support.h"

#include "ptqd/base/rng.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { UNFINISHED_MAX = 3, RETRY_US = 2000, PAUSE_US = 5000, WAIT_MS = 60 * 1000 };

struct lab lab = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct client {
    pthread_t thread;
    int number;
    struct rng rng;
    struct arena *arena;               /* of one turn */
    size_t unfinished[UNFINISHED_MAX]; /* indices of jobs */
    size_t unfinished_count;
    unsigned made; /* things with a number */
};

static struct client clients[LAB_CLIENTS_MAX];
static int client_count;
static unsigned lab_seed;
static atomic_int port_now;
static atomic_bool stopping;

/* ---- one request ---- */

const struct json *lab_parse(const char *body, size_t size, struct arena *arena)
{
    struct error err = {.message = ""};
    struct json *value = NULL;
    return json_parse(arena, body, size, NULL, &value, &err) ? value : NULL;
}

const char *lab_text(const struct json *object, const char *key)
{
    struct error err = {.message = ""};
    const char *text = NULL;
    const struct json *member = object == NULL ? NULL : json_find(object, key);
    return member != NULL && json_as_string(member, &text, &err) ? text : "";
}

static bool is_refusal(int status)
{
    return status == 500 || status == 503 || status == 507;
}

/* Law: a refusal is a problem document whose code says what is wrong. */
static void note_refusal(const struct reply *reply)
{
    pthread_mutex_lock(&lab.mutex);
    lab.notes.repeated++;
    lab.notes.refused_io += reply->status == 500;
    lab.notes.refused_busy += reply->status == 503;
    lab.notes.refused_space += reply->status == 507;
    pthread_mutex_unlock(&lab.mutex);
    const char *code = reply->status == 500   ? "\"io\""
                       : reply->status == 507 ? "\"no-space\""
                                              : "\"code\"";
    ck_assert_msg(reply->status == 0 || support_contains(reply->body, code), "%d %s", reply->status,
                  reply->body);
}

/* Sends the request until there is an answer that is not a refusal, from a daemon that is still
 * there. False when the clients are to stop before: the request may have been done. */
static bool request(const char *method, const char *target, const char *headers, const void *body,
                    size_t size, struct reply *out_reply)
{
    while (!atomic_load(&stopping)) {
        int port = atomic_load(&port_now);
        struct reply reply = {0};
        if (port != 0)
            reply = client_call(port, method, target, headers, body, size);
        if (atomic_load(&port_now) != port)
            reply_free(&reply); /* and is empty */
        if (reply.status != 0 && !is_refusal(reply.status)) {
            *out_reply = reply;
            return true;
        }
        if (port != 0)
            note_refusal(&reply);
        reply_free(&reply);
        usleep(RETRY_US);
    }
    return false;
}

/* ---- what a client does ---- */

/* The calibration set with a last value that no other upload has. */
static void upload(struct client *client)
{
    const struct sample_file *file = &lab.files.calibration;
    uint8_t *bytes = arena_alloc(client->arena, file->size, NULL);
    float value = (float)(client->number + 1) + (float)client->made++ / 65536.0F;
    memcpy(bytes, file->bytes, file->size);
    memcpy(bytes + file->size - sizeof(value), &value, sizeof(value));

    char hex[DIGEST_HEX_BYTES];
    struct error err = {.message = ""};
    ck_assert_ok(digest_bytes(bytes, file->size, hex, &err), &err);
    struct reply reply;
    if (!request("POST", "/v1/datasets", NULL, bytes, file->size, &reply))
        return;
    /* 200: the answer of the first attempt was lost. */
    ck_assert_msg(reply.status == 201 || reply.status == 200, "%d %s", reply.status, reply.body);
    const char *id = lab_text(lab_parse(reply.body, reply.size, client->arena), "id");
    ck_assert_str_eq(id + strlen("sha256:"), hex);
    pthread_mutex_lock(&lab.mutex);
    ck_assert_uint_lt(lab.upload_count, UPLOADS_MAX);
    struct lab_upload *noted = &lab.uploads[lab.upload_count++];
    (void)snprintf(noted->id, sizeof(noted->id), "%s", id);
    lab.notes.uploads++;
    pthread_mutex_unlock(&lab.mutex);
    reply_free(&reply);
}

static void set_fate(size_t index, enum fate fate)
{
    pthread_mutex_lock(&lab.mutex);
    lab.uploads[index].fate = fate;
    lab.notes.deletions += fate == FATE_GONE;
    pthread_mutex_unlock(&lab.mutex);
}

static void delete_one(struct client *client)
{
    char target[128];
    pthread_mutex_lock(&lab.mutex);
    size_t index = lab.upload_count == 0 ? 0 : rng_below(&client->rng, lab.upload_count);
    bool taken = lab.upload_count > 0 && lab.uploads[index].fate == FATE_THERE;
    if (taken)
        lab.uploads[index].fate = FATE_IN_DOUBT;
    (void)snprintf(target, sizeof(target), "/v1/datasets/%s", lab.uploads[index].id);
    pthread_mutex_unlock(&lab.mutex);
    struct reply reply;
    if (!taken || !request("DELETE", target, NULL, NULL, 0, &reply))
        return;
    /* 404: the answer of the first attempt was lost. */
    ck_assert_msg(reply.status == 204 || reply.status == 404, "%d %s", reply.status, reply.body);
    set_fate(index, FATE_GONE);
    reply_free(&reply);
}

static void submit(struct client *client, size_t index)
{
    char headers[128];
    struct lab_job job;
    pthread_mutex_lock(&lab.mutex);
    job = lab.jobs[index];
    pthread_mutex_unlock(&lab.mutex);
    (void)snprintf(headers, sizeof(headers), "Idempotency-Key: %s\r\n", job.key);
    const char *spec = lab.specs[job.pipeline];
    struct reply reply;
    if (!request("POST", "/v1/jobs", headers, spec, strlen(spec), &reply))
        return;
    ck_assert_msg(reply.status == 202, "%d %s", reply.status, reply.body);
    const char *id = lab_text(lab_parse(reply.body, reply.size, client->arena), "id");
    ck_assert_msg(job.id[0] == '\0' || strcmp(job.id, id) == 0, "key %s: %s, then %s", job.key,
                  job.id, id);
    pthread_mutex_lock(&lab.mutex);
    (void)snprintf(lab.jobs[index].id, sizeof(job.id), "%s", id);
    lab.notes.jobs += job.id[0] == '\0';
    pthread_mutex_unlock(&lab.mutex);
    reply_free(&reply);
}

static void submit_new(struct client *client)
{
    pthread_mutex_lock(&lab.mutex);
    ck_assert_uint_lt(lab.job_count, JOBS_MAX);
    size_t index = lab.job_count++;
    struct lab_job *job = &lab.jobs[index];
    *job = (struct lab_job){.pipeline = (int)rng_below(&client->rng, LAB_PIPELINES)};
    (void)snprintf(job->key, sizeof(job->key), "client%d-%u", client->number, client->made++);
    pthread_mutex_unlock(&lab.mutex);
    client->unfinished[client->unfinished_count++] = index;
    submit(client, index);
}

/* Asks for the oldest job, after a while or waiting for its end, and submits it once more for good
 * measure. */
static void look_at_oldest(struct client *client)
{
    char target[64];
    struct reply reply;
    size_t index = client->unfinished[0];
    submit(client, index);
    pthread_mutex_lock(&lab.mutex);
    (void)snprintf(target, sizeof(target), "/v1/jobs/%s?wait=%d", lab.jobs[index].id,
                   rng_below(&client->rng, 4) == 0);
    pthread_mutex_unlock(&lab.mutex);
    usleep(PAUSE_US);
    if (atomic_load(&stopping) || !request("GET", target, NULL, NULL, 0, &reply))
        return;
    ck_assert_msg(reply.status == 200, "%s: %d %s", target, reply.status, reply.body);
    const char *state = lab_text(lab_parse(reply.body, reply.size, client->arena), "state");
    if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) {
        client->unfinished_count--;
        memmove(client->unfinished, client->unfinished + 1,
                client->unfinished_count * sizeof(client->unfinished[0]));
    }
    reply_free(&reply);
}

static void *work(void *context)
{
    struct client *client = context;
    struct arena_mark start = arena_mark(client->arena);
    while (!atomic_load(&stopping)) {
        switch (rng_below(&client->rng, 8)) {
        case 0:
            delete_one(client);
            break;
        case 1:
        case 2:
        case 3:
            upload(client);
            break;
        default:
            if (client->unfinished_count < UNFINISHED_MAX)
                submit_new(client);
            else
                look_at_oldest(client);
        }
        arena_reset(client->arena, start);
    }
    return NULL;
}

/* ---- all of them ---- */

void lab_prepare_clients(unsigned seed)
{
    lab_seed = seed;
    client_count = 0;
    atomic_store(&stopping, true);
    atomic_store(&port_now, 0);
}

void lab_start(int count)
{
    ck_assert_int_le(count, LAB_CLIENTS_MAX);
    for (; client_count < count; client_count++) {
        struct client *client = &clients[client_count];
        *client = (struct client){.number = client_count, .arena = arena_create(0)};
        ck_assert_ptr_nonnull(client->arena);
        rng_init(&client->rng, lab_seed, (uint64_t)client_count);
    }
    atomic_store(&stopping, false);
    for (int i = 0; i < client_count; i++)
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, work, &clients[i]), 0);
}

void lab_set_port(int port)
{
    atomic_store(&port_now, port);
}

void lab_stop(void)
{
    atomic_store(&stopping, true);
    for (int i = 0; i < client_count; i++)
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
}

void lab_release_clients(void)
{
    for (int i = 0; i < client_count; i++)
        arena_destroy(clients[i].arena);
    client_count = 0;
}

struct lab_notes lab_notes(void)
{
    pthread_mutex_lock(&lab.mutex);
    struct lab_notes notes = lab.notes;
    pthread_mutex_unlock(&lab.mutex);
    return notes;
}

static size_t count_refused(void)
{
    struct lab_notes notes = lab_notes();
    return notes.refused_io + notes.refused_busy + notes.refused_space;
}

static size_t count_acknowledged(void)
{
    struct lab_notes notes = lab_notes();
    return notes.uploads + notes.deletions + notes.jobs;
}

static bool wait_for_more(size_t (*count)(void), size_t more)
{
    size_t wanted = count() + more;
    for (long end = client_now_ms() + WAIT_MS; count() < wanted;) {
        if (client_now_ms() > end)
            return false;
        usleep(RETRY_US);
    }
    return true;
}

bool lab_wait_refused(size_t more)
{
    return wait_for_more(count_refused, more);
}

bool lab_wait_acknowledged(size_t more)
{
    return wait_for_more(count_acknowledged, more);
}
