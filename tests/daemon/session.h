#pragma once

/* A client of the real program: a daemon in a temporary directory, the files of a small job, and
 * requests whose answers are JSON. */

#include "client.h"
#include "program.h"
#include "sample_files.h"

#include "ptqd/base/arena.h"
#include "ptqd/json/json.h"

#include <stdbool.h>

struct session {
    struct arena *arena; /* of all that the functions below return */
    char directory[256]; /* of the daemon */
    struct sample_files files;
    struct program program;
    const char *headers; /* of every request; NULL: none */
};

/* Makes directory and files, `samples` in each set; the daemon is not started. */
void session_open(struct session *session, int64_t samples);
void session_close(struct session *session);

/* An exchange; fails the test unless the status is the expected one. NULL without a body. */
const struct json *session_call(struct session *session, const char *method, const char *target,
                                const char *body, int status);
const struct json *session_get(struct session *session, const char *target);
/* Uploads the files and submits a job with these further members; its id. */
const char *session_submit(struct session *session, const char *more);
/* Waits until the job is finished; its state. */
const char *session_finish(struct session *session, const char *job);
/* Waits until the run is in this step, past its `unit` and past `fraction` of the whole; its
 * document. */
const struct json *session_wait_for(struct session *session, const char *run, const char *step,
                                    int unit, double fraction);
/* What a run made, with the SHA-256 of the bytes, as text. */
const char *session_artifacts(struct session *session, const char *run);

/* Members by name that must be there. */
const char *session_text(const struct json *object, const char *key);
double session_number(const struct json *object, const char *key);
