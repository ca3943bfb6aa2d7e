#pragma once

/* What the clients (lab_clients.c) and the comparison at the end (lab_check.c) share. */

#include "lab_clients.h"

#include "sample_files.h"

#include "ptqd/base/arena.h"
#include "ptqd/base/digest.h"
#include "ptqd/json/json.h"

#include <pthread.h>

enum { LAB_PIPELINES = 4, UPLOADS_MAX = 1 << 16, JOBS_MAX = 1 << 15, KEY_BYTES = 32 };

enum fate { FATE_THERE, FATE_IN_DOUBT, FATE_GONE };

struct lab_upload {
    char id[DIGEST_ID_BYTES];
    enum fate fate;
};

struct lab_job {
    int pipeline;
    char key[KEY_BYTES];
    char id[32]; /* "" in doubt */
};

struct lab {
    struct arena *arena;
    struct sample_files files;
    const char *specs[LAB_PIPELINES];
    const char *results[LAB_PIPELINES]; /* of the undisturbed daemon */

    pthread_mutex_t mutex; /* guards what follows */
    struct lab_upload uploads[UPLOADS_MAX];
    struct lab_job jobs[JOBS_MAX];
    size_t upload_count, job_count;
    struct lab_notes notes;
};

extern struct lab lab;

/* The answer as JSON in the arena; NULL when it is none. */
const struct json *lab_parse(const char *body, size_t size, struct arena *arena);
const char *lab_text(const struct json *object, const char *key);

void lab_prepare_clients(unsigned seed);
void lab_release_clients(void);
