#include "collector/open_minutes.h"

#include <errno.h>
#include <stdlib.h>

enum {
    MINUTE_MS = 60000,
    FIRST_CAPACITY = 64,
    MAX_CAPACITY = 1 << 20, /* two years of minutes, 4 MiB */
};

static int64_t minute_of(int64_t ts_ms)
{
    return ts_ms >= 0 ? ts_ms / MINUTE_MS : -((-(ts_ms + 1)) / MINUTE_MS) - 1;
}

void open_finish(struct open_minutes *open)
{
    free(open->counts);
    *open = (struct open_minutes){0};
}

static uint32_t *count_of(const struct open_minutes *open, int64_t minute)
{
    return &open->counts[minute & (open->capacity - 1)];
}

static int reserve(struct open_minutes *open, int64_t minutes, struct err *err)
{
    int64_t capacity = open->capacity ? open->capacity : FIRST_CAPACITY;
    while (capacity < minutes)
        capacity *= 2;
    if (capacity == open->capacity)
        return 0;
    uint32_t *counts = calloc((size_t)capacity, sizeof(*counts));
    if (!counts)
        return err_set(err, -ENOMEM, "collector: no memory for %lld minutes", (long long)capacity);
    for (int64_t minute = open->first; minute < open->end; minute++)
        counts[minute & (capacity - 1)] = *count_of(open, minute);
    free(open->counts);
    open->counts = counts;
    open->capacity = capacity;
    return 0;
}

int open_add(struct open_minutes *open, int64_t ts_ms, struct err *err)
{
    int64_t minute = minute_of(ts_ms);
    int64_t first = open->first == open->end || minute < open->first ? minute : open->first;
    int64_t end = open->first == open->end || minute >= open->end ? minute + 1 : open->end;
    if (end - first > MAX_CAPACITY)
        return OPEN_GONE;
    int rc = reserve(open, end - first, err);
    if (rc)
        return rc;
    open->first = first;
    open->end = end;
    (*count_of(open, minute))++;
    open->total++;
    return 0;
}

int open_take(struct open_minutes *open, int64_t ts_ms)
{
    int64_t minute = minute_of(ts_ms);
    if (minute < open->first || minute >= open->end || *count_of(open, minute) == 0)
        return OPEN_GONE;
    (*count_of(open, minute))--;
    open->total--;
    return 0;
}

int64_t open_expire(struct open_minutes *open, int64_t ts_ms)
{
    int64_t expired = 0;
    for (; open->first < open->end && open->first < minute_of(ts_ms); open->first++) {
        expired += *count_of(open, open->first);
        *count_of(open, open->first) = 0;
    }
    open->total -= expired;
    return expired;
}

int64_t open_oldest_ms(struct open_minutes *open)
{
    while (open->first < open->end && *count_of(open, open->first) == 0)
        open->first++;
    return open->first < open->end ? open->first * MINUTE_MS : INT64_MAX;
}
