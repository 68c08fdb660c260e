#include "storage/memo.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_PLACES = 32768 /* a year by day of three versions, and thirty such questions */
};
#define MAX_BYTES (INT64_C(64) << 20)

struct entry {
    uint64_t fingerprint;
    size_t n;
    void *bytes; /* NULL: the place is free */
};

struct memo {
    pthread_mutex_t lock;
    int64_t bytes;
    size_t hand; /* where room is made next */
    struct entry places[N_PLACES];
};

int memo_new(struct memo **out, struct err *err)
{
    struct memo *memo = calloc(1, sizeof(*memo));
    if (!memo)
        return err_set(err, -ENOMEM, "series: no memory to remember");
    pthread_mutex_init(&memo->lock, NULL);
    *out = memo; /* the caller owns it now */
    return 0;
}

static void drop(struct memo *memo, struct entry *entry)
{
    memo->bytes -= (int64_t)entry->n;
    free(entry->bytes);
    *entry = (struct entry){0};
}

void memo_free(struct memo *memo)
{
    if (!memo)
        return;
    for (size_t i = 0; i < N_PLACES; i++)
        drop(memo, &memo->places[i]);
    pthread_mutex_destroy(&memo->lock);
    free(memo);
}

bool memo_get(struct memo *memo, uint64_t fingerprint, struct buf *out)
{
    pthread_mutex_lock(&memo->lock);
    const struct entry *entry = &memo->places[fingerprint % N_PLACES];
    bool found = entry->bytes && entry->fingerprint == fingerprint;
    if (found)
        buf_bytes(out, entry->bytes, entry->n);
    pthread_mutex_unlock(&memo->lock);
    return found;
}

static void make_room(struct memo *memo, size_t n)
{
    while (memo->bytes + (int64_t)n > MAX_BYTES) {
        drop(memo, &memo->places[memo->hand]);
        memo->hand = (memo->hand + 1) % N_PLACES;
    }
}

void memo_keep(struct memo *memo, uint64_t fingerprint, const struct buf *bytes)
{
    size_t n = bytes->size;
    bool fits = n && !buf_failed(bytes) && (int64_t)n <= MAX_BYTES;
    void *copy = fits ? malloc(n) : NULL;
    if (!copy)
        return;
    memcpy(copy, bytes->data, n);
    pthread_mutex_lock(&memo->lock);
    struct entry *place = &memo->places[fingerprint % N_PLACES];
    drop(memo, place);
    make_room(memo, n);
    *place = (struct entry){fingerprint, n, copy}; /* the memo owns it now */
    memo->bytes += (int64_t)n;
    pthread_mutex_unlock(&memo->lock);
}
