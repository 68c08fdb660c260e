/*
 * What an attempt to deliver came to, and when to try again: pure, so that 72 hours of outage are
 * tested in microseconds.
 *
 * Units    ms
 * Source   contract §5; RFC 9110 §10.2.3 (Retry-After)
 */
#pragma once

#include <stdint.h>

#include "common/rng.h"

enum delivery {
    DELIVERY_DONE,    /* 2xx */
    DELIVERY_RETRY,   /* 408, 425, 429, 5xx, time-out, no connection */
    DELIVERY_REFUSED, /* 3xx, other 4xx: fails for good, can be sent again by hand */
    DELIVERY_GONE,    /* 410: the endpoint is disabled */
};

/* status 0: no answer came. */
enum delivery delivery_judge(int status);

enum {
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_LONGEST_MS = 15 * 60 * 1000,
};
#define BACKOFF_GIVE_UP_MS (INT64_C(72) * 3600 * 1000)

/*
 * How long to wait after the attempt number `attempts` (1 = the first): doubling from 1 s to 15
 * min, ±20% jitter, never less than the receiver's Retry-After (at most an hour of it; -1: none).
 */
int64_t backoff_delay(int64_t attempts, int64_t retry_after_ms, struct rng *rng);
