/*
 * The moment until which a thread waits on a condition variable. It lies on the monotonic clock,
 * which nobody sets: a wait that is over in three seconds is over in three seconds. A condition
 * variable knows the clock of its deadlines from its beginning on, hence the two go together.
 *
 * Units    ms: milliseconds from now; what is less than 0 is 0
 * Owner    the caller's memory; pthread_cond_destroy ends a condition
 * Threads  any
 */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* A condition variable whose pthread_cond_timedwait takes deadlines of deadline_after. */
void deadline_cond_init(pthread_cond_t *condition);

struct timespec deadline_after(int64_t ms);
