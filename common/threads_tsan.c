/*
 * In builds with ThreadSanitizer only: C11's thrd_create by pthread_create. librdkafka starts its
 * threads by the former, which the sanitizer's runtime (GCC 12) does not know: such a thread has no
 * state there and dies at its first allocation.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

struct start {
    thrd_start_t function;
    void *argument;
};

static void *run(void *context)
{
    struct start start = *(struct start *)context;
    free(context);
    return (void *)(intptr_t)start.function(start.argument);
}

/* glibc names its parameters otherwise: NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof(*start));
    if (!start)
        return thrd_nomem;
    *start = (struct start){function, argument};
    const int rc = pthread_create(thread, NULL, run, start);
    if (rc == 0)
        return thrd_success;
    free(start);
    return rc == ENOMEM ? thrd_nomem : thrd_error;
}
