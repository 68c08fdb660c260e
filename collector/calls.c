/*
 * What other threads want done on the writer's thread, in order of asking.
 */
#include <errno.h>

#include "collector/loop.h"

int calls_init(struct calls *calls, struct err *err)
{
    *calls = (struct calls){.first = NULL};
    int rc = pthread_mutex_init(&calls->lock, NULL);
    if (!rc)
        rc = pthread_cond_init(&calls->finished, NULL);
    return rc ? err_set(err, -rc, "collector: no lock") : 0;
}

void calls_finish(struct calls *calls)
{
    pthread_cond_destroy(&calls->finished);
    pthread_mutex_destroy(&calls->lock);
}

bool calls_wait(const struct collector *collector)
{
    return atomic_load_explicit(&collector->calls.waiting, memory_order_acquire);
}

/* Takes the list, so that `fn` may wait or ask for another call. */
void calls_run(struct collector *collector)
{
    struct calls *calls = &collector->calls;
    if (!calls_wait(collector))
        return;
    pthread_mutex_lock(&calls->lock);
    struct call *call = calls->first;
    calls->first = calls->last = NULL;
    atomic_store(&calls->waiting, false);
    pthread_mutex_unlock(&calls->lock);
    while (call) {
        struct call *next = call->next;
        call->rc = call->fn(call->context, collector->options.store, &call->err);
        pthread_mutex_lock(&calls->lock);
        call->done = true; /* its memory may be gone from here on */
        pthread_cond_broadcast(&calls->finished);
        pthread_mutex_unlock(&calls->lock);
        call = next;
    }
}

void calls_stop(struct collector *collector)
{
    struct calls *calls = &collector->calls;
    pthread_mutex_lock(&calls->lock);
    calls->stopped = true;
    for (struct call *call = calls->first; call; call = call->next) {
        call->rc = err_set(&call->err, -ECANCELED, "the collector has stopped");
        call->done = true;
    }
    calls->first = calls->last = NULL;
    pthread_cond_broadcast(&calls->finished);
    pthread_mutex_unlock(&calls->lock);
}

/* The calling thread is the writer's from now on. */
void calls_claim(struct collector *collector)
{
    struct calls *calls = &collector->calls;
    if (calls->has_writer && pthread_equal(calls->writer, pthread_self()))
        return;
    pthread_mutex_lock(&calls->lock);
    calls->writer = pthread_self();
    calls->has_writer = true;
    pthread_mutex_unlock(&calls->lock);
}

int collector_call(struct collector *collector,
                   int (*fn)(void *context, struct store *store, struct err *err), void *context,
                   struct err *err)
{
    struct calls *calls = &collector->calls;
    struct call call = {.fn = fn, .context = context};
    pthread_mutex_lock(&calls->lock);
    if (calls->has_writer && pthread_equal(calls->writer, pthread_self())) {
        pthread_mutex_unlock(&calls->lock);
        return fn(context, collector->options.store, err);
    }
    if (calls->stopped) {
        pthread_mutex_unlock(&calls->lock);
        return err_set(err, -ECANCELED, "the collector has stopped");
    }
    if (calls->last)
        calls->last->next = &call;
    else
        calls->first = &call;
    calls->last = &call;
    atomic_store(&calls->waiting, true);
    pthread_mutex_unlock(&calls->lock);
    collector_wake(collector);

    pthread_mutex_lock(&calls->lock);
    while (!call.done)
        pthread_cond_wait(&calls->finished, &calls->lock);
    pthread_mutex_unlock(&calls->lock);
    if ((call.rc < 0 || call.err.code) && err) /* outcomes may have something to say as well */
        *err = call.err;
    return call.rc;
}
