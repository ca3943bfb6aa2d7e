#pragma once

/* What hostile clients do to a server: one row per attack, carried out by a thread until it is told
 * to stop. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct attack {
    const char *name;
    /* Connections held open at the same time; each sends `opening`, then `drip` once a second, and
     * is opened again when the server closes it. 0: one after the other sends `opening` and waits
     * for the reply or not. */
    size_t held;
    const char *opening;
    const char *drip;                       /* NULL: nothing more is sent */
    const char *filler;                     /* is sent again and again behind `opening` … */
    size_t filler_bytes;                    /* … up to so many bytes */
    const char *tail;                       /* is sent behind that */
    bool reads_file;                        /* `opening` is a GET of the attacker's file */
    bool vanishes;                          /* closes without reading */
    unsigned pause_ms;                      /* between two connections */
    size_t (*make)(char *out, size_t size); /* makes what is sent, instead of all these */
};

extern const struct attack attacks[];
extern const size_t attack_count;

struct attacker {
    const struct attack *attack;
    int port;
    const char *file;            /* target of a large file */
    atomic_bool stop, under_way; /* under way: all is open, or the first round is over */
    atomic_size_t connections;   /* made so far */
};

/* Thread function; `context` is a struct attacker. */
void *attack_run(void *context);
