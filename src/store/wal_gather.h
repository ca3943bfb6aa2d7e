#pragma once

#include <sqlite3.h>

/* The name of the VFS of wal_gather.c, for sqlite3_open_v2; NULL, which is the system's own, when
 * there was no memory for it. For connections that write, with synchronous = FULL. */
const char *wal_gather_name(void);
/* To be called for each connection that was opened so. */
void wal_gather_watch(sqlite3 *handle);
