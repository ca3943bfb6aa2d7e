#pragma once

/* Read-only connections, one per thread. */

#include "database.h"

struct store_readers;

/* `path` is copied. */
bool store_readers_create(const char *path, struct store_readers **out_readers, struct error *err);
/* Closes all connections; no thread may use one any more. */
void store_readers_destroy(struct store_readers *readers);

/* The calling thread's connection, with the blobs (borrowed) and limits given when it is new. */
bool store_readers_get(struct store_readers *readers, struct blobs *blobs,
                       const struct store_limits *limits, struct database **out_database,
                       struct error *err);
