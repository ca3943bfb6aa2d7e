/* A thread's connection hangs on a thread-specific key, whose destructor closes it when the thread
 * ends; libuv's keys have no destructor, hence pthread's. A list has them all, for those threads
 * that outlive the store. */

#include "store_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct reader {
    struct database *database;
    struct store_readers *readers; /* borrowed */
    struct reader *next, **link;   /* of the list; `link` is what points here */
};

struct store_readers {
    char *path;
    pthread_key_t key;
    uv_mutex_t mutex; /* guards the list */
    struct reader *first;
};

static void reader_destroy(struct reader *reader)
{
    *reader->link = reader->next;
    if (reader->next != NULL)
        reader->next->link = reader->link;
    database_close(reader->database);
    free(reader);
}

static void thread_ends(void *value)
{
    struct reader *reader = value;
    struct store_readers *readers = reader->readers;
    uv_mutex_lock(&readers->mutex);
    reader_destroy(reader);
    uv_mutex_unlock(&readers->mutex);
}

bool store_readers_create(const char *path, struct store_readers **out_readers, struct error *err)
{
    struct store_readers *readers = calloc(1, sizeof(*readers));
    if (readers == NULL)
        return FAIL(err, E_MEMORY, "no memory for the readers");
    readers->path = strdup(path);
    if (readers->path == NULL)
        goto no_path;
    if (uv_mutex_init(&readers->mutex) != 0)
        goto no_mutex;
    if (pthread_key_create(&readers->key, thread_ends) != 0)
        goto no_key;
    *out_readers = readers;
    return true;

no_key:
    uv_mutex_destroy(&readers->mutex);
no_mutex:
    free(readers->path);
no_path:
    free(readers);
    return FAIL(err, E_MEMORY, "no memory for the readers of the database");
}

void store_readers_destroy(struct store_readers *readers)
{
    if (readers == NULL)
        return;
    (void)pthread_key_delete(readers->key); /* the key is ours: can't fail */
    while (readers->first != NULL)
        reader_destroy(readers->first);
    uv_mutex_destroy(&readers->mutex);
    free(readers->path);
    free(readers);
}

static struct reader *reader_create(struct store_readers *readers, struct error *err)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        FAIL(err, E_MEMORY, "no memory for a reader");
        return NULL;
    }
    reader->readers = readers;
    if (!database_open(readers->path, DATABASE_READ, &reader->database, err)) {
        free(reader);
        return NULL;
    }
    uv_mutex_lock(&readers->mutex);
    reader->next = readers->first;
    reader->link = &readers->first;
    if (reader->next != NULL)
        reader->next->link = &reader->next;
    readers->first = reader;
    uv_mutex_unlock(&readers->mutex);
    return reader;
}

bool store_readers_get(struct store_readers *readers, struct blobs *blobs,
                       const struct store_limits *limits, struct database **out_database,
                       struct error *err)
{
    struct reader *reader = pthread_getspecific(readers->key);
    if (reader == NULL) {
        reader = reader_create(readers, err);
        if (reader == NULL)
            return false;
        if (pthread_setspecific(readers->key, reader) != 0) {
            thread_ends(reader);
            return FAIL(err, E_MEMORY, "no memory for a reader");
        }
        reader->database->blobs = blobs;
        reader->database->limits = *limits;
    }
    *out_database = reader->database;
    return true;
}
