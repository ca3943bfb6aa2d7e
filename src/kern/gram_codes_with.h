#pragma once

/* gram_codes_add_conv by a version of choice, for tests and measurements. */

#include "gram_products.h"
#include "ptqd/kern/gram_codes.h"

void gram_codes_add_conv_with(const struct gram_version *version, struct gram *gram,
                              const struct conv_shape *shape, const struct gram_grid *grid,
                              const uint8_t *codes, void *scratch);
