#include "storage/drift_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/deadline.h"

enum {
    MAX_ENTRIES = 4096,
    MAX_CLAIMS = 16 /* windows that are being judged; as many threads ask at once */
};
#define MAX_REFERENCE_BYTES (INT64_C(256) << 20)
#define MAX_WINDOW_BYTES (INT64_C(64) << 20)

struct kept_window {
    struct drift_summary summary;
    size_t n;
    struct drift_feature features[];
};

struct entry {
    uint64_t key;
    uint64_t used; /* the larger, the later */
    int64_t bytes;
    void *thing;
};

/* Entries of one kind; a search is a walk, which costs less than what it saves. */
struct shelf {
    struct entry *entries;
    size_t n;
    int64_t bytes, most;
    void (*drop)(void *thing);
};

struct drift_cache {
    pthread_mutex_t lock;
    pthread_cond_t released, answered;
    uint64_t clock;
    struct shelf references, windows;
    uint64_t claims[MAX_CLAIMS];
    size_t n_claims;
    unsigned n_questions; /* that somebody waits for */
    uint64_t n_judged;
    struct drift_nulls *nulls;
    struct crew *crew;
};

static void drop_reference(void *thing)
{
    reference_free((struct reference *)thing);
}

int drift_cache_new(struct drift_cache **out, struct err *err)
{
    struct drift_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return err_set(err, -ENOMEM, "drift: no memory for a cache");
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->released, NULL);
    deadline_cond_init(&cache->answered);
    cache->references = (struct shelf){.most = MAX_REFERENCE_BYTES, .drop = drop_reference};
    cache->windows = (struct shelf){.most = MAX_WINDOW_BYTES, .drop = free};
    int rc = drift_nulls_new(&cache->nulls, err);
    if (!rc)
        rc = crew_new(&cache->crew, crew_size(), err);
    if (rc)
        drift_cache_free(cache);
    else
        *out = cache; /* the caller owns it now */
    return rc;
}

static void shelf_finish(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->n; i++)
        shelf->drop(shelf->entries[i].thing);
    free(shelf->entries);
}

void drift_cache_free(struct drift_cache *cache)
{
    if (!cache)
        return;
    shelf_finish(&cache->references);
    shelf_finish(&cache->windows);
    crew_free(cache->crew);
    drift_nulls_free(cache->nulls);
    pthread_cond_destroy(&cache->answered);
    pthread_cond_destroy(&cache->released);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct drift_nulls *drift_cache_nulls(struct drift_cache *cache)
{
    return cache->nulls;
}

struct crew *drift_cache_crew(struct drift_cache *cache)
{
    return cache->crew;
}

static void *shelf_find(struct drift_cache *cache, struct shelf *shelf, uint64_t key)
{
    for (size_t i = 0; i < shelf->n; i++) {
        if (shelf->entries[i].key != key)
            continue;
        shelf->entries[i].used = ++cache->clock;
        return shelf->entries[i].thing;
    }
    return NULL;
}

static void drop_oldest(struct shelf *shelf)
{
    size_t oldest = 0;
    for (size_t i = 1; i < shelf->n; i++) {
        if (shelf->entries[i].used < shelf->entries[oldest].used)
            oldest = i;
    }
    shelf->bytes -= shelf->entries[oldest].bytes;
    shelf->drop(shelf->entries[oldest].thing);
    shelf->entries[oldest] = shelf->entries[--shelf->n];
}

/* Takes the thing, or drops it. */
static void shelf_put(struct drift_cache *cache, struct shelf *shelf, uint64_t key, void *thing,
                      int64_t bytes)
{
    if (!shelf->entries)
        shelf->entries = calloc(MAX_ENTRIES, sizeof(*shelf->entries));
    if (!shelf->entries || bytes > shelf->most || shelf_find(cache, shelf, key)) {
        shelf->drop(thing);
        return;
    }
    while (shelf->n && (shelf->n == MAX_ENTRIES || shelf->bytes + bytes > shelf->most))
        drop_oldest(shelf);
    shelf->entries[shelf->n++] = (struct entry){key, ++cache->clock, bytes, thing};
    shelf->bytes += bytes;
}

struct reference *drift_cache_reference(struct drift_cache *cache, uint64_t key)
{
    pthread_mutex_lock(&cache->lock);
    struct reference *found = shelf_find(cache, &cache->references, key);
    if (found)
        reference_share(found);
    pthread_mutex_unlock(&cache->lock);
    return found;
}

void drift_cache_keep_reference(struct drift_cache *cache, uint64_t key,
                                const struct reference *reference)
{
    pthread_mutex_lock(&cache->lock);
    shelf_put(cache, &cache->references, key, reference_share(reference),
              (int64_t)reference_bytes(reference));
    pthread_mutex_unlock(&cache->lock);
}

bool drift_cache_window(struct drift_cache *cache, uint64_t key, struct drift_feature *out,
                        size_t n, struct drift_summary *summary)
{
    pthread_mutex_lock(&cache->lock);
    const struct kept_window *found = shelf_find(cache, &cache->windows, key);
    bool fits = found && found->n == n;
    if (fits) {
        memcpy(out, found->features, n * sizeof(*out));
        *summary = found->summary;
    }
    pthread_mutex_unlock(&cache->lock);
    return fits;
}

void drift_cache_keep_window(struct drift_cache *cache, uint64_t key,
                             const struct drift_feature *features, size_t n,
                             const struct drift_summary *summary)
{
    struct kept_window *window = malloc(sizeof(*window) + n * sizeof(*features));
    if (!window)
        return;
    window->summary = *summary;
    window->n = n;
    memcpy(window->features, features, n * sizeof(*features));
    pthread_mutex_lock(&cache->lock);
    shelf_put(cache, &cache->windows, key, window,
              (int64_t)(sizeof(*window) + n * sizeof(*features)));
    cache->n_judged++;
    pthread_mutex_unlock(&cache->lock);
}

static size_t find_claim(const struct drift_cache *cache, uint64_t key)
{
    size_t at = 0;
    while (at < cache->n_claims && cache->claims[at] != key)
        at++;
    return at;
}

bool drift_cache_claim_window(struct drift_cache *cache, uint64_t key)
{
    pthread_mutex_lock(&cache->lock);
    while (find_claim(cache, key) < cache->n_claims)
        pthread_cond_wait(&cache->released, &cache->lock);
    bool fits = cache->n_claims < MAX_CLAIMS;
    if (fits)
        cache->claims[cache->n_claims++] = key;
    pthread_mutex_unlock(&cache->lock);
    return fits;
}

void drift_cache_release_window(struct drift_cache *cache, uint64_t key)
{
    pthread_mutex_lock(&cache->lock);
    size_t at = find_claim(cache, key);
    cache->claims[at] = cache->claims[--cache->n_claims];
    pthread_cond_broadcast(&cache->released);
    pthread_mutex_unlock(&cache->lock);
}

void drift_cache_question_begin(struct drift_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->n_questions++;
    pthread_mutex_unlock(&cache->lock);
}

void drift_cache_question_end(struct drift_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    if (--cache->n_questions == 0)
        pthread_cond_broadcast(&cache->answered);
    pthread_mutex_unlock(&cache->lock);
}

bool drift_cache_stand_aside(struct drift_cache *cache, int64_t most_ms)
{
    const struct timespec until = deadline_after(most_ms);
    pthread_mutex_lock(&cache->lock);
    while (cache->n_questions &&
           pthread_cond_timedwait(&cache->answered, &cache->lock, &until) != ETIMEDOUT)
        ;
    bool nobody = cache->n_questions == 0;
    pthread_mutex_unlock(&cache->lock);
    return nobody;
}

struct drift_cache_work drift_cache_work(struct drift_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t n_judged = cache->n_judged;
    pthread_mutex_unlock(&cache->lock);
    return (struct drift_cache_work){n_judged, drift_nulls_made(cache->nulls)};
}
