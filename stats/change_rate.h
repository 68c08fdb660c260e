/*
 * When did a rate change? A CUSUM for values 0 and 1 that looks after every event, in both
 * directions, around a level that it learned itself or that a reference gave.
 *
 * Shape    two sums on a lattice of whole numbers: a step towards the change adds, one away from it
 *          takes less, never below 0; at the limit it is an alarm. Tuned to odds that double or
 *          halve; smaller changes are found too, later
 * Limit    exact: the run length's own law (a linear system), averaged over what the level may be,
 *          given the events it was learned from. So the run between two false alarms, learning
 *          included, is `expected` on average
 * After an alarm  a learned level is learned anew; around a given one nothing is told until 512
 *          events in a row are back at it
 * Units    events; level: a fraction 0..1
 * Errors   -ENOMEM from change_rate_update (then nothing changed) · ERR_CORRUPT from load
 * Threads  one at a time
 * Source   Page 1954; Bernoulli CUSUM: Reynolds, Stoumbos, "A CUSUM chart for monitoring a
 *          proportion when inspecting continuously", 1999; both sides together: Siegmund 1985
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "stats/change.h"

struct rate_side {
    uint32_t hit, miss; /* steps; miss is taken off */
    uint32_t limit;
    uint32_t sum;
    uint64_t n, ones; /* since the sum was last 0 … */
    int64_t since_ms; /* … at that event */
};

struct change_rate {
    double expected;
    double given_n, given_ones; /* of a reference; 0: the level is learned */
    uint64_t learn;             /* events of a run that it is learned from */
    uint64_t n, ones;           /* of this run */
    double level;
    bool changed;              /* the given level is left: no alarm before events are back at it */
    struct rate_side up, down; /* limit 0: still learning; steps of 0: no such alarm */
    struct change_learned learned;
};

/* A level that is learned from the first tenth of each run. */
void change_rate_init(struct change_rate *rate, double expected);
/* Around the level of a reference: `ones` of `n` events. */
int change_rate_init_level(struct change_rate *rate, double expected, double n, double ones,
                           struct err *err);

/* 1: an alarm, told in *found, and the run starts anew · 0 · < 0. */
int change_rate_update(struct change_rate *rate, int64_t ts_ms, bool one,
                       struct change_found *found, struct err *err);

void change_rate_save(const struct change_rate *rate, struct buf *out);
int change_rate_load(struct change_rate *rate, struct reader *in, struct err *err);
