#pragma once

/* The files of the dashboard (web/), which the build puts into the program. */

#include <stddef.h>

struct web_file {
    const char *name, *media_type;
    const char *etag; /* from the content */
    const unsigned char *bytes;
    size_t size;
    const unsigned char *gzip; /* the same, compressed; NULL where that is not smaller */
    size_t gzip_size;
};

extern const struct web_file web_files[];
extern const size_t web_file_count;
