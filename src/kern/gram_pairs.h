#pragma once

/* The part of gram.h for filters that see one channel each of as few as fill half a vector: two
 * samples are put side by side. */

#include "ptqd/kern/gram.h"

bool gram_pairs_take(const struct conv_shape *shape);
size_t gram_pairs_scratch_bytes(const struct conv_shape *shape);
void gram_pairs_add(struct gram *gram, const struct conv_shape *shape, const float *x,
                    const float *x_quantized, void *scratch);
