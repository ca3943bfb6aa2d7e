#pragma once

/* A spill file: bytes that memory has no room for. It has no name from the start, so nothing is
 * left of it when its owner ends, however that happens.
 *
 * Errors name the directory: E_NO_SPACE when its disk is full (or a limit of the file's size is
 * reached), E_IO, E_NOT_FOUND.
 */

#include "ptqd/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct spill;

/* `directory` is borrowed: where the file's bytes are. */
bool spill_create(const char *directory, struct spill **out_spill, struct error *err);
void spill_destroy(struct spill *spill);

/* All `size` bytes from an offset, or an error. What was never written can't be read: E_IO. */
bool spill_write(struct spill *spill, uint64_t offset, const void *bytes, size_t size,
                 struct error *err);
bool spill_read(const struct spill *spill, uint64_t offset, void *bytes, size_t size,
                struct error *err);
