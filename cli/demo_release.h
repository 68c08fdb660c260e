/*
 * The release that the demo shows, done as a pipeline and a service would do it, over HTTP: the
 * versions' facts are registered, an experiment is created and started, and whoever serves asks how
 * much traffic the treatment gets.
 *
 * Shape    release_open once the daemon answers, release_begin when v4 shall be let in, then
 *          release_weight before each batch of requests. release_reached: how far the daemon is
 * Units    times: ms since the epoch · weight: percent
 * Owner    the caller's struct; nothing to free
 * Errors   of the API, as they are told
 * Threads  one
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define RELEASE_NAME "credit-v4" /* of the experiment, and its salt */

struct release {
    char url[128];
    bool begun;
    double weight;
    int64_t asked_ms; /* when the weight was asked for, by the wall clock */
    int64_t told_ms;  /* and when an answer came last */
    int64_t reached_ms;
    int64_t reach_asked_ms;
};

int release_open(struct release *release, const char *url, struct err *err);
int release_begin(struct release *release, struct err *err);

/* The treatment's weight now, asked for four times a second. Without an answer for as long as one
   is valid, 0: who cannot ask serves control. */
double release_weight(struct release *release, int64_t wall_ms);

/* The daemon's watermark (event time), INT64_MIN before it has one; asked for as often. */
int64_t release_reached(struct release *release, int64_t wall_ms);
