#pragma once

/* The name of the VFS of wal_gather.c, for sqlite3_open_v2; NULL, which is the system's own, when
 * there was no memory for it. For connections that write, with synchronous = FULL. */
const char *wal_gather_name(void);
