#include "collector/aside.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct aside {
    const char *name;
    pthread_t thread;
    bool started; /* the giver's */
    pthread_mutex_t lock;
    pthread_cond_t given, done;
    atomic_bool at_work; /* changed under the lock */
    bool stopping;
    aside_work *work; /* NULL: begun, or none */
    void *context;
};

int aside_new(struct aside **out, const char *name, struct err *err)
{
    struct aside *aside = calloc(1, sizeof(*aside));
    if (!aside)
        return err_set(err, -ENOMEM, "no memory for a thread");
    aside->name = name;
    pthread_mutex_init(&aside->lock, NULL);
    pthread_cond_init(&aside->given, NULL);
    pthread_cond_init(&aside->done, NULL);
    *out = aside; /* the caller owns it now */
    return 0;
}

void aside_free(struct aside *aside)
{
    if (!aside)
        return;
    pthread_mutex_lock(&aside->lock);
    aside->stopping = true;
    pthread_cond_signal(&aside->given);
    pthread_mutex_unlock(&aside->lock);
    if (aside->started)
        pthread_join(aside->thread, NULL);
    pthread_cond_destroy(&aside->done);
    pthread_cond_destroy(&aside->given);
    pthread_mutex_destroy(&aside->lock);
    free(aside);
}

/* The lock is held, but not while it works. */
static void do_piece(struct aside *aside)
{
    aside_work *const work = aside->work;
    aside->work = NULL;
    pthread_mutex_unlock(&aside->lock);
    work(aside->context);
    pthread_mutex_lock(&aside->lock);
    atomic_store(&aside->at_work, false);
    pthread_cond_signal(&aside->done);
}

static void *run(void *context)
{
    struct aside *aside = context;
    pthread_setname_np(pthread_self(), aside->name);
    pthread_mutex_lock(&aside->lock);
    while (aside->work || !aside->stopping) {
        if (aside->work)
            do_piece(aside);
        else
            pthread_cond_wait(&aside->given, &aside->lock);
    }
    pthread_mutex_unlock(&aside->lock);
    return NULL;
}

bool aside_is_free(const struct aside *aside)
{
    return !atomic_load(&aside->at_work);
}

bool aside_give(struct aside *aside, aside_work *work, void *context)
{
    if (!aside->started)
        aside->started = pthread_create(&aside->thread, NULL, run, aside) == 0;
    if (!aside->started)
        return false;
    pthread_mutex_lock(&aside->lock);
    aside->work = work;
    aside->context = context;
    atomic_store(&aside->at_work, true);
    pthread_cond_signal(&aside->given);
    pthread_mutex_unlock(&aside->lock);
    return true;
}

void aside_wait(struct aside *aside)
{
    if (aside_is_free(aside))
        return;
    pthread_mutex_lock(&aside->lock);
    while (atomic_load(&aside->at_work))
        pthread_cond_wait(&aside->done, &aside->lock);
    pthread_mutex_unlock(&aside->lock);
}
