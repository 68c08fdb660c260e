/*
 * A counter under a mutex with a condition variable. Wakers run while the mutex is held, so that
 * none runs after changes_free; they must be quick and must not call back.
 */
#include "storage/changes.h"

#include <errno.h>
#include <pthread.h>

#include "common/deadline.h"

enum {
    MAX_WAKERS = 16
};

struct waker {
    void (*wake)(void *context);
    void *context;
};

struct changes {
    pthread_mutex_t mutex;
    pthread_cond_t above;
    uint64_t now;
    size_t n_wakers;
    struct waker wakers[MAX_WAKERS];
};

int changes_new(struct changes **out, struct err *err)
{
    struct changes *changes = calloc(1, sizeof(*changes));
    if (!changes)
        return err_set(err, -ENOMEM, "changes: no memory");

    deadline_cond_init(&changes->above);
    pthread_mutex_init(&changes->mutex, NULL);
    *out = changes; /* the caller owns it now */
    return 0;
}

void changes_free(struct changes *changes)
{
    if (!changes)
        return;
    pthread_cond_destroy(&changes->above);
    pthread_mutex_destroy(&changes->mutex);
    free(changes);
}

uint64_t changes_now(struct changes *changes)
{
    pthread_mutex_lock(&changes->mutex);
    uint64_t now = changes->now;
    pthread_mutex_unlock(&changes->mutex);
    return now;
}

static void advance(struct changes *changes, uint64_t to)
{
    pthread_mutex_lock(&changes->mutex);
    changes->now = to ? (to > changes->now ? to : changes->now) : changes->now + 1;
    pthread_cond_broadcast(&changes->above);
    for (size_t i = 0; i < changes->n_wakers; i++)
        changes->wakers[i].wake(changes->wakers[i].context);
    pthread_mutex_unlock(&changes->mutex);
}

void changes_bump(struct changes *changes)
{
    advance(changes, 0);
}

void changes_raise(struct changes *changes, uint64_t to)
{
    if (to > 0)
        advance(changes, to);
}

uint64_t changes_wait(struct changes *changes, uint64_t after, int timeout_ms)
{
    const struct timespec end = deadline_after(timeout_ms);
    pthread_mutex_lock(&changes->mutex);
    int rc = 0;
    while (changes->now <= after && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&changes->above, &changes->mutex, &end);
    uint64_t now = changes->now;
    pthread_mutex_unlock(&changes->mutex);
    return now;
}

int changes_subscribe(struct changes *changes, void (*wake)(void *context), void *context,
                      struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&changes->mutex);
    if (changes->n_wakers == MAX_WAKERS)
        rc = err_set(err, -ENOSPC, "changes: more than %d subscribers", MAX_WAKERS);
    else
        changes->wakers[changes->n_wakers++] = (struct waker){wake, context};
    pthread_mutex_unlock(&changes->mutex);
    return rc;
}
