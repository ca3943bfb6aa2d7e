#pragma once

/* Faults of the system calls of a program that was started with fault_preload.so: armed, disarmed
 * and counted from outside, in a file that both map. */

#include <stdatomic.h>

/* The variable with the path of the file. */
#define FAULT_VARIABLE "PTQD_TEST_FAULTS"

enum fault_call {
    FAULT_FSYNC,
    FAULT_FDATASYNC,
    FAULT_WRITE,
    FAULT_PWRITE,
    FAULT_RENAME,
    FAULT_CALLS
};

struct fault_row {
    atomic_int every;  /* one of so many calls fails, scattered; 0: none */
    atomic_int error;  /* with this errno; 0: it reports success and does nothing */
    atomic_uint calls; /* on regular files */
    atomic_uint injected;
};

struct fault_control {
    struct fault_row rows[FAULT_CALLS];
};
