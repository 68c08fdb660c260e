#include "common/deadline.h"

enum {
    MS_PER_SECOND = 1000,
    NS_PER_MS = 1000000,
    NS_PER_SECOND = 1000000000
};

void deadline_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec deadline_after(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    if (ms <= 0)
        return at;
    at.tv_sec += ms / MS_PER_SECOND;
    at.tv_nsec += ms % MS_PER_SECOND * NS_PER_MS;
    if (at.tv_nsec >= NS_PER_SECOND) {
        at.tv_sec++;
        at.tv_nsec -= NS_PER_SECOND;
    }
    return at;
}
