/*
 * Scores of positives and negatives of one arm and step in coarse bins, kept apart by variance
 * bucket: the area under the ROC curve with its variance between units.
 *
 * Shape    64 bins of equal width in the log odds of the score, -8 .. 8; scores in one bin count
 *          as ties, alike in both arms
 * Owner    curve_new gives, curve_free takes
 * Errors   ERR_CORRUPT on load · NULL from curve_new without memory
 * Threads  one at a time
 * Source   area and placements: DeLong, DeLong, Clarke-Pearson 1988; clusters: Obuchowski 1997
 */
#pragma once

#include "abtest/sums.h"

enum {
    CURVE_BUCKETS = 256,
    CURVE_BINS = 64
};

struct curve;

struct curve *curve_new(void);
void curve_free(struct curve *curve);
void curve_add(struct curve *curve, uint64_t unit, double score, bool positive, int sign);
void curve_merge(struct curve *into, const struct curve *from);
void curve_save(const struct curve *curve, struct buf *out);
int curve_load(struct curve *curve, struct reader *in, struct err *err);

/* value: the area; n: scores with a label; nonzero: positives among them. */
struct ratio_estimate curve_area(const struct curve *curve);
