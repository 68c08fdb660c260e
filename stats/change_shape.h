/*
 * When did the distribution of a feature change? The last events against a reference, after every
 * event.
 *
 * Shape    each value is put by its rank in the reference into one of 32 bins that are equally
 *          probable while nothing changed; the Cramér–von Mises distance of the last 64 and of the
 *          last 512 values from equal shares is taken in whole numbers, at each event at which it
 *          could be at its limit
 * Ties     a value that the reference has more than once is put at a random place among its
 *          equals, from the event's own hash: so the ranks are even for every distribution, and
 *          one table of limits serves numbers and categories alike. Categories stand in the order
 *          of their ids, those the reference never saw behind them. Of more than 127 the largest
 *          stand first and have the shares that they would have once more (stats/expected_counts.h), and the unseen
 *          what those foretell that came once
 * Limit    from a table of simulated run lengths (stats/change_shape_limits.h); the distance is
 *          scaled for the size of the reference, as the two-sample statistic is. Below 4,096
 *          reference values only the short window is looked at, below 512 nothing is
 * After an alarm  nothing is told until a whole long window is within half its limit again, also
 *          where that is not looked at otherwise
 * Units    events; values of the feature
 * Errors   ERR_CORRUPT from load
 * Threads  one at a time
 * Source   Ross, Adams, "Two nonparametric control charts for detecting arbitrary distribution
 *          changes", 2012; two fixed windows and a limit from the expected run time as in Alibi
 *          Detect's CVMDriftOnline
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "stats/change.h"
#include "stats/reference.h"

enum {
    SHAPE_BINS = REFERENCE_PARTS,
    SHAPE_SHORT = 64,
    SHAPE_LONG = 512,
    SHAPE_BLOCKS = SHAPE_LONG / SHAPE_SHORT,
    SHAPE_MIN_REFERENCE = 512,
    SHAPE_MIN_REFERENCE_LONG = 4096
};

struct change_shape {
    double expected;
    double n_reference;
    double reference_mean;          /* NaN: categories */
    double limits[2];               /* of the distance, short, long; INFINITY: not looked at */
    bool changed;                   /* no alarm before a whole window is like the reference again */
    uint64_t n;                     /* of this run */
    uint64_t look;                  /* no window can be at its limit before that event */
    uint8_t ring[SHAPE_LONG];       /* bins; event n at n % SHAPE_LONG */
    double sum;                     /* of the run's values */
    int64_t block_ms[SHAPE_BLOCKS]; /* event time of the first of each block of 64 */
    double block_sums[SHAPE_BLOCKS]; /* of the last blocks of 64; the newest is not full yet */
    struct shape_window {
        uint16_t counts[SHAPE_BINS]; /* of its values, by bin */
        uint64_t look;               /* it cannot be at its limit before that event */
    } windows[2];                    /* short, long */
};

/* `n` values of the reference. */
void change_shape_init(struct change_shape *shape, double expected, double n, double mean);

/* The bin of a value by its rank; `hash` breaks ties. */
unsigned change_shape_bin(const struct reference_feature *feature, double value, uint64_t hash);
unsigned change_shape_bin_category(const struct reference_feature *feature, uint64_t category,
                                   uint64_t hash);

/* 1: an alarm, told in *found, and the run starts anew · 0. `value` NaN: a category. */
int change_shape_update(struct change_shape *shape, int64_t ts_ms, unsigned bin, double value,
                        struct change_found *found);

/* Which distances reach which run length; for measuring. Both windows, or the short one alone. */
double change_shape_limit(double expected, bool both);
void change_shape_set_limit(struct change_shape *shape, double limit);
/* The larger of the two distances, as compared with change_shape_limit; 0 before a window is full.
 */
double change_shape_distance(const struct change_shape *shape);

void change_shape_save(const struct change_shape *shape, struct buf *out);
int change_shape_load(struct change_shape *shape, struct reader *in, struct err *err);
