#include "web/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct work {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, **last;
    int n_queued, max_queued;
    int n_idle, n_started, n_threads;
    bool stopping;
    struct api_options options;
    pthread_t threads[];
};

int work_new(struct work **out, const struct api_options *options, int n_threads, int max_queued,
             struct err *err)
{
    struct work *work = calloc(1, sizeof(*work) + (size_t)n_threads * sizeof(pthread_t));
    if (!work)
        return err_set(err, -ENOMEM, "web: no memory for %d threads", n_threads);
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->wake, NULL);
    work->last = &work->first;
    work->max_queued = max_queued;
    work->n_threads = n_threads;
    work->options = *options;
    *out = work; /* the caller owns it now */
    return 0;
}

static struct job *take(struct work *work)
{
    work->n_idle++;
    while (!work->first && !work->stopping)
        pthread_cond_wait(&work->wake, &work->lock);
    work->n_idle--;
    struct job *job = work->first;
    if (!job)
        return NULL;
    work->first = job->next;
    if (!work->first)
        work->last = &work->first;
    work->n_queued--;
    return job;
}

static void *worker(void *argument)
{
    struct work *work = argument;
    struct api_context *context = NULL;
    pthread_setname_np(pthread_self(), "web-work");
    pthread_mutex_lock(&work->lock);
    for (;;) {
        struct job *job = take(work);
        if (!job)
            break;
        pthread_mutex_unlock(&work->lock);
        if (!context)
            api_open(&context, &work->options, NULL); /* NULL: the job answers 500 */
        job->run(job, context);
        pthread_mutex_lock(&work->lock);
    }
    pthread_mutex_unlock(&work->lock);
    api_close(context);
    return NULL;
}

bool work_put(struct work *work, struct job *job)
{
    pthread_mutex_lock(&work->lock);
    bool taken = !work->stopping && work->n_queued < work->max_queued;
    if (taken && work->n_queued >= work->n_idle && work->n_started < work->n_threads &&
        pthread_create(&work->threads[work->n_started], NULL, worker, work) == 0)
        work->n_started++;
    taken = taken && work->n_started > 0;
    if (taken) {
        job->next = NULL;
        *work->last = job;
        work->last = &job->next;
        work->n_queued++;
        pthread_cond_signal(&work->wake);
    }
    pthread_mutex_unlock(&work->lock);
    return taken;
}

void work_stop(struct work *work)
{
    if (!work)
        return;
    pthread_mutex_lock(&work->lock);
    work->stopping = true;
    pthread_cond_broadcast(&work->wake);
    int n = work->n_started;
    work->n_started = 0;
    pthread_mutex_unlock(&work->lock);
    for (int i = 0; i < n; i++)
        pthread_join(work->threads[i], NULL);
}

void work_free(struct work *work)
{
    if (!work)
        return;
    work_stop(work);
    pthread_cond_destroy(&work->wake);
    pthread_mutex_destroy(&work->lock);
    free(work);
}
