/*
 * How good a classifier is, before its labels come: confidence-based performance estimation.
 *
 * Shape    cbpe is fitted once on a labelled reference: score → P(positive) by isotonic
 *          regression, if that is better calibrated than the scores are. It is applied when a
 *          window is read, to the score bins that the window keeps anyway (stats/score_bins.h: how
 *          many predictions had a score, and how many of them said "positive"), so a new one holds
 *          for old windows too. Expected confusion: a predicted positive of probability p is p of
 *          a true and 1 - p of a false positive
 * Classes  multiclass: one cbpe and one table of bins a class (its score; predicted = it or not)
 * Bounds   a bin of more than one score takes the probability of its middle. Let D be the sum over
 *          bins of n times the furthest that the probability of one of its scores lies from that.
 *          Then no expected count is off by more than D (by its own bins' share of it); the area's
 *          numerator and denominator, bilinear in the probabilities, by no more than D (n + D),
 *          and pairs inside a bin add at most half their product
 * Limits   right as long as the relation of score to label holds; silent when it does not. An
 *          estimate may hold a rollout, never promote it
 * Errors   what is not defined (no positives expected, an empty window) is NaN
 * Threads  a cbpe is read-only once fitted
 * Source   NannyML 0.13 CBPE: isotonic only when it lowers the calibration error (10 equal-mass
 *          bins, 10 shuffles of 10%; never when AUC > 0.999); AUC by the raw score's order
 */
#pragma once

#include <stdbool.h>

#include "stats/isotonic.h"
#include "stats/score_bins.h"

struct cbpe {
    bool calibrated; /* false: the scores are taken as they are */
    struct isotonic map;
};

struct cbpe_sample {
    double score;
    bool label; /* positive */
};

/* ERR_DATA when one of the classes never comes. */
int cbpe_fit(struct cbpe *out, const struct cbpe_sample *samples, size_t n, struct err *err);
void cbpe_finish(struct cbpe *cbpe);
double cbpe_probability(const struct cbpe *cbpe, double score);
void cbpe_save(const struct cbpe *cbpe, struct buf *out);
int cbpe_load(struct cbpe *out, struct reader *in, struct err *err);

struct cbpe_estimate {
    double n;
    double tp, fp, fn, tn;
    double roc_auc, accuracy, f1, precision, recall, specificity, pr_auc;
    /* by how much they may be off because scores share a bin; NaN: not known */
    double count_bound, roc_auc_bound, accuracy_bound, f1_bound, precision_bound, recall_bound,
        specificity_bound, pr_auc_bound;
    double positives; /* expected */
};

/* Of all predictions in the bins (score_bins_list). What is not defined is NaN. */
int cbpe_estimate(const struct cbpe *cbpe, const struct score_bin *bins, size_t n_bins,
                  struct cbpe_estimate *out);
