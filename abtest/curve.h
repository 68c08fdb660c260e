/*
 * Scores of positives and negatives of one arm and step in coarse bins, kept apart by variance
 * bucket: the area under the ROC curve and the average precision with their variance between units.
 *
 * Shape    64 bins of equal width in the log odds of the score, -8 .. 8; scores in one bin count
 *          as ties, alike in both arms
 * Owner    curve_new gives, curve_free takes
 * Errors   ERR_CORRUPT on load · NULL from curve_new without memory
 * Threads  one at a time
 * Source   area and placements: DeLong, DeLong, Clarke-Pearson 1988; clusters: Obuchowski 1997 ·
 *          average precision as scikit-learn's, but for the bins; jackknife over the buckets: Quenouille 1956 (bias),
 *          Efron, Stein 1981 (variance)
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
bool curve_empty(const struct curve *curve);
void curve_merge(struct curve *into, const struct curve *from);
void curve_save(const struct curve *curve, struct buf *out);
int curve_load(struct curve *curve, struct reader *in, struct err *err);

/* value: the area; n: scores with a label; nonzero: positives among them. */
struct ratio_estimate curve_area(const struct curve *curve);
/* The same of the average precision, freed of its bias of order 1/n. */
struct ratio_estimate curve_precision(const struct curve *curve);

/* What curve_area is made of. */
struct curve_parts {
    double area; /* NaN: no positives or no negatives */
    double positives, negatives;
    double influence[CURVE_BUCKETS]; /* what the bucket adds to the area, to first order */
    double bucket_positives[CURVE_BUCKETS];
    bool used[CURVE_BUCKETS];
};
void curve_parts_of(const struct curve *curve, struct curve_parts *out);
