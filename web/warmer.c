#include "web/warmer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/deadline.h"
#include "storage/catalog.h"
#include "storage/changes.h"
#include "web/handlers.h"

enum {
    REST_TIMES = 50,
    LEAST_REST_MS = 1000,
    MOST_REST_MS = 3600000,
    LOWEST_PRIORITY = 19
};

struct warmer {
    struct api_context *api;
    struct changes *changes;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stopping;
    uint64_t seen; /* the change counter before it last asked */
};

int64_t warmer_rest_ms(int64_t cpu_ms)
{
    int64_t rest = cpu_ms < MOST_REST_MS / REST_TIMES ? cpu_ms * REST_TIMES : MOST_REST_MS;
    return rest > LEAST_REST_MS ? rest : LEAST_REST_MS;
}

static bool is_stopping(void *context)
{
    return atomic_load(&((struct warmer *)context)->stopping);
}

static int64_t cpu_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

/* --- the questions --- */

struct names {
    char **names;
    size_t n;
};

static int add_name(void *context, const struct model_row *model, struct err *err)
{
    struct names *all = context;
    char **more = realloc(all->names, (all->n + 1) * sizeof(*more));
    char *name = more ? strdup(model->name) : NULL;
    if (more)
        all->names = more;
    if (!name)
        return err_set(err, -ENOMEM, "web: no memory for a model's name");
    all->names[all->n++] = name;
    return 0;
}

static bool ask(struct warmer *warmer, const char *model)
{
    struct buf target;
    struct api_answer answer;
    buf_init(&target, 1 << 16);
    buf_printf(&target, "/api/v1/models");
    api_target_segment(&target, model);
    api_target_segment(&target, "drift");
    buf_u8(&target, '\0');
    int rc = buf_failed(&target) ? -ENOMEM : 0;
    if (!rc) {
        const struct api_request request = {
            .method = "GET", .target = (const char *)target.data, .body = ""};
        api_answer_init(&answer);
        rc = api_call(warmer->api, &request, &answer, NULL); /* who asks himself is told why */
        api_answer_finish(&answer);
    }
    buf_finish(&target);
    return rc == 0;
}

/* false: something is still to be made ready, as when the time for reading was over. */
static bool ask_all(struct warmer *warmer)
{
    struct names all = {0};
    struct store *store;
    int rc = context_store(warmer->api, &store, NULL);
    if (!rc)
        rc = models_each(store, add_name, &all, NULL);
    bool done = rc == 0;
    for (size_t i = 0; i < all.n; i++) {
        if (!is_stopping(warmer))
            done &= ask(warmer, all.names[i]);
        free(all.names[i]);
    }
    free(all.names);
    return done;
}

/* --- the thread --- */

static void rest(struct warmer *warmer, int64_t ms)
{
    const struct timespec until = deadline_after(ms);
    pthread_mutex_lock(&warmer->lock);
    while (!is_stopping(warmer) &&
           pthread_cond_timedwait(&warmer->wake, &warmer->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&warmer->lock);
}

static void *keep_warm(void *argument)
{
    struct warmer *warmer = argument;
    pthread_setname_np(pthread_self(), "web-warmer");
    setpriority(PRIO_PROCESS, 0, LOWEST_PRIORITY); /* Linux: of this thread alone */
    bool done = false;
    while (!is_stopping(warmer)) {
        uint64_t now = changes_now(warmer->changes);
        int64_t before = cpu_ms();
        if (!done || now != warmer->seen)
            done = ask_all(warmer);
        warmer->seen = now;
        rest(warmer, done ? warmer_rest_ms(cpu_ms() - before) : LEAST_REST_MS);
    }
    return NULL;
}

static void warmer_free(struct warmer *warmer)
{
    api_close(warmer->api);
    pthread_cond_destroy(&warmer->wake);
    pthread_mutex_destroy(&warmer->lock);
    free(warmer);
}

int warmer_start(struct warmer **out, const struct api_options *options, struct err *err)
{
    struct warmer *warmer = calloc(1, sizeof(*warmer));
    if (!warmer)
        return err_set(err, -ENOMEM, "web: no memory to make answers ready");
    pthread_mutex_init(&warmer->lock, NULL);
    deadline_cond_init(&warmer->wake);
    warmer->changes = options->changes;
    int rc = api_open(&warmer->api, options, err);
    if (!rc) {
        warmer->api->background = is_stopping;
        warmer->api->asker = warmer;
        if (pthread_create(&warmer->thread, NULL, keep_warm, warmer))
            rc = err_set(err, -EAGAIN, "web: no thread to make answers ready");
    }
    if (rc) {
        warmer_free(warmer);
        return rc;
    }
    *out = warmer; /* the caller owns it now */
    return 0;
}

void warmer_stop(struct warmer *warmer)
{
    if (!warmer)
        return;
    pthread_mutex_lock(&warmer->lock);
    atomic_store(&warmer->stopping, true);
    pthread_cond_signal(&warmer->wake);
    pthread_mutex_unlock(&warmer->lock);
    pthread_join(warmer->thread, NULL);
    warmer_free(warmer);
}
