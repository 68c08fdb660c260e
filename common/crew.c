/*
 * Items are taken by counting up. A thread that wakes late finds none left and sleeps on: the
 * caller waits only for those who are at an item.
 */
#include "common/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct items {
    crew_item *work;
    void *context;
    size_t n;
    atomic_size_t next;
    int failed; /* what the first failing item returned, with its message, under the crew's lock */
    struct err err;
};

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t wake, left;
    struct items *items; /* a caller's; NULL: nobody calls */
    int n_at_work;       /* threads that use the caller's items */
    int n_threads, n_started;
    bool stopping;
    pthread_t threads[CREW_MOST];
};

int crew_size(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
    return n - 1 < CREW_MOST ? n - 1 : CREW_MOST;
}

int crew_new(struct crew **out, int n_threads, struct err *err)
{
    struct crew *crew = calloc(1, sizeof(*crew));
    if (!crew)
        return err_set(err, -ENOMEM, "no memory for threads");
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->wake, NULL);
    pthread_cond_init(&crew->left, NULL);
    crew->n_threads = n_threads < CREW_MOST ? n_threads : CREW_MOST;
    *out = crew; /* the caller owns it now */
    return 0;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    pthread_cond_broadcast(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    for (int i = 0; i < crew->n_started; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->left);
    pthread_cond_destroy(&crew->wake);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

/* lock NULL: nobody else is at these items. */
static void keep_failure(struct items *items, pthread_mutex_t *lock, int rc, const struct err *err)
{
    if (lock)
        pthread_mutex_lock(lock);
    if (!items->failed) {
        items->failed = rc;
        items->err = *err;
    }
    if (lock)
        pthread_mutex_unlock(lock);
    atomic_store(&items->next, items->n);
}

static void do_items(struct items *items, pthread_mutex_t *lock)
{
    for (;;) {
        size_t item = atomic_fetch_add(&items->next, 1);
        if (item >= items->n)
            return;
        struct err err = {0};
        int rc = items->work(items->context, item, &err);
        if (rc) {
            keep_failure(items, lock, rc, &err);
            return;
        }
    }
}

static bool any_left(const struct crew *crew)
{
    return crew->items && atomic_load(&crew->items->next) < crew->items->n;
}

static void *helper(void *argument)
{
    struct crew *crew = argument;
    pthread_setname_np(pthread_self(), "crew");
    pthread_mutex_lock(&crew->lock);
    while (!crew->stopping) {
        if (!any_left(crew)) {
            pthread_cond_wait(&crew->wake, &crew->lock);
            continue;
        }
        struct items *items = crew->items;
        crew->n_at_work++;
        pthread_mutex_unlock(&crew->lock);
        do_items(items, &crew->lock);
        pthread_mutex_lock(&crew->lock);
        if (--crew->n_at_work == 0)
            pthread_cond_signal(&crew->left);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* false: it is busy, or nobody is in it. */
static bool engage(struct crew *crew, struct items *items)
{
    pthread_mutex_lock(&crew->lock);
    bool free_now = !crew->items;
    while (free_now && crew->n_started < crew->n_threads &&
           !pthread_create(&crew->threads[crew->n_started], NULL, helper, crew))
        crew->n_started++;
    free_now = free_now && crew->n_started > 0;
    if (free_now) {
        crew->items = items;
        pthread_cond_broadcast(&crew->wake);
    }
    pthread_mutex_unlock(&crew->lock);
    return free_now;
}

static void release(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (crew->n_at_work)
        pthread_cond_wait(&crew->left, &crew->lock);
    crew->items = NULL;
    pthread_mutex_unlock(&crew->lock);
}

int crew_each(struct crew *crew, size_t n_items, crew_item *work, void *context, struct err *err)
{
    struct items items = {.work = work, .context = context, .n = n_items};
    bool helped = crew && n_items > 1 && engage(crew, &items);
    do_items(&items, helped ? &crew->lock : NULL);
    if (helped)
        release(crew);
    if (items.failed && err)
        *err = items.err;
    return items.failed;
}
