#include "storage/drift_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ENTRIES = 4096
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
    uint64_t clock;
    struct shelf references, windows;
    struct drift_nulls *nulls;
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
    cache->references = (struct shelf){.most = MAX_REFERENCE_BYTES, .drop = drop_reference};
    cache->windows = (struct shelf){.most = MAX_WINDOW_BYTES, .drop = free};
    int rc = drift_nulls_new(&cache->nulls, err);
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
    drift_nulls_free(cache->nulls);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct drift_nulls *drift_cache_nulls(struct drift_cache *cache)
{
    return cache->nulls;
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
    pthread_mutex_unlock(&cache->lock);
}
