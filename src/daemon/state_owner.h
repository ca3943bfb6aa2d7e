#pragma once

/* Whose the data directory is. An administrator calls the commands as root, and the daemon has a
 * user of its own, who has to read and write what they leave. */

#include "ptqd/base/error.h"

/* From root to the owner of the directory, and its group, for good. Nothing happens for another
 * caller, for a directory of root's, and for one that is not there. */
bool state_owner_become(const char *directory, struct error *err);

/* Gives everything in the directory to its owner, and its group. Nothing happens for a caller who
 * is not root. */
bool state_owner_give(const char *directory, struct error *err);
