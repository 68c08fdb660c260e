#include "stats/distinct.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT = 1024
};

void distinct_finish(struct distinct *d)
{
    free(d->hashes);
    *d = (struct distinct){0};
}

static int room_for(struct distinct *d, uint32_t n)
{
    uint32_t capacity = d->capacity ? d->capacity : 8;
    while (capacity < n)
        capacity *= 2;
    if (capacity == d->capacity)
        return 0;
    uint64_t *hashes = realloc(d->hashes, capacity * sizeof(*hashes));
    if (!hashes)
        return -ENOMEM;
    d->hashes = hashes;
    d->capacity = capacity;
    return 0;
}

int distinct_room(struct distinct *d)
{
    return d->n < d->capacity ? 0 : room_for(d, d->n + 1);
}

void distinct_add(struct distinct *d, uint64_t hash)
{
    if (d->n == KEPT && hash >= d->hashes[KEPT - 1])
        return;
    uint32_t low = 0, high = d->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (d->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < d->n && d->hashes[low] == hash)
        return;
    if (d->n == KEPT)
        d->n--; /* the highest gives way */
    memmove(d->hashes + low + 1, d->hashes + low, (d->n - low) * sizeof(*d->hashes));
    d->hashes[low] = hash;
    d->n++;
}

int distinct_room_merge(struct distinct *into, const struct distinct *from)
{
    if (from->n == 0)
        return 0;
    const uint32_t n = into->n + from->n;
    return room_for(into, n < KEPT ? n : KEPT);
}

void distinct_merge(struct distinct *into, const struct distinct *from)
{
    for (uint32_t i = 0; i < from->n; i++)
        distinct_add(into, from->hashes[i]);
}

void distinct_save(const struct distinct *d, struct buf *out)
{
    buf_varint(out, d->n);
    uint64_t before = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        buf_varint(out, d->hashes[i] - before);
        before = d->hashes[i];
    }
}

int distinct_load(struct distinct *d, struct reader *in, struct err *err)
{
    const uint64_t n = reader_varint(in);
    if (reader_failed(in) || n > KEPT || n > reader_left(in))
        return err_set(err, ERR_CORRUPT, "state: more units than are kept");
    if (n && room_for(d, (uint32_t)n))
        return err_set(err, -ENOMEM, "state: no memory for units");
    uint64_t hash = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t step = reader_varint(in);
        if ((i > 0 && step == 0) || hash + step < hash)
            return err_set(err, ERR_CORRUPT, "state: the units do not ascend");
        hash += step;
        d->hashes[d->n++] = hash;
    }
    return 0;
}

double distinct_count(const struct distinct *d, double *error)
{
    *error = 0;
    if (d->n < KEPT)
        return (double)d->n;
    const double n = (KEPT - 1) / ldexp((double)d->hashes[KEPT - 1], -64);
    *error = 3 * n / sqrt(KEPT - 2);
    return n;
}
