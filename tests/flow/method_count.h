#pragma once

#include "ptqd/recon/method.h"

/* Rows of the registry: the end of a loop over all methods. */
static inline int method_count(void)
{
    int count = 0;
    while (method_table()[count] != NULL)
        count++;
    return count;
}
