/*
 * How many predictions of a model still wait for their label, by minute of event time: from it
 * come `pending`, `expired` and the time up to which labels are complete.
 *
 * Owner    {0} is empty; open_finish takes its memory
 * Errors   -ENOMEM from open_add: nothing changed
 * Threads  one
 */
#pragma once

#include <stdint.h>

#include "common/err.h"

struct open_minutes {
    uint32_t *counts; /* ring: minute & (capacity - 1) */
    int64_t capacity; /* 0 or a power of two */
    int64_t first;    /* minutes [first, end) are in the ring; first == end: none */
    int64_t end;
    int64_t total;
};

void open_finish(struct open_minutes *open);
/* One prediction more at ts_ms; OPEN_GONE: so far from the others that it is not followed. */
enum {
    OPEN_GONE = 1
};
int open_add(struct open_minutes *open, int64_t ts_ms, struct err *err);
/* Its label came: 0, or OPEN_GONE when its minute has been given up. */
int open_take(struct open_minutes *open, int64_t ts_ms);
/* Gives up the minutes that end before ts_ms; returns how many were still open. */
int64_t open_expire(struct open_minutes *open, int64_t ts_ms);
/* Start of the oldest minute that waits, or INT64_MAX. */
int64_t open_oldest_ms(struct open_minutes *open);
