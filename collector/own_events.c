#include "collector/own_events.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/source_http.h"
#include "common/deadline.h"

enum {
    QUEUE_MAX_BYTES = 4 * 1024 * 1024,
    ANSWER_MAX_BYTES = 16 * 1024 * 1024,
    TRIES = 50, /* of one batch, while others are posted in front of it */
    AGAIN_AFTER_MS = 100,
    FLUSH_MS = 5000,
};

struct batch_of_own {
    struct buf text;
    int64_t n;
};

struct own_events {
    struct source *http;
    const struct log *log;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* something came, or was taken */
    pthread_t thread;
    bool runs, stopping;
    struct batch_of_own gathered, posted; /* the thread's alone: posted */
    struct producer_counts counts;
};

/* 0: all of it is durable. */
static int post(struct own_events *own)
{
    struct buf answer;
    struct err err = {0};
    int rc = SOURCE_HTTP_BUSY;
    buf_init(&answer, ANSWER_MAX_BYTES);
    for (int i = 0; i < TRIES && (rc == SOURCE_HTTP_BUSY || rc == -ETIMEDOUT); i++) {
        if (i)
            usleep(AGAIN_AFTER_MS * 1000);
        buf_clear(&answer);
        rc = source_http_ingest(own->http, (const char *)own->posted.text.data,
                                own->posted.text.size, &answer, &err);
    }
    buf_finish(&answer);
    if (rc && own->log)
        log_write(own->log, LEVEL_WARNING, "collector", "%lld own events are lost: %s",
                  (long long)own->posted.n, rc > 0 ? "too much waits already" : err.text);
    return rc;
}

static void *post_what_gathers(void *argument)
{
    struct own_events *own = argument;
    pthread_mutex_lock(&own->lock);
    for (;;) {
        while (own->gathered.n == 0 && !own->stopping)
            pthread_cond_wait(&own->moved, &own->lock);
        if (own->gathered.n == 0)
            break;
        struct batch_of_own swapped = own->posted;
        own->posted = own->gathered;
        own->gathered = swapped;
        pthread_mutex_unlock(&own->lock);
        int rc = post(own);
        pthread_mutex_lock(&own->lock);
        *(rc ? &own->counts.undelivered : &own->counts.sent) += own->posted.n;
        own->counts.waiting -= own->posted.n;
        own->posted.n = 0;
        buf_clear(&own->posted.text);
        pthread_cond_broadcast(&own->moved);
    }
    pthread_mutex_unlock(&own->lock);
    return NULL;
}

int own_events_new(struct own_events **out, struct source *http, const struct log *log,
                   struct err *err)
{
    struct own_events *own = calloc(1, sizeof(*own));
    if (!own)
        return err_set(err, -ENOMEM, "no memory for own events");
    own->http = http;
    own->log = log;
    buf_init(&own->gathered.text, QUEUE_MAX_BYTES);
    buf_init(&own->posted.text, QUEUE_MAX_BYTES);
    pthread_mutex_init(&own->lock, NULL);
    deadline_cond_init(&own->moved);
    own->runs = pthread_create(&own->thread, NULL, post_what_gathers, own) == 0;
    if (!own->runs) {
        own_events_free(own);
        return err_set(err, -EAGAIN, "no thread for own events");
    }
    *out = own; /* the caller owns it now */
    return 0;
}

void own_events_flush(struct own_events *own)
{
    if (!own)
        return;
    const struct timespec until = deadline_after(FLUSH_MS);
    pthread_mutex_lock(&own->lock);
    while (own->counts.waiting > 0 &&
           pthread_cond_timedwait(&own->moved, &own->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&own->lock);
}

void own_events_free(struct own_events *own)
{
    if (!own)
        return;
    pthread_mutex_lock(&own->lock);
    own->stopping = true;
    pthread_cond_broadcast(&own->moved);
    pthread_mutex_unlock(&own->lock);
    if (own->runs)
        pthread_join(own->thread, NULL);
    buf_finish(&own->gathered.text);
    buf_finish(&own->posted.text);
    pthread_cond_destroy(&own->moved);
    pthread_mutex_destroy(&own->lock);
    free(own);
}

bool own_events_send(struct own_events *own, const void *bytes, size_t n)
{
    pthread_mutex_lock(&own->lock);
    bool room = !own->stopping && own->gathered.text.size + n + 1 <= QUEUE_MAX_BYTES &&
                buf_reserve(&own->gathered.text, n + 1);
    if (room) {
        buf_bytes(&own->gathered.text, bytes, n);
        buf_u8(&own->gathered.text, '\n');
        own->gathered.n++;
        own->counts.waiting++;
        pthread_cond_broadcast(&own->moved);
    } else {
        own->counts.refused++;
    }
    pthread_mutex_unlock(&own->lock);
    return room;
}

struct producer_counts own_events_counts(struct own_events *own)
{
    pthread_mutex_lock(&own->lock);
    struct producer_counts counts = own->counts;
    pthread_mutex_unlock(&own->lock);
    return counts;
}
