/*
 * When did a mean change? For numbers without a reference (absolute errors, amounts, times): a CUSUM
 * of ranks that looks after every event, in both directions.
 *
 * Shape    the first values of a run are learned: their order says what is usual. Each later value
 *          is put by its rank among them into one of 64 bins that are equally probable while
 *          nothing changed, and scores by its bin (Savage's scores: those that see best that
 *          values of an exponential law grew). Two sums of whole numbers collect what the scores
 *          are above and below their mean, less an allowance; never below 0; at the limit it is an
 *          alarm
 * Ranks    not values: so the run between false alarms is the same for every law, however heavy its
 *          tail, and one outlier is one high rank. A value that was learned more than once is put
 *          at a random place among its equals, by `tie`
 * Limit    from a table of simulated run lengths, learning included (stats/change_mean_limits.h)
 * After an alarm  the values are learned anew
 * Units    events; values of the stream
 * Owner    change_mean_finish frees what is being learned; it may be called twice
 * Errors   -ENOMEM from change_mean_update and load (then nothing changed) · ERR_CORRUPT from load
 * Threads  one at a time
 * Source   Page 1954; ranks among a learned sample: Bakir, Reynolds, "A nonparametric procedure for
 *          process control based on within-group ranking", 1979; scores: Savage 1956
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "stats/change.h"

enum {
    MEAN_BINS = 64,
    MEAN_TIES = 256 /* places among equals */
};

struct mean_edge { /* one of the learned values */
    float value;
    uint16_t below, upto; /* how many of the learned are less; … less or equal */
};

struct mean_side {
    uint32_t limit, score; /* the score so far, below the limit, which for measuring may be set */
    uint64_t n;            /* since it was last 0 … */
    double sum;            /* … of these values */
    int64_t since_ms;      /* … at that event */
};

struct change_mean {
    double expected;
    uint32_t learn;
    float *values; /* that are learned; NULL: not begun, or done */
    struct change_learned learned;
    uint64_t n; /* of this run */
    double sum;
    uint32_t n_edges;
    struct mean_edge edges[MEAN_BINS - 1]; /* by value, all different */
    struct mean_side up, down;
};

void change_mean_init(struct change_mean *mean, double expected);
void change_mean_finish(struct change_mean *mean);

static inline bool change_mean_learns(const struct change_mean *mean)
{
    return mean->n < mean->learn;
}

/* 1: an alarm, told in *found, and the run starts anew · 0 · < 0. `tie` < MEAN_TIES, another for
   each event. */
int change_mean_update(struct change_mean *mean, int64_t ts_ms, double value, unsigned tie,
                       struct change_found *found, struct err *err);

void change_mean_save(const struct change_mean *mean, struct buf *out);
int change_mean_load(struct change_mean *mean, struct reader *in, struct err *err);
