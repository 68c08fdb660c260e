/*
 * Probabilities with their labels: how many predictions, positives and negatives had which score,
 * and how many of the predictions said "positive". ROC-AUC, average precision, their proven error
 * bounds and DeLong's variance come from it, and what is estimated before the labels come.
 *
 * Shape    up to 1,024 different scores are kept exactly (level 0). A set with more is kept in
 *          bins, the finest of a ladder of grids on which it has at most 4,096 (both shifted
 *          right by `thrift`, where there is one table for each of many classes): a bin is the
 *          exponent and the first m bits of the score's mantissa below 1/2, of 1 - score above,
 *          so bins are fine near 0 and near 1; 0 and 1 themselves are bins of their own. The
 *          level depends on the set of scores alone, not on their order or on how they were split
 * Rules    a label's score was (or will be) added by score_bins_predict here or in a state that
 *          is merged with this one; labels may be taken out again, predictions not
 * Owner    score_bins_init gives nothing away; score_bins_finish takes
 * Errors   score_bins_room*: -ENOMEM, nothing changed; after it one call cannot fail
 * Threads  one at a time
 * Source   ROC-AUC: Mann-Whitney with ties half, sklearn.metrics.roc_auc_score · average
 *          precision: sklearn.metrics.average_precision_score · variance: DeLong, DeLong,
 *          Clarke-Pearson 1988 · bounds: docs/metrics.md, "Why the bounds hold"
 */
#pragma once

#include "stats/bins.h"
#include "stats/quantile.h"

struct score_bins {
    struct bins bins; /* predictions, positives, negatives, predictions of the positive class */
    uint8_t level;    /* 0: exact */
    uint8_t thrift;
};

void score_bins_init(struct score_bins *s, int thrift);
void score_bins_finish(struct score_bins *s);
static inline int score_bins_room(struct score_bins *s)
{
    return bins_room(&s->bins, 1);
}
/* A score outside 0..1 counts as the nearer end; NaN must not come. */
void score_bins_predict(struct score_bins *s, double score, bool flagged);
void score_bins_label(struct score_bins *s, double score, bool positive, int sign);

int score_bins_room_merge(struct score_bins *into, const struct score_bins *from);
void score_bins_merge(struct score_bins *into, const struct score_bins *from);
void score_bins_save(const struct score_bins *s, struct buf *out);
int score_bins_load(struct score_bins *s, struct reader *in, struct err *err);

/* One bin, ascending: scores in lo..hi; lo == hi: all of them are that score. */
struct score_bin {
    double lo, hi;
    int64_t n, positives, negatives;
    int64_t
        flagged; /* predictions of the positive class; 0 in what was saved before they were kept */
};
/* In memory for free(); -ENOMEM or 0. */
int score_bins_list(const struct score_bins *s, struct score_bin **out, size_t *n);
/* Distances min(score, 1 - score) of all predictions, ascending, in memory for free(). */
int score_bins_distances(const struct score_bins *s, struct span **out, size_t *n);

struct area {
    double value; /* NaN: positives or negatives are missing */
    double bound;
    double variance;              /* DeLong's; NaN for average precision and below 2 of each */
    int64_t positives, negatives; /* that it is made of */
};
struct area area_roc(const struct score_bin *bins, size_t n);
struct area area_precision_recall(const struct score_bin *bins, size_t n);
