#include "ptqd/base/priority.h"

#include <sys/resource.h>

void priority_lower(int steps)
{
    /* On Linux these are a thread's own. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + steps);
}
