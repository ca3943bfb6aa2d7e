/* The clock of programs that are linked with --wrap=clock_gettime: what the engine takes for wall
 * time is CPU time of the thread, so that the steps of a run's report are. */

#include <time.h>

int __real_clock_gettime(clockid_t clock, struct timespec *out_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out_time)
{
    return __real_clock_gettime(clock == CLOCK_MONOTONIC ? CLOCK_THREAD_CPUTIME_ID : clock,
                                out_time);
}
