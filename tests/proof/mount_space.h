#pragma once

/* Mounts for tests: nobody else sees them, and they go with the program. Needs root. */

#include <stdbool.h>

/* Gives this program, and what it starts, mounts of its own; false where that is not allowed. */
bool mount_space_open(void);

/* Runs a program to its end with its output thrown away; true when it exits with 0. */
bool mount_space_run(const char *const *line);
