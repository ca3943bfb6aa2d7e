#pragma once

/* The real program as a child process, in a directory of its own. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct program {
    pid_t pid;
    int port;
    int log;        /* a file in memory with what it writes to standard output and error */
    off_t ready_at; /* where the log goes on after it was ready */
};

/* `ptqd serve --data DIRECTORY --port 0` with one worker and all checkpoints; ready when this
 * returns. */
void program_serve(struct program *program, const char *directory);
/* With further arguments, which override these; NULL-terminated. */
void program_serve_with(struct program *program, const char *directory,
                        const char *const *arguments);
/* The start of what it has logged since it was ready. */
void program_log(const struct program *program, char *out_log, size_t size);
/* Signals and waits; the exit status, or minus the signal that ended it. */
int program_end(struct program *program, int signal_number);
/* The same; `out_log` gets what program_log gives at the end. */
int program_end_log(struct program *program, int signal_number, char *out_log, size_t size);

/* Runs the program to its end; the exit status. `out_text` (or NULL) gets the start of what it
 * writes to standard output and error. */
int program_run(const char *const *arguments, char *out_text, size_t size);
/* The same where standard output is a full disk; `out_text` gets the errors. */
int program_run_full(const char *const *arguments, char *out_text, size_t size);
